"""What policies keep that go by averages: how often an arm was chosen, and what it brought together."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from shopkeeper.recommend.explore.arms import Kept
from shopkeeper.recommend.explore.policy import Numbers

UNKNOWN = 0.5
"""Expected of an arm while nothing at all was learned; rewards lie between 0 and 1."""


def begin_counts() -> dict[str, Numbers]:
    return {"rounds": np.zeros(()), "reward": np.zeros(())}


def count(columns: Mapping[str, Numbers], arm: int, reward: float) -> None:
    columns["rounds"][arm] += 1.0
    columns["reward"][arm] += reward


def averages(kept: Kept) -> Numbers:
    """(n + 1,): average reward of each arm; of one that was never chosen, the average of all rounds."""
    rounds, reward = kept.columns["rounds"], kept.columns["reward"]
    total = rounds.sum()
    usual = reward.sum() / total if total else UNKNOWN
    return np.asarray(np.where(rounds > 0, reward / np.maximum(rounds, 1.0), usual))
