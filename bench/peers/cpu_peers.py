#!/usr/bin/env python3
"""Fathom beside PyTorch on the CPU: the same graph, weights and input, timed in turns in one run.

    cpu_peers.py [NETWORK[@WxH] | MODEL.safetensors[@WxH] ...] [--programs build/default] [--rounds 5] [-o FILE.json]

WxH is the network's own size unless given. Per network: weights are synthesized, both sides' outputs compared (error
within 1e-4 of the range), PyTorch's variants tried, and the fastest eager and the fastest compiled one timed against
Fathom in turns, the first and the last of a round changing places from round to round. A time is the median of the
rounds' medians, a ratio the median of the rounds' ratios (PyTorch / Fathom, above 1: Fathom is faster). Where the middle
half of the rounds' ratios spreads over more than a tenth of the median, more rounds follow, up to three times as many.
Both sides start from the same u8 picture and compute the primary output alone. The JSON tells the machine, the versions
and the command. FILE.part grows with every network and becomes FILE at the end. Started again, steady rows of either
that come from the same commit, threads and PyTorch are kept, and only the rest is measured (--again: everything).
"""

import argparse
import datetime
import json
import math
import os
import platform
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
import warnings

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(ROOT, "weights_tools"))

try:
    import torch
except ImportError as missing:
    sys.exit(f"cpu_peers.py: {missing}: install PyTorch (Debian: python3-torch libopenblas0-pthread)")

import graph_to_torch
import safetensors_io
import synthetic

TOLERANCE = 1e-4
STEADY = 0.1  # spread of a ratio that needs no more rounds


class Problem(Exception):
    """One sentence for the user."""


def call(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise Problem(f"{shlex.join(command)} failed: {done.stderr.strip() or done.returncode}")
    return done.stdout


def cpu_name():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return names[0] if names else platform.processor()


def loaded(library):
    with open("/proc/self/maps", encoding="utf-8") as file:
        return any(library in line for line in file)


def relative_error(y, golden):
    """max|y - g| over the larger of g's range and a tenth of its largest magnitude; NaN never passes."""
    if y.shape != golden.shape:
        raise Problem(f"the outputs have shapes {y.shape} and {golden.shape}")
    scale = max(float(golden.max() - golden.min()), 0.1 * float(abs(golden).max()))
    error = float(abs(y - golden).max()) / max(scale, 1e-30)
    return error if error == error else math.inf


def milliseconds(run, seconds):
    """The times of runs that fill this many seconds, three at least, after one that warms up; of runs over two seconds
    the warming one is not left out, and there are two."""

    def timed():
        start = time.perf_counter()
        run()
        return (time.perf_counter() - start) * 1e3

    first = timed()
    if first > 2000:
        return [first, timed()]
    times, end = [], time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < end:
        times.append(timed())
    return times


def variants(graph, weights, images):
    """The ways PyTorch runs a graph: (name, a function that prepares one and returns a function of nothing)."""

    def module(layout):
        return graph_to_torch.GraphModule(graph, weights).to(memory_format=layout), [
            image.contiguous(memory_format=layout) for image in images
        ]

    def eager(layout):
        run, inputs = module(layout)
        return lambda: run(*inputs)[0]

    def frozen(layout, optimize=False):
        plain, inputs = module(layout)
        run = torch.jit.freeze(torch.jit.trace(plain, tuple(inputs), check_trace=False))
        run = torch.jit.optimize_for_inference(run) if optimize else run
        return lambda: run(*inputs)[0]

    def compiled(layout):
        plain, inputs = module(layout)
        run = torch.compile(plain)
        return lambda: run(*inputs)[0]

    for name, layout in (("contiguous", torch.contiguous_format), ("channels_last", torch.channels_last)):
        yield f"eager {name}", lambda: eager(layout)
        yield f"frozen {name}", lambda: frozen(layout)
        yield f"optimized {name}", lambda: frozen(layout, optimize=True)
        if hasattr(torch, "compile"):
            yield f"compile {name}", lambda: compiled(layout)


def fastest_variants(candidates, expected):
    """-> ({name: run} of the fastest eager and the fastest compiled one, {name: why} of those that cannot take part)"""
    best, refused = {}, {}
    for name, prepare in candidates:
        try:
            run = prepare()
            run(), run()  # TorchScript compiles while it runs
            error = relative_error(run().numpy(), expected)
            if error > TOLERANCE:
                raise ValueError(f"its output differs, error {error:.2g}")
            fastest = min(milliseconds(run, 0.5))
        except Exception as failure:  # what a compiler of PyTorch's cannot do is no peer
            refused[name] = (str(failure).strip() or type(failure).__name__).splitlines()[-1][:200]
            continue
        kind = "eager" if name.startswith("eager") else "compiled"
        if kind not in best or fastest < best[kind][0]:
            best[kind] = (fastest, name, run)
    return {name: run for _, name, run in best.values()}, refused


def own_size(path):
    """The input size that a model file's configuration says, else the engine's default."""
    try:
        config = json.loads(safetensors_io.read(path)[1].get("fathom.config", "{}"))
    except (OSError, ValueError):
        config = {}  # not a file: synthesize will say so
    return f"{config.get('input_width', 640)}x{config.get('input_height', 192)}"


def fathom_milliseconds(options, model, size, folder):
    report = os.path.join(folder, "fps.json")
    call(
        options.bench,
        "fps",
        "--model",
        model,
        "--size",
        size,
        "--batch",
        "1",
        "--device",
        "cpu",
        "--threads",
        str(options.threads),
        "--seconds",
        str(options.seconds),
        "--json",
        report,
    )
    with open(report, encoding="utf-8") as file:
        (row,) = json.load(file)["rows"]
    return row["median_ms"]


def ratios_to_fathom(rounds, name):
    return [times[name] / times["fathom"] for times in rounds]


def spread(ratios):
    """The middle half of the rounds' ratios, from end to end, over their median."""
    if len(ratios) < 2:
        return 0.0
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return (high - low) / middle


def measure_in_turns(sides, least, title):
    """sides: {name: a function that measures milliseconds} -> rounds, [{name: milliseconds}]. Every second round goes
    backwards, so that what slows the machine down for a while meets both sides."""
    rounds = []
    while len(rounds) < least or (
        len(rounds) < 3 * least and max(spread(ratios_to_fathom(rounds, name)) for name in sides) > STEADY
    ):
        order = list(sides) if len(rounds) % 2 == 0 else list(reversed(sides))
        times = {name: sides[name]() for name in order}
        rounds.append({name: times[name] for name in sides})
        progress(f"{title}: round {len(rounds)} of {least} to {3 * least}")
    progress("")
    return rounds


def compare(network, size, options, folder):
    """-> one row of the report"""
    if network.endswith(".safetensors"):
        model = network
    else:
        model = os.path.join(folder, "model.safetensors")
        call(options.weights, "synthesize", network, "-o", model)
    width, height = map(int, size.split("x"))
    graph = json.loads(call(options.weights, "export", model, "--size", size))
    weights, _ = safetensors_io.read(model)
    names = [entry["name"] for entry in graph["inputs"]]
    pictures = {name: synthetic.image(height, width, name) for name in names}
    given, got = os.path.join(folder, "in.safetensors"), os.path.join(folder, "out.safetensors")
    safetensors_io.write(given, {f"input.{name}": picture for name, picture in pictures.items()})
    call(options.weights, "run", model, given, got, "--device", "cpu")
    ours, _ = safetensors_io.read(got)

    images = [graph_to_torch.as_image(pictures[name]) for name in names]
    with torch.no_grad():
        everything = graph_to_torch.GraphModule(graph, weights)
        errors = {
            name: relative_error(ours[f"output.{name}"], value.numpy())
            for name, value in zip(everything.output_names, everything(*images))
        }
        if max(errors.values()) > TOLERANCE:
            raise Problem(f"{network}: Fathom and PyTorch disagree, errors {errors}")
        primary = graph["outputs"][0]["name"]
        candidates = variants(graph_to_torch.keep_outputs(graph, [primary]), weights, images)
        peers, refused = fastest_variants(candidates, ours[f"output.{primary}"])
        sides = {"fathom": lambda: fathom_milliseconds(options, model, size, folder)}
        for name, run_peer in peers.items():
            sides[name] = lambda run_peer=run_peer: statistics.median(milliseconds(run_peer, options.seconds))
        rounds = measure_in_turns(sides, options.rounds, f"{network} {size}")
    medians = {name: round(statistics.median(times[name] for times in rounds), 4) for name in sides}
    ratios = {name: statistics.median(ratios_to_fathom(rounds, name)) for name in peers}
    eager, best = next(name for name in peers if name.startswith("eager")), min(ratios, key=ratios.get)
    return {
        "network": os.path.basename(network),
        "size": size,
        "batch": 1,
        "median_ms": medians,
        "eager": eager,
        "best_peer": best,
        "ratio_eager": round(ratios[eager], 4),
        "ratio_best": round(ratios[best], 4),
        "spread": {name: round(spread(ratios_to_fathom(rounds, name)), 4) for name in peers},
        "largest_error": max(errors.values()),
        "refused_variants": refused,
        "rounds_ms": [{name: round(value, 4) for name, value in times.items()} for times in rounds],
    }


def progress(text):
    if sys.stderr.isatty():
        print(f"\r{text:78}\r", end="", file=sys.stderr, flush=True)


def geometric_mean(values):
    return math.exp(statistics.fmean(map(math.log, values)))


def print_row(*cells):
    *aligned, last = cells
    print(f"{aligned[0]:28}", *[f"{cell:>10}" for cell in aligned[1:]], f" {last}", flush=True)


def run(options):
    for name, option in (("fathom_weights", "weights"), ("fathom_bench", "bench")):
        places = [os.path.join(options.programs, folder, name) for folder in ("", "bin", "weights_tools", "bench")]
        found = next((place for place in places if os.path.isfile(place)), None)
        if not found:
            raise Problem(f"no {name} below {options.programs}: build it, or name the build folder with --programs")
        setattr(options, option, found)
    warnings.filterwarnings("ignore", message="An output with one or more elements was resized")  # inside TorchScript
    torch.set_num_threads(options.threads)
    torch.mm(torch.ones(64, 64), torch.ones(64, 64))
    if not loaded("openblas") and not loaded("mkl"):
        raise Problem("PyTorch runs on the reference BLAS, which is no fair peer: install libopenblas0-pthread")

    known = json.loads(call(options.weights, "list", "--json"))["architectures"]
    sizes = {entry["name"]: f"{entry['width']}x{entry['height']}" for entry in known}
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"cpu_peers.py: other work is running (load {load:.1f}): do not keep these times", file=sys.stderr)
    setting = {"commit": commit(), "threads": options.threads, "torch": torch.__version__}
    today = datetime.date.today().isoformat()
    path = options.output or os.path.join(ROOT, "bench", "results", f"cpu_peers_{today}.json")
    rows = [] if options.again else kept_rows(path, setting)
    report = {
        "date": today,
        "command": shlex.join([os.path.basename(sys.argv[0]), *sys.argv[1:]]),
        "machine": {"cpu": cpu_name(), "cores": os.cpu_count(), "system": platform.platform(), "load_at_start": load},
        **setting,
        "blas": "openblas" if loaded("openblas") else "mkl",
        "rounds": options.rounds,
        "geometric_mean": {},
        "rows": rows,
        "not_compared": {},
    }
    print_row("network", "size", "Fathom ms", "eager ms", "ratio", "best ms", "ratio", "PyTorch's best variant")
    for entry in options.networks or sizes:
        network, _, size = entry.partition("@")
        size = size or sizes.get(network) or own_size(network)
        row = next((row for row in rows if (row["network"], row["size"]) == (os.path.basename(network), size)), None)
        if row is None:
            with tempfile.TemporaryDirectory() as folder:
                try:
                    row = compare(network, size, options, folder)
                except (Problem, graph_to_torch.GraphError) as problem:
                    report["not_compared"][network] = str(problem)
                    print(f"{network:28} {size:>9} {problem}", flush=True)
                    continue
            rows.append({**row, **setting})
            save(path, report)
        print_times(row)
    if not rows:
        raise Problem("no network could be compared")
    save(path, report)
    os.replace(path + ".part", path)
    means = report["geometric_mean"]
    print_row(
        "geometric mean", "", "", "", f"{means['ratio_eager']:.2f}", "", f"{means['ratio_best']:.2f}", f"of {len(rows)}"
    )
    print(f"written to {os.path.relpath(path)}", file=sys.stderr)
    return 1 if report["not_compared"] else 0


def print_times(row):
    ms = row["median_ms"]
    print_row(
        row["network"],
        row["size"],
        f"{ms['fathom']:.2f}",
        f"{ms[row['eager']]:.2f}",
        f"{row['ratio_eager']:.2f}",
        f"{ms[row['best_peer']]:.2f}",
        f"{row['ratio_best']:.2f}",
        row["best_peer"] + (", unsteady" if max(row["spread"].values()) > 2 * STEADY else ""),
    )


def commit():
    """The last commit of what runs on the CPU; with a '+' where files of it have changed since."""
    parts = ["CMakeLists.txt", "bench/fathom_bench.cpp", "engine", "kernels/cpu", "models"]
    git = ["git", "-C", ROOT]
    try:
        last = call(*git, "log", "-1", "--format=%h", "--", *parts).strip()
        return last + ("+" if call(*git, "status", "--porcelain", "--", *parts).strip() else "")
    except (Problem, OSError):
        return "unknown"  # not a checkout


def kept_rows(path, setting):
    """Of a report, finished or not: what was measured under the same setting, which must be a commit."""
    if setting["commit"] == "unknown" or setting["commit"].endswith("+"):
        return []
    rows = {}
    for report in filter(os.path.isfile, (path, path + ".part")):
        with open(report, encoding="utf-8") as file:
            for row in json.load(file)["rows"]:
                same = all(row.get(key) == value for key, value in setting.items())
                if same and max(row["spread"].values()) <= 2 * STEADY:
                    rows[row["network"], row["size"]] = row
    return list(rows.values())


def save(path, report):
    report["geometric_mean"] = {
        kind: round(geometric_mean([row[kind] for row in report["rows"]]), 4) for kind in ("ratio_eager", "ratio_best")
    }
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with open(path + ".writing", "w", encoding="utf-8") as file:
        json.dump(report, file, indent=1)
        file.write("\n")
    os.replace(path + ".writing", path + ".part")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "networks",
        nargs="*",
        metavar="NETWORK[@WxH]",
        help="names or model files; by default all, at their papers' sizes",
    )
    parser.add_argument("--programs", default=os.path.join(ROOT, "build", "default"), help="the build folder")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="how long each side runs in each round")
    parser.add_argument("-o", "--output", metavar="FILE", help="the report (bench/results/cpu_peers_DATE.json)")
    parser.add_argument("--again", action="store_true", help="measure also what the report already holds")
    options = parser.parse_args()
    try:
        return run(options)
    except (Problem, OSError, ValueError) as problem:
        print(f"cpu_peers.py: {problem}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
