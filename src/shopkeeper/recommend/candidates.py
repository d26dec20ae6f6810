"""Candidates: the best of each channel up to its quota, fused into one list."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopkeeper.recommend.channels import CHANNELS, REPLAYED
from shopkeeper.recommend.recall.model import best

# What a ranker gets beside the online features: how strongly each channel speaks, and the fused strength.
COLUMNS = (*(f"recall_{name}" for name in REPLAYED), "recall_fused")
_RANK_OFFSET = 20.0


@dataclass(frozen=True)
class Quota:
    """At most `quota` candidates of a channel, whose places count `weight` times in the fusion."""

    channel: str
    quota: int
    weight: float = 1.0


@dataclass(frozen=True)
class Candidates:
    """k candidates in fused order. `strength` float32 (k, len(CHANNELS)): a channel's score over its highest;
    `named` bool of that shape: within the channel's quota; `fused` float32 (k,): sum of weight / (20 + place), and
    `replayed` float32 (k,) the same of those channels only that a training can ask."""

    items: NDArray[np.int32]
    strength: NDArray[np.float32]
    named: NDArray[np.bool_]
    fused: NDArray[np.float32]
    replayed: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.items)

    def columns(self) -> NDArray[np.float32]:
        """(k, len(COLUMNS)) for a ranker."""
        return np.column_stack([self.strength[:, : len(REPLAYED)], self.replayed])

    def channels_of(self, place: int) -> list[str]:
        """The channels that named the candidate at a place."""
        return [name for name, named in zip(CHANNELS, self.named[place].tolist(), strict=True) if named]


def fuse(
    scores: Mapping[str, NDArray[np.float32]],
    quotas: tuple[Quota, ...],
    allowed: NDArray[np.bool_] | None,
    most: int,
) -> Candidates:
    """Fuses channels by reciprocal places. `scores` of a channel and `allowed` are (n_items,).

    A channel that is missing in `scores` names nothing. What is not allowed takes no place of a quota.
    """
    masked = {name: values if allowed is None else np.where(allowed, values, 0) for name, values in scores.items()}
    lists = {each.channel: best(masked[each.channel], each.quota) for each in quotas if each.channel in masked}
    found, position = _union(lists.values())
    fused, replayed = (np.zeros(len(found), dtype=np.float32) for _ in range(2))
    named = np.zeros((len(found), len(CHANNELS)), dtype=np.bool_)
    strength = np.zeros((len(found), len(CHANNELS)), dtype=np.float32)
    for each in quotas:
        if each.channel not in lists:
            continue
        column = CHANNELS.index(each.channel)
        listed = lists[each.channel]
        at = position[listed]
        share = each.weight / (_RANK_OFFSET + 1 + np.arange(len(listed), dtype=np.float32))
        fused[at] += share
        if each.channel in REPLAYED:
            replayed[at] += share
        named[at, column] = True
        values = masked[each.channel]
        top = float(values[listed[0]]) if len(listed) else 0.0
        if top > 0:
            strength[:, column] = values[found] / top
    order = np.argsort(-fused, kind="stable")[:most]
    return Candidates(found[order].astype(np.int32), strength[order], named[order], fused[order], replayed[order])


def _union(lists: Iterable[NDArray[np.int32]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(distinct items (k,) in order of their row, the place of each item row among them)."""
    arrays = list(lists)
    inside = np.zeros(max((int(each.max(initial=-1)) for each in arrays), default=-1) + 1, dtype=np.bool_)
    for each in arrays:
        inside[each] = True
    return np.flatnonzero(inside), np.cumsum(inside) - 1
