"""Safetensors files, read and written with NumPy alone: 8 bytes of header length, a JSON header, the tensors' bytes."""

import json
import os
import struct
import tempfile

import numpy as np

DTYPES = {"F32": np.float32, "F16": np.float16, "U8": np.uint8, "I64": np.int64}
NAMES = {np.dtype(dtype): name for name, dtype in DTYPES.items()}
MAX_HEADER_BYTES = 100_000_000


def write(path, tensors, metadata=None):
    """Writes {name: array}, the same bytes for the same contents, and appears under `path` only when complete.

    Wider elements come first, names in order within a width: every tensor is then aligned to its element.
    """
    header, offset = {}, 0
    if metadata:
        header["__metadata__"] = dict(sorted(metadata.items()))
    order = sorted(tensors, key=lambda name: (-tensors[name].dtype.itemsize, name))
    for name in order:
        array = tensors[name]
        header[name] = {
            "dtype": NAMES[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [offset, offset + array.nbytes],
        }
        offset += array.nbytes
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    handle, unfinished = tempfile.mkstemp(dir=os.path.dirname(os.path.abspath(path)), prefix=".", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(struct.pack("<Q", len(text)) + text)
            for name in order:
                file.write(np.ascontiguousarray(tensors[name]).data)
            file.flush()
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(unfinished, 0o666 & ~mask)  # as open() would have made it
        os.replace(unfinished, path)
    except BaseException:
        os.unlink(unfinished)
        raise


def read(path):
    """-> ({name: array}, {metadata}). Raises ValueError with one clause that says what is wrong."""
    with open(path, "rb") as file:
        data = file.read()
    if len(data) < 8:
        raise ValueError("is too short for a safetensors file")
    (length,) = struct.unpack_from("<Q", data)
    if length > MAX_HEADER_BYTES or 8 + length > len(data):
        raise ValueError(f"has a header of {length} bytes, more than the file holds")
    try:
        header = json.loads(data[8 : 8 + length])
        metadata = header.pop("__metadata__", {})
        body, tensors = memoryview(data)[8 + length :], {}
        for name, entry in header.items():
            begin, end = entry["data_offsets"]
            if not 0 <= begin <= end <= len(body):
                raise ValueError(f"'{name}' lies outside the file")
            tensors[name] = np.frombuffer(body[begin:end], DTYPES[entry["dtype"]]).reshape(entry["shape"])
    except (KeyError, TypeError, AttributeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"has a header that is not safetensors ({type(error).__name__}: {error})") from None
    return tensors, metadata
