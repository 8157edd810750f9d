#!/usr/bin/env python3
"""Trains the demonstration weights on rendered scenes and photographs (PyTorch 1.13 or 2.x, CPU or GPU).

    train.py --scenes DIR --graph lite_hr_depth.json --template lite_hr_depth.safetensors --out DIR --minutes 90

The schedule follows the clock (--minutes) or counts (--steps); progress runs from 0 to 1. The learning rate rises over
the first 4 percent and falls as a cosine. A checkpoint every two minutes holds everything: the same command goes on
where it stopped. The exponential mean of the weights is what is kept. With --loaders N, N processes make the batches
ahead of the training; --compile lets PyTorch 2.x compile the network (a minute for each size). With --photos FILE, what
mixture.py wrote joins the scenes: pairs with measured depth and photographs with a teacher's.
"""

import argparse
import copy
import itertools
import json
import math
import os
import sys
import time

import torch

import dataset
import losses
import measure
import mixture
import network
import safetensors_io

LIMITS = (0.3, 19.0)  # metres; truth beyond does not count


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", required=True)
    parser.add_argument("--template", required=True, help="a model file: keys, shapes, configuration")
    parser.add_argument("--graph", required=True, help="what `fathom_weights export --size WxH` prints of it")
    parser.add_argument("--size", required=True, help="that size")
    parser.add_argument("--start", help="a checkpoint or model file whose weights to begin with, at another size or rate")
    parser.add_argument("--photos", help="photos_TERMS.npz of mixture.py")
    parser.add_argument("--shares", default="0.2,0.4", help="of pairs and of photographs in a batch; scenes are the rest")
    parser.add_argument("--doubt", type=float, default=0.3, help="progress from which a teacher counts less where it is alone")
    parser.add_argument("--output", help="train this value of the graph instead of its outputs")
    parser.add_argument("--out", required=True)
    parser.add_argument("--minutes", type=float, default=0)
    parser.add_argument("--steps", type=int, default=0)
    parser.add_argument("--sizes", default="0:128x96,0.6:192x160", help="progress:WIDTHxHEIGHT, ...")
    parser.add_argument("--freeze", type=float, default=0.7, help="progress from which batch norms keep their statistics")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--mean", type=float, default=0.998, help="memory of the mean of the weights, per step")
    parser.add_argument("--loaders", type=int, default=1, help="processes that make batches; 0: none beside the training")
    parser.add_argument("--loader-nice", type=int, default=5, help="how far the loaders step back behind the training")
    parser.add_argument("--threads", type=int, default=1, help="of the training")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    return parser.parse_args()


def predictor(graph, config):
    """(model, pictures) -> depth maps in metres."""
    if graph["outputs"][0]["kind"] == "depth":
        return lambda model, pictures: model(pictures)
    low, high = 1 / config.get("max_depth", 100), 1 / config.get("min_depth", 0.1)
    return lambda model, pictures: [1 / (low + (high - low) * disparity) for disparity in model(pictures)]


def size_at(text, progress):
    steps = [part.split(":") for part in text.split(",")]
    width, height = [size for start, size in steps if float(start) <= progress][-1].split("x")
    return int(height), int(width)


def rate_at(progress, highest):
    return highest * min(1, progress / 0.04 + 0.02) * (0.5 + 0.5 * math.cos(math.pi * min(1, progress))) + 1e-6


@torch.no_grad()
def update_mean(mean, model, memory):
    for (_, kept), (_, value) in zip(mean.state_dict().items(), model.state_dict().items()):
        kept.lerp_(value, 1 - memory)


@torch.no_grad()
def held_out(predict, model, scenes, size, count, device):
    """abs rel and delta1 on held-out scenes, median-scaled."""
    model.eval()
    generator, results = torch.Generator().manual_seed(5), []
    chosen = torch.randperm(len(scenes), generator=generator)[:count].tolist()
    for i in range(0, len(chosen), 16):
        pairs = [scenes.get(k) for k in chosen[i : i + 16]]
        pictures = torch.nn.functional.interpolate(torch.stack([p for p, _ in pairs]), size=size, mode="area")
        depth = torch.nn.functional.interpolate(torch.stack([d for _, d in pairs]), size=size, mode="nearest")
        found = predict(model, (pictures * 255).round().to(device))[0].cpu()
        found = torch.nn.functional.interpolate(found, size=size, mode="bilinear", align_corners=False)
        results += [measure.measure(f.numpy(), d.numpy()) for f, d in zip(found[:, 0], depth[:, 0])]
    return [sum(column) / len(results) for column in zip(*results)]


def save(path, state):
    torch.save(state, path + ".part")
    os.replace(path + ".part", path)


def start(model, path, device):
    """The weights of a checkpoint, or of a model file that has all of them."""
    if not path.endswith(".safetensors"):
        return model.load_state_dict(torch.load(path, device)["mean"])
    weights, _ = safetensors_io.read(path)
    return model.load_state_dict({name: torch.from_numpy(weights[key].astype("float32")) for name, key in model.keys.items()})


class Batches(torch.utils.data.IterableDataset):
    """Endless batches of one size; new shards join every two minutes."""

    def __init__(self, options, size, seed):
        self.options, self.size, self.seed = options, size, seed

    def __iter__(self):
        worker = torch.utils.data.get_worker_info()
        generator = torch.Generator().manual_seed(self.seed * 64 + (worker.id if worker else 0))
        scenes, looked = dataset.Scenes(self.options.scenes), time.time()
        photos = mixture.Photos(self.options.photos) if self.options.photos else None
        shares = [float(share) for share in self.options.shares.split(",")]
        while True:
            if time.time() - looked > 120:
                scenes.refresh()
                looked = time.time()
            if photos:
                yield mixture.batch(scenes, photos, self.options.batch, shares, self.size, generator)
            else:
                pictures, depth = dataset.batch(scenes, self.options.batch, self.size, generator)
                yield pictures, depth, torch.ones_like(depth), [slice(0, len(depth)), slice(0, 0), slice(0, 0)]


def batches(options, size, seed):
    ahead = {"prefetch_factor": 8} if options.loaders else {}
    loader = torch.utils.data.DataLoader(
        Batches(options, size, seed), batch_size=None, num_workers=options.loaders,
        worker_init_fn=lambda _: os.nice(options.loader_nice), **ahead)  # fmt: skip
    return iter(loader)


def main():
    options = parse()
    os.makedirs(options.out, exist_ok=True)
    torch.set_num_threads(options.threads)
    with open(options.graph, encoding="utf-8") as file:
        graph = json.load(file)
    weights, metadata = safetensors_io.read(options.template)
    width, height = map(int, options.size.split("x"))
    graph = network.at_any_size(graph, weights, height, width)
    if options.output:
        graph = network.ending_at(graph, options.output)
    predict = predictor(graph, json.loads(metadata.get("fathom.config", "{}")))
    model = network.TrainableGraph(graph, weights, options.seed).to(options.device, memory_format=torch.channels_last)
    if options.start:
        start(model, options.start, options.device)
    mean = copy.deepcopy(model)
    run = torch.compile(model, dynamic=False) if options.compile else model
    optimizer = torch.optim.AdamW(model.parameters(), options.rate, weight_decay=0.01, foreach=True)
    others = dataset.Scenes(options.scenes, "heldout")
    step, spent, path = 0, 0.0, os.path.join(options.out, "checkpoint.pt")
    if os.path.exists(path):
        state = torch.load(path, options.device)
        model.load_state_dict(state["model"]), mean.load_state_dict(state["mean"])
        optimizer.load_state_dict(state["optimizer"])
        step, spent = state["step"], state["spent"]
    first, begun, size, source = step, time.time(), None, None
    saved, shown, running, tick = time.time(), 0.0, None, time.time()
    for step in itertools.count(step):
        progress = step / options.steps if options.steps else spent / 60 / options.minutes
        last = progress >= 1
        if time.time() - saved > 120 or last:
            state = {"model": model.state_dict(), "mean": mean.state_dict(), "optimizer": optimizer.state_dict(),
                     "step": step, "spent": spent}  # fmt: skip
            save(path, state)
            score = held_out(predict, mean, others, size or size_at(options.sizes, progress), 96, options.device)
            line = {"step": step, "minutes": round(spent / 60, 1), "size": size, "loss": round(running or 0, 4),
                    "held_out": score}  # fmt: skip
            with open(os.path.join(options.out, "log.jsonl"), "a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            saved = time.time()
        if last:
            break
        model.train()
        if progress >= options.freeze:
            model.freeze_norms()
        if size != size_at(options.sizes, progress):
            size = size_at(options.sizes, progress)
            source = batches(options, size, options.seed + step)
        pictures, depth, weight, places = next(source)
        pictures = pictures.to(options.device, memory_format=torch.channels_last)
        for group in optimizer.param_groups:
            group["lr"] = rate_at(progress, options.rate)
        depth, weight = depth.to(options.device), weight.to(options.device)
        loss = losses.mixed(predict(run, pictures), depth, weight, places, LIMITS, progress >= options.doubt)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        spent, tick = spent + min(time.time() - tick, 60), time.time()  # a pause does not count
        update_mean(mean, model, min(options.mean, (step + 1) / (step + 10)))
        running = loss.item() if running is None else 0.98 * running + 0.02 * loss.item()
        if sys.stderr.isatty() or time.time() - shown > 30:
            shown, done = time.time(), int(30 * progress)
            speed = options.batch * (step + 1 - first) / (time.time() - begun)
            end = "\r" if sys.stderr.isatty() else "\n"
            bar = "#" * done + "." * (30 - done)
            text = f"[{bar}] {100 * progress:3.0f}% step {step} loss {running:.3f} {speed:.1f} pictures/s"
            print(text, end=end, file=sys.stderr)
    print(f"\n{path}: {step} steps in {spent / 60:.0f} minutes", file=sys.stderr)


if __name__ == "__main__":
    main()
