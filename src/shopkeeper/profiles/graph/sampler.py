"""Neighbourhoods of some nodes, each as it was before a moment of its own.

A node at a moment is found once, however often it is reached; nodes at different moments never share what they see, so
nothing that came later can be learned from. With fan-outs that are as large as what a model reads (`recent`), newest
first, and one moment, a sample says of its seeds exactly what the whole graph says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid
from shopkeeper.profiles.graph.blocks import Block, Blocks
from shopkeeper.profiles.graph.hetero import Edges, HeteroGraph, age_buckets
from shopkeeper.profiles.graph.incoming import runs
from shopkeeper.profiles.graph.schema import Relation

Ints = NDArray[np.int64]
_TABLE = 1 << 24
"""Up to so many (node, moment) pairs their places are looked up in a table, beyond by sorting."""


class Sampler:
    """`fanouts`: at most so many edges of each relation into a node; first into the seeds, then outwards, one number
    for each layer. `newest` takes the newest edges, otherwise they are drawn evenly, none twice.

    Raises Invalid for no fan-out or one below 1.
    """

    def __init__(self, graph: HeteroGraph, fanouts: Sequence[int], *, newest: bool = True) -> None:
        if not fanouts or min(fanouts) < 1:
            raise Invalid(f"fan-outs are {list(fanouts)}, expected a number from 1 for each layer", field="fanouts")
        self.graph = graph
        self.fanouts = tuple(fanouts)
        self.newest = newest

    def sample(
        self,
        seeds: Mapping[str, NDArray[np.int32]],
        moments: int | Mapping[str, NDArray[np.int64]],
        rng: np.random.Generator,
    ) -> Blocks:
        """`seeds` are positions by node type, in any order, repeats allowed; `moments` (us) one for all or one for each
        seed. Only edges strictly older than the moment are read. `rng` draws nothing where the newest are taken.

        Raises Invalid for a node that the graph does not have.
        """
        times = self._times(seeds, moments)
        calendar = np.unique(np.concatenate([np.empty(0, dtype=np.int64), *times.values()]))
        found = {node_type: _Found(n, len(calendar)) for node_type, n in self.graph.nodes.items()}
        asked = {
            node_type: found[node_type].places(nodes.astype(np.int64), np.searchsorted(calendar, times[node_type]))
            for node_type, nodes in seeds.items()
        }
        pieces: dict[Relation, list[Block]] = {relation: [] for relation in self.graph.schema.relations}
        counts = [{node_type: len(each) for node_type, each in found.items()}]
        begin = dict.fromkeys(found, 0)
        for fanout in self.fanouts:
            for relation in self.graph.schema.relations:
                first, last = begin[relation.target], counts[-1][relation.target]
                pieces[relation].append(self._read(relation, fanout, first, last, found, calendar, rng))
            begin = counts[-1]
            counts.append({node_type: len(each) for node_type, each in found.items()})
        return Blocks(
            {node_type: each.nodes().astype(np.int32) for node_type, each in found.items()},
            {node_type: calendar[each.ranks()] for node_type, each in found.items()},
            asked,
            tuple(reversed(counts)),
            {relation: _joined(parts) for relation, parts in pieces.items()},
            {
                relation: tuple(np.cumsum([len(part) for part in parts])[::-1].tolist())
                for relation, parts in pieces.items()
            },
        )

    def _times(self, seeds: Mapping[str, NDArray[np.int32]], moments: int | Mapping[str, Ints]) -> dict[str, Ints]:
        times = {}
        for node_type, nodes in seeds.items():
            n = self.graph.nodes.get(node_type)
            if n is None or (len(nodes) and (nodes.min() < 0 or nodes.max() >= n)):
                raise Invalid(f"the graph has {n or 0} nodes of type {node_type!r}, and a seed is none of them")
            if isinstance(moments, Mapping):
                times[node_type] = moments[node_type]
            else:
                times[node_type] = np.full(len(nodes), moments, dtype=np.int64)
        return times

    def _read(
        self,
        relation: Relation,
        fanout: int,
        first: int,
        last: int,
        found: Mapping[str, _Found],
        calendar: Ints,
        rng: np.random.Generator,
    ) -> Block:
        """Edges into the nodes found at places `first` to `last`; the nodes at their other ends are found."""
        edges, into = self.graph.edges[relation], found[relation.target]
        rank, node = into.ranks()[first:last], into.nodes()[first:last]
        start, end = edges.indptr[node], older(edges, node, calendar[rank])
        taken = np.minimum(end - start, fanout)
        at = runs(end - taken, taken) if self.newest else drawn(start, end, fanout, rng)
        target = np.repeat(np.arange(first, last, dtype=np.int32), taken)
        rank = np.repeat(rank, taken)
        source = found[relation.source].places(edges.source[at].astype(np.int64), rank)
        return Block(target, source, age_buckets(edges.time[at], calendar[rank]))


def older(edges: Edges, node: Ints, moment: Ints) -> Ints:
    """For nodes (n,) and their moments (n,), where in `edges` those end that are strictly older: int64 (n,)."""
    low, high = edges.indptr[node].copy(), edges.indptr[node + 1]
    if not len(edges):
        return high
    result = high.copy()
    open_ = np.flatnonzero((low < high) & (edges.time[high - 1] >= moment))
    low, high, moment = low[open_], high[open_], moment[open_]
    while len(open_):
        middle = (low + high) >> 1
        less = edges.time[middle] < moment
        low, high = np.where(less, middle + 1, low), np.where(less, high, middle)
        done = low == high
        result[open_[done]] = low[done]
        left = ~done
        open_, low, high, moment = open_[left], low[left], high[left], moment[left]
    return result


def drawn(start: Ints, end: Ints, most: int, rng: np.random.Generator) -> Ints:
    """At most `most` of each span [start, end), evenly and none twice, in order, span after span: int64.

    Robert Floyd's way: the j-th draw is from the first size - most + j + 1; what was drawn before is replaced by the
    last of these.
    """
    size = end - start
    taken = np.minimum(size, most)
    at = runs(start, taken)
    long = np.flatnonzero(size > most)
    if not len(long):
        return at
    room = size[long] - most
    picked = np.empty((len(long), most), dtype=np.int64)
    for j in range(most):
        pick = (rng.random(len(long)) * (room + j + 1)).astype(np.int64)
        twice = (picked[:, :j] == pick[:, None]).any(axis=1)
        picked[:, j] = np.where(twice, room + j, pick)
    picked.sort(axis=1)
    before = (np.cumsum(taken) - taken)[long]
    at[(before[:, None] + np.arange(most)).ravel()] = (start[long][:, None] + picked).ravel()
    return at


def _joined(parts: Sequence[Block]) -> Block:
    return Block(
        np.concatenate([part.target for part in parts]),
        np.concatenate([part.source for part in parts]),
        np.concatenate([part.bucket for part in parts]),
    )


class _Found:
    """Nodes of one type at moments, in the order in which they were found. A key is moment * nodes + node."""

    def __init__(self, n: int, moments: int) -> None:
        self._n = max(n, 1)
        self._keys = np.empty(0, dtype=np.int64)
        self._table = np.zeros(n * moments, dtype=np.int32) if n * moments <= _TABLE else None

    def __len__(self) -> int:
        return len(self._keys)

    def nodes(self) -> Ints:
        return self._keys % self._n

    def ranks(self) -> Ints:
        return self._keys // self._n

    def places(self, nodes: Ints, ranks: Ints) -> NDArray[np.int32]:
        """int32 (m,): where each of these stands; those that are new are put at the end."""
        keys = ranks * self._n + nodes
        return self._sorted(keys) if self._table is None else self._looked_up(keys, self._table)

    def _looked_up(self, keys: Ints, table: NDArray[np.int32]) -> NDArray[np.int32]:
        """The table has 1 + place, 0 for what is not found yet."""
        new = keys[table[keys] == 0]
        if len(new):
            number = np.arange(1, len(new) + 1, dtype=np.int32)
            table[new] = number  # of those that are there twice, the last one stays
            new = new[table[new] == number]
            table[new] = np.arange(len(self) + 1, len(self) + len(new) + 1, dtype=np.int32)
            self._keys = np.concatenate([self._keys, new])
        return table[keys] - np.int32(1)

    def _sorted(self, keys: Ints) -> NDArray[np.int32]:
        together = np.concatenate([self._keys, keys])
        unique, first, which = np.unique(together, return_index=True, return_inverse=True)
        new = first >= len(self)
        place = first.astype(np.int32)
        place[new] = np.arange(len(self), len(self) + np.count_nonzero(new), dtype=np.int32)
        known = len(self)
        self._keys = np.concatenate([self._keys, unique[new]])
        return place[which[known:]]
