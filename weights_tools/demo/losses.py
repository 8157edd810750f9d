"""The losses of the papers, on logarithms of depth. d = log prediction - log truth where the truth is known."""

import torch
import torch.nn.functional as F


def centred(d, known):
    """|d - median of the picture| on average: what median scaling at evaluation leaves."""
    total, pictures = 0, 0
    for one, mask in zip(d, known):
        values = one[mask]
        if len(values):
            total, pictures = total + (values - values.detach().median()).abs().mean(), pictures + 1
    return total / max(pictures, 1)


def scale_invariant(d, known, weight=0.85):
    """sqrt(mean d^2 - weight (mean d)^2), each picture; the rest of the mean keeps metres (Eigen et al.; BTS)."""
    count = known.sum((1, 2, 3)).clamp(min=1)
    d = d * known
    mean, square = d.sum((1, 2, 3)) / count, (d * d).sum((1, 2, 3)) / count
    return torch.sqrt(square - weight * mean * mean + 1e-4).mean()


def gradient(d, known, scales=3):
    """|d(x + s) - d(x)| for steps s of 1, 2, 4 pixels: edges and slopes where the truth has them."""
    total = 0
    for s in (2**k for k in range(scales)):
        for dx, dy in ((s, 0), (0, s)):
            a, b = d[:, :, : d.shape[2] - dy, : d.shape[3] - dx], d[:, :, dy:, dx:]
            both = known[:, :, : d.shape[2] - dy, : d.shape[3] - dx] & known[:, :, dy:, dx:]
            total = total + ((a - b).abs() * both).sum() / both.sum().clamp(min=1)
    return total / (2 * scales)


def total(predictions, depth, limits):
    """predictions: depth (N, 1, h, w) in metres, from fine to coarse; limits: where the truth counts."""
    low, high = limits
    loss = 0
    for level, found in enumerate(predictions):
        truth = F.interpolate(depth, size=found.shape[2:], mode="nearest")
        known = (truth > low) & (truth < high)
        d = (torch.log(found.clamp(min=1e-3)) - torch.log(truth.clamp(low, high))) * known
        part = centred(d, known) + 0.3 * scale_invariant(d, known)
        if level == 0:
            part = part + 0.5 * gradient(d, known)
        loss = loss + part * (1 if level == 0 else 0.2)
    return loss


DOUBT = 0.35  # of log depth: a teacher that differs from the student by this keeps 1/e of its weight


def relative(predictions, depth, weight, limits, doubt=False):
    """Depth up to scale, of sensors and teachers: scale-invariant and gradient losses, each pixel by its weight.

    With `doubt`, a pixel counts less where the truth is far from what the student itself finds.
    """
    low, high = limits
    loss = 0
    for level, found in enumerate(predictions):
        truth = F.interpolate(depth, size=found.shape[2:], mode="nearest")
        known = (truth > low) & (truth < high)
        w = F.interpolate(weight, size=found.shape[2:], mode="nearest") * known
        d = (torch.log(found.clamp(min=1e-3)) - torch.log(truth.clamp(low, high))) * known
        middle = torch.stack([one[k].median() if k.any() else one.new_zeros(()) for one, k in zip(d.detach(), known)])
        middle = middle[:, None, None, None]
        if doubt:
            w = w * torch.exp(-(((d.detach() - middle) / DOUBT) ** 2))
        count = w.sum((1, 2, 3)).clamp(min=1)
        off = (d - middle) * known
        mean, square = (off * w).sum((1, 2, 3)) / count, (off * off * w).sum((1, 2, 3)) / count
        part = ((off.abs() * w).sum((1, 2, 3)) / count).mean() + 0.3 * torch.sqrt(square - mean * mean + 1e-4).mean()
        if level == 0:
            part = part + 0.5 * gradient(d, w > 0.5)
        loss = loss + part * (1 if level == 0 else 0.2)
    return loss


def mixed(predictions, depth, weight, places, limits, doubt):
    """`places`: where in the batch scenes, pairs and photographs are. Each kind counts by its share of the batch."""
    loss = 0
    for kind, place in zip(("scene", "pair", "photo"), places):
        count = place.stop - place.start
        if count:
            found = [each[place] for each in predictions]
            if kind == "scene":
                part = total(found, depth[place], limits)
            else:
                part = relative(found, depth[place], weight[place], (0.08, limits[1]), doubt and kind == "photo")
            loss = loss + part * count / len(depth)
    return loss
