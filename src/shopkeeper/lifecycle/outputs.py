"""What a row scorer answers for one row, and whether what it gave is that.

A model says it as facts on its class: `output` is `number` (the default), `vector` (a list of numbers), `object` (a
dict of numbers, one a task) or `list` (of any length: ids, nearest first). `output_names` are an object's keys and
`output_size` a vector's length; without them every row has to agree with the first one.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any, Literal, cast, get_args

from shopkeeper.core.errors import Unavailable

Kind = Literal["number", "vector", "object", "list"]
KINDS: tuple[str, ...] = get_args(Kind)


def kind_of(model: Any) -> Kind:
    """Raises Unavailable (`bad_output`) when the model names a kind that there is not."""
    kind = getattr(model, "output", "number")
    if kind not in KINDS:
        raise _wrong(type(model).__name__, f"says its output is {kind!r}; there are: {', '.join(KINDS)}")
    return cast(Kind, kind)


def check_outputs(name: str, model: Any, outputs: Sequence[Any], rows: int) -> Kind:
    """The kind of `outputs`, which are one for each of `rows`, of that kind, and finite. Raises Unavailable."""
    kind = kind_of(model)
    if not isinstance(outputs, list):
        raise _wrong(name, f"gave {type(outputs).__name__} where a list of outputs belongs")
    if len(outputs) != rows:
        raise _wrong(name, f"gave {len(outputs)} outputs for {rows} rows")
    if kind == "number":
        _check_numbers(name, outputs)
    elif kind == "vector":
        _check_vectors(name, outputs, getattr(model, "output_size", None))
    elif kind == "object":
        _check_objects(name, outputs, getattr(model, "output_names", None))
    else:
        _check_all(name, outputs, list, "a list")
    return kind


def flattened(kind: str, outputs: list[Any], *, strict: bool = False) -> list[Any]:
    """As older clients know it: the vector of exactly one row stands for itself, without a list around it."""
    return list(outputs[0]) if kind == "vector" and len(outputs) == 1 and not strict else outputs


def _check_numbers(name: str, values: Sequence[Any]) -> None:
    for kind in set(map(type, values)) - {float, int}:  # exactly these: numpy's numbers are none of JSON's
        raise _wrong(name, f"gave {kind.__name__} where a float or an int belongs")
    if not all(map(isfinite, values)):
        raise _wrong(name, "gave NaN or infinity")


def _check_vectors(name: str, outputs: Sequence[Any], size: int | None) -> None:
    _check_all(name, outputs, list, "a vector")
    for vector in outputs:
        size = len(vector) if size is None else size
        if len(vector) != size:
            raise _wrong(name, f"gave a vector of {len(vector)} numbers, expected {size}")
        _check_numbers(name, vector)


def _check_objects(name: str, outputs: Sequence[Any], names: Sequence[str] | None) -> None:
    _check_all(name, outputs, dict, "named numbers")
    for one in outputs:
        names = list(one) if names is None else names
        if set(one) != set(names):
            raise _wrong(name, f"gave {sorted(map(str, one))}, expected {sorted(names)}")
        _check_numbers(name, list(one.values()))


def _check_all(name: str, outputs: Sequence[Any], kind: type, spoken: str) -> None:
    for one in outputs:
        if not isinstance(one, kind):
            raise _wrong(name, f"gave {type(one).__name__} where {spoken} belongs")


def _wrong(name: str, what: str) -> Unavailable:
    return Unavailable(f"model {name!r} {what}", code="bad_output")
