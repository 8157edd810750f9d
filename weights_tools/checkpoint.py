"""Reads PyTorch checkpoints as data: both layouts, no PyTorch needed, and nothing a file says is ever executed.

A checkpoint is a pickle that names tensors, and raw storages they are views of. Two layouts hold them:
    zip (PyTorch >= 1.6)      NAME/data.pkl, NAME/data/KEY for each storage
    legacy (before 1.6)       pickles: a magic number, version, platform, contents, the storages' keys; then storages
The pickle is read by an unpickler that knows tensors and plain containers and refuses every other name in it.
"""

import collections
import io
import os
import pickle
import struct
import zipfile

import numpy as np

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
STORAGE_DTYPES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
# Values of statistics and settings that stand beside the weights: read as nothing.
IGNORED = {("argparse", "Namespace"), ("numpy", "dtype"), ("numpy", "ndarray"), ("_codecs", "encode")} | {
    (f"numpy.{core}.multiarray", name) for core in ("core", "_core") for name in ("scalar", "_reconstruct")
}


class CheckpointError(ValueError):
    """A clause that follows the file's name."""


class Ignored:
    """Stands for a value that is not needed; takes whatever state the pickle gives it."""

    def __init__(self, *_):
        pass

    def __setstate__(self, state):
        pass


class Lazy:
    """A tensor whose storage may not be read yet: numbers `offset + sum(index * stride)` of a storage."""

    def __init__(self, storage, offset, shape, stride):
        self.storage, self.offset, self.shape, self.stride = (
            storage,
            int(offset),
            tuple(map(int, shape)),
            tuple(map(int, stride)),
        )

    def array(self, storages):
        dtype, key, begin, count = self.storage
        numbers = storages[key][begin : begin + count]
        if len(self.shape) != len(self.stride) or min(self.shape + self.stride + (self.offset, 0)) < 0:
            raise CheckpointError(f"holds a tensor with shape {self.shape} and strides {self.stride}")
        if 0 in self.shape:
            return np.empty(self.shape, numbers.dtype)
        last = self.offset + sum((n - 1) * s for n, s in zip(self.shape, self.stride))
        if last >= len(numbers):
            raise CheckpointError(
                f"holds a tensor of shape {self.shape} that reaches beyond its storage of {len(numbers)} numbers"
            )
        if np.prod(self.shape, dtype=object) > len(numbers):
            raise CheckpointError(f"holds an expanded tensor of shape {self.shape}: save a contiguous copy")
        strides = [s * numbers.itemsize for s in self.stride]
        view = np.lib.stride_tricks.as_strided(numbers[self.offset :], self.shape, strides, writeable=False)
        return bfloat16_to_float32(view) if dtype == "bfloat16" else np.ascontiguousarray(view).reshape(self.shape)


def bfloat16_to_float32(bits):
    return (bits.astype(np.uint32) << 16).view(np.float32)


def storage_array(dtype, data):
    return np.frombuffer(data, "<u2" if dtype == "bfloat16" else dtype)


class DataUnpickler(pickle._Unpickler):
    """Tensors and plain containers only. The C unpickler would fill as much memory as a memo number asks for."""

    def __init__(self, file):
        super().__init__(file, encoding="latin1")  # Python 2's byte strings
        self.storages = {}  # key -> (dtype, count)

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if module == "torch" and name in STORAGE_DTYPES:
            return STORAGE_DTYPES[name]
        if module == "torch._utils" and name in ("_rebuild_tensor", "_rebuild_tensor_v2"):
            return lambda storage, offset, shape, stride, *_: Lazy(storage, offset, shape, stride)
        if module == "torch._utils" and name == "_rebuild_parameter":
            return lambda data, *_: data
        if (module, name) == ("torch", "Size"):
            return tuple
        if (module, name) in IGNORED or module == "torch" and name in ("device", "dtype", "float32", "float16"):
            return Ignored
        if (module, name) in (("builtins", "set"), ("__builtin__", "set")):
            return set
        raise CheckpointError(
            f"holds the Python object {module}.{name}, which is refused: only tensors and plain values are read"
            " (load it where its code is and save the state_dict() alone)"
        )

    def persistent_load(self, reference):
        if not isinstance(reference, tuple) or not reference or reference[0] != "storage":
            raise CheckpointError("holds a whole pickled model: load it where its code is and save its state_dict()")
        _, dtype, key, _, count = reference[:5]  # the device is of no interest here
        view = reference[5] if len(reference) > 5 else None
        if not isinstance(dtype, str) or not isinstance(count, int) or count < 0:
            raise CheckpointError("holds a storage of an unknown kind")
        self.storages.setdefault(key, dtype)
        if view is not None:  # a part of another storage (before PyTorch 0.4)
            _, begin, count = view
            return dtype, key, begin, count
        return dtype, key, 0, count


def read_zip(file):
    archive = zipfile.ZipFile(file)
    names = {info.filename: info for info in archive.infolist()}
    folder = next((name[: -len("data.pkl")] for name in names if name.endswith("data.pkl")), None)
    if folder is None:
        raise CheckpointError("is a zip archive without data.pkl, not a PyTorch checkpoint")
    if f"{folder}constants.pkl" in names:
        raise CheckpointError("is a TorchScript program: load it with torch.jit.load and save its state_dict()")
    if names.get(f"{folder}byteorder") and archive.read(f"{folder}byteorder") != b"little":
        raise CheckpointError("was written on a big-endian machine: save it again on a little-endian one")

    def member(name):
        info = names.get(name)
        if info is None:
            raise CheckpointError(f"is not complete: {name} is missing in the archive")
        if info.compress_type != zipfile.ZIP_STORED:
            raise CheckpointError("is compressed, which PyTorch never does: save it again with torch.save")
        return archive.read(info)

    unpickler = DataUnpickler(io.BytesIO(member(f"{folder}data.pkl")))
    contents = unpickler.load()
    return contents, {
        key: storage_array(dtype, member(f"{folder}data/{key}")) for key, dtype in unpickler.storages.items()
    }


def read_legacy(file):
    def plain():
        return DataUnpickler(file).load()

    if plain() != LEGACY_MAGIC or plain() != 1001:
        raise CheckpointError("is a pickle, but not one that torch.save wrote")
    platform = plain()
    if isinstance(platform, dict) and not platform.get("little_endian", True):
        raise CheckpointError("was written on a big-endian machine: save it again on a little-endian one")
    unpickler = DataUnpickler(file)
    contents = unpickler.load()
    storages = {}
    for key in plain():
        dtype = unpickler.storages[key]
        width = storage_array(dtype, b"").itemsize
        head = file.read(8)
        count = struct.unpack("<q", head)[0] if len(head) == 8 else -1
        if count < 0 or count * width > os.fstat(file.fileno()).st_size - file.tell():
            raise CheckpointError("is not complete: it ends inside a storage")
        storages[key] = storage_array(dtype, file.read(count * width))
    return contents, storages


def resolve(value, storages):
    """Replaces tensors by arrays, in dictionaries within dictionaries; other values stay as they are."""
    if isinstance(value, Lazy):
        return value.array(storages)
    if isinstance(value, dict):
        return {key: resolve(item, storages) for key, item in dict.items(value)}
    return value


def load(path):
    """-> the dictionary that was saved, its tensors as NumPy arrays. Raises CheckpointError or OSError."""
    with open(path, "rb") as file:
        start = file.read(4)
        file.seek(0)
        try:
            if start == b"PK\x03\x04":
                contents, storages = read_zip(file)
            elif start[:1] == b"\x80":
                contents, storages = read_legacy(file)
            else:
                raise CheckpointError("is not a PyTorch checkpoint (neither a zip archive nor a pickle)")
            contents = resolve(contents, storages)
        except CheckpointError:
            raise
        except Exception as error:  # whatever a damaged pickle or archive leads to
            raise CheckpointError(f"is damaged ({type(error).__name__}: {error})") from None
    if not isinstance(contents, dict):
        raise CheckpointError(f"holds a {type(contents).__name__}, not a dictionary of parameters")
    return contents
