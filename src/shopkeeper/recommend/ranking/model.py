"""What a ranker answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from shopkeeper.learning.tabular import Schema


@runtime_checkable
class Ranker(Protocol):
    """`score` takes float32 (n, f) in the order of `feature_names` and gives the probability (n,) that the item is
    taken. `defaults` (f,) stand for what is missing. Threads may share it.

    A ranker that reads texts has a `schema` too, which turns named values into those numbers.
    """

    feature_names: tuple[str, ...]
    defaults: NDArray[np.float32]

    def score(self, rows: NDArray[np.float32]) -> NDArray[np.float32]: ...

    def score_rows(self, rows: list[dict[str, Any]]) -> list[Any]: ...

    def save(self, folder: Path) -> None: ...


@runtime_checkable
class TwoForms(Protocol):
    """A ranker that keeps its weights twice, as float32 and as int8: one form answers, `other_form` does not."""

    @property
    def other_form(self) -> str: ...

    def score_by_other(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """As `score`."""
        ...


@runtime_checkable
class TellsTasks(Protocol):
    """A ranker that foretells several things of an item, by name: a scenario may aim at each of them."""

    @property
    def output_names(self) -> tuple[str, ...]: ...

    def score_tasks(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, f) -> (n, 1 + t): what `score` gives, then what is to be expected of each of `output_names`."""
        ...


def schema_of(model: Ranker) -> Schema:
    """How the model's rows are made: its own schema, or plain numbers by its names and defaults."""
    found = getattr(model, "schema", None)
    return found if isinstance(found, Schema) else Schema.of_numbers(model.feature_names, model.defaults)
