"""Open Inference Protocol tensors to rows, and outputs to tensors: the part that JSON and gRPC share.

Three ways in:

- one numeric tensor [rows, columns], e.g. `input0`: its columns are the model's features sorted by name;
- one BYTES tensor `features` [rows]: each element is a row as a JSON object;
- one tensor a feature, named after it, [rows] or [rows, 1].

Out: `output0` [rows] of numbers, [rows, size] of vectors, or [rows] of BYTES, each a list as JSON; a model that answers
several named numbers gives one tensor [rows] a name.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from itertools import chain
from math import prod
from typing import Any

import msgspec

from shopkeeper.api.body import DEPTH_LIMIT, decode, nesting
from shopkeeper.api.errors import Malformed
from shopkeeper.api.scoring import MOST_ROWS
from shopkeeper.core.errors import Invalid

MATRIX, FEATURES, OUTPUT = "input0", "features", "output0"
_INTEGERS = {
    f"{sign}{bits}": (0, 2**bits - 1) if sign == "UINT" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    for sign in ("UINT", "INT")
    for bits in (8, 16, 32, 64)
}
_TYPES: dict[str, frozenset[type]] = {
    "BOOL": frozenset({bool}),
    "BYTES": frozenset({str}),
    **dict.fromkeys(_INTEGERS, frozenset({int})),
    **dict.fromkeys(("FP16", "FP32", "FP64"), frozenset({int, float})),
}
_dumps = msgspec.json.Encoder().encode
_objects = msgspec.json.Decoder(dict[str, Any]).decode


class Tensor(msgspec.Struct):
    """`data` flat in row-major order, or nested as `shape` says."""

    name: str
    shape: list[int]
    datatype: str
    data: list[Any]


def rows_of(
    inputs: Sequence[Tensor], columns: Sequence[str], texts: frozenset[str] = frozenset()
) -> list[dict[str, Any]]:
    """The rows that the inputs are. `columns`: the model's features, `texts` those that are texts. Raises Invalid."""
    names = [one.name for one in inputs]
    if len(set(names)) != len(names):
        raise _wrong("inputs", "two tensors have the same name")
    if len(inputs) == 1 and names[0] not in columns:
        only = inputs[0]
        if only.datatype == "BYTES" and (only.name == FEATURES or not columns):
            return _rows_of_json(only)
        if len(only.shape) == 2:
            if texts:
                told = f"texts ({', '.join(sorted(texts))}) do not go into a matrix; send one tensor a feature"
                raise _wrong(only.name, f"{told}, or rows as JSON in a BYTES tensor {FEATURES!r}")
            return _rows_of_matrix(only, sorted(columns))
    return _rows_of_columns(inputs, columns)


def tensors_of(kind: str, outputs: list[Any]) -> list[Tensor]:
    """What a model answered to one row or more, as tensors. `kind` is of lifecycle/outputs.py."""
    rows = len(outputs)
    if kind == "object":
        return [Tensor(name, [rows], "FP64", [one[name] for one in outputs]) for name in outputs[0]]
    if kind == "vector":
        return [Tensor(OUTPUT, [rows, len(outputs[0])], "FP64", list(chain.from_iterable(outputs)))]
    if kind == "list":
        return [Tensor(OUTPUT, [rows], "BYTES", [_dumps(one).decode() for one in outputs])]
    return [Tensor(OUTPUT, [rows], "FP64", outputs)]


def chosen(tensors: list[Tensor], wanted: Sequence[str]) -> list[Tensor]:
    """The outputs that were asked for, in that order; all when none was. Raises Invalid."""
    if not wanted:
        return tensors
    there = {one.name: one for one in tensors}
    for name in wanted:
        if name not in there:
            raise _wrong("outputs", f"there is no output {name[:80]!r}; there are: {', '.join(there)}")
    return [there[name] for name in wanted]


def elements(tensor: Tensor) -> list[Any]:
    """The flat, checked elements. Raises Invalid when data, shape and datatype do not fit each other.

    Costs no more than the data that was sent, whatever the shape claims.
    """
    allowed = _TYPES.get(tensor.datatype)
    if allowed is None:
        raise _wrong(tensor.name, f"datatype {tensor.datatype[:40]!r} is not read here; use one of {', '.join(_TYPES)}")
    if not tensor.shape or min(tensor.shape) < 0:
        raise _wrong(tensor.name, f"shape {tensor.shape[:8]} must be one number or more, none below 0")
    flat = _flat(tensor)
    if strange := set(map(type, flat)) - allowed:
        found = ", ".join(sorted(kind.__name__ for kind in strange))
        raise _wrong(tensor.name, f"its data holds {found}, which {tensor.datatype} does not; null stands for nothing")
    if flat and (bounds := _INTEGERS.get(tensor.datatype)) and not bounds[0] <= min(flat) <= max(flat) <= bounds[1]:
        raise _wrong(tensor.name, f"its data holds a number that {tensor.datatype} cannot")
    return flat


def _flat(tensor: Tensor) -> list[Any]:
    data, shape = tensor.data, tensor.shape
    if not data or not isinstance(data[0], list):
        if len(data) != prod(shape):
            raise _wrong(tensor.name, f"its data has {len(data)} elements, shape {shape} says {prod(shape)}")
        return data
    if len(data) != shape[0]:
        raise _wrong(tensor.name, f"its data has {len(data)} rows, shape {shape} says {shape[0]}")
    for width in shape[1:]:
        if any(not isinstance(part, list) or len(part) != width for part in data):
            raise _wrong(tensor.name, f"its data is not nested as shape {shape} says")
        data = list(chain.from_iterable(data))
    return data


def _rows_of_json(tensor: Tensor) -> list[dict[str, Any]]:
    texts = elements(tensor)
    _check_count(len(texts))
    rows = []
    for at, text in enumerate(texts):
        try:
            rows.append(_row(text.encode()))
        except Malformed as error:
            raise _wrong(tensor.name, f"element {at} is not a JSON object: {error.message}") from error
    return rows


def _row(text: bytes) -> dict[str, Any]:
    """One object, by a decoder that is made once; what it cannot read is read again for its reason."""
    if nesting(text) <= DEPTH_LIMIT:
        with suppress(msgspec.DecodeError, UnicodeDecodeError):
            return _objects(text)
    return decode(text, dict[str, Any])


def _rows_of_matrix(tensor: Tensor, columns: list[str]) -> list[dict[str, Any]]:
    rows, width = tensor.shape
    if width != len(columns) or not columns:
        sorted_names = f"{len(columns)}, sorted by name: {', '.join(columns)}"
        expected = sorted_names if columns else f"rows as JSON in {FEATURES!r}"
        raise _wrong(tensor.name, f"it has {width} columns; this model expects {expected}")
    if tensor.datatype == "BYTES":
        raise _wrong(tensor.name, f"a matrix holds numbers; send rows as JSON in a BYTES tensor {FEATURES!r}")
    flat = elements(tensor)
    _check_count(rows)
    return [dict(zip(columns, flat[at : at + width], strict=True)) for at in range(0, len(flat), width)]


def _rows_of_columns(inputs: Sequence[Tensor], columns: Sequence[str]) -> list[dict[str, Any]]:
    if not inputs:
        raise _wrong("inputs", "there is no tensor")
    named: dict[str, list[Any]] = {}
    for tensor in inputs:
        if columns and tensor.name not in columns:
            raise _wrong(
                tensor.name,
                f"this is no feature of the model, nor a matrix [rows, {len(columns)}]; features are: "
                f"{', '.join(sorted(columns))}",
            )
        if len(tensor.shape) != 1 and tensor.shape[1:] != [1]:
            raise _wrong(tensor.name, f"shape {tensor.shape[:8]} of one feature must be [rows] or [rows, 1]")
        named[tensor.name] = elements(tensor)
    counts = {name: len(values) for name, values in named.items()}
    if len(set(counts.values())) > 1:
        raise _wrong("inputs", f"the tensors differ in rows: {', '.join(f'{n} {c}' for n, c in counts.items())[:400]}")
    _check_count(next(iter(counts.values())))
    return [dict(zip(named, values, strict=True)) for values in zip(*named.values(), strict=True)]


def _check_count(rows: int) -> None:
    """Before rows are made of them."""
    if rows == 0:
        raise Invalid("the inputs hold no row; send at least one", code="empty_data", field="inputs")
    if rows > MOST_ROWS:
        raise Invalid(f"the inputs hold {rows} rows, at most {MOST_ROWS} at once", code="too_many_rows", field="inputs")


def _wrong(name: str, what: str) -> Invalid:
    return Invalid(f"{name[:80]}: {what}", code="bad_tensor", field=name[:80])
