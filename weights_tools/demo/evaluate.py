#!/usr/bin/env python3
"""The table of README.md: a model beside a constant and a gradient, all measured by `fathom_bench accuracy --median`.

    evaluate.py --model demo.safetensors --scenes DIR --bench fathom_bench [--teacher FILE] [NAME=DIR:SCALE ...]

Held-out scenes come first; each further folder has pairs NAME.png + NAME_depth.png, whose values over SCALE are metres.
The gradient's k is fitted on training scenes. --keep DIR keeps the held-out scenes as pairs.
"""

import argparse
import glob
import json
import os
import subprocess
import tempfile

import numpy as np
import torch
from PIL import Image

import dataset
import measure
import teacher

CAP = 10  # metres


def write_pairs(scenes, count, folder):
    """The first scenes as NAME.png and NAME_depth.png in millimetres."""
    os.makedirs(folder, exist_ok=True)
    for i in range(min(count, len(scenes))):
        path, k = scenes.index[i]
        pictures, depth = scenes.shards[path]
        Image.fromarray(np.array(pictures[k])).save(os.path.join(folder, f"scene{i:03d}.png"))
        Image.fromarray(np.array(depth[k])).save(os.path.join(folder, f"scene{i:03d}_depth.png"))


def bench(program, folder, scale, *what):
    """-> [(abs rel, delta1) of each pair], (abs rel, delta1) on average."""
    with tempfile.TemporaryDirectory() as scratch:
        path = os.path.join(scratch, "found.json")
        command = [program, "accuracy", folder, "--median", "--cap", str(CAP), "--depth-scale", str(scale)]
        subprocess.run([*command, "--json", path, *what], check=True, stdout=subprocess.DEVNULL)
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    row = lambda values: (values["abs_rel"], values["delta1"])  # noqa: E731
    return [row(image) for image in found["images"]], row(found["mean"])


def picture_of(folder, name):
    return next(p for p in (os.path.join(folder, name + end) for end in (".png", ".jpg")) if os.path.exists(p))


def predictions(folder, into, make):
    """What `make(picture's path, height, width)` finds for each pair."""
    os.makedirs(into, exist_ok=True)
    for path in glob.glob(os.path.join(folder, "*_depth.png")):
        width, height = Image.open(path).size
        name = os.path.basename(path)[: -len("_depth.png")]
        np.save(os.path.join(into, name + ".npy"), make(picture_of(folder, name), height, width))


def taught(path):
    """The teacher of mixture.py as a predictor: one pass, as it is meant to be used."""
    model = teacher.load(path)

    def make(picture, height, width):
        pixels = torch.from_numpy(np.array(Image.open(picture).convert("RGB"))).permute(2, 0, 1)[None].float()
        with torch.no_grad():
            found = model(teacher.resize(pixels, teacher.SIZE))
        return teacher.resize(found, (height, width))[0, 0].numpy()

    return make


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--scenes", required=True)
    parser.add_argument("--bench", default="fathom_bench")
    parser.add_argument("--count", type=int, default=96, help="held-out scenes")
    parser.add_argument("--teacher", help="its file: a row of the table for it too")
    parser.add_argument("--keep")
    parser.add_argument("folders", nargs="*", metavar="NAME=DIR:SCALE")
    options = parser.parse_args()
    training = dataset.Scenes(options.scenes)
    some = range(0, len(training), max(1, len(training) // 100))
    fitted = measure.fit_gradient([training.get(i)[1][0, ::4, ::4].numpy() for i in some])
    with tempfile.TemporaryDirectory() as scratch:
        pairs = options.keep or os.path.join(scratch, "pairs")
        write_pairs(dataset.Scenes(options.scenes, "heldout"), options.count, pairs)
        groups = [("held-out scenes", [(pairs, 1000)])]
        real = [(text.split("=")[1].rsplit(":", 1)) for text in options.folders]
        groups += [(text.split("=")[0], [tuple(part)]) for text, part in zip(options.folders, real)]
        if len(real) > 1:
            groups.append(("all photographs", [tuple(part) for part in real]))
        makers = {
            "constant": lambda _, h, w: measure.constant(h, w),
            f"gradient, k = {fitted:.1f}": lambda _, h, w: measure.gradient(h, w, fitted),
            "gradient, k = 0.6": lambda _, h, w: measure.gradient(h, w, 0.6),
        }
        if options.teacher:
            makers["teacher"] = taught(options.teacher)
        print("| predictor | " + " | ".join(f"{name}: abs rel | delta1" for name, _ in groups) + " |")
        print("|---|" + "---:|---:|" * len(groups))
        for number, name in enumerate([os.path.basename(options.model), *makers]):
            cells = []
            for _, parts in groups:
                rows = []
                for part, (folder, scale) in enumerate(parts):
                    what = ["--model", options.model]
                    if number:
                        into = os.path.join(scratch, f"{number}_{len(cells)}_{part}")
                        predictions(folder, into, makers[name])
                        what = ["--prediction", into]
                    rows += bench(options.bench, folder, scale, *what)[0]
                cells += [f"{value:.3f}" for value in np.mean(rows, 0)]
            print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
