"""The stage of a slate that explores: some of its slots are drawn by a policy from the next best candidates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from shopkeeper.recommend.explore.asked import Exploring
from shopkeeper.recommend.explore.context import ContextReader
from shopkeeper.recommend.explore.drawing import Draws, draw
from shopkeeper.recommend.explore.explored import Explored
from shopkeeper.recommend.explore.snapshots import Bound


class Newest(Protocol):
    def of(self, scenario: str, asked: Exploring, /) -> Bound: ...


class Stage:
    """Used on the loop."""

    def __init__(self, newest: Newest, reader: ContextReader) -> None:
        self._newest = newest
        self._reader = reader

    def explore(
        self,
        scenario: str,
        asked: Exploring,
        items: NDArray[np.int32],
        n: int,
        slate_id: str,
        *,
        user: int,
        now: int,
        context: Mapping[str, Any],
        personal: bool,
        late: Callable[[], bool] = lambda: False,
    ) -> tuple[list[int], Explored | None]:
        """Which of the candidates (item rows `items` (k,), best first) are shown at the first `n` places, and what of
        it was drawn; None: nothing. Raises what the policy raises."""
        bound = self._newest.of(scenario, asked)
        policy, vector = bound.policy, None
        if policy.contextual or asked.context:
            vector = self._reader.read(asked.context, user=user, now=now, context=context, personal=personal)
        seen = vector if policy.contextual else None
        draws = draw(bound.of(items), n, asked, lambda arms: policy.chances(arms, seen), slate_id, late)
        return draws.order, _explored(bound, draws, items, asked, vector)


def _explored(
    bound: Bound, draws: Draws, items: NDArray[np.int32], asked: Exploring, vector: NDArray[np.float64] | None
) -> Explored | None:
    if not draws.slots:
        return None
    pools = np.full((len(draws.slots), max(len(pool) for pool in draws.pools)), -1, dtype=np.int32)
    for row, pool in zip(pools, draws.pools, strict=True):
        row[: len(pool)] = items[pool]
    drawn = items[[draws.order[slot] for slot in draws.slots]].astype(np.int32)
    names = () if vector is None else ("bias", *asked.context)
    slots, chances = tuple(draws.slots), np.array(draws.chances)
    return Explored(asked, bound.number, slots, drawn, pools, chances, names, vector)
