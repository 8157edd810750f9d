#!/usr/bin/env python3
"""METER-XXS (NYU) in PyTorch, for inference: the teacher of photographs that have no depth, and how far to believe it.

Its file is `models/build_model_best_nyu_xxs` of github.com/lorenzopapa5/METER (MIT; trained on NYU Depth v2, research).
"""

import torch
import torch.nn as nn
import torch.nn.functional as F

SIZE = (192, 256)  # height and width that it was trained at
CROP = 0.7  # the part of the picture that each of the four corner crops sees
SPREAD = 0.10  # of log depth: passes that differ by this leave a pixel 1/e of its weight


class Nxn(nn.Sequential):
    def __init__(self, inputs, outputs, stride=1):
        convolutions = nn.Sequential()
        convolutions.add_module("depthwise", nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False))
        convolutions.add_module("pointwise", nn.Conv2d(outputs, outputs, 1, bias=False))
        super().__init__(convolutions, nn.BatchNorm2d(outputs), nn.ReLU())


def one(inputs, outputs):
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())


class Mv2(nn.Module):
    def __init__(self, inputs, outputs, stride=1):
        super().__init__()
        wide = 2 * inputs
        self.conv = nn.Sequential(
            nn.Conv2d(inputs, wide, 1, bias=False), nn.BatchNorm2d(wide), nn.ReLU(),
            nn.Conv2d(wide, wide, 3, stride, 1, groups=wide, bias=False), nn.BatchNorm2d(wide), nn.ReLU(),
            nn.Conv2d(wide, outputs, 1, bias=False), nn.BatchNorm2d(outputs))  # fmt: skip
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x):
        return x + self.conv(x) if self.adds else self.conv(x)


class Attention(nn.Module):
    HEADS, HEAD = 4, 8

    def __init__(self, width):
        super().__init__()
        self.to_qkv = nn.Linear(width, 3 * self.HEADS * self.HEAD, bias=False)
        self.to_out = nn.Sequential(nn.Linear(self.HEADS * self.HEAD, width))

    def forward(self, t):  # (..., tokens, width)
        q, k, v = (part.unflatten(-1, (self.HEADS, self.HEAD)).transpose(-2, -3) for part in self.to_qkv(t).chunk(3, -1))
        weights = torch.softmax(q @ k.transpose(-1, -2) * self.HEAD**-0.5, -1)
        return self.to_out((weights @ v).transpose(-2, -3).flatten(-2))


class Feed(nn.Module):
    def __init__(self, width, hidden):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Identity(), nn.Linear(hidden, width))

    def forward(self, t):
        return self.net(t)


class Normed(nn.Module):
    def __init__(self, width, fn):
        super().__init__()
        self.norm, self.fn = nn.LayerNorm(width), fn

    def forward(self, t):
        return t + self.fn(self.norm(t))


class Transformer(nn.Module):
    def __init__(self, width, hidden):
        super().__init__()
        layer = nn.ModuleList([Normed(width, Attention(width)), Normed(width, Feed(width, hidden))])
        self.layers = nn.ModuleList([layer])

    def forward(self, t):
        for attention, feed in self.layers:
            t = feed(attention(t))
        return t


class Mvit(nn.Module):
    def __init__(self, channels, width, hidden):
        super().__init__()
        self.conv1, self.conv2 = Nxn(channels, channels), one(channels, width)
        self.transformer = Transformer(width, hidden)
        self.conv3, self.conv4 = one(width, channels), Nxn(2 * channels, channels)

    def forward(self, y):
        x = self.conv2(self.conv1(y))
        n, width, h, w = x.shape
        phases = x.reshape(n, width, h // 2, 2, w // 2, 2).permute(0, 3, 5, 2, 4, 1)  # n, 2, 2, h/2, w/2, width
        t = self.transformer(phases.reshape(n, 4, h * w // 4, width))
        x = t.reshape(n, 2, 2, h // 2, w // 2, width).permute(0, 5, 3, 1, 4, 2).reshape(n, width, h, w)
        return self.conv4(torch.cat([self.conv3(x), y], 1))


class Up(nn.Module):
    def __init__(self, inputs, outputs, skip):
        super().__init__()
        self.conv2d_transpose = nn.ConvTranspose2d(inputs, outputs, 3, 2, 1, 1, bias=False)
        convolutions = nn.Sequential()
        convolutions.add_module("depthwise", nn.Conv2d(outputs + skip, outputs, 3, 1, 1, bias=False))
        convolutions.add_module("pointwise", nn.Conv2d(outputs, outputs, 1, bias=False))
        self.end_up_layer = nn.Sequential(convolutions, nn.ReLU())

    def forward(self, x, skip):
        return self.end_up_layer(torch.cat([self.conv2d_transpose(x), skip], 1))


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = Nxn(3, 16, 2), one(80, 160)
        widths = ((16, 16, 1), (16, 24, 2), (24, 24, 1), (24, 24, 1), (24, 48, 2), (48, 64, 2), (64, 80, 2))
        self.mv2 = nn.ModuleList(Mv2(*each) for each in widths)
        self.mvit = nn.ModuleList(Mvit(*each) for each in ((48, 64, 128), (64, 80, 320), (80, 96, 384)))

    def forward(self, x):
        y1 = self.mv2[1](self.mv2[0](self.conv1(x)))
        y2 = self.mv2[4](self.mv2[3](self.mv2[2](y1)))
        y3 = self.mv2[5](self.mvit[0](y2))
        return self.conv2(self.mvit[2](self.mv2[6](self.mvit[1](y3)))), y1, y2, y3


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv2d_in = nn.Conv2d(160, 64, 1, bias=False)
        self.ups_block_1, self.ups_block_2, self.ups_block_3 = Up(64, 32, 64), Up(32, 16, 48), Up(16, 8, 24)
        self.conv2d_out = nn.Conv2d(8, 1, 3, 1, 1, bias=False)

    def forward(self, x, y1, y2, y3):
        x = self.ups_block_1(self.conv2d_in(x), y3)
        return self.conv2d_out(self.ups_block_3(self.ups_block_2(x, y2), y1))


class Meter(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = Encoder(), Decoder()

    def forward(self, pictures):
        """Pictures (N, 3, H, W), 0 to 255, H and W multiples of 64 -> depth (N, 1, H/4, W/4) in metres."""
        mean = torch.tensor([0.485, 0.456, 0.406], device=pictures.device)[:, None, None]
        std = torch.tensor([0.229, 0.224, 0.225], device=pictures.device)[:, None, None]
        return self.decoder(*self.encoder((pictures / 255 - mean) / std)) / 100


def load(path, device="cpu"):
    model = Meter()
    model.load_state_dict(torch.load(path, map_location=device, weights_only=True))
    return model.to(device).eval()


def resize(x, size):
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False, antialias=True)


def boxes(height, width):
    """The four corner crops as (top, left, height, width)."""
    h, w = round(height * CROP), round(width * CROP)
    return [(top, left, h, w) for top in (0, height - h) for left in (0, width - w)]


def window(height, width):
    """How much a crop counts: nothing at its borders, which would leave edges that the picture does not have."""
    rise = lambda n: torch.sin(torch.pi * (torch.arange(n) + 0.5) / n) ** 2  # noqa: E731
    return rise(height)[:, None] * rise(width)


@torch.no_grad()
def label(model, picture):
    """A picture (1, 3, H, W), 0 to 255 -> depth up to scale (1, 1, H, W) and weight 0 to 1 of the same shape.

    The passes see the picture, its mirror image and the four corners, faded in. Each is scaled to the first by the median of
    what both see; the depth is their geometric mean, and a pixel counts less the more they differ there.
    """
    height, width = picture.shape[2:]
    views = [picture, picture.flip(3)] + [picture[:, :, t : t + h, l : l + w] for t, l, h, w in boxes(height, width)]
    logs = model(torch.cat([resize(view, SIZE) for view in views])).clamp(min=0.05).log()
    whole = resize(logs[:2], (height, width))
    first, mirrored = whole[:1], whole[1:].flip(3)
    count, total, square = torch.zeros_like(first), torch.zeros_like(first), torch.zeros_like(first)
    parts = [(first, (0, 0, height, width), 1.0), (mirrored, (0, 0, height, width), 1.0)]
    parts += [(resize(log[None], box[2:]), box, window(*box[2:])) for log, box in zip(logs[2:], boxes(height, width))]
    for log, (t, l, h, w), share in parts:
        log = log - (log - first[:, :, t : t + h, l : l + w]).median()
        share = torch.as_tensor(share, device=log.device)
        count[:, :, t : t + h, l : l + w] += share
        total[:, :, t : t + h, l : l + w] += share * log
        square[:, :, t : t + h, l : l + w] += share * log * log
    mean = total / count
    variance = (square / count - mean * mean).clamp(min=0)
    return mean.exp(), torch.exp(-variance / SPREAD**2)
