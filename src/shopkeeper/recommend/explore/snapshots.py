"""Which frozen policy draws for which scenario now: the newest snapshot, or what a policy knows before it has learned.

One reader a process; whoever learned, or saw in SQL that another did, hands the newest one in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shopkeeper import plugins
from shopkeeper.core.errors import Invalid
from shopkeeper.recommend.explore.asked import Exploring
from shopkeeper.recommend.explore.context import BIAS
from shopkeeper.recommend.explore.policy import Learner, Policy
from shopkeeper.stores.exploring import Learned

FAMILY = "policy"
Rows: TypeAlias = Callable[[Sequence[str]], NDArray[np.int32]]
"""Of item ids their rows, -1 where there is none."""


@dataclass(frozen=True)
class Bound:
    """A policy with the arms of this shop: `arms` int32 (items + 1,) by item row, -1 one that it has never seen; the
    last stands for all items that came later. `number` 0: nothing was learned yet."""

    policy: Policy
    number: int
    arms: NDArray[np.int32]

    def of(self, items: NDArray[np.int32]) -> NDArray[np.int32]:
        """Arms (k,) of item rows (k,)."""
        return self.arms.take(items, mode="clip")


class Snapshots:
    """Read on the loop; `take` may come from any thread: a reader sees one or the other."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._present: dict[tuple[str, str], Bound] = {}

    def of(self, scenario: str, asked: Exploring) -> Bound:
        """Raises Invalid for a policy that is not installed here."""
        found = self._present.get((scenario, asked.key))
        if found is None:
            found = self._present[scenario, asked.key] = Bound(begun(asked).snapshot(), 0, _NO_ARMS)
        return found

    def want(self, scenario: str, asked: Exploring) -> None:
        """It will draw here soon; one that is not installed will be missed then."""
        with suppress(Invalid):
            self.of(scenario, asked)

    def held(self) -> dict[tuple[str, str], int]:
        """By scenario and key the number of what draws now; 0: it has not learned yet."""
        return {key: bound.number for key, bound in list(self._present.items())}

    def take(self, learned: Learned, policy: Policy) -> None:
        """Newer than what is there, or nothing happens."""
        key = (learned.scenario, learned.key)
        found = self._present.get(key)
        if found is not None and found.number >= learned.number:
            return
        rows = self._rows(policy.arm_ids)
        arms = np.full(int(rows.max(initial=-1)) + 2, -1, dtype=np.int32)
        known = rows >= 0
        arms[rows[known]] = np.flatnonzero(known)
        self._present[key] = Bound(policy, learned.number, arms)


def policies() -> dict[str, Any]:
    """The algorithms of family `policy` by name."""
    return {name: one for name, one in plugins.load_all("algorithm").items() if one.family == FAMILY}


def trainer_of(name: str, field: str | None = None) -> Any:
    """Raises Invalid, naming what there is."""
    found = policies().get(name)
    if found is None:
        there = ", ".join(policies())
        raise Invalid(f"no policy {name[:64]!r}; there are: {there}", code="unknown_policy", field=field)
    return found


def begun(asked: Exploring) -> Learner:
    """A learner that has seen nothing. Raises Invalid for an unknown policy or parameter."""
    trainer = trainer_of(asked.policy)
    names = (BIAS, *asked.context)
    learner: Learner = trainer(plugins.read_params(trainer, dict(asked.params)), 0).begin(len(names), names)
    return learner


def restored(learned: Learned) -> Learner:
    """As it was left. Raises Invalid for a state that is not of this policy."""
    learner: Learner = trainer_of(learned.policy).learner.restore(learned.state)
    return learner


_NO_ARMS = np.full(1, -1, dtype=np.int32)
