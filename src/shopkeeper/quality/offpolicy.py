"""What a policy would have brought, told from rounds that another one drew and logged with their chances.

Of round i are known the reward r, the chance p with which what was shown had been drawn, the chance q with which the
policy in question would have drawn it, and the weight w = q / p. An estimate is a ratio of two sums over rounds:

    replay   sum q r / sum q            Li, Chu, Langford, Wang 2011; every arm must have been equally probable
    ips      sum w r / n                Horvitz, Thompson 1952; unbiased, the widest
    snips    sum w r / sum w            Swaminathan, Joachims 2015; a little bias, much narrower
    dr       sum (v + w (r - m)) / n    Dudik, Langford, Li 2011; m: what a model expects of what was shown, v: of the
                                        policy in that round; right where the propensities are, or the model is
    dm       sum v / n                  the model alone: no better than the model
    logged   sum r / n                  what was there

`most_weight` cuts weights off: less spread, and a value that is too low where rewards are positive. Rounds of one
cluster (a slate, a user) count as one observation in every interval.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid
from shopkeeper.quality.ratios import DRAWS, Ratio

Floats: TypeAlias = NDArray[np.float64]
Estimator: TypeAlias = Literal["replay", "ips", "snips", "dr", "dm", "logged"]
Interval: TypeAlias = Literal["normal", "bootstrap"]
ESTIMATORS: tuple[Estimator, ...] = get_args(Estimator)

WEAK = 100.0
"""A weight above this: what was shown is over a hundred times as probable under the policy as it was in the log."""
_CLOSE = 1e-6


@dataclass(frozen=True)
class Rounds:
    """n logged rounds, and what a policy would have done in them.

    `reward`, `propensity` (0, 1], `chance` [0, 1] are (n,). `cluster` (n,): numbers of what belongs together; None:
    every round is its own. `expected` (n,) and `value` (n,): what a model that did not learn from the round expects of
    what was shown, and of the policy. `outside` (n,): the part of the policy's choices that lies on arms which no round
    ever shows; None: it is not known.
    """

    reward: Floats
    propensity: Floats
    chance: Floats
    cluster: NDArray[np.int64] | None = None
    expected: Floats | None = None
    value: Floats | None = None
    outside: Floats | None = None

    def __len__(self) -> int:
        return len(self.reward)

    def weights(self, most: float | None = None) -> Floats:
        """(n,), none above `most`."""
        found: Floats = self.chance / self.propensity
        return found if most is None else np.minimum(found, most)

    def check(self) -> Rounds:
        """The rounds themselves. Raises Invalid: `no_rounds`, `bad_round`, `bad_propensity`, `bad_reward`,
        `bad_chance`, `no_overlap` (the policy would have shown nothing of what was shown)."""
        if not len(self.reward):
            raise Invalid("there is no logged round to judge a policy on", code="no_rounds")
        for name in ("propensity", "chance", "cluster", "expected", "value", "outside"):
            column = getattr(self, name)
            if column is not None and column.shape != self.reward.shape:
                raise Invalid(
                    f"{name} has the shape {column.shape}, expected {self.reward.shape}", code="bad_round", field=name
                )
        _within(self.propensity, "propensity", "a chance above 0 and at most 1", self.propensity > 0)
        _within(self.chance, "chance", "a chance from 0 to 1", self.chance >= 0)
        for name in ("reward", "expected", "value"):
            column = getattr(self, name)
            if column is not None and not np.isfinite(column).all():
                at = int((~np.isfinite(column)).argmax())
                raise Invalid(f"{name} of round {at} is {column[at]}, expected a finite number", code=f"bad_{name}",
                              field=name)  # fmt: skip
        if not (self.chance > 0).any():
            raise Invalid(
                "the policy would have shown nothing of what was shown: these rounds say nothing of it; let the shop "
                "explore with a share and a floor above 0",
                code="no_overlap",
            )
        return self


class Estimate(msgspec.Struct, kw_only=True, frozen=True):
    """A value with its interval at `confidence`; `error` is its standard error."""

    estimator: Estimator
    value: float
    low: float
    high: float
    error: float
    interval: Interval
    confidence: float


class Support(msgspec.Struct, kw_only=True, frozen=True):
    """How far the rounds carry a judgement.

    `effective`: as many rounds drawn by the policy itself would say as much (Kish: (sum w)^2 / sum w^2); `rewarded`:
    the same of rounds that brought anything, without which no interval says anything. `mean_weight` is 1, but for
    chance, where the log shows all that the policy shows; `unsupported`: the share of the policy's choices on arms that
    no round shows. `weak`: the share of rounds whose weight is above WEAK; `unused`: of rounds that the policy would
    never have shown; `clipped`: of rounds whose weight was cut off.
    """

    rounds: int
    clusters: int
    effective: float
    rewarded: float
    mean_weight: float
    most_weight: float
    unsupported: float
    weak: float
    unused: float
    clipped: float


@dataclass(frozen=True)
class Terms:
    """Of a ratio of two sums: (n,) each."""

    over: Floats
    under: Floats


def replay(rounds: Rounds) -> Terms:
    """Raises Invalid (`not_uniform`) where arms had unequal chances: then it would answer another question."""
    least, most = float(rounds.propensity.min()), float(rounds.propensity.max())
    if most - least > _CLOSE * most:
        raise Invalid(
            f"replay needs rounds in which all arms had the same chance, here propensities lie between {least:.3g} "
            f"and {most:.3g}; ask snips, which is the same where they are equal",
            code="not_uniform",
            field="estimators",
        )
    return Terms(rounds.chance * rounds.reward, rounds.chance)


def ips(rounds: Rounds, most_weight: float | None = None) -> Terms:
    return Terms(rounds.weights(most_weight) * rounds.reward, np.ones(len(rounds)))


def snips(rounds: Rounds, most_weight: float | None = None) -> Terms:
    weight = rounds.weights(most_weight)
    return Terms(weight * rounds.reward, weight)


def dr(rounds: Rounds, most_weight: float | None = None) -> Terms:
    """Raises Invalid (`no_model`) where nothing is expected."""
    expected, value = _model(rounds)
    return Terms(value + rounds.weights(most_weight) * (rounds.reward - expected), np.ones(len(rounds)))


def dm(rounds: Rounds) -> Terms:
    return Terms(_model(rounds)[1], np.ones(len(rounds)))


def logged(rounds: Rounds) -> Terms:
    return Terms(rounds.reward, np.ones(len(rounds)))


def terms(estimator: Estimator, rounds: Rounds, most_weight: float | None = None) -> Terms:
    """Raises Invalid (`unknown_estimator`), and as the estimator itself."""
    if estimator not in ESTIMATORS:
        raise Invalid(
            f"no estimator {estimator!r}; there are: {', '.join(ESTIMATORS)}",
            code="unknown_estimator",
            field="estimators",
        )
    if estimator in _WEIGHTED:
        return _WEIGHTED[estimator](rounds, most_weight)
    return _PLAIN[estimator](rounds)


_WEIGHTED: dict[Estimator, Callable[[Rounds, float | None], Terms]] = {"ips": ips, "snips": snips, "dr": dr}
_PLAIN: dict[Estimator, Callable[[Rounds], Terms]] = {"replay": replay, "dm": dm, "logged": logged}


def estimate(
    estimator: Estimator,
    rounds: Rounds,
    *,
    most_weight: float | None = None,
    interval: Interval = "normal",
    confidence: float = 0.95,
    seed: int = 0,
    draws: int = DRAWS,
) -> Estimate:
    """One estimate. `normal`: by the spread of the linearised ratio over clusters. `bootstrap`: percentiles of `draws`
    samples of whole clusters, drawn by `seed`. Raises Invalid as `Rounds.check` and the estimator."""
    if most_weight is not None and not most_weight > 0:
        raise Invalid(
            f"most_weight is {most_weight}, expected a number above 0", code="bad_option", field="most_weight"
        )
    found = terms(estimator, rounds.check(), most_weight)
    ratio = Ratio.of(found.over, found.under, rounds.cluster)
    if interval == "bootstrap":
        low, high = ratio.bootstrap(confidence, seed=seed, draws=draws)
    else:
        low, high = ratio.normal(confidence)
    return Estimate(
        estimator=estimator,
        value=ratio.value,
        low=low,
        high=high,
        error=ratio.error,
        interval=interval,
        confidence=confidence,
    )


def support(rounds: Rounds, most_weight: float | None = None) -> Support:
    """Raises Invalid as `Rounds.check`."""
    rounds.check()
    weight, whole = rounds.weights(most_weight), rounds.weights()
    n = len(rounds)
    return Support(
        rounds=n,
        clusters=n if rounds.cluster is None else len(np.unique(rounds.cluster)),
        effective=_effective(weight),
        rewarded=_effective(weight[rounds.reward != 0]),
        mean_weight=float(whole.mean()),
        most_weight=float(whole.max()),
        unsupported=0.0 if rounds.outside is None else float(rounds.outside.mean()),
        weak=float((whole > WEAK).mean()),
        unused=float((rounds.chance == 0).mean()),
        clipped=0.0 if most_weight is None else float((whole > most_weight).mean()),
    )


def _effective(weight: Floats) -> float:
    return float(weight.sum() ** 2 / (weight**2).sum()) if weight.any() else 0.0


def _model(rounds: Rounds) -> tuple[Floats, Floats]:
    if rounds.expected is None or rounds.value is None:
        raise Invalid("dr and dm need what a model expects of each round", code="no_model", field="estimators")
    return rounds.expected, rounds.value


def _within(column: Floats, name: str, expected: str, least: NDArray[np.bool_]) -> None:
    bad = ~(np.isfinite(column) & least & (column <= 1 + _CLOSE))
    if bad.any():
        at = int(bad.argmax())
        raise Invalid(
            f"{int(bad.sum()):,} of {len(column):,} rounds have a {name} that is none, the first is round {at}: "
            f"{column[at]}; expected {expected}",
            code=f"bad_{name}",
            field=name,
        )
