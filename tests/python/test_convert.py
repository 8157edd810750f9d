"""convert.py on checkpoints as PyTorch writes them, and as attackers would."""

import contextlib
import io
import json
import os
import pickle
import re
import struct
import sys
import tempfile
import unittest
import zipfile
from collections import OrderedDict
from unittest import mock

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "weights_tools"))

try:
    import numpy as np
    import torch
except ImportError as error:
    raise unittest.SkipTest(f"skipped: {error} (the tests of convert.py write their checkpoints with PyTorch)")

import checkpoint
import convert
import families
import safetensors_io
import synthetic

PARTS = ("hr_depth", "lite_hr_depth", "monodepth2", "pose")  # come in files of one part each
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


class HRDepth(Case):
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


class OtherFamilies(Case):
    def test_pose(self):
        files = [
            self.save("pose_encoder.pth", fill(resnet18("encoder."))),
            self.save("pose.pth", fill({f"net.{n}.{part}": (2,) for n in range(4) for part in ("weight", "bias")})),
        ]
        tensors = self.convert("--architecture", "pose_resnet18", *files)[0]
        self.assertIn("pose_encoder.encoder.layer4.1.bn2.weight", tensors)
        self.assertIn("pose.net.3.bias", tensors)
        cnn = self.save("pose.pth", fill({"net.6.weight": (2, 2, 3, 3), "pose_conv.bias": (6,)}))
        self.assertEqual(
            sorted(self.convert("--architecture", "pose_cnn", cnn)[0]), ["pose.net.6.weight", "pose.pose_conv.bias"]
        )

    def test_rside_as_pytorch_03_wrote_it(self):
        old = {
            "module.E.features.conv0.weight": (2, 3, 7, 7),
            "module.D.conv.weight": (2, 2, 1, 1),
            "module.MFF.bn.weight": (2,),
            "module.R.conv2.bias": (1,),
        }
        for part, shape in (
            ("norm.1.running_mean", (2,)),
            ("conv.1.weight", (2, 2, 1, 1)),
            ("norm.2.bias", (2,)),
            ("conv.2.weight", (2, 2, 3, 3)),
        ):
            old[f"module.E.features.denseblock3.denselayer36.{part}"] = shape
        tensors = self.convert("--architecture", "rside_densenet161", self.save("model_densenet", fill(old), **LEGACY))[
            0
        ]
        layer = "E.features.denseblock3.denselayer36."
        self.assertEqual(
            sorted(tensors),
            sorted(
                [
                    "E.features.conv0.weight",
                    "D.conv.weight",
                    "MFF.bn.weight",
                    "R.conv2.bias",
                    layer + "norm1.running_mean",
                    layer + "conv1.weight",
                    layer + "norm2.bias",
                    layer + "conv2.weight",
                ]
            ),
        )
        np.testing.assert_array_equal(
            tensors[layer + "conv2.weight"], synthetic.parameter(f"module.{layer}conv.2.weight", (2, 2, 3, 3))
        )

    def test_cadene_senet_as_initialisation(self):
        senet = self.save(
            "senet154-c7b49a05.pth",
            fill(
                {
                    "layer0.conv1.weight": (2, 3, 3, 3),
                    "layer2.7.se_module.fc1.bias": (2,),
                    "last_linear.weight": (10, 2),
                }
            ),
        )
        self.assertIn("D.*, MFF.*, R.*", self.refuse("--architecture", "rside_senet154", senet))
        self.assertIn("up1.*, up2.*", self.refuse("--architecture", "drnet_senet154", senet))
        rest = self.save("rest.pth", fill({"D.conv.weight": (2, 2), "MFF.bn.weight": (2,), "R.conv2.bias": (1,)}))
        tensors = self.convert("--architecture", "rside_senet154", senet, rest)[0]
        self.assertIn("E.base.2.7.se_module.fc1.bias", tensors)
        self.assertNotIn("last_linear", " ".join(tensors))

    def test_fill(self):
        shapes = {
            "backbone.conv1.weight": (2, 3, 7, 7),
            "backbone.layer3.5.bn3.weight": (2,),
            "up1.0.0.weight": (2, 2, 1, 1),
            "up2.5.bias": (1,),
        }
        base = {key: synthetic.parameter(key, shape) for key, shape in shapes.items()}
        safetensors_io.write(self.path("base"), base, {"fathom.architecture": "drnet_resnet50"})
        given = {
            "conv1.weight": (2, 3, 7, 7),
            "layer3.5.bn3.weight": (2,),
            "fc.bias": (10,),
            "bn1.num_batches_tracked": (),
        }
        backbone = self.save("resnet50.pth", fill(given))
        arguments = ["--architecture", "drnet_resnet50", backbone, "--fill", self.path("base")]
        status, said = self.run_convert(*arguments)
        self.assertEqual(status, 0)
        self.assertIn("2 tensors from", said)
        tensors = safetensors_io.read(self.path("out.safetensors"))[0]
        self.assertEqual(sorted(tensors), sorted(shapes))
        np.testing.assert_array_equal(
            tensors["backbone.conv1.weight"], synthetic.parameter("conv1.weight", (2, 3, 7, 7))
        )
        np.testing.assert_array_equal(tensors["up2.5.bias"], base["up2.5.bias"])
        os.unlink(self.path("out.safetensors"))
        torch.save(fill({**given, "conv1.weight": (2, 3, 3, 3)}), backbone)
        self.assertIn("(2, 3, 3, 3)", self.refuse(*arguments))
        torch.save(fill({**given, "layer4.0.conv9.weight": (2, 3, 3, 3)}), backbone)
        self.assertIn("layer4.0.conv9.weight", self.refuse(*arguments))
        self.assertIn("not a drnet_resnet152", self.refuse("--architecture", "drnet_resnet152", *arguments[2:]))

    def test_umich(self):
        state = fill(
            {
                "encoder.backbone.features.18.0.weight": (2, 2, 1, 1),
                "encoder.backbone.classifier.1.bias": (10,),
                "decoder.conv3.bias": (1,),
                "encoder.backbone.features.0.1.num_batches_tracked": (),
            }
        )
        stats = {"loss": [np.float64(0.25), 1.0], "best": np.arange(3.0)}
        for options in ({}, LEGACY):
            file = self.save("checkpoint.tar", {"epoch": 7, "state_dict": state, "stats": stats}, **options)
            tensors = self.convert("--architecture", "umich_mobilenetv2", file)[0]
            self.assertEqual(sorted(tensors), ["decoder.conv3.bias", "encoder.backbone.features.18.0.weight"])

    def test_refinenet(self):
        shapes = {
            "layer1.0.weight": (2, 3, 3, 3),
            "layer8.0.output.2.1.bias": (2,),
            "conv_adapt4.weight": (2, 2, 1, 1),
            "crp1.0.1_outvar_dimred.weight": (2, 1, 1, 1),
            "pre_segm.weight": (2, 1, 1, 1),
            "segm.bias": (40,),
            "depth.bias": (1,),
        }
        surface = {"normal.bias": (3,), "pre_normal.weight": (2, 1, 1, 1)}
        tensors = self.convert(
            "--architecture", "refinenet_mobilenetv2", self.save("mtrf.ckpt", fill({**shapes, **surface}))
        )[0]
        self.assertEqual(sorted(tensors), sorted(shapes))

    def test_every_architecture_keeps_its_own_names(self):
        for name, architecture in families.ARCHITECTURES.items():
            for need in architecture.needs:
                self.assertEqual(families.place(architecture, need + "weight"), need + "weight", name)

    def test_every_architecture_places_its_official_keys(self):
        """The key lists that the networks' builders are tested by: every key stays, or is one that nothing reads."""
        folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden", "keys")
        lists = sorted(os.listdir(folder))
        self.assertTrue(lists)
        for file_name in lists:
            name = file_name.removesuffix(".txt")
            architecture = families.find(name)
            with open(os.path.join(folder, file_name), encoding="utf-8") as file:
                keys = [line.split()[0] for line in file if line.strip()]
            placed = {key: families.place(architecture, key) for key in keys}
            for key, place in placed.items():
                if place is None:
                    self.assertRegex(key, r"num_batches_tracked$|\.(fc|classifier)\.|X_0[0-3]_Conv_0", name)
                else:
                    self.assertEqual(place, key, name)
                official = (
                    re.sub(r"^(pose_encoder|encoder(?=\.encoder)|depth|pose)\.", "", key)
                    if name.startswith(PARTS)
                    else key
                )
                self.assertEqual(families.place(architecture, official), place, f"{name}: {official}")
            for need in architecture.needs:
                self.assertTrue(any(place and place.startswith(need) for place in placed.values()), f"{name}: {need}")


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


class Tensors(Case):
    """Whatever views and types PyTorch can store are read as PyTorch reads them."""

    def test_views_and_types(self):
        base = torch.arange(60, dtype=torch.float32)
        contents = OrderedDict(
            slice=base[7:19],
            matrix=base.view(3, 20)[:, ::2].t(),
            channels_last=torch.rand(2, 5, 3, 4).to(memory_format=torch.channels_last),
            double=torch.rand(3, dtype=torch.float64),
            half=torch.rand(4, 2).half(),
            brain=torch.randn(5, 3).bfloat16().t(),
            empty=torch.empty(0, 3),
            scalar=torch.tensor(2.5),
            whole=torch.arange(5),
            parameter=torch.nn.Parameter(torch.rand(2, 2)),
            flag=torch.tensor([True, False]),
        )
        for options in ({}, LEGACY):
            loaded = checkpoint.load(self.save("t.pth", contents, **options))
            for key, value in contents.items():
                value = value.detach()
                expected = value.float().numpy() if value.dtype == torch.bfloat16 else value.numpy()
                self.assertEqual(loaded[key].shape, tuple(value.shape), key)
                self.assertEqual(loaded[key].dtype, expected.dtype, key)
                np.testing.assert_array_equal(loaded[key], expected, key)

    def test_safetensors_round_trip(self):
        tensors = {
            "b": np.arange(6, dtype=np.float16).reshape(2, 3),
            "a": np.ones((2, 1), np.float32),
            "c": np.zeros((), np.int64),
            "d": np.arange(3, dtype=np.uint8),
            "ü": np.zeros((0, 2), np.float32),
        }
        safetensors_io.write(self.path("t.safetensors"), tensors, {"note": "ä"})
        loaded, metadata = safetensors_io.read(self.path("t.safetensors"))
        self.assertEqual(metadata, {"note": "ä"})
        for name, array in tensors.items():
            self.assertEqual((loaded[name].dtype, loaded[name].shape), (array.dtype, array.shape))
            np.testing.assert_array_equal(loaded[name], array)

    def test_synthetic_values(self):
        self.assertEqual(
            synthetic.parameter("encoder.conv1.weight", (4,))[0],
            np.float32(0.5 + 0.25 * synthetic.uniform("encoder.conv1.weight", 1)[0]),
        )
        np.testing.assert_allclose(
            synthetic.uniform("encoder.conv1.weight", 4), [0.933756, 0.5681273, -0.14451921, -0.3249191], rtol=1e-6
        )
        self.assertEqual(synthetic.image(5, 7).shape, (5, 7, 3))


class Evil:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


class Hostile(Case):
    """Nothing a file says is executed, and every damage is one sentence."""

    def load_error(self, name):
        with self.assertRaises((checkpoint.CheckpointError, OSError)) as caught:
            checkpoint.load(self.path(name))
        return str(caught.exception)

    def test_code_is_refused(self):
        mark = self.path("executed")
        for call in (
            (os.system, f"touch {mark}"),
            (eval, f"open({mark!r}, 'w')"),
            (getattr, "", "join"),
            (torch.load, mark),
        ):
            for options in ({}, LEGACY, {**LEGACY, "pickle_protocol": 4}):
                self.save("evil.pth", {"a.weight": torch.ones(2), "b": Evil(*call)}, **options)
                self.assertIn("which is refused", self.load_error("evil.pth"))
                self.assertIn("which is refused", self.refuse("--architecture", "hr_depth", self.path("evil.pth")))
        self.assertFalse(os.path.exists(mark))

    def test_whole_models_and_programs(self):
        for options in ({}, LEGACY):
            self.save("model.pth", torch.nn.Linear(2, 2), **options)
            self.assertIn("state_dict()", self.load_error("model.pth"))
        torch.jit.script(torch.nn.Linear(2, 2)).save(self.path("script.pt"))
        self.assertIn("TorchScript", self.load_error("script.pt"))

    def test_not_a_checkpoint(self):
        for name, contents, words in (
            ("empty", b"", "not a PyTorch checkpoint"),
            ("text", b"<html>404</html>", "not a PyTorch checkpoint"),
            ("pickle", pickle.dumps({"a": 1}, 2), "not one that torch.save wrote"),
            ("mark", b"\x80\x02", "is damaged"),
        ):
            with open(self.path(name), "wb") as file:
                file.write(contents)
            self.assertIn(words, self.load_error(name))
        with zipfile.ZipFile(self.path("zip"), "w") as archive:
            archive.writestr("readme.txt", "hello")
        self.assertIn("without data.pkl", self.load_error("zip"))
        self.assertIn("cannot read", self.refuse("--architecture", "hr_depth", self.folder))
        self.assertIn("No such file", self.refuse("--architecture", "hr_depth", self.path("absent.pth")))
        self.save("list.pth", [torch.ones(2)])
        self.assertIn("holds a list", self.load_error("list.pth"))
        self.save("nothing.pth", {"epoch": 3})
        self.assertIn("no parameters", self.refuse("--architecture", "hr_depth", self.path("nothing.pth")))

    def test_a_number_that_asks_for_memory(self):
        for opcode in (
            b"r\xfe\xff\xff\x7f",
            b"B\xff\xff\xff\x7f",
            b"\x8d" + b"\xff" * 7 + b"\x00",
            b"\x95" + b"\xff" * 7 + b"\x00",
        ):
            data = b"".join(
                pickle.dumps(plain, 2) for plain in (checkpoint.LEGACY_MAGIC, 1001, {"little_endian": True})
            )
            with open(self.path("large.pth"), "wb") as file:
                file.write(data + b"\x80\x04}" + opcode + b".")
            self.load_error("large.pth")

    def test_truncated_anywhere(self):
        for options in ({}, LEGACY):
            whole = self.save("whole.pth", fill(resnet18()), **options)
            with open(whole, "rb") as file:
                data = file.read()
            for length in [*range(0, 600, 7), *range(600, len(data), max(1, len(data) // 60))]:
                with open(self.path("cut.pth"), "wb") as file:
                    file.write(data[:length])
                self.load_error("cut.pth")

    def test_damaged_bytes(self):
        for options in ({}, LEGACY):
            whole = self.save("whole.pth", fill({"a.weight": (2, 3), "a.bias": (2,)}), **options)
            with open(whole, "rb") as file:
                data = bytearray(file.read())
            random = np.random.default_rng(1)
            for _ in range(400):
                damaged = bytearray(data)
                damaged[random.integers(len(data))] = random.integers(256)
                with open(self.path("damaged.pth"), "wb") as file:
                    file.write(damaged)
                with contextlib.suppress(checkpoint.CheckpointError):  # any other exception fails the test
                    checkpoint.load(self.path("damaged.pth"))

    def craft(self, tensor_arguments, numbers=4):
        """A legacy file whose one tensor has these (offset, shape, stride) over `numbers` floats."""

        class Storage:
            pass

        class Writer(pickle.Pickler):
            def persistent_id(self, value):
                return (
                    ("storage", torch.FloatStorage, "0", "cpu", numbers, None) if isinstance(value, Storage) else None
                )

        class Tensor:
            def __reduce__(self):
                return torch._utils._rebuild_tensor_v2, (Storage(), *tensor_arguments, False, OrderedDict())

        with open(self.path("crafted.pth"), "wb") as file:
            for plain in (checkpoint.LEGACY_MAGIC, 1001, {"little_endian": True}):
                pickle.dump(plain, file, 2)
            Writer(file, 2).dump({"t.weight": Tensor()})
            pickle.dump(["0"], file, 2)
            file.write(struct.pack("<q4f", 4, 1, 2, 3, 4))

    def test_views_beyond_their_storage(self):
        self.craft((1, (3,), (1,)))
        np.testing.assert_array_equal(checkpoint.load(self.path("crafted.pth"))["t.weight"], [2, 3, 4])
        for arguments in (
            (2, (3,), (1,)),
            (0, (5,), (1,)),
            (0, (2, 2), (1, 3)),
            (-1, (2,), (1,)),
            (3, (2,), (-1,)),
            (0, (2,), (1, 1)),
            (2**62, (2,), (2**62,)),
            (0, (2**40,), (0,)),
            (0, (2**32, 2**32), (0, 0)),
            (0, (-1,), (1,)),
        ):
            self.craft(arguments)
            self.load_error("crafted.pth")

    def test_absurd_storage(self):
        self.craft((0, (4,), (1,)))
        with open(self.path("crafted.pth"), "rb") as file:
            data = file.read()
        for count in (-1, 5, 2**40, 2**62):
            with open(self.path("crafted.pth"), "wb") as file:
                file.write(data[:-24] + struct.pack("<q", count) + data[-16:])
            self.assertIn("inside a storage", self.load_error("crafted.pth"))


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
