"""Logged rounds: what was offered, what was drawn with which chance, and what it brought."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid

LEAST_ROUNDS = 20
Floats = NDArray[np.float64]
Places = NDArray[np.int32]


@dataclass(frozen=True)
class PolicyRows:
    """n rounds in order of time, oldest first. One draw is one round.

    `arm_ids`: the k arms; all places below are places in it. `arm` (n,): what was drawn. `reward` (n,): what it
    brought, finite, in [0, 1] for most policies. `propensity` (n,): the chance in (0, 1] with which it was drawn.
    `context` (n, d), first number 1.0, or None: the rounds know nothing of who asked. `slot` (n,): place on the page,
    0 first. `cluster` (n,): rounds that belong together (a slate, a user) have one number, and are held out and
    resampled together. `time` (n,): microseconds. `pool` (n, m): the arms that could be drawn, filled up with -1;
    None: all k arms in every round. `greedy` (n,): the arm that would have stood there without exploring; None: it is
    not known. `context_names` (d,).
    """

    arm_ids: tuple[str, ...]
    arm: Places
    reward: Floats
    propensity: Floats
    slot: Places
    cluster: NDArray[np.int64]
    time: NDArray[np.int64]
    context: Floats | None = None
    pool: Places | None = None
    greedy: Places | None = None
    context_names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.arm)

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_] | slice) -> PolicyRows:
        """Some rounds; the arms keep their places."""
        return replace(
            self,
            arm=self.arm[rows],
            reward=self.reward[rows],
            propensity=self.propensity[rows],
            slot=self.slot[rows],
            cluster=self.cluster[rows],
            time=self.time[rows],
            context=None if self.context is None else self.context[rows],
            pool=None if self.pool is None else self.pool[rows],
            greedy=None if self.greedy is None else self.greedy[rows],
        )

    def offered(self, at: int) -> Places:
        """Places of the arms that could be drawn in round `at`."""
        if self.pool is None:
            return np.arange(len(self.arm_ids), dtype=np.int32)
        row: Places = self.pool[at]
        found: Places = row[row >= 0]
        return found

    def check(self) -> PolicyRows:
        """The rows themselves. Raises Invalid (`no_rounds`, `bad_propensity`, `bad_reward`, `bad_round`) where nothing
        right can be learned from or measured on them."""
        n, k = len(self.arm), len(self.arm_ids)
        if not n:
            raise Invalid("no logged round: let the shop explore first, or give a table with rounds", code="no_rounds")
        columns = (self.reward, self.propensity, self.slot, self.cluster, self.time)
        if any(len(column) != n for column in columns):
            raise Invalid(f"columns of rounds differ in length, expected {n} in each", code="bad_round")
        bad = ~(np.isfinite(self.propensity) & (self.propensity > 0) & (self.propensity <= 1))
        if bad.any():
            raise Invalid(
                f"{int(bad.sum()):,} rounds have a propensity that is no chance, the first is round "
                f"{int(bad.argmax())}: {self.propensity[bad.argmax()]}; expected a number above 0 and at most 1",
                code="bad_propensity",
                field="propensity",
            )
        bad = ~np.isfinite(self.reward)
        if bad.any():
            raise Invalid(
                f"{int(bad.sum()):,} rounds have no finite reward, the first is round {int(bad.argmax())}",
                code="bad_reward",
                field="reward",
            )
        if ((self.arm < 0) | (self.arm >= k)).any():
            raise Invalid(f"an arm lies outside of the {k} arms", code="bad_round", field="arm")
        if self.context is not None and (len(self.context) != n or not np.isfinite(self.context).all()):
            raise Invalid("contexts must be finite numbers, a row for each round", code="bad_round", field="context")
        if self.pool is not None:
            if (self.pool >= k).any():
                raise Invalid(f"a pool names an arm outside of the {k} arms", code="bad_round", field="pool")
            if not (self.pool == self.arm[:, None]).any(axis=1).all():
                raise Invalid("an arm was drawn that its pool does not offer", code="bad_round", field="pool")
        return self


@dataclass(frozen=True)
class LearnedRows(PolicyRows):
    """Rounds of a scenario with what its learner already knows: `state` of a learner of `policy`. A trainer makes a
    policy of the state and learns nothing."""

    policy: str = ""
    state: bytes = b""
