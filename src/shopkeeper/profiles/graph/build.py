"""From a shop's log to its graph: users, items by kind and categories; an edge of every event that has both its ends.

A user's node is the user's row; an item's is its place among the items of its kind, in order of row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.batch import EventBatch
from shopkeeper.core.errors import Invalid
from shopkeeper.profiles.graph.hetero import NO_TIME, HeteroGraph
from shopkeeper.profiles.graph.schema import CATEGORY, USER, GraphSchema, Relation

Ends = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int64]]
IN = "in"
_TAKEN = (USER, CATEGORY)


@dataclass(frozen=True)
class Things:
    """The shop's items as the graph needs them, by item row: `kind` and `category` (n,)."""

    kind: Sequence[str]
    category: Sequence[str | None]


@dataclass(frozen=True)
class Scope:
    """Which events take part: a random share `ratio` of them, drawn by `seed`; `timed` false forgets when they were."""

    ratio: float = 1.0
    seed: int = 0
    timed: bool = True


@dataclass(frozen=True)
class ShopGraph:
    """`rows` of the item nodes of each kind int32 (n,); `names` of attribute nodes; `dropped` counts events that made
    no edge, by reason: no_user, no_target, refused, not_sampled."""

    graph: HeteroGraph
    rows: Mapping[str, NDArray[np.int32]]
    names: Mapping[str, tuple[str, ...]]
    dropped: Mapping[str, int] = field(default_factory=dict)


def relation_name(event_type: str) -> str:
    """What the relation of an event type is called: the same, unless it looks like a reverse one."""
    return f"event_{event_type}" if event_type.startswith("rev_") else event_type


def kind_name(kind: str) -> str:
    """What the node type of an item kind is called: the same, unless another kind of node has that name."""
    return f"{kind}_item" if kind in _TAKEN else kind


def build(
    events: EventBatch,
    *,
    n_users: int,
    things: Things,
    types: Sequence[str],
    refused: Iterable[int] = (),
    scope: Scope = Scope(),
) -> ShopGraph:
    """`types` are the names of event types by row; `refused` the users of whom nothing is to be learned.

    Raises Invalid for a ratio outside (0, 1].
    """
    if not 0 < scope.ratio <= 1:
        raise Invalid(f"sample_ratio is {scope.ratio}, expected above 0 and at most 1", field="sample_ratio")
    kept, dropped = usable(events, n_users, len(things.kind), np.fromiter(refused, dtype=np.int64), scope)
    kinds = [kind_name(kind) for kind in things.kind]
    rows = {kind: np.flatnonzero(np.array(kinds) == kind).astype(np.int32) for kind in sorted(set(kinds))}
    place = np.full(len(kinds), -1, dtype=np.int32)
    of_kind = np.full(len(kinds), -1, dtype=np.int32)
    for number, found in enumerate(rows.values()):
        place[found] = np.arange(len(found), dtype=np.int32)
        of_kind[found] = number
    time = kept.time if scope.timed else np.full(len(kept), NO_TIME)
    forward: dict[Relation, Ends] = {
        relation: (source, target, time[at])
        for relation, at, source, target in event_edges(kept, list(rows), of_kind, place, types)
    }
    names = tuple(sorted({category for category in things.category if category}))
    forward |= _category_edges(things.category, names, rows)
    nodes = {USER: n_users, **{kind: len(found) for kind, found in rows.items()}}
    if names:
        nodes[CATEGORY] = len(names)
    graph = HeteroGraph.of(GraphSchema.of(nodes, forward), nodes, forward)
    return ShopGraph(graph, rows, {CATEGORY: names} if names else {}, dropped)


def usable(
    events: EventBatch, n_users: int, n_items: int, refused: NDArray[np.int64], scope: Scope = Scope()
) -> tuple[EventBatch, dict[str, int]]:
    """Events with both ends, and how many were dropped, each counted under the first reason that holds."""
    has_user = (events.user >= 0) & (events.user < n_users)
    aims = ((events.item >= 0) & (events.item < n_items)) | ((events.other >= 0) & (events.other < n_users))
    may = ~(np.isin(events.user, refused) | np.isin(events.other, refused))
    drawn = np.ones(len(events), dtype=np.bool_)
    if scope.ratio < 1:
        drawn = np.random.default_rng(scope.seed).random(len(events)) < scope.ratio
    kept, dropped = np.ones(len(events), dtype=np.bool_), {}
    for reason, good in (("no_user", has_user), ("no_target", aims), ("refused", may), ("not_sampled", drawn)):
        dropped[reason] = int(np.count_nonzero(kept & ~good))
        kept &= good
    return events.take(kept), dropped


def event_edges(
    events: EventBatch,
    kinds: Sequence[str],
    of_kind: NDArray[Any],
    place: NDArray[np.int32],
    types: Sequence[str],
) -> Iterable[tuple[Relation, NDArray[np.int64], NDArray[np.int32], NDArray[np.int32]]]:
    """Of usable events: each relation, which events are its edges, and their sources and targets. `of_kind` by item row
    is a place in `kinds`, `place` the node's position there."""
    to_user = events.item < 0
    for row in np.unique(events.type).tolist():
        name, mine = relation_name(types[row]), events.type == row
        people = np.flatnonzero(mine & to_user)
        if len(people):
            yield Relation(USER, name, USER), people, events.user[people], events.other[people]
        things = np.flatnonzero(mine & ~to_user)
        kind = of_kind[events.item[things]]
        for number in np.unique(kind).tolist():
            at = things[kind == number]
            yield Relation(USER, name, kinds[number]), at, events.user[at], place[events.item[at]]


def _category_edges(
    category: Sequence[str | None], names: Sequence[str], rows: Mapping[str, NDArray[np.int32]]
) -> dict[Relation, Ends]:
    number = {name: at for at, name in enumerate(names)}
    edges: dict[Relation, Ends] = {}
    for kind, found in rows.items():
        into = np.array([number.get(category[row] or "", -1) for row in found.tolist()], dtype=np.int32)
        has = np.flatnonzero(into >= 0).astype(np.int32)
        if len(has):
            edges[Relation(kind, IN, CATEGORY)] = has, into[has], np.full(len(has), NO_TIME)
    return edges
