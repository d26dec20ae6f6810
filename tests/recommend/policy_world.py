"""A world of rounds whose truth is known: pools of arms, two kinds of people, three places on the page."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shopkeeper.recommend.explore.rows import PolicyRows

ARMS = tuple(f"I{at}" for at in range(8))
BASE = np.array([0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5])
FALLS = np.array([1.0, 0.8, 0.6])
"""What is left of a chance at the first, second and third place."""


def worth(context: float) -> np.ndarray:
    """(8,) the chance of a reward at the first place; whoever has a context of 1 likes things the other way round."""
    return BASE[::-1] if context > 0 else BASE


@dataclass(frozen=True)
class Even:
    """Chances that grow with the number of the arm; of others than those known, evenly."""

    arm_ids: tuple[str, ...] = ARMS
    name = "even"
    contextual = False
    feature_names: tuple[str, ...] = ()

    def chances(self, arms, _context):
        weight = arms + 2.0
        return weight / weight.sum()

    def estimates(self, arms, _context):
        return np.full(len(arms), 0.2)


@dataclass(frozen=True)
class Knows:
    """Takes whatever the person likes best."""

    arm_ids: tuple[str, ...] = ARMS
    name = "knows"
    contextual = True
    feature_names: tuple[str, ...] = ("bias", "taste")

    def chances(self, arms, context):
        liked = worth(context[1])[arms]
        return (liked == liked.max()) / (liked == liked.max()).sum()

    def estimates(self, arms, context):
        return worth(context[1])[arms]


def rounds(n: int, seed: int = 1, *, tastes: bool = True, share: float = 0.5, pool: int = 5) -> PolicyRows:
    """n rounds, three to a slate: a pool of arms, of which the first is greedy and is shown with 1 - share."""
    random = np.random.default_rng(seed)
    pools = np.argsort(random.random((n, len(ARMS))), axis=1)[:, :pool].astype(np.int32)
    p = np.full(pool, share / pool)
    p[0] += 1 - share
    drawn = random.choice(pool, n, p=p)
    arm, slot = pools[np.arange(n), drawn], (np.arange(n) % 3).astype(np.int32)
    taste = np.where(random.random(n) < 0.5, 1.0, -1.0) if tastes else np.full(n, -1.0)
    chance = np.array([worth(each)[one] for each, one in zip(taste, arm, strict=True)]) * FALLS[slot]
    return PolicyRows(
        arm_ids=ARMS,
        arm=arm,
        reward=(random.random(n) < chance).astype(np.float64),
        propensity=p[drawn],
        slot=slot,
        cluster=np.arange(n) // 3,
        time=20_000 * 86_400_000_000 + np.arange(n, dtype=np.int64) * 1_000_000,
        context=np.column_stack([np.ones(n), taste]) if tastes else None,
        pool=np.column_stack([pools, np.full(n, -1, dtype=np.int32)]),
        greedy=pools[:, 0].copy(),
        context_names=("bias", "taste") if tastes else (),
    )


def truth(policy, rows: PolicyRows) -> float:
    """What the policy brings in these rounds, exactly."""
    total = 0.0
    for at in range(len(rows)):
        arms = rows.offered(at)
        context = None if rows.context is None else rows.context[at]
        taste = -1.0 if context is None else context[1]
        total += float(policy.chances(arms, context) @ worth(taste)[arms]) * FALLS[rows.slot[at]]
    return total / len(rows)
