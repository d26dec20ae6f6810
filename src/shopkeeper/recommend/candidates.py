"""Candidates: the best of each channel up to its quota, fused into one list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shopkeeper.recommend.channels import REPLAYED
from shopkeeper.recommend.fusing import FUSE
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
_NONE = Quota("", 0, 0.0)
_NO_ITEMS = np.empty(0, dtype=np.int64)
_RANK_OFFSET = 20.0


@dataclass(frozen=True)
class Candidates:
    """k candidates in fused order, from c `channels`. `strength` float32 (k, c): a channel's score over its highest;
    `named` bool (k, c): within the channel's quota; `fused` float32 (k,): sum of weight / (20 + place) over the
    channels that named it, and `told` float32 (k,): the same by the quotas and weights of TOLD.

    What a ranker reads, `strength` and `told`, is of a channel's highest score and places among all items, allowed or
    not: so it says the same in every scenario, and in training."""

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
    told: a ranker may want it. What is not allowed takes no place of a quota, and keeps its place in what a ranker is
    told.
    """
    by_name = {each.channel: each for each in quotas}
    channels = tuple(scores)
    n_items = max((len(values) for values in scores.values()), default=0)
    fits = FUSE.form is not None and all(len(v) == n_items and v.dtype == np.float32 for v in scores.values())
    if fits:
        parts = _in_a_loop(scores, by_name, allowed, n_items)
    else:
        parts = _by_numpy(scores, by_name, allowed, n_items, orders or {})
    found, strength, named, fused, told = parts
    order = np.argsort(-fused, kind="stable")[:most]
    return Candidates(found[order], channels, strength[:, order].T, named[:, order].T, fused[order], told[order])


_Parts: TypeAlias = tuple[
    NDArray[np.int32], NDArray[np.float32], NDArray[np.bool_], NDArray[np.float32], NDArray[np.float32]
]
"""k candidates by their position (k,), strength and named (c, k), fused and told (k,)."""


def _in_a_loop(
    scores: Mapping[str, NDArray[np.float32]],
    quotas: Mapping[str, Quota],
    allowed: NDArray[np.bool_] | None,
    n_items: int,
) -> _Parts:
    """The same as `_by_numpy`, sooner. Only when FUSE is compiled."""
    assert FUSE.form is not None
    stacked = np.empty((len(scores), n_items), dtype=np.float32)
    for row, values in zip(stacked, scores.values(), strict=True):
        row[:] = values
    asked = [quotas.get(name, _NONE) for name in scores]
    told = [_TOLD.get(name, _NONE) for name in scores]
    parts: _Parts = FUSE.form(
        stacked,
        stacked.view(np.int32),
        np.ones(n_items, dtype=np.bool_) if allowed is None else allowed,
        np.array([each.quota for each in asked], dtype=np.int64),
        np.array([_depth(name, quotas) for name in scores], dtype=np.int64),
        np.array([each.weight for each in asked], dtype=np.float32),
        np.array([each.quota for each in told], dtype=np.int64),
        np.array([each.weight for each in told], dtype=np.float32),
        _SHARES,
    )
    return parts


def _by_numpy(
    scores: Mapping[str, NDArray[np.float32]],
    quotas: Mapping[str, Quota],
    allowed: NDArray[np.bool_] | None,
    n_items: int,
    orders: Mapping[str, NDArray[np.int32]],
) -> _Parts:
    channels = tuple(scores)
    quota = [quotas[name].quota if name in quotas else 0 for name in channels]
    lists = []
    inside = np.zeros(n_items, dtype=np.bool_)
    for name, most_named in zip(channels, quota, strict=True):
        listed = best(scores[name], _depth(name, quotas), allowed, orders.get(name))
        inside[listed[:most_named]] = True
        lists.append(listed)
    hidden = _NO_ITEMS if allowed is None else (~allowed).nonzero()[0]
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
        np.divide(values.take(found), float(values.max()), out=strength[row])
        at = position[listed[:most_named]]
        named[row, at] = True
        if most_named:
            fused[at] += quotas[name].weight * _SHARES[: len(at)]
        if name in _TOLD:
            wanted = _TOLD[name]
            listed = listed[: wanted.quota]
            place = _among_all(values, listed, hidden)
            told_of = inside[listed] & (place < wanted.quota)
            told[position[listed[told_of]]] += wanted.weight * _SHARES[place[told_of]]
    return found.astype(np.int32), strength, named, fused, told


def _among_all(values: NDArray[np.float32], listed: NDArray[np.int32], hidden: NDArray[Any]) -> NDArray[np.int64]:
    """The place (m,) of each of `listed` (m,), the best first, once the `hidden` stand between them."""
    ahead = hidden[values.take(hidden) >= values[listed[-1]]]
    if not len(ahead):
        return np.arange(len(listed))
    both = np.concatenate([listed, ahead])
    place = np.empty(len(both), dtype=np.int64)
    place[np.lexsort((both, -values.take(both)))] = np.arange(len(both))
    return place[: len(listed)]


def _depth(name: str, quotas: Mapping[str, Quota]) -> int:
    """How far down a channel's list is looked at; the first place tells its highest score."""
    wanted = max(each[name].quota if name in each else 1 for each in (quotas, _TOLD))
    return min(wanted, len(_SHARES))


_MOST_PLACES = 10_000
_SHARES = (1 / (_RANK_OFFSET + 1 + np.arange(_MOST_PLACES))).astype(np.float32)
"""What a place is worth. No quota reaches further."""
