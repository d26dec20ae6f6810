"""What a ranker answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid


@runtime_checkable
class Ranker(Protocol):
    """`score` takes float32 (n, f) in the order of `feature_names` and gives the probability (n,) that the item is
    taken. `defaults` (f,) stand for what is missing. Threads may share it."""

    feature_names: tuple[str, ...]
    defaults: NDArray[np.float32]

    def score(self, rows: NDArray[np.float32]) -> NDArray[np.float32]: ...

    def score_rows(self, rows: list[dict[str, Any]]) -> list[Any]: ...

    def save(self, folder: Path) -> None: ...


def matrix_of(rows: list[dict[str, Any]], names: tuple[str, ...], defaults: NDArray[np.float32]) -> NDArray[np.float32]:
    """Named numbers as a matrix: what is missing or null takes its default, what is not known is ignored.

    Raises Invalid on a value that is not a finite number.
    """
    result = np.tile(defaults, (len(rows), 1)).astype(np.float32)
    for at, row in enumerate(rows):
        for column, name in enumerate(names):
            value = row.get(name)
            if value is not None:
                result[at, column] = _number(value, at, name)
    return result


def _number(value: Any, at: int, name: str) -> float:
    if isinstance(value, bool | int | float) and np.isfinite(value):
        return float(value)
    raise Invalid(
        f"row {at}: {name} is {str(value)[:60]!r}, expected a finite number",
        code="not_a_number",
        field=f"data[{at}].{name}",
    )
