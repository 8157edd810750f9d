"""The Python tools beside the C++ programs: converted checkpoints and rebuilt graphs give the official outputs."""

import contextlib
import glob
import io
import json
import os
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "weights_tools"))

import needs

try:
    import numpy as np
    import torch
except ImportError as error:
    needs.lacking(error, "checkpoints are written, and graphs run, with PyTorch")

import convert
import families
import graph_to_torch
import safetensors_io
import synthetic


def find_programs():
    for folder in filter(
        None,
        (os.environ.get("FATHOM_PROGRAMS"), os.path.join(ROOT, "build", "dev"), os.path.join(ROOT, "build", "default")),
    ):
        for place in (folder, os.path.join(folder, "weights_tools")):
            if os.path.isfile(os.path.join(place, "fathom_weights")):
                return os.path.join(place, "fathom_weights")
    raise unittest.SkipTest("skipped: fathom_weights is not built (FATHOM_PROGRAMS names its folder)")


WEIGHTS = find_programs()
GOLDEN = os.path.join(ROOT, "tests", "golden")


def run(*arguments):
    return subprocess.run([WEIGHTS, *arguments], capture_output=True, text=True)


def keys(network):
    with open(os.path.join(GOLDEN, "keys", network + ".txt"), encoding="utf-8") as file:
        for line in file:
            key, _, shape = line.partition(" ")
            yield key, tuple(int(n) for n in shape.strip().split("x") if n.isdigit())


def part(network, prefix):
    """An official checkpoint: the part's parameters by their keys without the prefix, with the golden file's values."""
    return {
        key[len(prefix) :]: torch.from_numpy(synthetic.parameter(key, shape))
        for key, shape in keys(network)
        if key.startswith(prefix)
    }


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, name):
        return os.path.join(self.folder, name)

    def convert(self, *arguments):
        with contextlib.redirect_stderr(io.StringIO()) as said:
            self.assertEqual(convert.main(arguments), 0, said.getvalue())

    def golden(self, network):
        (path,) = glob.glob(os.path.join(GOLDEN, f"{network}_[0-9]*x*.safetensors"))
        return path


class ConvertedCheckpoints(Case):
    def check(self, network, files, *options, tolerance="1e-4"):
        output = self.path("model.safetensors")
        self.convert("--architecture", network, *files, "-o", output, *options)
        done = run("verify", output, self.golden(network), "--tolerance", tolerance)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("error", done.stdout)

    def test_hr_depth(self):
        encoder, depth = part("hr_depth", "encoder."), part("hr_depth", "depth.")
        names = sorted({key.split(".")[1] for key in depth})
        for key, value in list(depth.items()):  # every layer is also in a numbered list
            _, name, rest = key.split(".", 2)
            depth[f"decoder.{names.index(name)}.{rest}"] = value
        encoder.update(height=192, width=640, use_stereo=True)
        files = [self.path("encoder.pth"), self.path("depth.pth")]
        torch.save(encoder, files[0], _use_new_zipfile_serialization=False)
        torch.save(depth, files[1])
        self.check("hr_depth", files)
        self.check("hr_depth", files, "--half", tolerance="1e-2")

    def test_pose(self):
        files = [self.path("pose_encoder.pth"), self.path("pose.pth")]
        torch.save({f"module.{key}": value for key, value in part("pose_resnet18", "pose_encoder.").items()}, files[0])
        torch.save(part("pose_resnet18", "pose."), files[1])
        self.check("pose_resnet18", files)

    def test_another_networks_weights(self):
        """Names that fit and shapes that do not: convert.py leaves shapes to the engine, which names them."""
        encoder = part("hr_depth", "encoder.")
        encoder["encoder.conv1.weight"] = torch.ones(64, 6, 7, 7)
        files = [self.path("encoder.pth"), self.path("depth.pth")]
        torch.save(encoder, files[0])
        torch.save(part("hr_depth", "depth."), files[1])
        output = self.path("model.safetensors")
        self.convert("--architecture", "hr_depth", *files, "-o", output)
        done = run("verify", output, self.golden("hr_depth"))
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("encoder.encoder.conv1.weight", done.stderr)


class Names(unittest.TestCase):
    def test_both_tables_of_architectures_agree(self):
        listed = [entry["name"] for entry in json.loads(run("list", "--json").stdout)["architectures"]]
        self.assertEqual(sorted(listed), sorted(families.ARCHITECTURES))


class RebuiltGraphs(Case):
    """Export, rebuild in PyTorch, and meet the official implementation's outputs: every op as the networks use it."""

    def check(self, network):
        known = [entry["name"] for entry in json.loads(run("list", "--json").stdout)["architectures"]]
        if network not in known:
            self.skipTest(f"skipped: {network} is not in this build")
        golden, metadata = safetensors_io.read(self.golden(network))
        model = self.path("model.safetensors")
        self.assertEqual(run("synthesize", network, "-o", model).returncode, 0)
        exported = run("export", model, "--size", f"{metadata['width']}x{metadata['height']}")
        self.assertEqual(exported.returncode, 0, exported.stderr)
        module = graph_to_torch.GraphModule(json.loads(exported.stdout), safetensors_io.read(model)[0])
        images = [graph_to_torch.as_image(golden["input." + entry["name"]]) for entry in module.inputs]
        with torch.no_grad():
            outputs = dict(zip(module.output_names, module(*images)))
        expected = {name[len("output.") :]: value for name, value in golden.items() if name.startswith("output.")}
        self.assertEqual(sorted(outputs), sorted(expected))
        for name, value in expected.items():
            scale = max(value.max() - value.min(), 0.1 * np.abs(value).max())
            self.assertLess(
                np.abs(outputs[name].numpy().reshape(value.shape) - value).max() / scale, 1e-4, f"{network}: {name}"
            )

    def test_hr_depth(self):
        self.check("hr_depth")

    def test_lite_hr_depth(self):
        self.check("lite_hr_depth")

    def test_pose(self):
        self.check("pose_resnet18")

    def test_drnet_with_guided_filter(self):
        self.check("drnet_resnet50_guided")

    def test_refinenet(self):
        self.check("refinenet_mobilenetv2")

    def test_umich(self):
        self.check("umich_squeezenet")

    def test_cnd(self):
        self.check("cnd_stereo")

    def test_mobile_baseline(self):
        self.check("mobile_baseline_1")


if __name__ == "__main__":
    unittest.main()
