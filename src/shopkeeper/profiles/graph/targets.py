"""What a graph model is to foresee: links from users to items that came after a moment, and what it then could know.

Links are learned and measured in windows: the edges before the window's first moment are the messages, the new links
within it the targets. No edge is ever both at once, and nothing is older than what it is to foretell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Conflict
from shopkeeper.profiles.graph.hetero import NO_TIME, HeteroGraph
from shopkeeper.profiles.graph.schema import USER, GraphSchema, Relation

AVERSE = frozenset({"return", "refund", "cancel", "dislike", "unlike", "remove", "unsubscribe"})
"""Relations that say what somebody does not want: messages, never targets."""


def target_relations(schema: GraphSchema) -> tuple[Relation, ...]:
    """Links from users to items that are worth foreseeing."""
    return tuple(r for r in schema.forward if r.source == USER and r.target != USER and r.name not in AVERSE)


@dataclass(frozen=True)
class Links:
    """Pairs of one kind of item, each once: `user` and `item` int32 (m,), positions. `new`: not linked before."""

    user: NDArray[np.int32]
    item: NDArray[np.int32]
    new: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.user)

    def of(self, users: NDArray[np.bool_]) -> Links:
        """Only those of a mask of all users."""
        kept = users[self.user]
        return Links(self.user[kept], self.item[kept], self.new[kept])


@dataclass(frozen=True)
class Window:
    """Targets from `moment` on and before `end` (us), by relation; those of one kind of item together in `by_kind`."""

    moment: int
    end: int
    links: Mapping[Relation, Links]
    by_kind: Mapping[str, Links]

    def __len__(self) -> int:
        return sum(map(len, self.links.values()))

    def of(self, users: NDArray[np.bool_]) -> Window:
        """Only the links of a mask of all users."""
        links = {relation: each.of(users) for relation, each in self.links.items()}
        return Window(self.moment, self.end, links, {kind: each.of(users) for kind, each in self.by_kind.items()})


def window(graph: HeteroGraph, moment: int, end: int) -> Window:
    """The targets of the edges of `graph` in [moment, end)."""
    links, pairs, known = {}, dict[str, list[NDArray[np.int64]]](), dict[str, list[NDArray[np.int64]]]()
    for relation in target_relations(graph.schema):
        edges = graph.edges[relation.reverse]  # by user
        n = max(graph.nodes[relation.target], 1)
        key = edges.target.astype(np.int64) * n + edges.source
        before, after = edges.time < moment, (edges.time >= moment) & (edges.time < end)
        mine, old = distinct(key[after]), distinct(key[before])
        links[relation] = _links(mine, old, n)
        pairs.setdefault(relation.target, []).append(mine)
        known.setdefault(relation.target, []).append(old)
    by_kind = {
        kind: _links(
            distinct(np.concatenate(pairs[kind])), distinct(np.concatenate(known[kind])), max(graph.nodes[kind], 1)
        )
        for kind in pairs
    }
    return Window(moment, end, links, by_kind)


def _links(key: NDArray[np.int64], old: NDArray[np.int64], n: int) -> Links:
    """`key` and `old` are distinct and ascending."""
    at = np.minimum(np.searchsorted(old, key), max(len(old) - 1, 0))
    new = old[at] != key if len(old) else np.ones(len(key), dtype=np.bool_)
    return Links((key // n).astype(np.int32), (key % n).astype(np.int32), new)


def distinct(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """Ascending. `np.unique` says the same in fifteen times the time: it hashes."""
    keys = np.sort(keys)
    return keys[np.diff(keys, prepend=-1) > 0]


@dataclass(frozen=True)
class Split:
    """Moments (us): what is before `train_end` is learned from, up to `until` it is told when to stop, and from there
    to `end` nobody looks before the test."""

    train_end: int
    until: int
    end: int


def split_at(graph: HeteroGraph, train_ratio: float, val_ratio: float) -> Split:
    """By shares of the target edges in order of time. Raises Conflict when there are too few."""
    time = _times(graph)
    if len(time) < 10 or time[0] == time[-1]:
        raise Conflict(
            f"the graph has {len(time)} dated links from users to items, too few to learn from", code="needs_data"
        )
    train_end, until = (_quantile(time, share) for share in (train_ratio, train_ratio + val_ratio))
    return Split(train_end, max(until, train_end), int(time[-1]) + 1)


def cutoffs(graph: HeteroGraph, train_end: int, count: int, warm: float = 0.3) -> Sequence[tuple[int, int]]:
    """(moment, end) of at most `count` windows of equal shares of the target edges, after a share `warm` of them: to
    foresee the first ones there must be a past. Empty windows are left out."""
    time = _times(graph)
    time = time[time < train_end]
    if not len(time):
        return []
    borders = [_quantile(time, warm + (1 - warm) * at / count) for at in range(count)] + [train_end]
    return [(a, b) for a, b in pairwise(borders) if a < b]


def _times(graph: HeteroGraph) -> NDArray[np.int64]:
    times = [graph.edges[relation].time for relation in target_relations(graph.schema)]
    time = np.sort(np.concatenate([np.empty(0, dtype=np.int64), *times]))
    dated: NDArray[np.int64] = time[time != NO_TIME]
    return dated


def _quantile(time: NDArray[np.int64], share: float) -> int:
    return int(time[min(int(len(time) * share), len(time) - 1)])


def candidates(
    items: NDArray[np.int32], popularity: NDArray[np.float64], extra: int, random: np.random.Generator
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """What a batch of links chooses among: its own items and `extra` drawn evenly, each once, int32 (c,) ascending; and
    for each the logarithm of how often it was expected there, float32 (c,), which is taken off its logit.

    `items` (m,) of the links, repeats and all; `popularity` (n,) how often each item is a target. An item that many
    links name would otherwise be punished for being a negative so often.
    """
    n = len(popularity)
    drawn = random.integers(0, n, extra, dtype=np.int32) if n else np.empty(0, dtype=np.int32)
    chosen = np.unique(np.concatenate([items, drawn])).astype(np.int32)
    share = popularity[chosen] / max(popularity.sum(), 1.0)
    expected = len(items) * share + extra / max(n, 1)
    # The chance to be there at all: an item is taken once, however often it was drawn.
    return chosen, np.log(-np.expm1(-np.maximum(expected, 1e-9))).astype(np.float32)
