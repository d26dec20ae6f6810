"""Edges between nodes that have names: who is linked with what, and what may be recalled for whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid
from shopkeeper.learning.tabular import numbers, texts
from shopkeeper.recommend.embedding.graph import Graph
from shopkeeper.recommend.orders import Orders

if TYPE_CHECKING:
    import polars as pl

_HELD = 0.1
USER, ITEM = "user", "item"


@dataclass(frozen=True)
class Edges:
    """`source`, `target` int32 (m,): places in `ids`; `weight` float32 (m,) or None. `users` and `items` bool (n,): for
    whom is recalled, and what may be; in a graph of accounts a node is both. `left_out`: rows of a table without one
    of its ends."""

    ids: tuple[str, ...]
    source: NDArray[np.int32]
    target: NDArray[np.int32]
    weight: NDArray[np.float32] | None
    users: NDArray[np.bool_]
    items: NDArray[np.bool_]
    directed: bool = False
    left_out: int = 0

    def __len__(self) -> int:
        return len(self.source)

    @cached_property
    def self_links(self) -> int:
        return int((self.source == self.target).sum())

    def graph(self) -> Graph:
        return Graph.of(len(self.ids), self.source, self.target, self.weight, directed=self.directed)

    def take(self, where: NDArray[np.bool_] | NDArray[np.int64]) -> Edges:
        weight = None if self.weight is None else self.weight[where]
        return replace(self, source=self.source[where], target=self.target[where], weight=weight)

    def recalls(self) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """(user, item) of all edges along which something may be recalled, each once, ordered."""
        n = max(len(self.ids), 1)
        pairs = [(self.source, self.target)]
        if not self.directed and bool((self.users & self.items).any()):
            pairs.append((self.target, self.source))
        keys = np.concatenate([a.astype(np.int64) * n + b for a, b in pairs])
        a, b = keys // n, keys % n
        keys = np.unique(keys[self.users[a] & self.items[b] & (a != b)])
        return keys // n, (keys % n).astype(np.int32)


def edges_of_table(
    frame: pl.DataFrame, source: str, target: str, weight: str | None, *, directed: bool, social: bool, name: str
) -> Edges:
    """A node that is ever a source is a user, one that never is an item; where edges are `social` all are accounts, and
    every node may be recalled. Raises Invalid (`no_items`, `no_data`, `bad_weight`)."""
    whole = frame.height
    frame = frame.with_columns(texts(frame[each]).alias(each) for each in (source, target))
    frame = frame.drop_nulls([source, target])
    if not frame.height:
        raise Invalid(f"no row of {name} has both {source} and {target}", code="no_data", field="source")
    given = None if weight is None else numbers(frame[weight]).astype(np.float32)
    if given is not None and not (np.isfinite(given).all() and (given > 0).all()):
        raise Invalid(
            f"column {weight!r} of {name} must hold a number above 0 in every row", code="bad_weight", field="weight"
        )
    place: dict[str, int] = {}
    ends = [
        np.array([place.setdefault(each, len(place)) for each in frame[column].to_list()], dtype=np.int32)
        for column in (source, target)
    ]
    users = np.zeros(len(place), dtype=np.bool_)
    users[ends[0]] = True
    if social:
        users[:] = True
    items = np.ones(len(place), dtype=np.bool_) if social else ~users
    if not items.any():
        raise Invalid(
            f"every {target} of {name} is a {source} too, so there is no item to recall; if these are accounts that "
            "follow each other, set social=true",
            code="no_items",
            field="social",
        )
    return Edges(tuple(place), ends[0], ends[1], given, users, items, directed, whole - frame.height)


def edges_of_orders(orders: Orders, user_ids: tuple[str, ...]) -> Edges:
    """Of users to what they bought, as heavy as how often. Users and items with the same id are two nodes: users come
    first."""
    weight = np.ones(len(orders), dtype=np.float32)
    n_users = len(user_ids)
    ids = (*user_ids, *orders.item_ids)
    users = np.arange(len(ids)) < n_users
    target = (orders.item + n_users).astype(np.int32)
    return Edges(ids, orders.user.astype(np.int32), target, weight, users, ~users)


def held_out(edges: Edges, seed: int) -> tuple[Edges, Edges]:
    """(edges to learn from, a tenth of the pairs along which something is recalled), so that each node keeps one."""
    n = max(len(edges.ids), 1)
    user, item = edges.recalls()
    links = edges.graph().links.copy()
    drawn: list[int] = []
    room = int(len(user) * _HELD)
    for at in np.random.default_rng(seed).permutation(len(user)).tolist():
        if len(drawn) >= room:
            break
        a, b = int(user[at]), int(item[at])
        if links[a] > 1 and links[b] > 1:
            links[a] -= 1
            links[b] -= 1
            drawn.append(at)
    held = np.array(sorted(drawn), dtype=np.int64)
    keys = np.concatenate([user[held] * n + item[held], item[held].astype(np.int64) * n + user[held]])
    gone = np.isin(edges.source.astype(np.int64) * n + edges.target, keys)
    later = replace(edges, source=user[held].astype(np.int32), target=item[held], weight=None, directed=True)
    return edges.take(~gone), later


def facts_of(edges: Edges, graph: Graph) -> Mapping[str, Any]:
    linked = graph.links > 0
    return {
        "nodes": int(linked.sum()),
        "edges": len(graph.nodes) if edges.directed else len(graph.nodes) // 2,
        "users": int((edges.users & linked).sum()),
        "items": int((edges.items & linked).sum()),
        "self_links": edges.self_links,
        "alone": int((~linked).sum()),
        "left_out": edges.left_out,
    }
