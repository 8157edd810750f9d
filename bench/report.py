#!/usr/bin/env python3
"""Writes README's tables from the measurements in bench/results: the newest file of each kind.

    report.py [--check]      --check: says whether README is up to date, and changes nothing
"""

import glob
import json
import os
import re
import sys

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
VARIANTS = re.compile(r"_(guided|k3|k5|no_diagonals|no_second_branch|image0|merge|plain)$|ablation|4alt$")


def cpu_peers(path):
    with open(path, encoding="utf-8") as file:
        report = json.load(file)
    machine = report["machine"]
    lines = [
        f"{machine['cpu']}, {report['threads']} threads, fp32, batch 1, {report['date']}; PyTorch {report['torch']} with {report['blas']}, same weights, timed in turns.",
        "Milliseconds; *eager* is PyTorch's better memory layout, *best* its fastest variant, TorchScript included; a ratio above 1: Fathom is faster.",
        "",
        "| network | size | Fathom | eager | ratio | best | ratio |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for row in report["rows"]:
        if VARIANTS.search(row["network"]):
            continue
        ms = row["median_ms"]
        lines.append(
            f"| {row['network']} | {row['size']} | {ms['fathom']:.1f} | {ms[row['eager']]:.1f} | {row['ratio_eager']:.2f} "
            f"| {ms[row['best_peer']]:.1f} | {row['ratio_best']:.2f} |"
        )
    means = report["geometric_mean"]
    lines.append(f"| geometric mean of all {len(report['rows'])} measured | | | | {means['ratio_eager']:.2f} | | {means['ratio_best']:.2f} |")
    lines += ["", f"Every row and the recipe: [{os.path.relpath(path, ROOT)}]({os.path.relpath(path, ROOT)})."]
    return "\n".join(lines)


TABLES = {"cpu_peers": cpu_peers}


def main():
    readme = os.path.join(ROOT, "README.md")
    with open(readme, encoding="utf-8") as file:
        text = before = file.read()
    for kind, table in TABLES.items():
        results = sorted(glob.glob(os.path.join(ROOT, "bench", "results", f"{kind}_*.json")))
        if not results:
            continue
        block = f"<!-- {kind}: written by bench/report.py -->\n{table(results[-1])}\n<!-- end -->"
        text, count = re.subn(rf"<!-- {kind}: .*?<!-- end -->", lambda _: block, text, flags=re.S)
        if count != 1:
            sys.exit(f"report.py: README.md has no place for the table '{kind}'")
    if text == before:
        return
    if "--check" in sys.argv[1:]:
        sys.exit("report.py: README.md is out of date: run bench/report.py")
    with open(readme, "w", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    main()
