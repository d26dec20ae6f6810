"""What a recall model answers: a number for every item it knows, from what a user has taken."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

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
        """(n_items,) the higher the better, 0: nothing speaks for it. Taken `items` (m,), newest first, `weights`."""
        ...

    def because(
        self, items: NDArray[np.int32], weights: NDArray[np.float32], wanted: NDArray[np.int32]
    ) -> NDArray[np.int32]:
        """For each of `wanted` (k,) the position in `items` that speaks most for it, -1 where none does."""
        ...

    def save(self, folder: Path) -> None: ...


@runtime_checkable
class ReadsTraits(Protocol):
    """A recall model that also reads what is said of a user."""

    def scores_for(
        self, features: Mapping[str, Any], items: NDArray[np.int32], weights: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """As `scores`, for somebody of whom `features` are known by name. Raises Invalid for one it cannot read."""
        ...


def best(
    scores: NDArray[np.float32],
    n: int,
    allowed: NDArray[np.bool_] | None = None,
    order: NDArray[np.int32] | None = None,
) -> NDArray[np.int32]:
    """Positions of the n highest scores above 0 among the allowed ones, best first; equal scores by position.

    `order`: the positions of all scores above 0 in that order, where somebody has them already.
    """
    if n <= 0:
        return _NOTHING
    if order is not None:
        return _first(order, n, allowed)
    positive = scores > 0
    if allowed is not None:
        positive &= allowed
    found = positive.nonzero()[0]
    values = scores.take(found)
    if 10 * n < len(found):
        # Every eighth value tells about where the border lies; most of the others need not be put in order.
        some = values[::8].copy()
        at = max(len(some) - n * 3 // 16 - 8, 0)
        some.partition(at)
        likely = values >= some[at]
        if np.count_nonzero(likely) >= n:
            found, values = found[likely], values[likely]
    if n < len(found):
        # Ties at the border are cut by position, so that the same scores always give the same list.
        parted = values.copy()
        parted.partition(len(found) - n)
        inside = values >= parted[len(found) - n]
        found, values = found[inside], values[inside]
    return found[(-values).argsort(kind="stable")[:n]].astype(np.int32)


def ordered(scores: NDArray[np.float32]) -> NDArray[np.int32]:
    """What `best` takes as `order`."""
    return best(scores, len(scores))


def _first(order: NDArray[np.int32], n: int, allowed: NDArray[np.bool_] | None) -> NDArray[np.int32]:
    if allowed is None:
        return order[:n]
    head = order[: 2 * n]
    kept = head[allowed[head]]
    if len(kept) < n:
        kept = order[allowed[order]]
    return kept[:n]


_NOTHING = np.empty(0, dtype=np.int32)
