"""Named arrays as the file that `torch.load(path, weights_only=True)` reads as a dict of tensors; no torch is needed.

Such a file is a zip archive: the numbers of each tensor, and a pickle that builds the dict of them. That pickle is
written here opcode by opcode and names nothing but tensors. Nothing of ours ever reads one.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid

_STORAGE = {
    "float32": "FloatStorage",
    "float64": "DoubleStorage",
    "float16": "HalfStorage",
    "int64": "LongStorage",
    "int32": "IntStorage",
    "int16": "ShortStorage",
    "int8": "CharStorage",
    "uint8": "ByteStorage",
    "bool": "BoolStorage",
}
_NAME = "archive"
_EPOCH = (1980, 1, 1, 0, 0, 0)


def write_state(path: Path, tensors: Mapping[str, NDArray[Any]]) -> None:
    """The same arrays give the same bytes. Raises Invalid for a type that torch has no storage of."""
    arrays = {name: np.array(array, order="C", copy=None) for name, array in tensors.items()}
    for name, array in arrays.items():
        if array.dtype.name not in _STORAGE:
            raise Invalid(f"{name} holds {array.dtype.name}; expected {', '.join(_STORAGE)}", code="bad_tensor")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as made:
        _put(made, "data.pkl", _pickled(arrays))
        _put(made, "byteorder", b"little")
        for at, array in enumerate(arrays.values()):
            _put(made, f"data/{at}", array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
        _put(made, "version", b"3\n")


def _put(made: zipfile.ZipFile, name: str, content: bytes) -> None:
    made.writestr(zipfile.ZipInfo(f"{_NAME}/{name}", _EPOCH), content)


def _pickled(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """{name: tensor}, protocol 2."""
    parts = [b"\x80\x02}("]  # PROTO, EMPTY_DICT, MARK
    for at, (name, array) in enumerate(arrays.items()):
        parts += [_text(name), _tensor(at, array)]
    return b"".join((*parts, b"u."))  # SETITEMS, STOP


def _tensor(at: int, array: NDArray[Any]) -> bytes:
    """torch._utils._rebuild_tensor_v2(storage, 0, shape, strides, False, OrderedDict())"""
    storage = (
        b"(" + _text("storage") + _global("torch", _STORAGE[array.dtype.name])
        + _text(str(at)) + _text("cpu") + _whole(array.size) + b"tQ"
    )  # fmt: skip  # MARK ... TUPLE, BINPERSID
    strides = [step // array.itemsize for step in array.strides]
    hooks = _global("collections", "OrderedDict") + b")R"  # EMPTY_TUPLE, REDUCE
    given = storage + _whole(0) + _numbers(array.shape) + _numbers(strides) + b"\x89" + hooks  # NEWFALSE
    return _global("torch._utils", "_rebuild_tensor_v2") + b"(" + given + b"tR"


def _global(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def _text(value: str) -> bytes:
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def _whole(value: int) -> bytes:
    if value < 2**31:
        return b"J" + struct.pack("<i", value)
    raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw  # LONG1


def _numbers(values: Any) -> bytes:
    return b"(" + b"".join(_whole(int(value)) for value in values) + b"t"
