"""Who stands beside a node of the live graph."""

from __future__ import annotations

from datetime import datetime
from typing import TypeAlias

import numpy as np

from shopkeeper.core.clock import moment
from shopkeeper.core.errors import Invalid
from shopkeeper.profiles.graph.adjacency import LiveGraph
from shopkeeper.profiles.graph.hetero import NO_TIME
from shopkeeper.profiles.graph.schema import Relation

Beside: TypeAlias = tuple[str, int, Relation, int, datetime | None]
"""Node type, position, the relation from the asked node to it, how many edges, when the newest was."""


def neighbors(graph: LiveGraph, node_type: str, node: int, *, relation: Relation | None, limit: int) -> list[Beside]:
    """The newest first, those that were always there last. Raises Invalid for a relation that is not the type's."""
    out = [one for one in sorted(graph.relations) if one.source == node_type]
    if relation is not None:
        if relation not in out:
            known = ", ".join(map(str, out)) or "it has none"
            raise Invalid(f"no edges {relation} leave nodes of type {node_type}: {known}", field="relation")
        out = [relation]
    found: list[tuple[int, Relation, int, int]] = []
    for one in out:
        ends, times, _ = graph.relations[one.reverse].of(node)
        if not len(ends):
            continue
        places, last = np.unique(ends[::-1], return_index=True)  # the newest edge of each is its first from the end
        count = np.bincount(np.searchsorted(places, ends))
        newest = times[::-1][last]
        for at in np.argsort(-newest if one.name != "in" else places, kind="stable")[:limit].tolist():
            found.append((int(newest[at]), one, int(places[at]), int(count[at])))
    found.sort(key=lambda each: (-each[0], each[1], each[2]))
    return [
        (one.target, place, one, count, None if when == NO_TIME else moment(when))
        for when, one, place, count in found[:limit]
    ]
