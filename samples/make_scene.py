"""Draws samples/scene.png: a furnished room by ray casting, so that there is a picture to try without a camera.

    python3 samples/make_scene.py samples/scene.png      (NumPy and Pillow)
"""

import sys

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 640, 480
EYE = np.array([0.3, 1.45, 0.0])  # metres; x right, y up, z ahead
LIGHTS = [(np.array([-0.8, 2.5, 2.2]), 1.0), (np.array([1.6, 2.3, 4.6]), 0.7)]


def noise(p, scale, seed):
    """Smooth value noise of points, from 0 to 1."""
    q = p * scale
    cell = np.floor(q).astype(np.int64)
    f = q - cell
    f = f * f * (3 - 2 * f)
    total = 0
    for corner in range(8):
        d = np.array([corner & 1, corner >> 1 & 1, corner >> 2])
        c = cell + d
        h = (c[..., 0] * 73856093) ^ (c[..., 1] * 19349663) ^ (c[..., 2] * 83492791) ^ seed
        h = (h * 2654435761 & 0xFFFFFFFF) / 2**32
        total = total + h * np.prod(np.where(d, f, 1 - f), axis=-1)
    return total


def wood(p):
    grain = noise(p * np.array([1, 12, 1.5]), 3, 1) * 0.6 + noise(p, 25, 2) * 0.4
    return np.array([0.50, 0.33, 0.19]) * (0.7 + 0.6 * grain[..., None])


def boards(p):
    board = np.floor(p[..., 0] / 0.16)
    shade = (np.sin(board * 91.7) * 43758.5) % 1
    gap = (np.abs(p[..., 0] / 0.16 - board - 0.5) > 0.48)[..., None]
    return np.where(gap, 0.12, wood(p[..., [0, 2, 1]]) * (0.7 + 0.5 * shade[..., None]))


def plaster(colour):
    return lambda p: np.array(colour) * (0.93 + 0.1 * noise(p, 6, 3) + 0.04 * noise(p, 60, 4))[..., None]


def stripes(a, b, width):
    return lambda p: np.where((np.floor((p[..., 0] + p[..., 1]) / width) % 2)[..., None] > 0, np.array(a), np.array(b))


# Boxes by two corners; the room is the first, seen from inside. Spheres by centre and radius.
ROOM = (np.array([-2.2, 0.0, -1.0]), np.array([2.4, 2.7, 6.0]))
BOXES = [
    ((-2.2, 0.0, 3.0), (-1.65, 1.9, 4.6), wood),
    ((-0.5, 0.70, 2.1), (1.1, 0.75, 3.0), wood), ((-0.45, 0, 2.15), (-0.38, 0.7, 2.22), wood), ((0.98, 0, 2.15), (1.05, 0.7, 2.22), wood),
    ((-0.45, 0, 2.88), (-0.38, 0.7, 2.95), wood), ((0.98, 0, 2.88), (1.05, 0.7, 2.95), wood),
    ((1.5, 0.0, 3.6), (2.4, 0.45, 5.6), plaster((0.25, 0.33, 0.45))), ((2.15, 0.45, 3.6), (2.4, 0.95, 5.6), plaster((0.25, 0.33, 0.45))),
    ((-0.9, 0.0, 5.0), (0.3, 0.8, 5.5), plaster((0.75, 0.72, 0.66))),
    ((-0.25, 0.75, 2.4), (0.05, 0.98, 2.6), stripes((0.75, 0.2, 0.15), (0.9, 0.85, 0.7), 0.06)),
    ((0.55, 0.75, 2.5), (0.85, 0.80, 2.75), plaster((0.2, 0.45, 0.3))), ((-1.5, 0.0, 1.7), (-1.05, 0.35, 2.1), stripes((0.5, 0.4, 0.28), (0.42, 0.33, 0.22), 0.11)),
    ((-0.6, 1.2, 5.97), (0.9, 2.1, 6.0), stripes((0.8, 0.75, 0.5), (0.3, 0.45, 0.55), 0.3)),
]
SPHERES = [((0.3, 0.86, 2.65), 0.11, plaster((0.85, 0.55, 0.1))), ((0.9, 0.25, 1.75), 0.25, stripes((0.8, 0.25, 0.2), (0.85, 0.85, 0.85), 0.12)),
           ((-0.3, 0.98, 5.25), 0.18, plaster((0.35, 0.5, 0.75)))]


def hit(origin, ray):
    """The nearest surface along each ray: distance, normal, index of what was hit (0: the room)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        t0, t1 = (ROOM[0] - origin) / ray, (ROOM[1] - origin) / ray
        far = np.maximum(t0, t1)
        best = far.min(-1)
        axis = far.argmin(-1)
        normal = -np.sign(ray) * (np.arange(3) == axis[..., None])
        index = np.zeros(best.shape, int)
        for k, (low, high, _) in enumerate(BOXES):
            t0, t1 = (np.array(low) - origin) / ray, (np.array(high) - origin) / ray
            near, far = np.minimum(t0, t1), np.maximum(t0, t1)
            t = near.max(-1)
            ok = (t < far.min(-1)) & (t > 1e-4) & (t < best)
            n = -np.sign(ray) * (np.arange(3) == near.argmax(-1)[..., None])
            best, normal, index = np.where(ok, t, best), np.where(ok[..., None], n, normal), np.where(ok, 1 + k, index)
        for k, (centre, radius, _) in enumerate(SPHERES):
            d = origin - np.array(centre)
            a, b, c = (ray * ray).sum(-1), (ray * d).sum(-1), (d * d).sum(-1) - radius**2
            root = np.sqrt(np.maximum(b * b - a * c, 0))
            t = (-b - root) / a
            ok = (b * b > a * c) & (t > 1e-4) & (t < best)
            n = (d + ray * t[..., None]) / radius
            best, normal, index = np.where(ok, t, best), np.where(ok[..., None], n, normal), np.where(ok, 1 + len(BOXES) + k, index)
    return best, normal, index


def colour_of(p, normal, index):
    walls = plaster((0.78, 0.74, 0.66))(p)
    walls = np.where((normal[..., 1] > 0.5)[..., None], boards(p), walls)
    walls = np.where((normal[..., 1] < -0.5)[..., None], 0.9, walls)
    out = walls
    for k, (*_, surface) in enumerate(BOXES + SPHERES):
        out = np.where((index == 1 + k)[..., None], surface(p), out)
    return out


def render(rng):
    x, y = np.meshgrid((np.arange(WIDTH) + rng.random() - WIDTH / 2) / (0.87 * WIDTH), (HEIGHT / 2 - np.arange(HEIGHT) - rng.random()) / (0.87 * WIDTH))
    pitch = np.deg2rad(-9)
    ray = np.stack([x, y * np.cos(pitch) + np.sin(pitch), np.cos(pitch) - y * np.sin(pitch)], -1)
    ray /= np.linalg.norm(ray, axis=-1, keepdims=True)
    t, normal, index = hit(EYE, ray)
    p = EYE + ray * t[..., None]
    light = np.full(t.shape, 0.32) + 0.10 * normal[..., 1]
    for centre, power in LIGHTS:
        for _ in range(3):  # soft shadows
            to = centre + rng.normal(0, 0.12, 3) - p
            distance = np.linalg.norm(to, axis=-1)
            to /= distance[..., None]
            blocked = hit(p + normal * 1e-3, to)[0] < distance - 1e-2
            light += np.where(blocked, 0, np.maximum((normal * to).sum(-1), 0) * power * 2.2 / (1.2 + distance**2)) / 3
    return colour_of(p, normal, index) * light[..., None]


if __name__ == "__main__":
    rng = np.random.default_rng(1)
    linear = np.mean([render(rng) for _ in range(4)], 0) * np.array([1.05, 1.0, 0.92])
    linear *= 1 - 0.25 * ((np.mgrid[:HEIGHT, :WIDTH][0] / HEIGHT - 0.5) ** 2 + (np.mgrid[:HEIGHT, :WIDTH][1] / WIDTH - 0.5) ** 2)[..., None]
    grey = np.clip(linear, 0, None) ** (1 / 2.2) * 255 + rng.normal(0, 2.0, linear.shape)
    Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8)).save(sys.argv[1])
