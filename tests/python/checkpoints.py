"""Checkpoints as PyTorch writes them, and convert.py run on them: what the tests of weights_tools share."""

import contextlib
import io
import os
import sys
import tempfile
import unittest
from collections import OrderedDict

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "weights_tools"))

import needs

try:
    import numpy  # noqa: F401  the tools need it
    import torch
except ImportError as error:
    needs.lacking(error, "the tests of convert.py write their checkpoints with PyTorch")

import convert
import safetensors_io
import synthetic

LEGACY = {"_use_new_zipfile_serialization": False}


def batch_norm(name, channels):
    shapes = {f"{name}.{part}": (channels,) for part in ("weight", "bias", "running_mean", "running_var")}
    return {**shapes, f"{name}.num_batches_tracked": ()}


def resnet18(prefix="", width=2):
    """A ResNet-18 by torchvision's names, with few channels: convert.py looks at names, the engine at shapes."""
    shapes = {"conv1.weight": (width, 3, 7, 7), **batch_norm("bn1", width)}
    for layer in range(1, 5):
        for block in range(2):
            for conv in (1, 2):
                shapes[f"layer{layer}.{block}.conv{conv}.weight"] = (width, width, 3, 3)
                shapes.update(batch_norm(f"layer{layer}.{block}.bn{conv}", width))
    shapes.update({"fc.weight": (10, width), "fc.bias": (10,)})
    return {prefix + key: shape for key, shape in shapes.items()}


def fill(shapes):
    return OrderedDict((key, torch.from_numpy(synthetic.parameter(key, shape))) for key, shape in shapes.items())


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, name):
        return os.path.join(self.folder, name)

    def save(self, name, contents, **options):
        torch.save(contents, self.path(name), **options)
        return self.path(name)

    def run_convert(self, *arguments):
        """-> (exit status, what it said)"""
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            status = convert.main([*arguments, "-o", self.path("out.safetensors")])
        return status, said.getvalue()

    def convert(self, *arguments):
        status, said = self.run_convert(*arguments)
        self.assertEqual(status, 0, said)
        return safetensors_io.read(self.path("out.safetensors"))

    def refuse(self, *arguments):
        """The one sentence of a refusal; nothing must have been written."""
        status, said = self.run_convert(*arguments)
        self.assertEqual(status, 1, said)
        self.assertEqual(said.count("\n"), 1, said)
        self.assertFalse([name for name in os.listdir(self.folder) if name.endswith((".part", "out.safetensors"))])
        return said
