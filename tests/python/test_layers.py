"""How bench/layers.py reads Nsight Compute's answers and gives them to the layers."""

import os
import sys
import unittest

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "bench"))

import layers

HEAD = '"ID","Process ID","Kernel Name","Block Size","Grid Size","Metric Name","Metric Unit","Metric Value"'


def answer(*metrics):
    """metrics: (kernel's number, name, unit, value)"""
    lines = [f'"{n}","7","conv(int)","(128, 1, 1)","(4, 1, 1)","{name}","{unit}","{value}"' for n, name, unit, value in metrics]
    return "\n".join(["==PROF== Connected to process 7", HEAD, *lines])


class Layers(unittest.TestCase):
    def test_units_and_thousands(self):
        text = answer(
            (0, layers.DURATION, "ns", "2,500"),
            (0, layers.DRAM, "Mbyte", "1.5"),
            (1, layers.DURATION, "usecond", "3.25"),
            (1, layers.DRAM, "byte", "0"),
        )
        kernels = layers.read_kernels(text)
        self.assertEqual([kernel[layers.DURATION] for kernel in kernels], [2.5, 3.25])
        self.assertEqual([kernel[layers.DRAM] for kernel in kernels], [1.5e6, 0])
        self.assertEqual(kernels[1]["grid"], "(4, 1, 1)")

    def test_each_layer_takes_the_kernels_it_launched(self):
        step = {"op": "", "kernel": "", "shape": "", "flops": 0, "bytes": 0}
        steps = [{**step, "name": "a", "launches": 2}, {**step, "name": "b", "launches": 1}]
        kernels = [{layers.DURATION: us} for us in (1.0, 2.0, 4.0)]
        self.assertEqual([(row["name"], row["us"]) for row in layers.join(steps, kernels)], [("a", 3.0), ("b", 4.0)])
        with self.assertRaisesRegex(layers.Problem, "2 kernels, the plan has 3"):
            layers.join(steps, kernels[:2])


if __name__ == "__main__":
    unittest.main()
