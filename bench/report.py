#!/usr/bin/env python3
"""Writes README's measured parts from the files in bench/results, and refuses numbers there that no file holds.

    report.py [--check]      --check: says what is out of date or comes from nowhere, and changes nothing

README has a place for each kind, from `<!-- KIND: written by bench/report.py -->` to `<!-- end -->`. Kinds: cpu_peers and
cuda_peers (bench/peers/peers.py), memory (fathom_bench memory --all --json), fps (fathom_bench fps --json; also drawn:
FILE.svg beside it), tables (fathom_bench table all --largest --json), place (fathom_bench place --json). Each is filled from the newest bench/results/KIND_DATE.json; a place
without such a file stays empty. In README's other parts a number with a unit of time, speed or memory behind it (12 ms,
3.4 times, 20 fps, 5 MiB) must stand in some file of bench/results.
"""

import glob
import json
import os
import re
import sys

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
VARIANTS = re.compile(r"_(guided|k3|k5|no_diagonals|no_second_branch|image0|merge|plain)$|ablation|4alt$")
CLAIM = re.compile(
    r"(?<![\w.])(\d+(?:\.\d+)?)\s?(ms|milliseconds|fps|FPS|images/s|images per second|times as fast|times faster|x faster|MiB|GiB)\b"
)


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def milliseconds(value, device, digits):
    return f"{value:.{3 if device == 'cuda' else digits}f}"  # whole networks take less than one on a GPU


def link(path):
    name = os.path.relpath(path, ROOT)
    return f"Every row and the recipe: [{name}]({name})."


def from_memory(inputs):
    """What to say of pictures that every timed run took from memory, if every one did."""
    inputs = list(inputs)
    past = inputs and all(text.startswith("rotated past L2") for text in inputs)
    return "Every run takes its pictures from memory: so many in turns that the L2 cache holds none." if past else ""


def peers(path):
    report = load(path)
    machine = report["machine"]
    others = f"PyTorch {report['torch']}" + (f" with {report['blas']}" if report.get("blas") else "")
    if report.get("onnxruntime"):
        others += f" and ONNX Runtime {report['onnxruntime']}"
    precisions = sorted({row.get("precision", "fp32") for row in report["rows"]})
    device = machine.get("device") or machine["cpu"]
    threads = f", {report['threads']} threads" if report.get("device", "cpu") == "cpu" else ""
    lines = [
        f"{device}{threads}, {' and '.join(precisions)}, {report['date']}; {others}, same weights, timed in turns.",
        "Milliseconds; *eager* is PyTorch's better memory layout, *best* the fastest of all variants of the peers; a ratio above 1: Fathom is faster.",
    ]
    said = from_memory(row.get("inputs", {}).get("fathom", "") for row in report["rows"])
    lines += [said] if said else []
    if report.get("skip"):
        lines.append(f"Left out of the peers: torch.{', torch.'.join(report['skip'])}.")
    if machine.get("load_at_start", 0) > 0.5:
        lines.append(f"Other work was running on the machine (load {machine['load_at_start']:.1f} at the start).")
    lines += [
        "",
        "| network | size | batch | Fathom | eager | ratio | best | ratio | the fastest peer |",
        "|---|---|---:|---:|---:|---:|---:|---:|---|",
    ]
    for row in report["rows"]:
        if VARIANTS.search(row["network"]):
            continue
        eager = row["eager"]
        ms = {k: milliseconds(v, report.get("device", "cpu"), 1) for k, v in row["median_ms"].items()}
        name = row["network"] + (f" {row['precision']}" if len(precisions) > 1 else "")
        pair = f"{ms[eager]} | {row['ratio_eager']:.2f}" if eager else "- | -"
        lines.append(
            f"| {name} | {row['size']} | {row['batch']} | {ms['fathom']} | {pair} "
            f"| {ms[row['best_peer']]} | {row['ratio_best']:.2f} | {row['best_peer']} |"
        )
    means = report["geometric_mean"]
    lines.append(
        f"| geometric mean of all {len(report['rows'])} measured | | | | | {means['ratio_eager']:.2f} | | {means['ratio_best']:.2f} | |"
    )
    return lines + ["", link(path)]


def memory(path):
    report = load(path)
    mib = lambda bytes_: f"{bytes_ / 1048576:.1f}"  # noqa: E731
    kinds = sorted({(row["device"], row["precision"]) for row in report["rows"]})
    at_bound = sum(row["arena_bytes"] == row["lower_bound_bytes"] for row in report["rows"])
    lines = [
        f"MiB of activations at batch 1, as planned: *sum* without reuse, *arena* with it, beside its lower bound (the most alive at once). "
        f"Of {len(report['rows'])} plans (all networks, sizes and batches; {', '.join(' '.join(kind) for kind in kinds)}) "
        f"{at_bound} are as small as their bound.",
    ]
    gains = [row["share_of_bound"] for row in report.get("order", [])]
    if gains:
        lines.append(f"The order of layers lowers the bound of {len(gains)} of them, by up to {100 * max(gains):.1f} %.")
    head = "".join(f" {' '.join(kind)} sum | bound | arena |" for kind in kinds)
    lines += ["", f"| network | size |{head}", "|---|---|" + "---:|" * 3 * len(kinds)]
    table = {}
    for row in report["rows"]:
        if row["batch"] == 1 and not VARIANTS.search(row["network"]):
            cells = table.setdefault((row["network"], f"{row['width']}x{row['height']}"), {})
            cells[row["device"], row["precision"]] = row
    for (network, size), cells in table.items():
        figures = [
            mib(cells[kind][key]) if kind in cells else "-"
            for kind in kinds
            for key in ("sum_bytes", "lower_bound_bytes", "arena_bytes")
        ]
        lines.append(f"| {network} | {size} | " + " | ".join(figures) + " |")
    for row in report.get("not_at_bound", []):
        why = "nothing smaller exists" if row["proved_smallest"] else f"{row['gap_bytes']} bytes above, unproved"
        lines.append(
            f"| {row['network']} | {row['width']}x{row['height']} | batch {row['batch']}, {row['device']} {row['precision']}: "
            f"ratio {row['ratio']:.4f}, {why} |" + " |" * (3 * len(kinds) - 1)
        )
    return lines + ["", link(path)]


def fps(path):
    report = load(path)
    lines = [
        f"{report.get('device', report['machine'])}, {report['date']}; medians of the network's own time.",
        *filter(None, [from_memory(row.get("inputs", "") for row in report["rows"])]),
        "",
        "| network | size | batch | ms | images/s | MiB/image | launches | of the floor |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in report["rows"]:
        ms = milliseconds(row["median_ms"], "cuda" if "events" in row.get("clock", "") else "cpu", 2)
        floor = f"{row['percent_of_floor']:.1f} %" if row.get("percent_of_floor") else "-"
        lines.append(
            f"| {row['network']} | {row['width']}x{row['height']} | {row['batch']} | {ms} | {row['images_per_s']:.1f} "
            f"| {row['arena_bytes'] / row['batch'] / 1048576:.2f} | {row['launches']} | {floor} |"
        )
    picture = os.path.splitext(path)[0] + ".svg"
    if os.path.isfile(picture):
        lines += ["", f"![images per second against batch size]({os.path.relpath(picture, ROOT)})"]
    return lines + ["", link(path)]


def place(path):
    report = load(path)
    lines = [
        f"The planner alone (`fathom_bench place`) on problems made so that a packing without a gap exists; "
        f"{report['machine']}, one thread, {report['date']}.",
        "",
        "| problem | buffers | arena / bound | seconds | |",
        "|---|---:|---:|---:|---|",
    ]
    for row in report["rows"]:
        proof = "meets the bound" if row["ratio"] == 1 else "nothing smaller exists" if row["optimal"] else "out of time"
        lines.append(f"| {row['problem']} | {row['buffers']} | {row['ratio']:.4f} | {row['seconds']:.2f} | {proof} |")
    return lines + ["", link(path)]


SIZES = {"parameters", "mega_multiply_adds", "giga_multiply_adds"}  # checks of the networks, not of the engine


def times_as_many(row):
    """A ratio, and the batches it was measured at where they are not 1."""
    batches = row["remark"].partition("batches ")[2] if row else ""
    return f"{row['here']:.1f}" + (f" ({batches})" if batches else "") if row else "-"


def tables(path):
    """What the papers say of speed and memory beside what is measured, in a few lines; of sizes, how many are met."""
    report = load(path)
    compared = [row for table in report["tables"] for row in table["rows"] if row["paper"] and row["here"]]
    machine = report["device"] + (f", {report['machine']}" if report["device"].startswith("CPU") else "")
    lines = [f"What the papers' own tables say, and what `fathom_bench table all` finds; {machine}, {report['date']}."]
    if report.get("load_at_start", 0) > 0.5:
        lines.append(f"Other work was running on the machine (load {report['load_at_start']:.1f} at the start).")
    sizes = [row["ratio"] for row in compared if row["figure"] in SIZES and not VARIANTS.search(row["network"])]
    if sizes:
        met = sum(abs(ratio - 1) <= 0.02 for ratio in sizes)
        lines.append(f"Of {len(sizes)} counts of parameters and multiply-adds {met} are within 2 % of the papers'.")
    ratios = {}  # (pair, figure) -> {way: row}
    for row in compared:
        if row["figure"].startswith("ratio_"):
            ratios.setdefault((row["network"], row["figure"]), {})[row["remark"].split(",")[0].strip()] = row
    if ratios:
        lines += ["", "| times as many images/s | at | paper | every layer on its own | fused |", "|---|---|---:|---:|---:|"]
    for (pair, figure), ways in ratios.items():
        at = "batch 1" if figure == "ratio_one" else "largest batches"
        here = [times_as_many(ways.get(way)) for way in ("every layer on its own", "fused")]
        lines.append(f"| {pair} | {at} | {next(iter(ways.values()))['paper']:.0f} | {' | '.join(here)} |")
    for note in dict.fromkeys(row["note"] for ways in ratios.values() for row in ways.values() if row["note"]):
        lines += ["", f"RSIDE: {note}."]
    batches = [row for row in compared if row["figure"] == "largest_batch"]
    if batches:
        lines += ["", "| largest batch in the paper's 24 GB | size | paper | here, planned |", "|---|---|---:|---:|"]
    for row in batches:
        lines.append(f"| {row['network']} | {row['width']}x{row['height']} | {row['paper']:.0f} | {row['here']:.0f} |")
    return lines + ["", link(path)]


KINDS = {"cpu_peers": peers, "cuda_peers": peers, "memory": memory, "fps": fps, "tables": tables, "place": place}


def fill(text, results):
    """README with every place filled from the newest file of its kind."""
    for kind, write in KINDS.items():
        files = sorted(glob.glob(os.path.join(results, f"{kind}_*.json")))
        inside = "\n".join(write(files[-1])) + "\n" if files else ""
        block = f"<!-- {kind}: written by bench/report.py -->\n{inside}<!-- end -->"
        text, count = re.subn(rf"<!-- {kind}: .*?<!-- end -->", lambda _: block, text, flags=re.S)
        if count > 1 or (files and not count):
            raise ValueError(f"README.md has {count} places for '{kind}', wanted one")
    return text


def numbers_in(value):
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from numbers_in(part)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield float(value)


def claims_from_nowhere(text, results):
    """The numbers with units, outside of the filled places, that no file of the results holds when rounded alike."""
    known = [n for path in glob.glob(os.path.join(results, "*.json")) for n in numbers_in(load(path))]
    free = re.sub(r"<!-- \w+: written by bench/report.py -->.*?<!-- end -->", "", text, flags=re.S)
    missing = []
    for number, unit in CLAIM.findall(free):
        digits = len(number.partition(".")[2])
        scale = {"MiB": 2.0**20, "GiB": 2.0**30}.get(unit, 1)
        if not any(f"{n / scale:.{digits}f}" == number for n in known):
            missing.append(f"{number} {unit}")
    return missing


def main():
    readme, results = os.path.join(ROOT, "README.md"), os.path.join(ROOT, "bench", "results")
    with open(readme, encoding="utf-8") as file:
        before = file.read()
    try:
        text = fill(before, results)
    except ValueError as problem:
        sys.exit(f"report.py: {problem}")
    missing = claims_from_nowhere(text, results)
    if missing:
        sys.exit(f"report.py: no file in bench/results holds these numbers of README.md: {', '.join(missing)}")
    if text == before:
        return
    if "--check" in sys.argv[1:]:
        sys.exit("report.py: README.md is out of date: run bench/report.py")
    with open(readme, "w", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    main()
