"""Weights and photographs made from names alone, for tests and benchmarks without trained weights.

    u(name, k) = 2 (hash(name, k) >> 40) / 2^24 - 1, in [-1, 1); hash = splitmix64 from the name's FNV-1a hash

The same numbers, bit for bit, as `fathom_weights synthesize` writes.
"""

import numpy as np


def hashes(name, count):
    """The first `count` 64-bit outputs of splitmix64 seeded with the name."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = (seed ^ byte) * 0x100000001B3 % 2**64
    z = np.arange(1, count + 1, dtype=np.uint64)
    with np.errstate(over="ignore"):  # arithmetic modulo 2^64 is meant
        z = z * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            z = (z ^ (z >> np.uint64(shift))) * np.uint64(factor)
    return z ^ (z >> np.uint64(31))


def uniform(name, count):
    return (hashes(name, count) >> np.uint64(40)) / 2.0**23 - 1


def parameter(key, shape, seed=""):
    """What a parameter of this checkpoint key and shape is filled with (float32; a counter of batches is int64 0)."""
    if key.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    u = uniform(f"{key}@{seed}" if seed else key, int(np.prod(shape, dtype=np.int64))).reshape(shape)
    if key.endswith("running_mean"):
        value = 0.1 * u
    elif key.endswith("running_var"):
        value = 1 + 0.5 * u
    elif len(shape) > 1:
        value = u * np.sqrt(6 / float(np.prod(shape[1:])))  # He's bound for the fan-in
    elif key.endswith("weight"):
        value = 0.5 + 0.25 * u
    else:
        value = 0.1 * u
    return value.astype(np.float32)


def image(height, width, name="image", channels=3):
    """A photograph's stand-in (H, W, C) u8: two ramps, a checkerboard of 16 pixels, and five bits of noise."""
    y, x, c = np.ogrid[:height, :width, :channels]
    ramps = x * (c + 1) * 200 // width + y * (channels - c) * 150 // height
    board = (x // 16 + y // 16 + c) % 2 * 60
    noise = (hashes(name, height * width * channels) >> np.uint64(59)).reshape(height, width, channels)
    return ((ramps + board + noise.astype(np.int64)) % 256).astype(np.uint8)
