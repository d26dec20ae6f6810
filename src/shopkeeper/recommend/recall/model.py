"""What a recall model answers: a number for every item it knows, from what a user has taken."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


@runtime_checkable
class RecallModel(Protocol):
    """Items are positions in `item_ids`, the artifact's own vocabulary.

    `half_life_days` says how fast a taken item loses weight (None: never). Items that a model does not know are absent
    from `item_ids`. Nothing here changes the model: threads may share it.
    """

    @property
    def feature_names(self) -> tuple[str, ...]: ...

    @property
    def item_ids(self) -> tuple[str, ...]: ...

    @property
    def half_life_days(self) -> float | None: ...

    def scores(self, items: NDArray[np.int32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n_items,) the higher the better, 0: nothing speaks for it. Taken `items` (m,), newest first, and `weights`."""
        ...

    def because(
        self, items: NDArray[np.int32], weights: NDArray[np.float32], wanted: NDArray[np.int32]
    ) -> NDArray[np.int32]:
        """For each of `wanted` (k,) the position in `items` that speaks most for it, -1 where none does."""
        ...

    def save(self, folder: Path) -> None: ...


def best(scores: NDArray[np.float32], n: int) -> NDArray[np.int32]:
    """Positions of the n highest scores above 0, best first; equal scores by position."""
    found = np.flatnonzero(scores > 0)
    if n <= 0 or not len(found):
        return np.empty(0, dtype=np.int32)
    values = scores[found]
    if n < len(found):
        # Ties at the border are cut by position, so that the same scores always give the same list.
        inside = values >= np.partition(values, len(found) - n)[len(found) - n]
        found, values = found[inside], values[inside]
    order = np.argsort(-values, kind="stable")[:n]
    return found[order].astype(np.int32)
