#!/usr/bin/env python3
"""What the CUDA kernels became in machine code: tensor-core instructions, copies and loads by their width, local memory.

    sass_report.py [--cuobjdump PATH] [--arch 80,90] [--json F] [--check] [--only NAME] FILE...

FILE: libfathom_cuda.so, or object files. Counts are of instructions as they stand in the code, not of how often they
run; "loop" is the leanest of a kernel's innermost loops with HMMA, and "in loop" how many of these it has. --check exits
with status 1 where a tensor-core kernel has no HMMA, where it has neither LDGSTS nor 128-bit global loads although its
sources allow them, where the convolution core's loop has too many instructions for each HMMA, and where any kernel uses
local memory: spilled registers, or an array that did not stay in them. Registers and bytes of spills are what
ptxas_report.py tells, from the sources.

cuobjdump comes with the CUDA toolkit, and with PyTorch's compiler Triton (triton/backends/nvidia/bin).
"""

import argparse
import collections
import datetime
import glob
import json
import os
import re
import shutil
import subprocess
import sys

import ptxas_report

# Kernels made of HMMA, by how their names begin, and why some of them load less than 16 bytes at once (None: they do not).
TENSOR_CORE_KERNELS = {
    r"conv_core_kernel<TensorProduct<": None,
    r"conv_taps_kernel<.*LoadSources": "reads photographs and maps of less than 8 channels",
    r"conv_taps_kernel<": None,
    r"conv_pool_kernel<": "reads photographs and maps of less than 8 channels",
    r"inverted_residual_kernel<": None,
}
# Instructions for each HMMA of the loop, at most: what else a warp issues takes the place of other warps' HMMA. The block
# shape with the fewest HMMA in a k-step has 7.2, the one with the most 1.7; TF32 rounds its operands in the loop.
LOOP_BOUNDS = {r"conv_core_kernel<TensorProduct<HalfMma,": 8, r"conv_core_kernel<TensorProduct<Tf32Mma,": 14}
COUNTED = {
    "hmma": r"HMMA\.",
    "ldsm": r"LDSM\.",
    "ldgsts": r"LDGSTS\.",
    "ldg_128": r"LDG\..*\b128\b",
    "ldg": r"(LDG|LD)\.",
    "stg_128": r"STG\..*\b128\b",
    "stg": r"(STG|ST)\.",
    "local": r"(LDL|STL)\b",
}
COLUMNS = ["instructions", *COUNTED, "loop", "in loop"]
INSTRUCTION = re.compile(r"^\s+/\*([0-9a-f]{4,})\*/\s+(?:@!?\S+\s+)?([A-Z0-9_.]+)([^;]*)")


def find_cuobjdump(given):
    near_python = [os.path.join(p, "triton/backends/nvidia/bin/cuobjdump") for p in sys.path]
    usual = sorted(glob.glob("/usr/local/cuda*/bin/cuobjdump"), reverse=True)
    for path in [given] if given else [shutil.which("cuobjdump"), *usual, *near_python]:
        if path and os.access(path, os.X_OK):
            return path
    sys.exit("sass_report.py: no cuobjdump found: install the CUDA toolkit's or the Python package triton, or give --cuobjdump")


def leanest_loop(branches, hmma, instructions):
    """Instructions and HMMA of the innermost loop with HMMA that has the fewest instructions for each; (0, 0): none.

    A branch back is a loop; branches, hmma and instructions are addresses, of which a branch has two."""
    loops = []
    for start, end in ((target, at) for at, target in branches if target <= at):
        inside = sum(start <= at <= end for at in hmma)
        if inside:
            loops.append((start, end, inside))
    innermost = [a for a in loops if not any(a != b and a[0] <= b[0] and b[1] <= a[1] for b in loops)]
    mixes = [(sum(start <= at <= end for at in instructions), inside) for start, end, inside in innermost]
    return min(mixes, key=lambda mix: mix[0] / mix[1], default=(0, 0))


def count(cuobjdump, file):
    """(architecture, symbol) -> counts, for every kernel of one file."""
    kernels, places, now, where, arch = {}, {}, None, None, ""
    patterns = {key: re.compile(pattern) for key, pattern in COUNTED.items()}
    with subprocess.Popen([cuobjdump, "-sass", file], stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if found := INSTRUCTION.match(line):
                if now is None:
                    continue
                now["instructions"] += 1
                for key, pattern in patterns.items():
                    now[key] += bool(pattern.match(found[2]))
                at, (branches, hmma, instructions) = int(found[1], 16), where
                instructions.append(at)
                if patterns["hmma"].match(found[2]):
                    hmma.append(at)
                if found[2].startswith("BRA") and (target := re.search(r"(0x[0-9a-f]+)\s*$", found[3])):
                    branches.append((at, int(target[1], 16)))
            elif found := re.match(r"\s*code for sm_(\d+)", line):
                arch = found[1]
            elif found := re.match(r"\s*Function : (\S+)", line):
                now = kernels.setdefault((arch, found[1]), collections.Counter())
                where = places.setdefault((arch, found[1]), ([], [], []))
    if process.returncode:
        sys.exit(f"sass_report.py: {cuobjdump} could not read {file}")
    for key, counts in kernels.items():
        counts["loop"], counts["in loop"] = leanest_loop(*places[key])
    return kernels


def complaints(kernel):
    """What --check says of one kernel."""
    found = []
    for pattern, narrow in TENSOR_CORE_KERNELS.items():
        if re.match(pattern, kernel["name"]):
            if not kernel["hmma"]:
                found.append("no HMMA")
            if not narrow and not kernel["ldgsts"] and not kernel["ldg_128"]:
                found.append("neither LDGSTS nor 128-bit loads")
            break
    for pattern, bound in LOOP_BOUNDS.items():
        if re.match(pattern, kernel["name"]) and kernel["hmma"] and not kernel["loop"] <= bound * kernel["in loop"] > 0:
            found.append(f"{kernel['loop']} instructions for {kernel['in loop']} HMMA in the leanest loop, not {bound} for each")
    if kernel["local"]:
        found.append(f"local memory is used, by {kernel['local']} instructions")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", metavar="FILE")
    parser.add_argument("--cuobjdump", metavar="PATH")
    parser.add_argument("--arch", default="", help="only these, as 80,90")
    parser.add_argument("--json", metavar="F")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--only", default="", metavar="NAME")
    options = parser.parse_args()
    cuobjdump = find_cuobjdump(options.cuobjdump)
    if not (shutil.which("cu++filt") or shutil.which("c++filt")):
        sys.exit("sass_report.py: no c++filt found, which tells kernels by their names: install binutils")
    kernels = []
    for file in options.files:
        if not os.path.exists(file):
            sys.exit(f"sass_report.py: there is no {file}: build the target fathom_cuda first")
        found = count(cuobjdump, file)
        names = ptxas_report.demangle(sorted({symbol for _, symbol in found}))
        for (arch, symbol), counts in found.items():
            kernels.append({"name": names[symbol], "arch": arch, **{key: counts[key] for key in COLUMNS}})
    wanted = options.arch.split(",") if options.arch else sorted({k["arch"] for k in kernels})
    kernels = [k for k in kernels if options.only in k["name"] and k["arch"] in wanted]
    kernels.sort(key=lambda k: (k["name"], int(k["arch"])))

    print(" ".join(f"{c:>8}" for c in ["sm", *(c[:8] for c in COLUMNS)]), " kernel")
    for k in kernels:
        print(" ".join(f"{k[c]:>8}" for c in ["arch", *COLUMNS]), "", k["name"])
    bad = [(k, complaint) for k in kernels for complaint in complaints(k)]
    tensor = sum(any(re.match(p, k["name"]) for p in TENSOR_CORE_KERNELS) for k in kernels)
    print(f"{len(kernels)} kernels for sm_{', sm_'.join(wanted)}, {tensor} of them on tensor cores; {len(bad)} complaints")
    for k, complaint in bad:
        print(f"sm_{k['arch']}: {complaint}: {k['name']}")
    if options.json:
        version = subprocess.run([cuobjdump, "--version"], capture_output=True, text=True).stdout
        report = {
            "date": datetime.date.today().isoformat(),
            "command": " ".join(["sass_report.py", *map(os.path.basename, options.files), "--arch", ",".join(wanted)]),
            "cuobjdump": (re.search(r"release ([\d.]+)", version) or [None, ""])[1],
            "complaints": [f"sm_{k['arch']}: {complaint}: {k['name']}" for k, complaint in bad],
        }
        lines = ",\n".join(json.dumps(k) for k in kernels)  # one kernel a line
        with open(options.json, "w", encoding="utf-8") as file:
            file.write(json.dumps(report)[:-1] + ', "kernels": [\n' + lines + "\n]}\n")
    missing = [arch for arch in wanted if not any(k["arch"] == arch for k in kernels)]
    if missing or not kernels:
        sys.exit("sass_report.py: no code for sm_" + ", sm_".join(missing or ["?"]) + " in the files given: build for it")
    if options.check and bad:
        sys.exit(1)


if __name__ == "__main__":
    main()
