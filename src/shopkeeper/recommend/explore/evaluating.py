"""A policy judged on logged rounds: what it would have brought, beside what was there, evenly drawn arms, and the best
candidate without exploring."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import Report, silent
from shopkeeper.quality.offpolicy import Estimate, Estimator, Interval, Rounds, Support, estimate, support
from shopkeeper.recommend.explore.expected import CrossFitted, cross_fitted
from shopkeeper.recommend.explore.policy import FORGOTTEN, UNSEEN, Policy
from shopkeeper.recommend.explore.rows import Floats, Places, PolicyRows

_CELLS = 2_000_000
_KEPT = 4096


class Judging(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """How to judge. `most_weight` None: weights are not cut off. `interval`, `confidence`, `draws`: see `estimate`."""

    estimators: Annotated[tuple[Estimator, ...], msgspec.Meta(min_length=1, max_length=6)] = ("ips", "snips", "dr")
    most_weight: Annotated[float, msgspec.Meta(gt=0)] | None = None
    interval: Interval = "normal"
    confidence: Annotated[float, msgspec.Meta(gt=0.5, lt=1)] = 0.95
    draws: Annotated[int, msgspec.Meta(ge=100, le=10_000)] = 1000
    seed: int = 0


class Judgement(msgspec.Struct, kw_only=True, frozen=True):
    """`logged`: what was there. `random`: what arms drawn evenly from the same pools would have brought; `greedy`: the
    best candidate of each pool; None where the log does not show it."""

    estimates: list[Estimate]
    support: Support
    logged: Estimate
    random: Estimate | None
    greedy: Estimate | None


def judge(policy: Policy, rows: PolicyRows, judging: Judging | None = None, report: Report = silent) -> Judgement:
    """The policy as it is, without the share that goes to the best candidate and without a floor. Raises Invalid as
    `PolicyRows.check`, `Rounds.check` and the estimators, and what the policy raises for contexts it cannot read."""
    how = judging or Judging()
    fitted = cross_fitted(rows.check())
    rounds = rounds_of(policy, rows, fitted, report)
    even = rounds_of(None, rows, fitted)
    greedy = None if rows.greedy is None else _greedy(rows, even)
    beside: Estimator = "dr" if "dr" in how.estimators else how.estimators[0]
    return Judgement(
        estimates=[_asked(name, rounds, how) for name in dict.fromkeys(how.estimators)],
        support=support(rounds, how.most_weight),
        logged=_asked("logged", rounds, how),
        random=_told(beside, even, how),
        greedy=None if greedy is None else _told("snips", greedy, how),
    )


def rounds_of(
    policy: Policy | None, rows: PolicyRows, fitted: CrossFitted | None = None, report: Report = silent
) -> Rounds:
    """What a policy would have done in each round; None: draws evenly. Without `fitted` nothing is expected."""
    n, k = len(rows), len(rows.arm_ids)
    width = k if rows.pool is None else rows.pool.shape[1]
    step = max(_CELLS // width, 1)
    chooses = _Choice(policy, rows)
    seen = np.zeros(k + 1, dtype=np.bool_)  # the last: no arm
    seen[rows.arm] = True
    chance, outside, expected, value = (np.empty(n) for _ in range(4))
    for start in range(0, n, step):
        at = slice(start, min(start + step, n))
        pool = (
            np.broadcast_to(np.arange(k, dtype=np.int32), (at.stop - start, k)) if rows.pool is None else rows.pool[at]
        )
        chances = chooses.chances(at, pool, report)
        drawn = (pool == rows.arm[at, None]).argmax(axis=1)
        each = np.arange(len(pool))
        chance[at] = chances[each, drawn]
        outside[at] = (chances * ~seen[pool]).sum(axis=1)
        if fitted is not None:
            told = fitted.of(at, pool, rows.slot[at], None if rows.context is None else rows.context[at])
            expected[at], value[at] = told[each, drawn], (chances * told).sum(axis=1)
    return Rounds(
        reward=rows.reward,
        propensity=rows.propensity,
        chance=np.minimum(chance, 1.0),
        cluster=rows.cluster,
        expected=None if fitted is None else expected,
        value=None if fitted is None else value,
        outside=outside,
    )


class _Choice:
    """The chances of a policy over pools of rows; without context those of a pool that comes again are kept."""

    def __init__(self, policy: Policy | None, rows: PolicyRows) -> None:
        self._policy = policy
        self._rows = rows
        known = {} if policy is None else {arm: at for at, arm in enumerate(policy.arm_ids) if arm != FORGOTTEN}
        self._places = np.array([known.get(arm, UNSEEN) for arm in rows.arm_ids], dtype=np.int32)
        self._kept: dict[bytes, Floats] = {}

    def chances(self, at: slice, pool: Places, report: Report) -> Floats:
        """(n, m): 0 where there is no arm."""
        there = pool >= 0
        if self._policy is None:
            even: Floats = there / there.sum(axis=1, keepdims=True)
            return even
        found = np.zeros(pool.shape)
        context = self._rows.context if self._policy.contextual else None
        for row, arms in enumerate(pool):
            number = at.start + row
            if number % 1000 == 0:
                report(number, len(self._rows), message="asking the policy")
            its = there[row]
            found[row, its] = self._of(arms[its], None if context is None else context[number])
        return found

    def _of(self, arms: Places, context: Floats | None) -> Floats:
        assert self._policy is not None
        if context is not None or self._policy.contextual:
            return self._policy.chances(self._places[arms], context)
        key = arms.tobytes()
        if (kept := self._kept.get(key)) is None:
            kept = self._policy.chances(self._places[arms], None)
            if len(self._kept) < _KEPT:
                self._kept[key] = kept
        return kept


def _greedy(rows: PolicyRows, even: Rounds) -> Rounds:
    chance: NDArray[np.float64] = (rows.arm == rows.greedy).astype(np.float64)
    return Rounds(rows.reward, rows.propensity, chance, even.cluster)


def _asked(name: Estimator, rounds: Rounds, how: Judging) -> Estimate:
    return estimate(
        name,
        rounds,
        most_weight=how.most_weight,
        interval=how.interval,
        confidence=how.confidence,
        seed=how.seed,
        draws=how.draws,
    )


def _told(name: Estimator, rounds: Rounds, how: Judging) -> Estimate | None:
    try:
        return _asked(name, rounds, how)
    except Invalid:
        return None  # it stands beside: the log may show nothing of it


def estimate_of(estimates: Sequence[Estimate], name: Estimator) -> Estimate | None:
    return next((one for one in estimates if one.estimator == name), None)
