"""Rendered scenes as training batches: shards of pictures with depth, and what makes each picture look taken.

A shard is what renderer/render_scenes writes: train_WIDTHxHEIGHT_NUMBER.bin, pictures u8 (H, W, 3) each followed by
depth u16 (H, W) in millimetres. New shards join while training runs.
"""

import glob
import os
import re

import numpy as np
import torch
import torch.nn.functional as F


def read_shard(path):
    """-> pictures (N, H, W, 3) u8 and depth (N, H, W) u16, both mapped from the file."""
    width, height = map(int, re.search(r"_(\d+)x(\d+)_", os.path.basename(path)).groups())
    rows = np.memmap(path, np.uint8, "r").reshape(-1, width * height * 5)
    pictures = rows[:, : width * height * 3].reshape(-1, height, width, 3)
    depth = rows[:, width * height * 3 :].view(np.uint16).reshape(-1, height, width)
    return pictures, depth


class Scenes:
    """All shards of a folder; `refresh` looks for new ones."""

    def __init__(self, folder, kind="train"):
        self.pattern, self.shards = os.path.join(folder, f"{kind}_*x*_*.bin"), {}
        self.refresh()

    def refresh(self):
        for path in sorted(glob.glob(self.pattern)):
            if path not in self.shards:
                self.shards[path] = read_shard(path)
        if not self.shards:
            raise SystemExit(f"there is no scene under {self.pattern}: render some first (see README.md)")
        self.index = [(path, k) for path, (pictures, _) in sorted(self.shards.items()) for k in range(len(pictures))]

    def __len__(self):
        return len(self.index)

    def get(self, i):
        """-> picture (3, H, W) float 0 to 1, depth (1, H, W) in metres."""
        path, k = self.index[i]
        pictures, depth = self.shards[path]
        picture = torch.from_numpy(np.array(pictures[k])).permute(2, 0, 1).float() / 255
        return picture, torch.from_numpy(depth[k].astype(np.float32) / 1000)[None]


def load(scenes, chosen):
    """-> batches of pictures (n, 3, H, W), 0 to 255, and depth (n, 1, H, W) in metres: one for each size there is."""
    by_size = {}
    for i in chosen:
        path, k = scenes.index[i]
        pictures, depth = scenes.shards[path]
        found = by_size.setdefault(depth.shape[1:], ([], []))
        found[0].append(pictures[k]), found[1].append(depth[k])
    for pictures, depth in by_size.values():
        pictures = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous().float()
        yield pictures, torch.from_numpy(np.stack(depth).astype(np.float32))[:, None] / 1000


def uniform(generator, count, low, high):
    return torch.rand(count, generator=generator) * (high - low) + low


def crop(pictures, depth, size, generator):
    """Zoomed, shifted, turned and mirrored to `size` (H, W); depth is 0 where the source ends."""
    count = len(pictures)
    zoom = uniform(generator, count, 0.66, 1.0)  # the part of the picture that is seen
    stretch = torch.exp(uniform(generator, count, -0.12, 0.12))
    turn = uniform(generator, count, -0.07, 0.07)
    mirror = torch.where(torch.rand(count, generator=generator) < 0.5, -1.0, 1.0)
    x, y = torch.clamp(zoom * stretch, max=1), torch.clamp(zoom / stretch, max=1)
    theta = torch.zeros(count, 2, 3)
    theta[:, 0, 0], theta[:, 0, 1] = mirror * x * torch.cos(turn), -y * torch.sin(turn)
    theta[:, 1, 0], theta[:, 1, 1] = mirror * x * torch.sin(turn), y * torch.cos(turn)
    theta[:, 0, 2] = uniform(generator, count, -1, 1) * (1 - x)
    theta[:, 1, 2] = uniform(generator, count, -1, 1) * (1 - y)
    grid = F.affine_grid(theta, (count, 3, *size), align_corners=False)
    pictures = F.grid_sample(pictures, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return pictures, F.grid_sample(depth, grid, mode="nearest", padding_mode="zeros", align_corners=False)


def blur(x):
    """The mean of 3x3 neighbours with weights 1 2 1."""
    line = torch.tensor([1.0, 2.0, 1.0]) / 4
    kernel = (line[:, None] * line[None]).expand(x.shape[1], 1, 3, 3)
    return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), kernel, groups=x.shape[1])


def disturb(x, generator):
    """What photographs from everywhere have beside that: small originals, no colour, other colours, light from a side."""
    count, _, height, width = x.shape
    some = lambda share: torch.rand(count, 1, 1, 1, generator=generator) < share  # noqa: E731
    small = F.interpolate(x, size=(height // 2, width // 2), mode="area")
    x = torch.where(some(0.15), F.interpolate(small, size=(height, width), mode="bilinear", align_corners=False), x)
    mixed = torch.eye(3) + torch.randn(count, 3, 3, generator=generator) * 0.15
    x = torch.where(some(0.3), torch.einsum("nij,njhw->nihw", mixed, x), x)
    x = torch.where(some(0.1), x.mean(1, keepdim=True).expand_as(x), x)
    slope = torch.randn(count, 1, 2, 2, generator=generator) * 0.25
    light = torch.exp(F.interpolate(slope, size=(height, width), mode="bilinear", align_corners=True))
    return torch.where(some(0.3), x * light, x).clamp(0, 255)


def photograph(x, generator):
    """What a lens, a sensor and a camera's processing do to a picture, each picture in its own way."""
    count, _, height, width = x.shape
    x = x / 255
    column = lambda low, high: uniform(generator, count, low, high)[:, None, None, None]  # noqa: E731
    # colour: cast, saturation, a tone curve, exposure, contrast; much of it in few pictures, little in most
    much = column(0, 1)
    x = x * torch.exp(torch.randn(count, 3, 1, 1, generator=generator) * 0.08)
    grey = x.mean(1, keepdim=True)
    x = grey + (x - grey) * column(0.1, 1.4)
    x = torch.clamp(x, 1e-3) ** torch.exp(column(-0.3, 0.9) * much)
    x = torch.clamp((x - 0.5) * torch.exp(column(-0.5, 0.7) * much) + 0.5 + column(-0.2, 0.2) * much, 0, 1)
    # dark corners
    v, h = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
    x = x * (1 - column(-0.1, 0.35) * 0.5 * (v**2 + h**2))
    # out of focus, or sharpened by the camera
    soft = blur(x)
    x = soft + (x - soft) * column(0.2, 1.6)
    # grain, and blotches from noise reduction
    x = x + torch.randn(x.shape, generator=generator) * column(0, 1) ** 2 * 0.03
    blotch = torch.randn(count, 3, height // 4, width // 4, generator=generator) * column(0, 1) ** 2 * 0.03
    x = x + F.interpolate(blotch, size=(height, width), mode="bilinear", align_corners=False)
    # now and then a frame of one colour
    edge = 1 - torch.maximum(v.abs(), h.abs())
    frame = edge < torch.where(column(0, 1) < 0.12, column(0, 0.1), torch.zeros(()))
    x = torch.where(frame, column(0, 1).expand_as(x), x)
    return torch.clamp(torch.round(x * 255), 0, 255)


def batch(scenes, count, size, generator):
    """-> pictures (N, 3, H, W), 0 to 255, and depth (N, 1, H, W), 0 where unknown."""
    chosen = torch.randint(0, len(scenes), (count,), generator=generator).tolist()
    parts = [crop(pictures, depth, size, generator) for pictures, depth in load(scenes, chosen)]
    pictures, depth = (torch.cat(part) for part in zip(*parts))
    return photograph(pictures, generator), depth
