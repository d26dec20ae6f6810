"""Worlds in which bandits are measured: what every arm would bring in every round, drawn once for all who play."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

BERNOULLI = np.array([0.50, 0.38, 0.36, 0.34, 0.32, 0.30, 0.28, 0.26, 0.24, 0.22])
GAUSSIAN = np.array([0.60, 0.57, 0.55, 0.53, 0.50, 0.50, 0.47, 0.45, 0.43, 0.40])
NOISE = 0.1
LINEAR_ARMS, LINEAR_SIZE = 10, 5


@dataclass(frozen=True)
class World:
    """`rewards` (seeds, rounds, arms) and what they are on average, `means`; `contexts` (seeds, rounds, d) or None.
    `constant`: of the lower bound of Lai and Robbins, regret over ln(rounds); None: there is none so simple."""

    name: str
    rewards: Numbers
    means: Numbers
    contexts: Numbers | None = None
    constant: float | None = None

    @property
    def gaps(self) -> Numbers:
        """(seeds, rounds, arms): what is lost on average by choosing an arm."""
        return np.asarray(self.means.max(axis=2, keepdims=True) - self.means)


def bernoulli(seeds: int, rounds: int) -> World:
    """Each arm brings 1 with its chance, or nothing."""
    drawn = np.stack([np.random.default_rng([1, seed]).random((rounds, len(BERNOULLI))) for seed in range(seeds)])
    best, others = BERNOULLI[0], BERNOULLI[1:]
    apart = others * np.log(others / best) + (1 - others) * np.log((1 - others) / (1 - best))
    constant = float(((best - others) / apart).sum())
    return World("Bernoulli", (drawn < BERNOULLI).astype(np.float64), _always(BERNOULLI, drawn), None, constant)


def gaussian(seeds: int, rounds: int) -> World:
    """Normal around each arm's mean, cut off at 0 and 1, four deviations and more away."""
    shape = (rounds, len(GAUSSIAN))
    drawn = np.stack([np.random.default_rng([2, seed]).normal(GAUSSIAN, NOISE, shape) for seed in range(seeds)])
    constant = float((2 * NOISE**2 / (GAUSSIAN[0] - GAUSSIAN[1:])).sum())
    return World("Gaussian", np.clip(drawn, 0.0, 1.0), _always(GAUSSIAN, drawn), None, constant)


def linear(seeds: int, rounds: int) -> World:
    """Linear in a context of 1 and normal numbers, with weights of each arm that differ by seed, and normal noise."""
    contexts, means, rewards = [], [], []
    for seed in range(seeds):
        random = np.random.default_rng([3, seed])
        weights = random.normal(0, 0.3, (LINEAR_ARMS, LINEAR_SIZE))
        context = random.normal(0, 1, (rounds, LINEAR_SIZE))
        context[:, 0] = 1.0
        mean = context @ weights.T
        contexts.append(context)
        means.append(mean)
        rewards.append(mean + random.normal(0, 0.5, mean.shape))
    return World("linear", np.stack(rewards), np.stack(means), np.stack(contexts))


def ucb1_bound(gaps: Numbers, rounds: int) -> float:
    """What the regret of UCB1 can be at most; `gaps` (arms,)."""
    lost = gaps[gaps > 0]
    return float(8 * np.log(rounds) * (1 / lost).sum() + (1 + np.pi**2 / 3) * lost.sum())


def exp3_bound(arms: int, rounds: int) -> float:
    """What the regret of EXP3 can be at most with `exp3_gamma`."""
    return float(2 * np.sqrt(np.e - 1) * np.sqrt(rounds * arms * np.log(arms)))


def exp3_gamma(arms: int, rounds: int) -> float:
    return float(min(1.0, np.sqrt(arms * np.log(arms) / ((np.e - 1) * rounds))))


def _always(means: Numbers, like: Numbers) -> Numbers:
    return np.broadcast_to(means, like.shape)
