"""The reader of checkpoints: values as PyTorch stores them, and files as attackers would write them."""

import contextlib
import os
import pickle
import struct
import unittest
import zipfile
from collections import OrderedDict

from checkpoints import LEGACY, Case, fill, resnet18  # first: it finds weights_tools, and skips where there is no PyTorch

import numpy as np
import torch

import checkpoint
import safetensors_io
import synthetic


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


if __name__ == "__main__":
    unittest.main()
