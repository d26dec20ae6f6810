"""What a policy would bring in a whole episode, told from episodes of steps that another one drew and logged.

Weighted per-decision importance sampling (Precup, Sutton, Singh, "Eligibility Traces for Off-Policy Policy Evaluation",
2000). Of step t in episode i are known the reward r, the chance p with which the action had been drawn and the chance q
with which the policy in question would have taken it; w(i, t) is the product of q / p of all steps up to t.

    value = sum over t of gamma^t * (sum over i of w(i, t) r(i, t)) / (sum over i of w(i, t))

An episode that has ended keeps its last weight and brings nothing more. What nobody followed far enough to see counts
as nothing. Weights grow with each step, so that the few longest episodes would drown all others: `cover` cuts episodes
off after the steps in which that share of all rewards fell, for the value and for what was logged alike. Intervals are
percentiles over whole episodes, drawn again (Efron 1979); those of `gain` draw the value and what was logged together,
so that what moves both alike widens nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid
from shopkeeper.quality.offpolicy import Floats

DRAWS = 1000
_AT_ONCE = 2_000_000


@dataclass(frozen=True)
class Episodes:
    """s logged steps, each (s,), those of an episode in order: `episode` numbers them, `reward`, `propensity` (0, 1] of
    the action, `chance` [0, 1] with which the policy in question would have taken it."""

    episode: NDArray[np.int64]
    reward: Floats
    propensity: Floats
    chance: Floats

    def check(self) -> Episodes:
        """Raises Invalid: `no_rounds`, `bad_round`, `bad_propensity`, `bad_chance`, `bad_reward`."""
        if not len(self.reward):
            raise Invalid("there is no logged episode to judge a policy on", code="no_rounds")
        for name in ("episode", "propensity", "chance"):
            if getattr(self, name).shape != self.reward.shape:
                raise Invalid(
                    f"{name} must have the shape of reward, {self.reward.shape}", code="bad_round", field=name
                )
        for name, least in (("propensity", self.propensity > 0), ("chance", self.chance >= 0)):
            column = getattr(self, name)
            if not (np.isfinite(column) & least & (column <= 1 + 1e-6)).all():
                raise Invalid(f"{name} holds what is no chance", code=f"bad_{name}", field=name)
        if not np.isfinite(self.reward).all():
            raise Invalid("reward holds what is no finite number", code="bad_reward", field="reward")
        return self


class EpisodeValue(msgspec.Struct, kw_only=True, frozen=True):
    """`value` of the policy an episode, `logged`: what episodes brought as they were, `gain` the difference, each with
    its interval, all of the first `horizon` steps. `effective`: as many episodes drawn by the policy itself would say
    as much (Kish, of the last weights), `rewarded` of those that brought anything. `error`: the spread of the value
    over draws."""

    value: float
    low: float
    high: float
    error: float
    logged: float
    gain: float
    gain_low: float
    gain_high: float
    horizon: int
    episodes: int
    steps: int
    effective: float
    rewarded: float
    most_weight: float


def per_decision(
    episodes: Episodes,
    *,
    gamma: float = 1.0,
    cover: float = 1.0,
    confidence: float = 0.95,
    draws: int = DRAWS,
    seed: int = 0,
) -> EpisodeValue:
    """Raises Invalid as `Episodes.check`, and `no_overlap` when the policy would have begun no episode as it began."""
    weights, rewards = _padded(episodes.check(), gamma)
    horizon = _horizon(np.abs(rewards).sum(axis=0), cover)
    weights, rewards = weights[:, :horizon], rewards[:, :horizon]
    if not weights[:, 0].any():
        raise Invalid(
            "the policy would have begun no episode as it began: these say nothing of it; draw a larger share of "
            "actions at random",
            code="no_overlap",
        )
    n = len(weights)
    earned, whole = weights * rewards, rewards.sum(axis=1)
    value, logged = _value(weights.sum(axis=0), earned.sum(axis=0)), float(whole.mean())
    values, means = _drawn(weights, earned, whole, draws, np.random.default_rng(seed))
    ends = [(1 - confidence) / 2, (1 + confidence) / 2]
    low, high = np.quantile(values, ends).tolist()
    gain_low, gain_high = np.quantile(values - means, ends).tolist()
    last = weights[:, -1]
    return EpisodeValue(
        value=float(value),
        low=low,
        high=high,
        error=float(values.std()),
        logged=logged,
        gain=float(value) - logged,
        gain_low=gain_low,
        gain_high=gain_high,
        horizon=horizon,
        episodes=n,
        steps=len(episodes.reward),
        effective=_effective(last),
        rewarded=_effective(last[whole != 0]),
        most_weight=float(weights.max()),
    )


def _padded(episodes: Episodes, gamma: float) -> tuple[Floats, Floats]:
    """Weights and discounted rewards (episodes, steps of the longest)."""
    _, row, lengths = np.unique(episodes.episode, return_inverse=True, return_counts=True)
    order = np.argsort(row, kind="stable")
    step = np.empty(len(row), dtype=np.int64)
    step[order] = np.arange(len(row)) - np.repeat(lengths.cumsum() - lengths, lengths)
    ratios, rewards = np.ones((len(lengths), lengths.max())), np.zeros((len(lengths), lengths.max()))
    ratios[row, step] = episodes.chance / episodes.propensity
    rewards[row, step] = episodes.reward * gamma**step
    return ratios.cumprod(axis=1), rewards


def _horizon(by_step: Floats, cover: float) -> int:
    """After how many steps that share of all rewards has fallen; where nothing was earned, all."""
    if cover >= 1.0 or not by_step.any():
        return len(by_step)
    return int((by_step.cumsum() < cover * by_step.sum()).sum()) + 1


def _value(under: Floats, over: Floats) -> Floats:
    """Of sums by step (..., steps)."""
    shares = np.divide(over, under, out=np.zeros_like(over), where=under > 0)
    found: Floats = shares.sum(axis=-1)
    return found


def _drawn(
    weights: Floats, earned: Floats, whole: Floats, draws: int, random: np.random.Generator
) -> tuple[Floats, Floats]:
    """The value and the mean of what was logged in each draw of whole episodes."""
    n = len(weights)
    at_once = max(_AT_ONCE // n, 1)
    values, means = [], []
    for start in range(0, draws, at_once):
        some = min(at_once, draws - start)
        times = np.stack([np.bincount(random.integers(0, n, n), minlength=n) for _ in range(some)]).astype(np.float64)
        values.append(_value(times @ weights, times @ earned))
        means.append(times @ whole / n)
    return np.concatenate(values), np.concatenate(means)


def _effective(weight: Floats) -> float:
    return float(weight.sum() ** 2 / (weight**2).sum()) if weight.any() else 0.0
