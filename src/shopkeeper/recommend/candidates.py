"""Candidates: the best of each channel up to its quota, fused into one list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopkeeper.recommend.channels import REPLAYED
from shopkeeper.recommend.recall.model import best


@dataclass(frozen=True)
class Quota:
    """At most `quota` candidates of a channel, whose places count `weight` times in the fusion."""

    channel: str
    quota: int
    weight: float = 1.0


# What a ranker gets beside the online features: how strongly each channel speaks, and how well these agree.
PREFIX = "recall_"
FUSED = "recall_fused"
COLUMNS = (*(PREFIX + name for name in REPLAYED), FUSED)
TOLD = (
    Quota("again", 100, 2.0),
    Quota("ease", 120, 1.0),
    Quota("item_knn", 80, 0.5),
    Quota("popularity", 60, 0.5),
    Quota("trending", 60, 0.5),
)
"""What `recall_fused` is made of, whatever a scenario asks for: a number means the same wherever a ranker reads it."""
_TOLD = {each.channel: each for each in TOLD}
_RANK_OFFSET = 20.0


@dataclass(frozen=True)
class Candidates:
    """k candidates in fused order, from c `channels`. `strength` float32 (k, c): a channel's score over its highest;
    `named` bool (k, c): within the channel's quota; `fused` float32 (k,): sum of weight / (20 + place) over the
    channels that named it, and `told` float32 (k,): the same by the quotas and weights of TOLD."""

    items: NDArray[np.int32]
    channels: tuple[str, ...]
    strength: NDArray[np.float32]
    named: NDArray[np.bool_]
    fused: NDArray[np.float32]
    told: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.items)

    def columns(self, names: Sequence[str] = COLUMNS) -> NDArray[np.float32]:
        """(k, len(names)) for a ranker, `names` out of COLUMNS; 0 for a channel that was not asked."""
        result = np.zeros((len(self), len(names)), dtype=np.float32)
        for at, name in enumerate(names):
            if name == FUSED:
                result[:, at] = self.told
            elif (channel := name.removeprefix(PREFIX)) in self.channels:
                result[:, at] = self.strength[:, self.channels.index(channel)]
        return result

    def channels_of(self, place: int) -> list[str]:
        """The channels that named the candidate at a place."""
        return [name for name, named in zip(self.channels, self.named[place].tolist(), strict=True) if named]

    def counts(self) -> dict[str, int]:
        """How many candidates each channel named."""
        return dict(zip(self.channels, self.named.sum(axis=0).tolist(), strict=True))


def fuse(
    scores: Mapping[str, NDArray[np.float32]],
    quotas: Sequence[Quota],
    allowed: NDArray[np.bool_] | None,
    most: int,
    orders: Mapping[str, NDArray[np.int32]] | None = None,
) -> Candidates:
    """Fuses channels by reciprocal places. `scores` of a channel and `allowed` are (n_items,). `orders` are what `best`
    may be told of some channels.

    A channel that is missing in `scores` names nothing. One without a quota names nothing either, yet its strength is
    told: a ranker may want it. What is not allowed takes no place of a quota.
    """
    by_name = {each.channel: each for each in quotas}
    channels = tuple(scores)
    n_items = max((len(values) for values in scores.values()), default=0)
    quota = [by_name[name].quota if name in by_name else 0 for name in channels]
    lists = []
    inside = np.zeros(n_items, dtype=np.bool_)
    for name, most_named in zip(channels, quota, strict=True):
        listed = best(scores[name], _depth(name, by_name), allowed, None if orders is None else orders.get(name))
        inside[listed[:most_named]] = True
        lists.append(listed)
    found = inside.nonzero()[0]
    position = np.empty(n_items, dtype=np.int32)  # of what is inside; the rest is never read
    position[found] = np.arange(len(found), dtype=np.int32)
    fused, told = (np.zeros(len(found), dtype=np.float32) for _ in range(2))
    named = np.zeros((len(channels), len(found)), dtype=np.bool_)
    strength = np.zeros((len(channels), len(found)), dtype=np.float32)
    for row, (name, listed, most_named) in enumerate(zip(channels, lists, quota, strict=True)):
        if not len(listed):
            continue
        values = scores[name]
        np.divide(values.take(found), float(values[listed[0]]), out=strength[row])
        at = position[listed[:most_named]]
        named[row, at] = True
        if most_named:
            fused[at] += by_name[name].weight * _SHARES[: len(at)]
        if name in _TOLD:
            wanted = _TOLD[name]
            shares = wanted.weight * _SHARES[: min(wanted.quota, len(listed))]
            if wanted.quota > most_named:  # then some of them may be no candidates
                listed = listed[: wanted.quota]
                known = inside[listed]
                told[position[listed[known]]] += shares[known]
            else:
                told[at[: wanted.quota]] += shares
    order = np.argsort(-fused, kind="stable")[:most]
    return Candidates(
        found[order].astype(np.int32),
        channels,
        strength[:, order].T,
        named[:, order].T,
        fused[order],
        told[order],
    )


def _depth(name: str, quotas: Mapping[str, Quota]) -> int:
    """How far down a channel's list is looked at; the first place tells its highest score."""
    wanted = max(each[name].quota if name in each else 1 for each in (quotas, _TOLD))
    return min(wanted, len(_SHARES))


_MOST_PLACES = 10_000
_SHARES = (1 / (_RANK_OFFSET + 1 + np.arange(_MOST_PLACES))).astype(np.float32)
"""What a place is worth. No quota reaches further."""
