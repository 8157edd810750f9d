"""The script in weights_tools/README.md runs as printed, beside a stand-in for the official code."""

import os
import re
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "weights_tools"))

import needs

try:
    import numpy as np
    import PIL.Image
    import torch
except ImportError as error:
    needs.lacking(error, "the README's script needs PyTorch and Pillow")

import safetensors_io
import synthetic

# Modules with the official classes' names and arguments: a strided convolution, and four heads on it.
NETWORKS = """
import torch

class ResnetEncoder(torch.nn.Module):
    def __init__(self, layers, pretrained):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 2, 3, 2, 1)
    def forward(self, x):
        return self.conv(x)

class HRDepthDecoder(torch.nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.heads = torch.nn.ModuleList(torch.nn.Conv2d(2, 1, 1, 2 ** s) for s in range(4))
    def forward(self, x):
        return {("disparity", f"Scale{s}"): torch.sigmoid(head(x)) for s, head in enumerate(self.heads)}
"""


class Readme(unittest.TestCase):
    def test_the_script(self):
        with open(os.path.join(ROOT, "weights_tools", "README.md"), encoding="utf-8") as file:
            script = re.search(r"```python\n(.*?)```", file.read(), re.S).group(1)
        self.assertLessEqual(script.count("\n"), 10)
        with tempfile.TemporaryDirectory() as folder:
            os.symlink(ROOT, os.path.join(folder, "fathom"))
            for name, text in (("networks.py", NETWORKS), ("script.py", script)):
                with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                    file.write(text)
            scope = {}
            exec(NETWORKS, scope)
            encoder, depth = scope["ResnetEncoder"](18, False), scope["HRDepthDecoder"]([])
            torch.save(
                {**encoder.state_dict(), "height": 32, "width": 64, "use_stereo": False},
                os.path.join(folder, "encoder.pth"),
            )
            torch.save(depth.state_dict(), os.path.join(folder, "depth.pth"))
            PIL.Image.fromarray(synthetic.image(60, 90)).save(os.path.join(folder, "photo.jpg"))
            done = subprocess.run([sys.executable, "script.py"], cwd=folder, capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)
            tensors, _ = safetensors_io.read(os.path.join(folder, "golden.safetensors"))
        self.assertEqual((tensors["input.image"].shape, tensors["input.image"].dtype), ((32, 64, 3), np.uint8))
        self.assertEqual(
            [tensors[f"output.disp{s}"].shape for s in range(4)], [(1, 1, 16 >> s, 32 >> s) for s in range(4)]
        )
        self.assertEqual(tensors["output.disp0"].dtype, np.float32)


if __name__ == "__main__":
    unittest.main()
