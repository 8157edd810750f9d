"""convert.py on the checkpoints of each family of networks: every key finds its place."""

import os
import re
import unittest

from checkpoints import LEGACY, Case, fill, resnet18  # first: it finds weights_tools, and skips where there is no PyTorch

import numpy as np
import torch

import families
import safetensors_io
import synthetic

PARTS = ("hr_depth", "lite_hr_depth", "monodepth2", "pose")  # come in files of one part each


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


if __name__ == "__main__":
    unittest.main()
