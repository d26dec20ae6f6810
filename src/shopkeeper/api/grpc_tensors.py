"""Tensors of the gRPC form: typed contents or raw bytes in, and the same kind out.

Who sends raw bytes gets raw bytes: Triton's client reads nothing else.
"""

from __future__ import annotations

import struct
from math import isfinite, prod
from typing import Any

import numpy as np

from shopkeeper.api.tensors import Tensor
from shopkeeper.core.errors import Invalid

_CONTENTS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
_RAW = {
    "BOOL": "?", "INT8": "i1", "INT16": "<i2", "INT32": "<i4", "INT64": "<i8", "UINT8": "u1", "UINT16": "<u2",
    "UINT32": "<u4", "UINT64": "<u8", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8",
}  # fmt: skip


def tensors_in(request: Any) -> list[Tensor]:
    """The inputs of a ModelInferRequest, their elements as JSON would have them. Raises Invalid."""
    raw = list(request.raw_input_contents)
    if raw and len(raw) != len(request.inputs):
        raise _wrong("inputs", f"there are {len(raw)} raw contents for {len(request.inputs)} tensors")
    if raw and any(one.HasField("contents") for one in request.inputs):
        raise _wrong("inputs", "contents and raw_input_contents cannot be given together")
    return [_tensor(one, raw[at] if raw else None) for at, one in enumerate(request.inputs)]


def add_output(response: Any, tensor: Tensor, *, raw: bool) -> None:
    """An output of a ModelInferResponse, as raw or as typed contents."""
    output = response.outputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
    if raw:
        response.raw_output_contents.append(_packed(tensor))
    elif tensor.datatype == "BYTES":
        output.contents.bytes_contents.extend(text.encode() for text in tensor.data)
    else:
        getattr(output.contents, _CONTENTS[tensor.datatype]).extend(tensor.data)


def _tensor(given: Any, raw: bytes | None) -> Tensor:
    name, datatype = given.name, given.datatype
    if datatype not in (_CONTENTS if raw is None else {**_RAW, "BYTES": ""}):
        raise _wrong(
            name, f"datatype {datatype[:40]!r} is not read here" + ("" if raw else ", or only as raw contents")
        )
    shape = list(given.shape)
    data = list(getattr(given.contents, _CONTENTS[datatype])) if raw is None else _unpacked(name, datatype, shape, raw)
    if datatype == "BYTES":
        data = [_text(name, one) for one in data]
    elif datatype.startswith("FP") and not all(map(isfinite, data)):
        raise _wrong(name, "its data holds NaN or infinity; leave out what is missing: send rows as JSON")
    return Tensor(name, shape, datatype, data)


def _unpacked(name: str, datatype: str, shape: list[int], raw: bytes) -> list[Any]:
    if datatype == "BYTES":
        return _strings(name, raw)
    kind = np.dtype(_RAW[datatype])
    if len(raw) != prod(shape) * kind.itemsize:
        raise _wrong(
            name, f"its raw contents have {len(raw)} bytes, shape {shape[:8]} says {prod(shape) * kind.itemsize}"
        )
    values: list[Any] = np.frombuffer(raw, kind).tolist()
    return values


def _packed(tensor: Tensor) -> bytes:
    if tensor.datatype == "BYTES":
        texts = [text.encode() for text in tensor.data]
        return b"".join(struct.pack("<I", len(text)) + text for text in texts)
    return np.asarray(tensor.data, _RAW[tensor.datatype]).tobytes()


def _strings(name: str, raw: bytes) -> list[bytes]:
    """Each string stands behind its length, four bytes, little end first."""
    found, at = [], 0
    while at < len(raw):
        if at + 4 > len(raw):
            raise _wrong(name, "its raw contents end within a length")
        (size,) = struct.unpack_from("<I", raw, at)
        at += 4 + size
        if at > len(raw):
            raise _wrong(name, "its raw contents end within a string")
        found.append(raw[at - size : at])
    return found


def _text(name: str, one: bytes) -> str:
    try:
        return one.decode()
    except UnicodeDecodeError as error:
        raise _wrong(name, "its data holds bytes that are not UTF-8") from error


def _wrong(name: str, what: str) -> Invalid:
    return Invalid(f"{name[:80]}: {what}", code="bad_tensor", field=name[:80])
