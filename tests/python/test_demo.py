"""The scenes that the demonstration weights are trained on, and what the weights see in scenes they never saw."""

import json
import os
import subprocess
import tempfile
import unittest

import needs

try:
    import numpy as np
except ImportError as error:
    needs.lacking(error, "the demo's scenes are read with NumPy")

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
BUILD = os.environ.get("FATHOM_PROGRAMS", os.path.join(ROOT, "build", "dev"))
SCENES = os.path.join(ROOT, "tests", "golden", "demo_scenes")
MODEL = os.path.join(ROOT, "samples", "demo.safetensors")
BENCH = os.path.join(BUILD, "bench", "fathom_bench")
DEPTH = os.path.join(BUILD, "samples", "depth_from_image")
RENDER = os.path.join(BUILD, "weights_tools", "demo", "render_scenes")


@unittest.skipUnless(np and os.path.exists(RENDER), "skipped: NumPy or render_scenes is missing")
class Scenes(unittest.TestCase):
    def render(self, first, count, width=64, height=48):
        command = [RENDER, str(first), str(count), str(width), str(height), "1"]
        done = subprocess.run(command, capture_output=True, check=True)
        rows = np.frombuffer(done.stdout, np.uint8).reshape(count, width * height * 5)
        return rows[:, : width * height * 3], rows[:, width * height * 3 :].copy().view(np.uint16) / 1000

    def test_a_seed_is_a_scene(self):
        pictures, depth = self.render(40, 3)
        again, depth_again = self.render(41, 1)
        self.assertTrue(np.array_equal(pictures[1], again[0]) and np.array_equal(depth[1], depth_again[0]))
        self.assertFalse(np.array_equal(pictures[0], pictures[1]))

    def test_depths_are_those_of_rooms_and_pictures_are_exposed(self):
        pictures, depth = self.render(70, 12)
        self.assertTrue(np.all(np.median(depth, 1) > 0.6) and np.all(np.median(depth, 1) < 10))
        self.assertGreater(depth.min(), 0.05)
        self.assertTrue(np.all(depth.max(1) > 1.1 * depth.min(1)), "a picture of one distance teaches nothing")
        self.assertTrue(np.all(pictures.max(1) > 90) and np.all(pictures.std(1) > 8))


@unittest.skipUnless(np and os.path.exists(MODEL) and os.path.exists(BENCH), "skipped: no NumPy, weights or fathom_bench")
class Weights(unittest.TestCase):
    def accuracy(self, *what):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "found.json")
            command = [BENCH, "accuracy", SCENES, "--median", "--cap", "10", "--depth-scale", "1000", "--json", path]
            subprocess.run([*command, *what], check=True, stdout=subprocess.DEVNULL)
            with open(path, encoding="utf-8") as file:
                return json.load(file)["mean"]

    @unittest.skipUnless(os.path.exists(DEPTH), "skipped: depth_from_image is not built")
    def test_they_are_what_runs_without_a_model(self):
        with tempfile.TemporaryDirectory() as folder:
            command = [DEPTH, os.path.join(ROOT, "samples", "scene.png"), "-o", os.path.join(folder, "depth.png")]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
        self.assertIn("depth in metres, by mobile_baseline_3", done.stderr)
        self.assertNotIn("synthetic", done.stderr)

    def test_they_see_more_than_a_constant(self):
        with tempfile.TemporaryDirectory() as folder:
            for k in range(8):
                np.save(os.path.join(folder, f"scene{k:03d}.npy"), np.ones((96, 128), np.float32))
            constant = self.accuracy("--prediction", folder)
        found = self.accuracy("--model", MODEL)
        print("demo", found["abs_rel"], found["delta1"], "constant", constant["abs_rel"], constant["delta1"])
        self.assertGreater(found["delta1"], constant["delta1"] + 0.05)
        self.assertLess(found["abs_rel"], constant["abs_rel"])

    def test_they_see_what_they_saw_when_they_were_trained(self):
        found = self.accuracy("--model", MODEL)
        self.assertAlmostEqual(found["abs_rel"], 0.1946, delta=0.002)
        self.assertAlmostEqual(found["delta1"], 0.7477, delta=0.004)

    def test_they_fit_their_promise(self):
        self.assertLessEqual(os.path.getsize(MODEL), 8_000_000)


if __name__ == "__main__":
    unittest.main()
