#!/usr/bin/env python3
"""Fathom beside PyTorch and ONNX Runtime: the same graph, weights and pictures, timed in turns in one run.

    peers.py [NETWORK[@WxH] | MODEL.safetensors[@WxH] ...] [--device cpu|cuda] [--batch 1,8] [--programs build/default]
             [--rounds 3] [--seconds 0.5] [--quick] [--skip compile] [--limit SECONDS] [--tuning FILE] [-o FILE.json]

WxH is the network's own size unless given. Per network: weights are synthesized, the outputs of both sides compared
(error within 1e-4 of the range, 1e-2 in halves), every way that contestants.py knows tried briefly, and the fastest
eager one and the fastest of all timed against Fathom in turns. A time is the median of the rounds' medians, a ratio the
median of the rounds' ratios (peer / Fathom, above 1: Fathom is faster). Where the middle half of the rounds' ratios
spreads over more than a tenth of the median, more rounds follow, up to twice as many. --quick: one short round, for a
look. The JSON tells the machine, the versions and the command. FILE.part grows with every row and becomes FILE at the
end. Started again, steady rows of either that come from the same commit, threads and versions are kept, and only the
rest is measured (--again: everything). --limit: how long one way may take until it has run once (max-autotune takes
minutes for a network); --tuning: Fathom chooses its kernels by timing, as cuDNN does here. On a GPU both sides take
their pictures from memory: so many copies in turns that the L2 cache holds none. The part for CUDA has not been run on
a GPU yet.
"""

import argparse
import contextlib
import datetime
import json
import math
import os
import platform
import shlex
import signal
import statistics
import subprocess
import sys
import tempfile
import warnings

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(ROOT, "weights_tools"))

try:
    import torch
except ImportError as missing:
    sys.exit(f"peers.py: {missing}: install PyTorch (Debian: python3-torch libopenblas0-pthread)")

import contestants
import graph_to_torch
import safetensors_io
import synthetic
import turns

TOLERANCE = {"fp32": 1e-4, "fp16": 1e-2}
TRIAL_S = 0.3


class Problem(Exception):
    """One sentence for the user."""


def call(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise Problem(f"{shlex.join(command)} failed: {done.stderr.strip() or done.returncode}")
    return done.stdout


def relative_error(y, golden):
    """max|y - g| over the larger of g's range and a tenth of its largest magnitude; NaN never passes."""
    if y.shape != golden.shape:
        raise Problem(f"the outputs have shapes {y.shape} and {golden.shape}")
    scale = max(float(golden.max() - golden.min()), 0.1 * float(abs(golden).max()))
    error = float(abs(y - golden).max()) / max(scale, 1e-30)
    return error if error == error else math.inf


class Model:
    """A network's weights and graph as both sides take them, and what Fathom says about synthetic pictures."""

    def __init__(self, network, size, options, folder):
        self.path = network
        if not network.endswith(".safetensors"):
            self.path = os.path.join(folder, "model.safetensors")
            call(options.weights_program, "synthesize", network, "-o", self.path)
        width, height = map(int, size.split("x"))
        graph = json.loads(call(options.weights_program, "export", self.path, "--size", size))
        self.weights, _ = safetensors_io.read(self.path)
        names = [entry["name"] for entry in graph["inputs"]]
        pictures = {name: synthetic.image(height, width, name) for name in names}
        given, got = os.path.join(folder, "in.safetensors"), os.path.join(folder, "out.safetensors")
        safetensors_io.write(given, {f"input.{name}": picture for name, picture in pictures.items()})
        call(options.weights_program, "run", self.path, given, got, "--device", options.device)
        ours, _ = safetensors_io.read(got)
        self.images = [graph_to_torch.as_image(pictures[name]) for name in names]

        everything = graph_to_torch.GraphModule(graph, self.weights)
        errors = {
            name: relative_error(ours[f"output.{name}"], value.numpy())
            for name, value in zip(everything.output_names, everything(*self.images))
        }
        self.largest_error = max(errors.values())
        if self.largest_error > TOLERANCE["fp32"]:
            raise Problem(f"{network}: Fathom and PyTorch disagree, errors {errors}")
        primary = graph["outputs"][0]["name"]
        self.graph = graph_to_torch.keep_outputs(graph, [primary])
        self.expected = ours[f"output.{primary}"]

    def task(self, batch, precision, options):
        images = [image.repeat(batch, 1, 1, 1) for image in self.images]
        bytes_of_a_run = sum(image.numel() * image.element_size() for image in images)
        buffers = contestants.rotation(bytes_of_a_run, contestants.cache_bytes(options.device))
        return contestants.Task(
            self.graph, self.weights, images, options.device, precision, options.threads, buffers
        )


@contextlib.contextmanager
def at_most(seconds):
    """Ends what takes longer with an error; 0: nothing does."""

    def ring(*_):
        raise TimeoutError(f"not ready within {seconds:g} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def try_out(contestant, task, expected, milliseconds, limit_s=0):
    """-> (a function of nothing that runs once, its least time); raises what speaks against it."""
    with at_most(limit_s):
        run = contestant.prepare(task)
        run(), run()  # what is compiled, is compiled while it runs
    error = relative_error(contestants.as_numpy(run()), expected)
    if error > TOLERANCE[task.precision]:
        raise ValueError(f"its output differs, error {error:.2g}")
    return run, min(milliseconds(run, TRIAL_S))


def choose(candidates, task, expected, milliseconds, title, limit_s=0):
    """-> ({name: run} of the fastest eager one and the fastest of all, {name: its least time}, {name: why not})"""
    best, tried, refused = {}, {}, {}
    for contestant in candidates:
        progress(f"{title}: trying {contestant.name}")
        slow = contestant.name.startswith(("compile", "max-autotune"))
        other_layout = slow and best.get("eager", ("",))[0].split()[-1:]
        if other_layout and contestant.name.split()[-1:] != other_layout:
            refused[contestant.name] = "not tried: PyTorch is faster in the other layout"  # compiling takes minutes
            continue
        try:
            run, ms = try_out(contestant, task, expected, milliseconds, limit_s)
        except Exception as failure:  # what a compiler of theirs cannot do is no peer
            refused[contestant.name] = (str(failure).strip() or type(failure).__name__).splitlines()[-1][:200]
            continue
        tried[contestant.name] = ms
        for kind in ("eager", "all") if contestant.kind == "eager" else ("all",):
            if kind not in best or ms < best[kind][1]:
                best[kind] = (contestant.name, ms, run)
    if "all" not in best:
        raise Problem(f"{title}: no peer can run it: {refused}")
    return {name: run for name, _, run in best.values()}, tried, refused


def fathom_milliseconds(options, model, size, batch, precision, folder):
    report = os.path.join(folder, "fps.json")
    what = ["--model", model, "--size", size, "--batch", batch, "--device", options.device, "--precision", precision]
    how = ["--threads", options.threads, "--seconds", options.seconds, "--budget", 100, "--json", report]
    how += ["--tuning", options.tuning] if options.tuning else []
    call(options.bench_program, "fps", *map(str, what + how))
    with open(report, encoding="utf-8") as file:
        (row,) = json.load(file)["rows"]
    return row["median_ms"], row["inputs"]


def figures_of(rounds, peers):
    """A row's figures from the milliseconds of each round: a ratio above 1 says that Fathom is faster."""
    ratios = {name: statistics.median(turns.ratios_to_fathom(rounds, name)) for name in peers}
    eager = next((name for name in peers if name.startswith("eager")), None)
    best = min(ratios, key=ratios.get)
    return {
        "median_ms": {name: round(statistics.median(times[name] for times in rounds), 4) for name in ["fathom", *peers]},
        "eager": eager,
        "best_peer": best,
        "ratio_eager": round(ratios[eager], 4) if eager else None,
        "ratio_best": round(ratios[best], 4),
        "spread": {name: round(turns.spread(turns.ratios_to_fathom(rounds, name)), 4) for name in peers},
    }


def compare(model, network, size, batch, precision, options, folder):
    """-> one row of the report"""
    title = f"{network} {size}, batch {batch}"
    milliseconds = turns.cuda_milliseconds if options.device == "cuda" else turns.host_milliseconds
    task, expected = model.task(batch, precision, options), model.expected.repeat(batch, 0)
    candidates, lacking = contestants.contestants(options.device, options.skip)
    # In the order of trying: eager first, so that its better layout is known.
    candidates.sort(key=lambda c: (c.kind != "eager", "compile" in c.name or "autotune" in c.name))
    peers, tried, refused = choose(candidates, task, expected, milliseconds, title, options.limit)
    inputs = set()

    def fathom():
        ms, how = fathom_milliseconds(options, model.path, size, batch, precision, folder)
        inputs.add(how)
        return ms

    sides = {"fathom": fathom}
    for name, run in peers.items():
        sides[name] = lambda run=run: statistics.median(milliseconds(run, options.seconds))
    rounds = turns.measure_in_turns(
        sides, options.rounds, options.most_rounds, lambda text: progress(f"{title}: {text}")
    )
    progress("")
    return {
        "network": os.path.basename(network),
        "size": size,
        "batch": batch,
        "precision": precision,
        **figures_of(rounds, list(peers)),
        "largest_error": model.largest_error,
        "tried_ms": {name: round(ms, 4) for name, ms in tried.items()},
        "refused": {**lacking, **refused},
        "inputs": {
            "fathom": ", ".join(sorted(inputs)),
            "peers": f"{task.buffers} buffers in turns" if task.buffers > 1 else "warm",
        },
        "rounds_ms": [{name: round(value, 4) for name, value in times.items()} for times in rounds],
    }


def progress(text):
    if sys.stderr.isatty():
        print(f"\r{text[:78]:78}\r", end="", file=sys.stderr, flush=True)


def geometric_mean(values):
    return math.exp(statistics.fmean(map(math.log, values))) if values else None


def print_row(network, size, batch, *cells):
    *aligned, last = cells
    print(f"{network:28} {size:>9} {batch:>5}", *[f"{cell:>10}" for cell in aligned], f" {last}", flush=True)


def print_times(row):
    ms, eager = row["median_ms"], row["eager"]
    unsteady = max(row["spread"].values()) > 2 * turns.STEADY
    print_row(
        row["network"],
        row["size"],
        row["batch"],
        f"{ms['fathom']:.3f}",
        f"{ms[eager]:.3f}" if eager else "-",
        f"{row['ratio_eager']:.2f}" if eager else "-",
        f"{ms[row['best_peer']]:.3f}",
        f"{row['ratio_best']:.2f}",
        row["best_peer"]
        + (f", {row['precision']}" if row["precision"] != "fp32" else "")
        + (", unsteady" if unsteady else ""),
    )


def find_programs(options):
    for name, attribute in (("fathom_weights", "weights_program"), ("fathom_bench", "bench_program")):
        places = [os.path.join(options.programs, folder, name) for folder in ("", "bin", "weights_tools", "bench")]
        found = next((place for place in places if os.path.isfile(place)), None)
        if not found:
            raise Problem(f"no {name} below {options.programs}: build it, or name the build folder with --programs")
        setattr(options, attribute, found)


def prepare_torch(options):
    warnings.filterwarnings("ignore", message="An output with one or more elements was resized")  # inside TorchScript
    for kind in (DeprecationWarning, FutureWarning):  # of TorchScript, which is still a peer
        warnings.filterwarnings("ignore", category=kind)
    torch.set_num_threads(options.threads)
    if options.device == "cuda":
        if not torch.cuda.is_available():
            raise Problem("PyTorch finds no GPU here")
        # float32 means float32 on both sides, and cuDNN may choose by measuring
        torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark = False, True
    elif not contestants.blas():
        raise Problem("PyTorch runs on the reference BLAS, which is no fair peer: install libopenblas0-pthread")


def run(options):
    find_programs(options)
    prepare_torch(options)
    known = json.loads(call(options.weights_program, "list", "--json"))["architectures"]
    sizes = {entry["name"]: f"{entry['width']}x{entry['height']}" for entry in known}
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"peers.py: other work is running (load {load:.1f}): do not keep these times", file=sys.stderr)
    setting = {"commit": commit(options.device), "device": options.device, "threads": options.threads}
    setting.update(contestants.versions(), skip=sorted(options.skip))
    if options.tuning:
        setting["tuning"] = True
    today = datetime.date.today().isoformat()
    path = options.output or os.path.join(ROOT, "bench", "results", f"{options.device}_peers_{today}.json")
    rows = [] if options.again else kept_rows(path, setting, options.rounds)
    report = {
        "date": today,
        "command": shlex.join([os.path.basename(sys.argv[0]), *sys.argv[1:]]),
        "machine": {
            "device": contestants.device_name(options.device),
            "cpu": contestants.device_name("cpu"),
            "cores": os.cpu_count(),
            "system": platform.platform(),
            "load_at_start": load,
        },
        **setting,
        "blas": contestants.blas(),
        "rounds": options.rounds,
        "geometric_mean": {},
        "rows": rows,
        "not_compared": {},
    }
    print_row("network", "size", "batch", "Fathom ms", "eager ms", "ratio", "best ms", "ratio", "the fastest peer")
    for entry in options.networks or sizes:
        network, _, size = entry.partition("@")
        size = size or sizes.get(network) or own_size(network)
        fill_rows(network, size, options, setting, report, path)
    if not rows:
        raise Problem("no network could be compared")
    save(path, report)
    os.replace(path + ".part", path)
    means = [f"{mean:.2f}" if mean else "-" for mean in report["geometric_mean"].values()]
    slower = sum(row["ratio_best"] < 1 for row in rows)
    print_row("geometric mean", "", "", "", "", means[0], "", means[1], f"of {len(rows)}; below 1: {slower}")
    print(f"written to {os.path.relpath(path)}", file=sys.stderr)
    return 1 if report["not_compared"] else 0


def fill_rows(network, size, options, setting, report, path):
    """Measures what the report lacks of one network; what fails is noted."""
    name, model = os.path.basename(network), None
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        for batch in options.batch:
            for precision in options.precision:
                key = (name, size, batch, precision)
                row = next((row for row in report["rows"] if row_key(row) == key), None)
                try:
                    if row is None:
                        model = model or Model(network, size, options, folder)
                        row = {**compare(model, network, size, batch, precision, options, folder), **setting}
                        report["rows"].append(row)
                        save(path, report)
                except (Problem, graph_to_torch.GraphError) as problem:
                    report["not_compared"][" ".join(map(str, key))] = str(problem)
                    progress("")
                    print(f"{network:28} {size:>9} {batch:>5} {problem}", flush=True)
                    continue
                print_times(row)


def own_size(path):
    """The input size that a model file's configuration says, else the engine's default."""
    try:
        config = json.loads(safetensors_io.read(path)[1].get("fathom.config", "{}"))
    except (OSError, ValueError):
        config = {}  # not a file: synthesize will say so
    return f"{config.get('input_width', 640)}x{config.get('input_height', 192)}"


def commit(device):
    """The last commit of what runs on the device; with a '+' where files of it have changed since."""
    if os.environ.get("FATHOM_COMMIT"):  # where the sources came without their history
        return os.environ["FATHOM_COMMIT"]
    parts = ["CMakeLists.txt", "engine", "models", f"kernels/{device}"]
    parts += [f"bench/{name}.{kind}" for name in ("workload", "rotation") for kind in ("cpp", "hpp")]
    git = ["git", "-C", ROOT]
    try:
        last = call(*git, "log", "-1", "--format=%h", "--", *parts).strip()
        return last + ("+" if call(*git, "status", "--porcelain", "--", *parts).strip() else "")
    except (Problem, OSError):
        return "unknown"  # not a checkout


def row_key(row):
    return row["network"], row["size"], row.get("batch", 1), row.get("precision", "fp32")


def kept_rows(path, setting, least_rounds):
    """Of a report, finished or not: what was measured under the same setting, which must be a commit."""
    if setting["commit"] == "unknown" or setting["commit"].endswith("+"):
        return []
    rows = {}
    for report in filter(os.path.isfile, (path, path + ".part")):
        with open(report, encoding="utf-8") as file:
            for row in json.load(file)["rows"]:
                same = all(row.get(key) == value for key, value in setting.items())
                steady = max(row["spread"].values()) <= 2 * turns.STEADY
                if same and steady and len(row["rounds_ms"]) >= least_rounds:
                    rows[row_key(row)] = row
    return list(rows.values())


def save(path, report):
    report["geometric_mean"] = {
        kind: mean and round(mean, 4)
        for kind in ("ratio_eager", "ratio_best")
        for mean in [geometric_mean([row[kind] for row in report["rows"] if row[kind]])]
    }
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with open(path + ".writing", "w", encoding="utf-8") as file:
        json.dump(report, file, indent=1)
        file.write("\n")
    os.replace(path + ".writing", path + ".part")


def batches(text):
    values = [int(part) for part in text.split(",")]
    if min(values) < 1:
        raise ValueError(text)
    return values


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "networks",
        nargs="*",
        metavar="NETWORK[@WxH]",
        help="names or model files; by default all, at their papers' sizes",
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--batch", type=batches, default=[1], metavar="N,N,...")
    parser.add_argument("--precision", help="fp32, fp16 or fp32,fp16; by default all that the device has")
    parser.add_argument("--programs", default=os.path.join(ROOT, "build", "default"), help="the build folder")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.5, help="how long each side runs in each round")
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument(
        "--skip", action="append", default=[], metavar="WORD", help="leave out peers whose name begins so, as 'compile'"
    )
    parser.add_argument("--limit", type=float, default=0, metavar="SECONDS", help="for each way of each network; 0: none")
    parser.add_argument("--tuning", metavar="FILE", help="of fathom_bench: kernels chosen by timing")
    parser.add_argument("-o", "--output", metavar="FILE", help="the report (bench/results/DEVICE_peers_DATE.json)")
    parser.add_argument("--again", action="store_true", help="measure also what the report already holds")
    options = parser.parse_args()
    options.precision = (options.precision or ("fp32" if options.device == "cpu" else "fp32,fp16")).split(",")
    if not set(options.precision) <= set(TOLERANCE):
        parser.error("--precision is fp32, fp16 or fp32,fp16")
    if options.quick:
        options.rounds, options.seconds = 1, min(options.seconds, 0.3)
    options.most_rounds = 1 if options.quick else 2 * options.rounds
    try:
        return run(options)
    except (Problem, OSError, ValueError) as problem:
        print(f"peers.py: {problem}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
