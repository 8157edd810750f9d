#!/usr/bin/env python3
"""Where a network's time goes on a GPU: each layer's kernels as Nsight Compute times them, beside their floor.

    layers.py NETWORK... [--size WxH] [--batch 1] [--precision fp16] [--programs build/default] [--ncu ncu] [-o FILE.json]

The first run of a network enqueues its kernels one by one, in the order of `fathom_weights inspect`; these are what ncu
times, each alone, caches as they are, clocks as they are. Prints the slowest layers; the JSON has all of them.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile

UNITS = {"n": 1e-3, "u": 1.0, "m": 1e3, "s": 1e6}  # microseconds, by the unit's first letter
BYTES = {"b": 1, "k": 1e3, "m": 1e6, "g": 1e9}
DURATION, DRAM = "gpu__time_duration.sum", "dram__bytes.sum"
METRICS = [DURATION, DRAM, "sm__throughput.avg.pct_of_peak_sustained_elapsed", "sm__warps_active.avg.pct_of_peak_sustained_active"]


class Problem(Exception):
    """One sentence for the user."""


def call(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise Problem(f"{' '.join(command)} failed: {(done.stderr or done.stdout).strip()[-500:]}")
    return done.stdout


def read_kernels(text):
    """ncu's CSV, one line a metric -> [{"kernel", "grid", "block", metric: value}], microseconds and bytes"""
    lines = [line for line in text.splitlines() if line.startswith('"')]
    kernels = {}
    for row in csv.DictReader(lines):
        kernel = kernels.setdefault(
            int(row["ID"]), {"kernel": row["Kernel Name"], "grid": row["Grid Size"], "block": row["Block Size"]}
        )
        value, unit = float(row["Metric Value"].replace(",", "")), row["Metric Unit"].strip().lower()
        if row["Metric Name"] == DURATION:
            value *= UNITS[unit[0]]
        if row["Metric Name"] == DRAM:
            value *= BYTES[unit[0]]
        kernel[row["Metric Name"]] = value
    return [kernels[number] for number in sorted(kernels)]


def join(steps, kernels):
    """Each step with the kernels it launched, in their order."""
    wanted = sum(step["launches"] for step in steps)
    if len(kernels) != wanted:
        raise Problem(f"ncu saw {len(kernels)} kernels, the plan has {wanted}")
    rows, rest = [], iter(kernels)
    for step in steps:
        own = [next(rest) for _ in range(step["launches"])]
        microseconds = sum(kernel[DURATION] for kernel in own)
        row = {key: step[key] for key in ("name", "op", "kernel", "shape", "flops", "bytes")}
        rows.append({**row, "us": round(microseconds, 3), "kernels": own})
    return rows


def measure(network, options):
    build = options.programs
    what = ["--device", "cuda", "--precision", options.precision, "--batch", str(options.batch)]
    what += ["--size", options.size] if options.size else []
    plan = json.loads(call(os.path.join(build, "weights_tools", "fathom_weights"), "inspect", network, *what, "--json"))
    with tempfile.TemporaryDirectory() as folder:
        log = os.path.join(folder, "ncu.csv")
        how = ["--clock-control", "none", "--cache-control", "none", "--csv", "--metrics", ",".join(METRICS)]
        how += ["--launch-count", str(plan["launches"]), "--log-file", log]
        bench = [os.path.join(build, "bench", "fathom_bench"), "fps", "--model", network, *what, "--seconds", "0.001"]
        call(options.ncu, *how, *bench)
        with open(log, encoding="utf-8") as file:
            rows = join(plan["steps"], read_kernels(file.read()))
    sum_us = sum(row["us"] for row in rows)
    return {**{key: plan[key] for key in ("network", "device", "width", "height", "batch", "launches", "floor_us")},
            "precision": options.precision, "sum_us": round(sum_us, 3), "layers": rows}


def show(report, count=12):
    print(f"{report['network']} {report['width']}x{report['height']}, batch {report['batch']}, {report['precision']}: "
          f"{report['sum_us']:.1f} us in {report['launches']} kernels, floor {report['floor_us']:.1f} us")
    for row in sorted(report["layers"], key=lambda row: -row["us"])[:count]:
        share = 100 * row["us"] / report["sum_us"]
        rate, speed = row["bytes"] / row["us"] / 1e3, row["flops"] / row["us"] / 1e6
        print(f"  {row['us']:8.2f} us {share:5.1f} %  {rate:7.1f} GB/s {speed:7.2f} TFLOP/s  {row['name']}: {row['kernel']}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="+", metavar="NETWORK")
    parser.add_argument("--size", metavar="WxH")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--precision", default="fp16")
    parser.add_argument("--programs", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "build", "default"))
    parser.add_argument("--ncu", default="ncu")
    parser.add_argument("-o", "--output", metavar="FILE")
    options = parser.parse_args()
    reports, failed = [], 0
    for network in options.networks:
        try:
            reports.append(measure(network, options))
        except (Problem, OSError, ValueError, KeyError) as problem:
            print(f"layers.py: {network}: {problem}", file=sys.stderr)
            failed = 1
            continue
        show(reports[-1])
        if options.output:
            with open(options.output, "w", encoding="utf-8") as file:
                json.dump(reports, file, indent=1)
    return failed


if __name__ == "__main__":
    sys.exit(main())
