#!/usr/bin/env python3
"""What each CUDA kernel takes of a multiprocessor, as ptxas says: registers, shared memory, spills.

    ptxas_report.py [--arch 75,80,90] [--nvcc PATH] [--jobs N] [--json F] [--only NAME] [FILE.cu ...]

Compiles the given kernel files (all of kernels/cuda by default) for each architecture and keeps nothing of it.
--only leaves out kernels whose name does not hold NAME. Shared memory is what a kernel declares; what its launch asks
for comes on top. Exit status 1 when a kernel spills, 2 when something does not compile.
sass_report.py looks into what came out of it: tensor-core instructions, copies and loads by their width.
"""

import argparse
import concurrent.futures
import datetime
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
REGISTERS_OF_AN_SM = 65536
THREADS_OF_AN_SM = {"75": 1024, "86": 1536, "89": 1536}  # others: 2048


def find_nvcc(given):
    for path in [given, shutil.which("nvcc"), "/usr/local/cuda/bin/nvcc"]:
        if path and os.access(path, os.X_OK):
            return path
    sys.exit("ptxas_report.py: no nvcc found: put it on the PATH or name it with --nvcc")


def compile_one(nvcc, source, arch, folder):
    """ptxas's messages for one file; raises with nvcc's own when it does not compile."""
    target = os.path.join(folder, f"{os.path.basename(source)}.{arch}.cubin")
    command = [nvcc, "-std=c++20", f"-I{ROOT}", f"-I{ROOT}/engine/include", f"-arch=sm_{arch}", "-cubin", "-Xptxas", "-v"]
    result = subprocess.run(command + [source, "-o", target], capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(f"{source} for sm_{arch}:\n{result.stderr.strip()}")
    return result.stderr


def numbers(messages):
    """One dictionary for each kernel that ptxas speaks of."""
    kernels = []
    for line in messages.splitlines():
        if found := re.search(r"Compiling entry function '(\S+)'", line):
            kernels.append({"symbol": found[1], "registers": 0, "shared_bytes": 0, "stack_bytes": 0, "spill_bytes": 0})
        elif kernels:
            if found := re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", line):
                # A function that is called, not a kernel, may follow; its spills are the kernel's as well.
                kernels[-1]["stack_bytes"] += int(found[1])
                kernels[-1]["spill_bytes"] += int(found[2]) + int(found[3])
            elif found := re.search(r"Used (\d+) registers", line):
                kernels[-1]["registers"] = int(found[1])
                shared = re.search(r"(\d+) bytes smem", line)
                kernels[-1]["shared_bytes"] = int(shared[1]) if shared else 0
    return kernels


def demangle(symbols):
    """Readable names, without what all have in common."""
    tool = shutil.which("cu++filt") or shutil.which("c++filt")
    if not tool or not symbols:
        return {s: s for s in symbols}
    text = subprocess.run([tool], input="\n".join(symbols), capture_output=True, text=True, check=True).stdout
    names = {}
    for symbol, name in zip(symbols, text.splitlines()):
        name = re.sub(r"fathom::gpu::|fathom::|\(anonymous namespace\)::|^void ", "", name)
        name = re.sub(r"\((int|bool|unsigned int)\)", "", name)
        depth = 0  # the parameters go, the template arguments stay
        for k, letter in enumerate(name):
            depth += (letter == "<") - (letter == ">")
            if letter == "(" and depth == 0:
                name = name[:k]
                break
        names[symbol] = name
    return names


def threads_by_registers(kernel):
    """How many threads a multiprocessor can hold at once, as far as registers go."""
    each = (max(kernel["registers"], 1) + 7) // 8 * 8  # given out in eights
    most = THREADS_OF_AN_SM.get(kernel["arch"], 2048)
    return min(most, REGISTERS_OF_AN_SM // (each * 32) * 32)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", metavar="FILE.cu")
    parser.add_argument("--arch", default="75,80,90")
    parser.add_argument("--nvcc")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--json", metavar="F")
    parser.add_argument("--only", default="", metavar="NAME")
    options = parser.parse_args()
    nvcc = find_nvcc(options.nvcc)
    sources = options.files or sorted(glob.glob(os.path.join(ROOT, "kernels", "cuda", "*.cu")))
    tasks = [(source, arch) for source in sources for arch in options.arch.split(",")]

    kernels, failed = [], []
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        waiting = {pool.submit(compile_one, nvcc, source, arch, folder): (source, arch) for source, arch in tasks}
        for done in concurrent.futures.as_completed(waiting):
            source, arch = waiting[done]
            try:
                found = numbers(done.result())
            except RuntimeError as error:
                failed.append(str(error))
                continue
            kernels += [dict(file=os.path.basename(source), arch=arch, **kernel) for kernel in found]
            if sys.stderr.isatty():
                print(f"\r{len(kernels)} kernels", end="", file=sys.stderr)
    names = demangle([kernel["symbol"] for kernel in kernels])
    for kernel in kernels:
        kernel["name"] = names[kernel.pop("symbol")]
        kernel["threads_by_registers"] = threads_by_registers(kernel)
    kernels = [kernel for kernel in kernels if options.only in kernel["name"]]
    kernels.sort(key=lambda kernel: (kernel["file"], kernel["name"], int(kernel["arch"])))

    print(f"{'file':<22} {'sm':>3} {'registers':>9} {'threads':>7} {'shared':>7} {'stack':>6} {'spills':>6}  kernel")
    for k in kernels:
        print(
            f"{k['file']:<22} {k['arch']:>3} {k['registers']:>9} {k['threads_by_registers']:>7} {k['shared_bytes']:>7} "
            f"{k['stack_bytes']:>6} {k['spill_bytes']:>6}  {k['name']}"
        )
    spilling = [kernel for kernel in kernels if kernel["spill_bytes"]]
    print(f"{len(kernels)} kernels, {len(spilling)} of them spill; threads: of a multiprocessor, as far as registers go")
    if options.json:
        release = re.search(r"release ([\d.]+)", subprocess.run([nvcc, "--version"], capture_output=True, text=True).stdout)
        report = {"date": datetime.date.today().isoformat(), "nvcc": release[1] if release else "", "kernels": kernels}
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(report, file, indent=1)
    for error in failed:
        print(f"ptxas_report.py: {error}", file=sys.stderr)
    if failed or not kernels:
        sys.exit(2)
    if spilling:
        sys.exit(1)


if __name__ == "__main__":
    main()
