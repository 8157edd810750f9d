"""The measures of `fathom_bench accuracy --median`, and the predictors that need no network."""

import numpy as np


def measure(prediction, truth, cap=10.0):
    """-> abs rel and delta1 after scaling by the median, where 0 < truth < cap."""
    known = (truth > 1e-3) & (truth < cap)
    p, g = prediction[known].astype(np.float64), truth[known].astype(np.float64)
    p = np.clip(p * np.median(g) / np.median(p), 1e-3, cap)
    return float(np.mean(np.abs(p - g) / g)), float(np.mean(np.maximum(p / g, g / p) < 1.25))


def constant(height, width):
    return np.ones((height, width), np.float32)


def gradient(height, width, k):
    """depth = 1 / (1 + k v), v from 0 at the top to 1 at the bottom."""
    v = (np.arange(height, dtype=np.float32) + 0.5) / height
    return np.repeat(1 / (1 + k * v)[:, None], width, 1)


def fit_gradient(truths):
    """The k of best delta1 over many depth maps."""
    choices = np.arange(0, 4.01, 0.1)
    scores = [np.mean([measure(gradient(*t.shape, k), t)[1] for t in truths]) for k in choices]
    return float(choices[int(np.argmax(scores))])
