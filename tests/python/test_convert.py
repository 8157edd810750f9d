"""convert.py's arguments, files and refusals: on HR-Depth's official checkpoints, and on graphs."""

import json
import os
import unittest
from collections import OrderedDict
from unittest import mock

from checkpoints import LEGACY, Case, fill, resnet18  # first: it finds weights_tools, and skips where there is no PyTorch

import numpy as np
import torch

import convert
import synthetic


class HRDepth(Case):
    def hr_depth(self, encoder_options={}, depth_options={}):
        """Official files: the encoder with classifier and settings, the decoder with every layer under two names."""
        encoder = fill(resnet18("encoder."))
        encoder.update(height=320, width=1024, use_stereo=True)
        convs = fill(
            {
                f"convs.{name}.conv.{part}": shape
                for name in ("X_00_Conv_0", "X_10_Conv_1", "dispConvScale0")
                for part, shape in (("weight", (2, 2, 3, 3)), ("bias", (2,)))
            }
        )
        numbers = {"X_00_Conv_0": 0, "X_10_Conv_1": 20, "dispConvScale0": 29}
        depth = OrderedDict(convs)
        for key, value in convs.items():
            _, name, rest = key.split(".", 2)
            depth[f"decoder.{numbers[name]}.{rest}"] = value  # the same storage
        return [self.save("encoder.pth", encoder, **encoder_options), self.save("depth.pth", depth, **depth_options)]

    def expected(self):
        tensors = {f"encoder.{key}": value for key, value in fill(resnet18("encoder.")).items()}
        tensors = {
            key: value
            for key, value in tensors.items()
            if not key.endswith("num_batches_tracked") and ".fc." not in key
        }
        for name in ("X_10_Conv_1", "dispConvScale0"):
            for part, shape in (("weight", (2, 2, 3, 3)), ("bias", (2,))):
                key = f"convs.{name}.conv.{part}"
                tensors[f"depth.{key}"] = torch.from_numpy(synthetic.parameter(key, shape))
        return tensors

    def check(self, tensors):
        expected = self.expected()
        self.assertEqual(sorted(tensors), sorted(expected))
        for key, value in expected.items():
            self.assertEqual(tensors[key].dtype, np.float32)
            np.testing.assert_array_equal(tensors[key], value.numpy())

    def test_both_layouts(self):
        for encoder_options, depth_options in (({}, {}), (LEGACY, LEGACY), ({}, LEGACY)):
            tensors, metadata = self.convert(
                "--architecture", "hr_depth", *self.hr_depth(encoder_options, depth_options)
            )
            self.check(tensors)
            self.assertEqual(metadata["fathom.architecture"], "hr_depth")
            self.assertEqual(json.loads(metadata["fathom.config"]), {"input_width": 1024, "input_height": 320})

    def test_storages_of_a_gpu(self):
        for options in ({}, LEGACY):
            with mock.patch("torch.serialization.location_tag", lambda storage: "cuda:0"):
                files = self.hr_depth(options, options)
            with open(files[0], "rb") as file:
                self.assertIn(b"cuda:0", file.read())
            self.check(self.convert("--architecture", "hr_depth", *files)[0])

    def test_data_parallel(self):
        files = self.hr_depth()
        for name in files:
            contents = torch.load(name)
            torch.save(
                {f"module.{key}" if torch.is_tensor(value) else key: value for key, value in contents.items()}, name
            )
        self.check(self.convert("--architecture", "hr_depth", *files)[0])

    def test_a_prefix_that_only_some_names_have_is_part_of_them(self):
        path = self.save("mixed.pth", {f"module.{key}": torch.ones(1) for key in "ab"} | {"c": torch.ones(1)})
        self.assertEqual(sorted(convert.Source(path).tensors), ["c", "module.a", "module.b"])

    def test_a_second_name_with_other_values_is_refused(self):
        files = self.hr_depth()
        contents = torch.load(files[1])
        contents["decoder.20.conv.bias"] = contents["decoder.20.conv.bias"] + 1
        torch.save(contents, files[1])
        self.assertIn("decoder.20.conv.bias", self.refuse("--architecture", "hr_depth", *files))

    def test_torchvision_encoder(self):
        files = self.hr_depth()
        tensors = self.convert(
            "--architecture", "hr_depth", self.save("resnet18-f37072fd.pth", fill(resnet18())), files[1]
        )[0]
        self.assertEqual(sorted(tensors), sorted(self.expected()))

    def test_a_missing_file_of_the_two(self):
        files = self.hr_depth()
        self.assertIn("depth.convs.*", self.refuse("--architecture", "hr_depth", files[0]))
        self.assertIn("encoder.encoder.layer4", self.refuse("--architecture", "hr_depth", files[1]))

    def test_the_same_file_twice(self):
        files = self.hr_depth()
        self.assertIn("give one of them", self.refuse("--architecture", "hr_depth", files[0], *files))

    def test_another_network(self):
        files = self.hr_depth()
        self.assertIn("depth.decoder.*", self.refuse("--architecture", "monodepth2_resnet18", *files))
        stray = self.save("depth.pth", fill({"predictor.weight": (1, 2)}))
        self.assertIn("predictor.weight", self.refuse("--architecture", "hr_depth", files[0], stray))

    def test_unknown_architecture(self):
        self.assertIn("did you mean hr_depth", self.refuse("--architecture", "hr-depth", *self.hr_depth()))
        self.assertIn("fathom_weights list", self.refuse("--architecture", "zzz", *self.hr_depth()))

    def test_config(self):
        files = self.hr_depth()
        _, metadata = self.convert(
            "--architecture", "hr_depth", *files, "--config", '{"input_width": 640, "unit": "m"}'
        )
        self.assertEqual(json.loads(metadata["fathom.config"]), {"input_width": 640, "input_height": 320, "unit": "m"})
        os.unlink(self.path("out.safetensors"))
        self.assertIn(
            "input_hight", self.refuse("--architecture", "hr_depth", *files, "--config", '{"input_hight": 1}')
        )
        self.assertIn("not JSON", self.refuse("--architecture", "hr_depth", *files, "--config", "{"))
        self.assertIn("a JSON object", self.refuse("--architecture", "hr_depth", *files, "--config", "[]"))

    def test_stereo_training_gives_metres(self):
        encoder = fill(resnet18("encoder."))
        encoder.update(height=192, width=640, use_stereo=True)
        files = [
            self.save("encoder.pth", encoder),
            self.save("depth.pth", fill({"decoder.0.conv.conv.weight": (2, 2, 3, 3)})),
        ]
        _, metadata = self.convert("--architecture", "monodepth2_resnet18", *files)
        self.assertEqual(
            json.loads(metadata["fathom.config"]), {"input_width": 640, "input_height": 192, "unit": "m", "scale": 5.4}
        )

    def test_same_bytes_again(self):
        contents = []
        for order in (1, -1):
            self.convert("--architecture", "hr_depth", *self.hr_depth()[::order])
            with open(self.path("out.safetensors"), "rb") as file:
                contents.append(file.read())
        self.assertEqual(*contents)

    def test_a_failure_keeps_the_file_of_before(self):
        files = self.hr_depth()
        self.convert("--architecture", "hr_depth", *files)
        before = os.stat(self.path("out.safetensors")).st_mtime_ns, os.listdir(self.folder)
        with mock.patch("os.replace", side_effect=OSError(28, "No space left on device")):
            status, said = self.run_convert("--architecture", "hr_depth", *files)
        self.assertEqual(status, 1)
        self.assertIn("No space left", said)
        self.assertEqual(before, (os.stat(self.path("out.safetensors")).st_mtime_ns, os.listdir(self.folder)))

    def test_half(self):
        files = self.hr_depth()
        contents = torch.load(files[1])
        contents["convs.X_10_Conv_1.conv.weight"].mul_(1e6)
        torch.save(contents, files[1])
        tensors = self.convert("--architecture", "hr_depth", *files, "--half")[0]
        self.assertEqual(tensors["encoder.encoder.conv1.weight"].dtype, np.float16)
        self.assertEqual(tensors["encoder.encoder.bn1.running_var"].dtype, np.float32)
        self.assertEqual(tensors["depth.convs.X_10_Conv_1.conv.weight"].dtype, np.float32)  # beyond float16
        np.testing.assert_allclose(
            tensors["encoder.encoder.conv1.weight"], self.expected()["encoder.encoder.conv1.weight"], atol=1e-3
        )


class Graphs(Case):
    graph = {
        "version": 1,
        "inputs": [{"name": "image", "dtype": "u8"}],
        "nodes": [
            {
                "op": "Conv2d",
                "name": "a",
                "in": ["image"],
                "out": ["a"],
                "weight": "encoder.a.weight",
                "bias": "encoder.a.bias",
            },
            {"op": "Conv2d", "name": "b", "in": ["a"], "out": ["b"], "weight": "loose.weight"},
        ],
        "outputs": [{"name": "depth", "value": "b", "kind": "depth", "scale": 1}],
    }

    def write_graph(self, text):
        with open(self.path("net.json"), "w") as file:
            file.write(text)
        return self.path("net.json")

    def test_only_what_the_graph_names(self):
        encoder = fill({"a.weight": (2, 3, 1, 1), "a.bias": (2,), "training.only": (4,)})
        encoder["width"] = 320
        files = [self.save("encoder.pth", encoder), self.save("other.pth", fill({"loose.weight": (1, 2, 1, 1)}))]
        path = self.write_graph(json.dumps(self.graph, indent=2))
        tensors, metadata = self.convert("--graph", path, *files, "--config", '{"output": "depth"}')
        self.assertEqual(sorted(tensors), ["encoder.a.bias", "encoder.a.weight", "loose.weight"])
        self.assertEqual(json.loads(metadata["fathom.graph"]), self.graph)
        self.assertNotIn("fathom.architecture", metadata)
        self.assertEqual(json.loads(metadata["fathom.config"]), {"input_width": 320, "output": "depth"})
        self.assertIn("training.only", self.run_convert("--graph", path, *files)[1])
        os.rename(files[0], self.path("renamed.pth"))
        os.unlink(self.path("out.safetensors"))
        self.assertIn(
            "encoder.a.bias, encoder.a.weight", self.refuse("--graph", path, self.path("renamed.pth"), files[1])
        )
        self.convert("--graph", path, "encoder=" + self.path("renamed.pth"), files[1])

    def test_bad_graphs(self):
        file = self.save("encoder.pth", fill({"a.weight": (2, 3, 1, 1)}))
        self.assertIn("not JSON", self.refuse("--graph", self.write_graph("{"), file))
        self.assertIn("no list of nodes", self.refuse("--graph", self.write_graph("{}"), file))
        self.assertIn("No such file", self.refuse("--graph", self.path("absent.json"), file))


@unittest.skipUnless(
    os.environ.get("FATHOM_RT_MONODEPTH_S"),
    "skipped: FATHOM_RT_MONODEPTH_S names no folder with RT-MonoDepth-S's checkpoints",
)
class RealCheckpoint(Case):
    def test_rt_monodepth_s(self):
        import graph_to_torch

        folder = os.environ["FATHOM_RT_MONODEPTH_S"]
        graph = os.path.join(os.path.dirname(convert.__file__), "examples", "rt_monodepth_s.json")
        tensors, metadata = self.convert(
            "--graph", graph, *[os.path.join(folder, name) for name in ("encoder.pth", "depth.pth")]
        )
        self.assertEqual(json.loads(metadata["fathom.config"]), {"input_width": 640, "input_height": 192})
        image = np.rint(np.load(os.path.join(folder, "street_05_input.npy")) * 255).astype(np.uint8)
        with torch.no_grad():
            disparity = graph_to_torch.GraphModule(json.loads(metadata["fathom.graph"]), tensors)(
                torch.from_numpy(image)
            )[0].numpy()
        self.assertLess(np.abs(disparity - np.load(os.path.join(folder, "street_05_disp0.npy"))).max(), 1e-5)


if __name__ == "__main__":
    unittest.main()
