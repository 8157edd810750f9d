"""Training from a mixture: what may be used, what is set aside, how far a teacher is believed, what a step learns from."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
DEMO = os.path.join(ROOT, "weights_tools", "demo")
sys.path[:0] = [DEMO, os.path.join(ROOT, "weights_tools")]

try:
    import numpy as np
    import torch
    from PIL import Image
except ImportError as error:
    raise unittest.SkipTest(f"skipped: {error} (training needs PyTorch and Pillow)")

import dataset
import losses
import mixture
import teacher

BUILD = os.environ.get("FATHOM_PROGRAMS", os.path.join(ROOT, "build", "dev"))
WEIGHTS = os.path.join(BUILD, "weights_tools", "fathom_weights")
MODEL = os.path.join(ROOT, "samples", "demo.safetensors")


def row(name, licence="MIT"):
    return {"name": name, "licence": licence, "kind": name.split("_")[0]}


class Terms(unittest.TestCase):
    def test_permissive_takes_what_licence_and_data_both_allow(self):
        self.assertTrue(mixture.allowed(row("photo_jet_001", "MIT-style (NVIDIA)"), "permissive"))
        self.assertTrue(mixture.allowed(row("pair_cape_000", "BSD"), "permissive"))
        self.assertFalse(mixture.allowed(row("photo_door_001", "none stated"), "permissive"))
        self.assertFalse(mixture.allowed(row("photo_plbed_001", "MIT"), "permissive"), "Places allows research only")

    def test_all_takes_every_row_but_the_rooms_that_are_set_aside(self):
        self.assertTrue(mixture.allowed(row("photo_door_001", "none stated"), "all"))
        for terms in ("permissive", "all"):
            self.assertFalse(mixture.allowed(row("pair_redwood_001"), terms))


class Preparation(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.photos, self.out = os.path.join(scratch.name, "photos"), os.path.join(scratch.name, "out")
        os.mkdir(self.photos)
        torch.manual_seed(3)
        self.meter = os.path.join(scratch.name, "meter.pth")
        torch.save(teacher.Meter().state_dict(), self.meter)
        names = ["pair_cape_000", "pair_redwood_000", "photo_jet_000", "photo_door_000"]
        with open(os.path.join(self.photos, "index.csv"), "w", encoding="utf-8") as file:
            file.write("name,source,licence,kind,depth_unit_checked,width,height\n")
            for name in names:
                licence = "none stated" if "door" in name else "MIT"
                file.write(f"{name},here,{licence},{name.split('_')[0]},yes,64,48\n")
        pixels = np.random.default_rng(1).integers(0, 256, (48, 64, 3), np.uint8)
        depth = np.full((48, 64), 2500, np.uint16)
        depth[:, :16] = 0
        for name in names:
            Image.fromarray(pixels).save(os.path.join(self.photos, name + ".jpg"))
            if name.startswith("pair"):
                Image.fromarray(depth).save(os.path.join(self.photos, name + "_depth.png"))

    def prepare(self, terms):
        command = [sys.executable, os.path.join(DEMO, "mixture.py"), "--photos", self.photos, "--teacher", self.meter]
        subprocess.run([*command, "--out", self.out, "--terms", terms, "--device", "cpu"], check=True, capture_output=True)
        return mixture.Photos(os.path.join(self.out, f"photos_{terms}.npz"))

    def test_pairs_keep_their_measured_depth_and_rooms_set_aside_are_written_apart(self):
        found = self.prepare("permissive")
        self.assertEqual(found.names, ["pair_cape_000", "photo_jet_000"])
        self.assertEqual(found.depth[0][0, -1], 2500)
        self.assertEqual((found.depth[0][0, 0], found.weight[0][0, 0], found.weight[0][0, -1]), (0, 0, 255))
        aside = os.path.join(self.out, "validation")
        self.assertEqual(os.listdir(aside), ["pair_redwood"])
        depth = np.asarray(Image.open(os.path.join(aside, "pair_redwood", "pair_redwood_000_depth.png")))
        self.assertEqual(depth[0, 63], 2500)

    def test_a_second_run_keeps_the_labels_of_the_first(self):
        self.prepare("permissive")
        path = os.path.join(self.out, "labels", "photo_jet_000.npz")
        height, width = mixture.SIZE
        np.savez(path, depth=np.full((height, width), 7, np.uint16), weight=np.full((height, width), 9, np.uint8))
        found = self.prepare("all")
        self.assertEqual(len(found.names), 3)
        self.assertTrue(np.all(found.depth[found.names.index("photo_jet_000")] == 7))
        self.assertFalse(np.all(found.depth[found.names.index("photo_door_000")] == 7))


class Agreement(unittest.TestCase):
    PICTURE = torch.rand(1, 3, 80, 120, generator=torch.Generator().manual_seed(1)) * 255

    def test_passes_that_differ_in_scale_alone_agree(self):
        scales = torch.tensor([1.0, 2, 3, 4, 5, 6])[:, None, None, None]
        depth, weight = teacher.label(lambda x: scales.expand(6, 1, 48, 64), self.PICTURE)
        self.assertTrue(torch.allclose(depth, torch.ones_like(depth), atol=1e-4))
        self.assertGreater(weight.min(), 0.99)

    def test_a_pixel_counts_less_where_the_mirror_image_says_otherwise(self):
        logs = torch.zeros(6, 1, 48, 64)
        logs[1, :, :, :16] = 1.0  # left in the mirror image, so right in the picture
        _, weight = teacher.label(lambda x: logs.exp(), self.PICTURE)
        self.assertGreater(weight[..., :80].min(), 0.99)
        self.assertLess(weight[..., 100:].max(), 0.01)

    def test_crops_that_differ_leave_no_edge_at_their_borders(self):
        logs = torch.zeros(6, 1, 48, 64)
        logs[2:, :, :, 32:] = 1.0
        logs[2:, :, :, :20] = -1.0
        depth, _ = teacher.label(lambda x: logs.exp(), self.PICTURE)
        left, right = (round(120 * part) for part in (1 - teacher.CROP, teacher.CROP))
        for border in (left, right):
            step = (depth[..., border] - depth[..., border - 1]).abs().max()
            self.assertLess(step, 0.1)

    def test_corner_crops_come_back_to_their_corners(self):
        def brightness(x):
            return torch.exp(torch.nn.functional.interpolate(x[:, :1], size=(48, 64), mode="area") / 255)

        column = torch.linspace(0, 255, 120)[None, None, None].expand(1, 3, 80, 120)
        picture = (column + torch.linspace(0, 255, 80)[:, None]) / 2
        depth, weight = teacher.label(brightness, picture)
        self.assertGreater(weight.min(), 0.8)
        slope = (depth.log()[0, 0] - picture[0, 0] / 255)[8:-8, 8:-8]
        self.assertLess(slope.max() - slope.min(), 0.02)


class Losses(unittest.TestCase):
    LIMITS = (0.3, 19.0)

    def setUp(self):
        generator = torch.Generator().manual_seed(2)
        self.truth = torch.rand(2, 1, 12, 16, generator=generator) * 3 + 1
        self.ones = torch.ones_like(self.truth)

    def test_depth_up_to_scale_costs_nothing(self):
        right = losses.relative([self.truth * 2.5], self.truth, self.ones, self.LIMITS)
        wrong = losses.relative([self.truth.flip(3)], self.truth, self.ones, self.LIMITS)
        self.assertLess(right, 0.01)
        self.assertGreater(wrong, 10 * right)

    def test_pixels_without_weight_teach_nothing(self):
        found = self.truth.clone().requires_grad_()
        truth, weight = self.truth.clone(), self.ones.clone()
        truth[:, :, :, 12:] = 9
        weight[:, :, :, 12:] = 0
        losses.relative([found], truth, weight, self.LIMITS).backward()
        self.assertEqual(found.grad[:, :, :, 12:].abs().max(), 0)

    def test_doubt_lowers_what_a_teacher_says_alone(self):
        strange = self.truth.clone()
        strange[:, :, 4:8, 4:8] *= 5
        believed = losses.relative([self.truth], strange, self.ones, self.LIMITS)
        doubted = losses.relative([self.truth], strange, self.ones, self.LIMITS, doubt=True)
        self.assertLess(doubted, 0.8 * believed)

    def test_scenes_keep_metres_and_the_others_do_not(self):
        scene, pair = [slice(0, 2), slice(2, 2), slice(2, 2)], [slice(0, 0), slice(0, 2), slice(2, 2)]
        cost = lambda places: losses.mixed([self.truth * 1.5], self.truth, self.ones, places, self.LIMITS, False)  # noqa: E731
        self.assertGreater(cost(scene), 0.03)
        self.assertLess(cost(pair), 0.01)


class Training(unittest.TestCase):
    @unittest.skipUnless(os.path.exists(WEIGHTS), "skipped: fathom_weights is not built")
    def test_goes_on_from_a_model_file_and_from_its_own_checkpoint(self):
        with tempfile.TemporaryDirectory() as folder:
            path = lambda name: os.path.join(folder, name)  # noqa: E731
            generator = np.random.default_rng(1)
            for kind in ("train", "heldout"):
                with open(path(f"{kind}_40x32_0000.bin"), "wb") as file:
                    for _ in range(2):
                        file.write(generator.integers(0, 256, 40 * 32 * 3, np.uint8).tobytes())
                        file.write(generator.integers(1000, 5000, 40 * 32).astype(np.uint16).tobytes())
            names = np.array(["pair_a_000", "photo_b_000"])
            shape = (2, *mixture.SIZE)
            np.savez(path("photos.npz"), names=names, pictures=generator.integers(0, 256, (*shape, 3), np.uint8),
                     depth=np.full(shape, 2000, np.uint16), weight=np.full(shape, 200, np.uint8))  # fmt: skip
            with open(path("demo.json"), "w", encoding="utf-8") as file:
                subprocess.run([WEIGHTS, "export", MODEL], stdout=file, check=True)
            command = [sys.executable, os.path.join(DEMO, "train.py"), "--scenes", folder, "--template", MODEL]
            command += ["--graph", path("demo.json"), "--size", "160x128", "--output", "decoder.depth", "--start", MODEL]
            command += ["--photos", path("photos.npz"), "--out", path("run"), "--sizes", "0:64x64", "--batch", "4"]
            command += ["--loaders", "0", "--device", "cpu", "--rate", "1e-4", "--shares", "0.25,0.5"]
            for steps in ("1", "2"):
                subprocess.run([*command, "--steps", steps], check=True, capture_output=True)
            with open(path("run/log.jsonl"), encoding="utf-8") as file:
                lines = [json.loads(line) for line in file]
            self.assertEqual([line["step"] for line in lines], [1, 2])
            state = torch.load(path("run/checkpoint.pt"), "cpu")
            self.assertEqual(state["step"], 2)

    def test_a_batch_is_the_same_for_the_same_seed_and_split_as_asked(self):
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "train_40x32_0000.bin"), "wb") as file:
                file.write(bytes(40 * 32 * 5 * 2))
            shape = (2, *mixture.SIZE)
            path = os.path.join(folder, "photos.npz")
            np.savez(path, names=np.array(["pair_a_000", "photo_b_000"]), pictures=np.full((*shape, 3), 90, np.uint8),
                     depth=np.full(shape, 2000, np.uint16), weight=np.full(shape, 255, np.uint8))  # fmt: skip
            scenes, photos = dataset.Scenes(folder), mixture.Photos(path)
            make = lambda: mixture.batch(  # noqa: E731
                scenes, photos, 8, (0.25, 0.5), (32, 40), torch.Generator().manual_seed(4))
            pictures, depth, weight, places = make()
            self.assertEqual([(p.start, p.stop) for p in places], [(0, 2), (2, 4), (4, 8)])
            self.assertEqual(depth[:2].max(), 0)
            self.assertEqual((depth[2:].max(), weight[2:].max()), (2, 1))
            self.assertTrue(torch.equal(pictures, make()[0]))


if __name__ == "__main__":
    unittest.main()
