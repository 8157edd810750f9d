#!/usr/bin/env python3
"""Plants the mistakes of tests/mutants/*.json one at a time and checks that the named test of each turns red.

    run.py                          all of them; prints the kill rate, fails below 95 % or where an entry does not apply
    run.py engine.json --only crop  one list, or the entries that mention a word
    run.py --in-place ...           in the checkout and build/dev themselves: no second build, but leave the files alone meanwhile
    run.py --list                   counts by folder, runs nothing

An entry: {"mistake": what a programmer got wrong, "file", "old": text that occurs once, "new", "test", "build": more targets}.
"test" is the command that must fail: a test program and its arguments ("fathom_tests [session]"), or "python" and unittest names of
tests/python ("python test_cli.Options"); "survives": why an entry that no test sees is harmless.

Works on a copy of the checkout (build/mutants), so that the checkout stays as it is, unless told --in-place. Each test must pass there before anything is
planted. A mistake that does not compile is an error of the list, one that makes the test hang counts as seen.
"""
import argparse
import collections
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
LEAST_RATE = 0.95
TEST_LIMIT_S = 600


class Tree:
    """A copy of the checkout and its build, or the checkout's own."""

    def __init__(self, folder, preset):
        self.source, self.build = (folder / "tree", folder / "build") if folder else (ROOT, ROOT / "build" / preset)
        if folder:
            self.copy()
        configured = (self.build / "build.ninja").exists()
        if not configured:
            subprocess.run(["cmake", "--preset", preset, "-B", str(self.build)], cwd=self.source, check=True, stdout=subprocess.DEVNULL)

    def copy(self):
        """Brings the copy up to date; files that are equal keep their time, so that only what changed is built."""
        listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True)
        names = {name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()}
        for name in sorted(names):
            source, target = ROOT / name, self.source / name
            if not target.exists() or target.read_bytes() != source.read_bytes():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, target)
        for path in [p for p in self.source.rglob("*") if p.is_file() and str(p.relative_to(self.source)) not in names]:
            path.unlink()

    def make(self, targets):
        """Builds; the compiler's last lines where it fails."""
        done = subprocess.run(["ninja", "-C", str(self.build), *targets], capture_output=True, text=True)
        return "" if done.returncode == 0 else done.stdout[-1500:]

    def program(self, name):
        found = [p for p in self.build.rglob(name) if p.is_file() and os.access(p, os.X_OK)]
        if len(found) != 1:
            raise SystemExit(f"run.py: {len(found)} programs named {name} in {self.build}")
        return str(found[0])

    def passes(self, test):
        words = shlex.split(test)
        environment = {**os.environ, "FATHOM_CUDA_MODULE": "none", "FATHOM_PROGRAMS": str(self.build)}
        if words[0] == "python":
            python = "/usr/bin/python3" if Path("/usr/bin/python3").exists() else sys.executable
            command, folder = [python, "-m", "unittest", *words[1:]], self.source / "tests" / "python"
        else:
            command, folder = [self.program(words[0]), *words[1:]], self.build
            if words[0] != "fathom_tests":
                del environment["FATHOM_CUDA_MODULE"]
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        try:
            return process.wait(TEST_LIMIT_S) == 0
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return False


def targets_of(entry):
    first = shlex.split(entry["test"])[0]
    return ([] if first == "python" else [first]) + entry.get("build", [])


def planted(entry, text):
    count = text.count(entry["old"])
    if count != 1:
        raise SystemExit(f"run.py: {entry['file']} has {count} places {entry['old']!r}, an entry needs one")
    return text.replace(entry["old"], entry["new"])


def judge(tree, entry):
    """'seen', 'survived' or 'no build'."""
    path = tree.source / entry["file"]
    text = path.read_text()
    path.write_text(planted(entry, text))
    try:
        if tree.make(targets_of(entry)):
            return "no build"
        return "survived" if tree.passes(entry["test"]) else "seen"
    finally:
        path.write_text(text)


def read_lists(paths):
    entries = []
    for path in paths:
        for entry in json.loads(path.read_text()):
            planted(entry, (ROOT / entry["file"]).read_text())
            entries.append(entry)
    return entries


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lists", nargs="*", help="files of this folder; all where none is named")
    parser.add_argument("--only", default="", help="entries that hold this text in mistake, file or test")
    parser.add_argument("--list", action="store_true", help="check that every entry applies, count them, and stop")
    parser.add_argument("--in-place", action="store_true", help="plant in the checkout, build in build/PRESET")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "mutants", help="where the copy and its build are kept")
    parser.add_argument("--preset", default="dev")
    parser.add_argument("--report", type=Path, help="writes the verdicts as JSON")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what is planted is taken back on the way out

    entries = read_lists([HERE / name for name in options.lists] or sorted(HERE.glob("*.json")))
    entries = [e for e in entries if any(options.only in e[key] for key in ("mistake", "file", "test"))]
    folders = collections.Counter("/".join(e["file"].split("/")[:2]) for e in entries)
    if options.list:
        for folder, count in sorted(folders.items()):
            print(f"{count:4d}  {folder}")
        print(f"{len(entries):4d}  in all")
        return 0
    if not entries:
        raise SystemExit("run.py: no entry is named so")

    tree = Tree(None if options.in_place else options.folder, options.preset)
    targets = sorted({target for e in entries for target in targets_of(e)})
    if wrong := tree.make(targets):
        raise SystemExit(f"run.py: the checkout does not build:\n{wrong}")
    for test in sorted({e["test"] for e in entries}):
        if not tree.passes(test):
            raise SystemExit(f"run.py: fails before anything is planted: {test}")

    verdicts = []
    for number, entry in enumerate(entries, 1):
        began = time.monotonic()
        verdict = judge(tree, entry)
        verdicts.append({**entry, "verdict": verdict})
        if verdict == "survived" and "survives" in entry:
            verdict = f"survived: {entry['survives']}"
        print(f"[{number}/{len(entries)}] {time.monotonic() - began:5.0f} s  {verdict:9s} {entry['file']}: {entry['mistake']}", flush=True)
    tree.make(targets)

    count = collections.Counter(v["verdict"] for v in verdicts)
    rate = count["seen"] / len(verdicts)
    print(f"{count['seen']} of {len(verdicts)} seen ({100 * rate:.1f} %), {count['survived']} survived, {count['no build']} do not build")
    if options.report:
        options.report.write_text(json.dumps({"date": time.strftime("%Y-%m-%d"), "seen": count["seen"], "planted": len(verdicts), "verdicts": verdicts}, indent=1) + "\n")
    unexplained = [v for v in verdicts if v["verdict"] == "survived" and "survives" not in v]
    return 1 if unexplained or count["no build"] or rate < LEAST_RATE else 0


if __name__ == "__main__":
    sys.exit(main())
