#!/usr/bin/env python3
"""Computes golden outputs of networks that have no public implementation to run, with PyTorch (written for 1.13).

    make_network_goldens.py [-o tests/golden]

Each network is written here a second time, from its description and from torch.nn.functional alone. Weights are synthetic, by
name and shape, as the engine's tests make them. Files are named NETWORK[_fit]_HxW; _fit marks DRNet's treatment of sizes that
are no multiples of 32.
"""
import argparse
import math
import pathlib
import sys

import numpy as np
import torch
import torch.nn.functional as F

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "weights_tools"))
import safetensors_io  # noqa: E402
import synthetic  # noqa: E402


def weight(key, *shape):
    return torch.from_numpy(np.array(synthetic.parameter(key, shape)))


def conv(key, x, out, k=1, stride=1, padding=0, groups=1, bias=False):
    return F.conv2d(x, weight(key + ".weight", out, x.shape[1] // groups, k, k),
                    weight(key + ".bias", out) if bias else None, stride, padding, 1, groups)


def norm(key, x):
    mean, var, scale, shift = (weight(f"{key}.{p}", x.shape[1]) for p in ("running_mean", "running_var", "weight", "bias"))
    return F.batch_norm(x, mean, var, scale, shift, False, 0.0, 1e-5)


# ---- backbones: down_1 .. down_5 of DRNet; the last four are RSIDE's blocks but for DenseNet's ----

def resnet(p, x, blocks):
    x = F.relu(norm(p + "bn1", conv(p + "conv1", x, 64, 7, 2, 3)))
    x = F.max_pool2d(x, 3, 2, 1)
    down = [x]
    for stage, count in enumerate(blocks):
        for b in range(count):
            k, width, stride = f"{p}layer{stage + 1}.{b}", 64 * 2**stage, 2 if stage and not b else 1
            y = F.relu(norm(k + ".bn1", conv(k + ".conv1", x, width)))
            y = F.relu(norm(k + ".bn2", conv(k + ".conv2", y, width, 3, stride, 1)))
            y = norm(k + ".bn3", conv(k + ".conv3", y, 4 * width))
            if b == 0:
                x = norm(k + ".downsample.1", conv(k + ".downsample.0", x, 4 * width, 1, stride))
            x = F.relu(x + y)
        down.append(x)
    return down


def senet154(p, x):
    x = F.relu(norm(p + "0.bn1", conv(p + "0.conv1", x, 64, 3, 2, 1)))
    x = F.relu(norm(p + "0.bn2", conv(p + "0.conv2", x, 64, 3, 1, 1)))
    x = F.relu(norm(p + "0.bn3", conv(p + "0.conv3", x, 128, 3, 1, 1)))
    x = F.max_pool2d(x, 3, 2, 0, ceil_mode=True)
    down = [x]
    for stage, count in enumerate((3, 8, 36, 3)):
        for b in range(count):
            k, planes, stride = f"{p}{stage + 1}.{b}", 64 * 2**stage, 2 if stage and not b else 1
            y = F.relu(norm(k + ".bn1", conv(k + ".conv1", x, 2 * planes)))
            y = F.relu(norm(k + ".bn2", conv(k + ".conv2", y, 4 * planes, 3, stride, 1, 64)))
            y = norm(k + ".bn3", conv(k + ".conv3", y, 4 * planes))
            s = F.relu(conv(k + ".se_module.fc1", F.adaptive_avg_pool2d(y, 1), planes // 4, bias=True))
            y = y * torch.sigmoid(conv(k + ".se_module.fc2", s, 4 * planes, bias=True))
            if b == 0:
                size = 3 if stage else 1
                x = norm(k + ".downsample.1", conv(k + ".downsample.0", x, 4 * planes, size, stride, size // 2))
            x = F.relu(x + y)
        down.append(x)
    return down


def densenet161(p, x):
    x = F.relu(norm(p + "norm0", conv(p + "conv0", x, 96, 7, 2, 3)))
    x = F.max_pool2d(x, 3, 2, 1)
    down = [x]
    for block, count in enumerate((6, 12, 36, 24)):
        for layer in range(count):
            k = f"{p}denseblock{block + 1}.denselayer{layer + 1}"
            y = conv(k + ".conv1", F.relu(norm(k + ".norm1", x)), 192)
            x = torch.cat([x, conv(k + ".conv2", F.relu(norm(k + ".norm2", y)), 48, 3, 1, 1)], 1)
        if block < 3:
            k = f"{p}transition{block + 1}"
            down.append(conv(k + ".conv", F.relu(norm(k + ".norm", x)), x.shape[1] // 2))
            x = F.avg_pool2d(down[-1], 2, 2)
    return down + [F.relu(norm(p + "norm5", x))]


BACKBONES = {"resnet50": lambda p, x: resnet(p, x, (3, 4, 6, 3)), "resnet152": lambda p, x: resnet(p, x, (3, 8, 36, 3)),
             "senet154": lambda p, x: senet154(p + "layer", x), "densenet161": lambda p, x: densenet161(p + "features.", x)}


# ---- DRNet ----

def box(x, r=4):
    """The mean over a clipped window."""
    ones = torch.ones(x.shape[1], 1, 2 * r + 1, 2 * r + 1, dtype=x.dtype)
    total = F.conv2d(x, ones, padding=r, groups=x.shape[1])
    return total / F.conv2d(torch.ones_like(x), ones, padding=r, groups=x.shape[1])


def guided(y, low, high, eps=1e-2):
    y, low, high = y.double(), low.double(), high.double()
    a = (box(low * y) - box(low) * box(y)) / (box(low * low) - box(low)**2 + eps)
    b = box(y) - a * box(low)
    up = lambda t: F.interpolate(t, size=high.shape[2:], mode="bilinear", align_corners=True)
    return (up(a) * high + up(b)).float()


def drnet(image, backbone, variant, fit):
    height, width = image.shape[2:]
    if not fit:
        image = F.pad(image, (0, -width % 32, 0, -height % 32))
    down = [image] + BACKBONES[backbone]("backbone.", image)
    kernel = {"k3": 3, "k5": 5}.get(variant, 1)
    second, diagonals, merge = variant != "no_second_branch", variant not in ("no_diagonals", "no_second_branch"), variant == "merge"
    correct = lambda i, x: conv(f"up2.{i}", x, 1, kernel, 1, kernel // 2, bias=True)

    def to(x, size):  # crop or zero-pad at the bottom and the right
        return F.pad(x, (0, size[1] - x.shape[3], 0, size[0] - x.shape[2]))

    def guide(size):
        x = image if tuple(size) == tuple(image.shape[2:]) else F.interpolate(image, size=size, mode="bilinear", align_corners=False)
        return conv("gf.conv2", F.relu(conv("gf.conv1", x, 64, bias=True)), 1, bias=True)

    features, depth = down[5], correct(5, down[5]) if second else None
    kept = features.shape[1]
    for i, factor in ((4, 2), (3, 2), (2, 2), (1, 1), (0, 4)):
        size = down[i].shape[2:]
        if i < 4:
            out = math.ceil(kept / factor**2) * factor**2
            features = F.relu(norm(f"up1.{i}.1", conv(f"up1.{i}.0", features, out)))
        features = to(F.pixel_shuffle(features, factor), size)
        kept = features.shape[1]
        if not second:
            continue
        if tuple(depth.shape[2:]) != tuple(size):
            if variant == "guided":
                depth = guided(depth, guide(depth.shape[2:]), guide(size))
            else:
                depth = F.interpolate(depth, size=size, mode="bilinear", align_corners=False)
        first = [down[i]] if i or variant == "image0" else []
        if merge:
            features = torch.cat(first + [depth, features], 1)
            kept = features.shape[1]
            depth = depth + correct(i, features)
        else:
            if diagonals:
                features = torch.cat([features, depth], 1)
            depth = depth + correct(i, torch.cat(first + [depth, features], 1))
    return {"depth": (depth if second else correct(0, features))[:, :, :height, :width].contiguous()}


# ---- RSIDE ----

def rside(image, backbone):
    up = lambda x, size: F.interpolate(x, size=size, mode="bilinear", align_corners=True)

    def project(k, x, out, size):
        x = up(x, size)
        y = F.relu(norm(k + ".bn1", conv(k + ".conv1", x, out, 5, 1, 2)))
        y = norm(k + ".bn1_2", conv(k + ".conv1_2", y, out, 3, 1, 1))
        return F.relu(y + norm(k + ".bn2", conv(k + ".conv2", x, out, 5, 1, 2)))

    blocks = (senet154("E.base.", image) if backbone == "senet154" else BACKBONES[backbone]("E.", image))[1:]
    half = [2 * s for s in blocks[0].shape[2:]]
    x = F.relu(norm("D.bn", conv("D.conv", blocks[3], blocks[3].shape[1] // 2)))
    for step, size in enumerate((blocks[2].shape[2:], blocks[1].shape[2:], blocks[0].shape[2:], half)):
        x = project(f"D.up{step + 1}", x, x.shape[1] // 2, size)
    fused = torch.cat([project(f"MFF.up{b + 1}", blocks[b], 16, half) for b in range(4)], 1)
    x = torch.cat([x, F.relu(norm("MFF.bn", conv("MFF.conv", fused, 64, 5, 1, 2)))], 1)
    for layer in "01":
        x = F.relu(norm("R.bn" + layer, conv("R.conv" + layer, x, x.shape[1], 5, 1, 2)))
    return {"depth": conv("R.conv2", x, 1, 5, 1, 2, bias=True)}


# ---- PoseCNN of Monodepth2: the frames as they are, over 255 ----

def pose_cnn(x):
    for i, (out, k) in enumerate(((16, 7), (32, 5), (64, 3), (128, 3), (256, 3), (256, 3), (256, 3))):
        x = F.relu(conv(f"pose.net.{i}", x, out, k, 2, k // 2, bias=True))
    x = 0.01 * conv("pose.pose_conv", x, 6, bias=True).mean(3).mean(2).view(-1, 1, 1, 6)
    return {"axisangle": x[..., :3].contiguous(), "translation": x[..., 3:].contiguous()}


CASES = [("pose_cnn", 64, 96, False), ("drnet_resnet50_merge", 64, 64, False), ("drnet_resnet50_image0", 64, 64, False),
         ("drnet_resnet50", 57, 76, False), ("drnet_resnet50", 57, 76, True), ("drnet_densenet161_guided", 57, 76, True),
         ("drnet_senet154_k3", 45, 61, True), ("drnet_resnet152_no_diagonals", 45, 60, False),
         ("drnet_densenet161_no_second_branch", 57, 76, True), ("rside_resnet50", 33, 41, False), ("rside_senet154", 37, 45, False),
         ("rside_densenet161", 37, 47, False)]


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("-o", "--output", default=pathlib.Path(__file__).parent, type=pathlib.Path)
    folder = arguments.parse_args().output
    imagenet = [torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))]
    for name, height, width, fit in CASES:
        family, _, rest = name.partition("_")
        names = ["image0", "image1"] if family == "pose" else ["image"]
        pixels = {n: synthetic.image(height, width, n) for n in names}
        x = [torch.from_numpy(p.astype(np.float32) / 255).permute(2, 0, 1)[None] for p in pixels.values()]
        with torch.no_grad():
            if family == "pose":
                outputs = pose_cnn(torch.cat(x, 1))
            else:
                image = (x[0] - imagenet[0]) / imagenet[1]
                backbone, _, variant = rest.partition("_")
                outputs = drnet(image, backbone, variant, fit) if family == "drnet" else rside(image, backbone)
        tensors = {"input." + n: p for n, p in pixels.items()}
        tensors.update({"output." + n: y.numpy() for n, y in outputs.items()})
        metadata = {"network": name, "seed": "", "height": str(height), "width": str(width)}
        if family == "drnet":
            metadata["treatment"] = "fit" if fit else "pad"
        path = folder / f"{name}{'_fit' if fit else ''}_{height}x{width}.safetensors"
        safetensors_io.write(path, tensors, metadata)
        print(path, {n: tuple(y.shape) for n, y in outputs.items()})


if __name__ == "__main__":
    main()
