#!/usr/bin/env python3
"""Photographs beside the rendered scenes: which may be used, what is set aside, and the depth that they are taught with.

    mixture.py --photos DIR --teacher meter.pth --out DIR --terms permissive|all

writes OUT/photos_TERMS.npz, which train.py --photos reads, and OUT/validation/ROOM with the pairs that are set aside.
DIR holds index.csv (name, source, licence, kind ...), NAME.jpg and, for pairs, NAME_depth.png in millimetres. What the
teacher has labelled is kept in OUT/labels, so that a second run goes on where the first stopped.
"""

import argparse
import csv
import os
import sys

import numpy as np
import torch
from PIL import Image

import dataset
import teacher

SIZE = (156, 208)  # height and width of a stored picture
PERMISSIVE = {"MIT", "BSD", "Apache-2.0", "MIT-style (NVIDIA)"}
# The licence of a repository does not cover these pictures: their data sets allow research only.
RESEARCH = {"pair_s7kitchen", "pair_nyudining", "pair_matterport", "photo_plbat", "photo_plbed", "photo_pldin",
            "photo_plent", "photo_plkit", "photo_plliv"}  # fmt: skip
# Whole rooms, never trained on: frames of one room resemble each other.
VALIDATION = {"pair_nyudining", "pair_labroom", "pair_redwood", "pair_sunrgbd", "pair_esanet", "pair_lingbot"}
SQUEEZED = "photo_pl"  # the source squeezed these to squares


def room(name):
    return name.rsplit("_", 1)[0]


def read_index(folder):
    with open(os.path.join(folder, "index.csv"), newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def allowed(row, terms):
    """Whether a row of index.csv may be trained on."""
    if room(row["name"]) in VALIDATION:
        return False
    return terms == "all" or (row["licence"] in PERMISSIVE and room(row["name"]) not in RESEARCH)


def fit(image, how, whole=False):
    """The largest part of 4:3 in the middle (or all of it, stretched), at SIZE."""
    width, height = image.size
    w, h = min(width, height * SIZE[1] / SIZE[0]), min(height, width * SIZE[0] / SIZE[1])
    box = ((width - w) / 2, (height - h) / 2, (width + w) / 2, (height + h) / 2)
    return image.resize(SIZE[::-1], how, box=None if whole else box)


def read_pair(folder, name):
    """-> picture u8 (H, W, 3), depth u16 (H, W) in millimetres, weight u8 (H, W), 255 where measured."""
    picture = np.asarray(fit(Image.open(os.path.join(folder, name + ".jpg")).convert("RGB"), Image.BICUBIC))
    image = Image.fromarray(np.asarray(Image.open(os.path.join(folder, name + "_depth.png"))).astype(np.int32))
    depth = np.asarray(fit(image, Image.NEAREST)).astype(np.uint16)
    return picture, depth, np.where(depth > 0, 255, 0).astype(np.uint8)


def read_photo(folder, name, model, labels, device):
    """As read_pair, with the teacher's depth and how far to believe it."""
    image = Image.open(os.path.join(folder, name + ".jpg")).convert("RGB")
    picture = np.asarray(fit(image, Image.BICUBIC, name.startswith(SQUEEZED)))
    path = os.path.join(labels, name + ".npz")
    if not os.path.exists(path):
        pixels = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float().to(device)
        depth, weight = (x[0, 0].cpu().numpy() for x in teacher.label(model, pixels))
        millimetres = np.clip(np.round(depth * 1000), 1, 65535).astype(np.uint16)
        with open(path + ".part", "wb") as file:
            np.savez(file, depth=millimetres, weight=np.round(weight * 255).astype(np.uint8))
        os.replace(path + ".part", path)
    with np.load(path) as found:
        return picture, found["depth"], found["weight"]


def set_aside(folder, rows, into):
    """The pairs of VALIDATION as INTO/ROOM/NAME.png and NAME_depth.png, in the size that they have."""
    for row in rows:
        if row["kind"] == "pair" and room(row["name"]) in VALIDATION:
            where = os.path.join(into, room(row["name"]))
            os.makedirs(where, exist_ok=True)
            Image.open(os.path.join(folder, row["name"] + ".jpg")).save(os.path.join(where, row["name"] + ".png"))
            depth = np.asarray(Image.open(os.path.join(folder, row["name"] + "_depth.png"))).astype(np.uint16)
            Image.fromarray(depth).save(os.path.join(where, row["name"] + "_depth.png"))


class Photos:
    """What this program wrote. Pairs and photographs are drawn room by room: forty frames of one count as one room."""

    def __init__(self, path):
        with np.load(path) as file:
            self.pictures, self.depth, self.weight = file["pictures"], file["depth"], file["weight"]
            self.names = [str(name) for name in file["names"]]
        self.kinds = {}
        for kind in ("pair", "photo"):
            rooms = {}
            for i, name in enumerate(self.names):
                if name.startswith(kind + "_"):
                    rooms.setdefault(room(name), []).append(i)
            self.kinds[kind] = rooms

    def draw(self, kind, count, generator):
        """A room counts by the square root of its frames."""
        rooms = list(self.kinds[kind].values())
        if not rooms or not count:
            return []
        share = torch.tensor([len(frames) ** 0.5 for frames in rooms])
        chosen = torch.multinomial(share, count, replacement=True, generator=generator).tolist()
        return [rooms[r][int(torch.randint(0, len(rooms[r]), (1,), generator=generator))] for r in chosen]

    def load(self, chosen):
        """-> pictures (n, 3, H, W), 0 to 255, and depth in metres over weight, (n, 2, H, W)."""
        pictures = torch.from_numpy(self.pictures[chosen]).permute(0, 3, 1, 2).float()
        depth = torch.from_numpy(self.depth[chosen].astype(np.float32)) / 1000
        weight = torch.from_numpy(self.weight[chosen].astype(np.float32)) / 255
        return pictures, torch.stack([depth, weight], 1)


def batch(scenes, photos, count, shares, size, generator):
    """-> pictures, depth, weight, and the places of scenes, pairs and photographs in the batch, as three slices."""
    pairs, taught = (round(count * share) for share in shares)
    chosen = [photos.draw("pair", pairs, generator), photos.draw("photo", taught, generator)]
    of_scenes = count - sum(map(len, chosen))
    indices = torch.randint(0, len(scenes), (of_scenes,), generator=generator).tolist()
    parts = [(x, torch.cat([d, torch.ones_like(d)], 1)) for x, d in dataset.load(scenes, indices)]
    parts += [photos.load(each) for each in chosen if each]
    cut = [dataset.crop(x, d, size, generator) for x, d in parts]
    pictures, truth = (torch.cat(part) for part in zip(*cut))
    pictures = dataset.photograph(dataset.disturb(pictures, generator), generator)
    ends = [of_scenes, of_scenes + len(chosen[0]), count]
    return pictures, truth[:, :1], truth[:, 1:], [slice(a, b) for a, b in zip([0, *ends], ends)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", required=True)
    parser.add_argument("--teacher", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--terms", choices=("permissive", "all"), required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    labels = os.path.join(options.out, "labels")
    os.makedirs(labels, exist_ok=True)
    rows = read_index(options.photos)
    set_aside(options.photos, rows, os.path.join(options.out, "validation"))
    model = teacher.load(options.teacher, options.device)
    used = [row for row in rows if allowed(row, options.terms)]
    found = []
    for k, row in enumerate(used):
        if row["kind"] == "pair":
            found.append(read_pair(options.photos, row["name"]))
        else:
            found.append(read_photo(options.photos, row["name"], model, labels, options.device))
        if k % 100 == 99 or k + 1 == len(used):
            print(f"{k + 1} of {len(used)}", file=sys.stderr)
    pictures, depth, weight = (np.stack(part) for part in zip(*found))
    path = os.path.join(options.out, f"photos_{options.terms}.npz")
    with open(path + ".part", "wb") as file:
        np.savez(file, pictures=pictures, depth=depth, weight=weight, names=[row["name"] for row in used],
                 terms=options.terms)  # fmt: skip
    os.replace(path + ".part", path)


if __name__ == "__main__":
    main()
