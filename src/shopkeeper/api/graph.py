"""The shop's graph: what is in it, who stands beside whom; and the vector spaces that serve."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from fastapi import Query, Response

from shopkeeper.api.addressed import champions
from shopkeeper.api.door import Doors, Id, ShopDep, reply
from shopkeeper.core.clock import moment
from shopkeeper.core.protocols import DatedVectors, ItemVectors
from shopkeeper.lifecycle.loading import Loaded
from shopkeeper.profiles.graph.answers import Neighbor, SpaceFacts
from shopkeeper.profiles.graph.living import SPACE
from shopkeeper.profiles.graph.statistics import GraphStatistics

doors = Doors("Graph")


class Node(msgspec.Struct):
    node: str
    type: str


class Neighbors(msgspec.Struct):
    node: Node
    neighbors: list[Neighbor]


class Space(msgspec.Struct, kw_only=True):
    """`count` vectors in all, `counts` by node type; `pending` wait to be computed anew. `built_at` is real time of the
    last whole computation, `reference` the shop's time by which edges are young or old. Spaces of items alone are those
    of models: `built_at` is when the version was made, `reference` up to when it has learned, null: it does not say.
    `index`: exact, or ivf with the share of the nearest that it finds."""

    name: str
    dim: int
    metric: str
    count: int
    counts: dict[str, int]
    model: str
    version: str
    index: str
    built_at: datetime
    reference: datetime | None
    pending: int
    stale: bool


class Spaces(msgspec.Struct):
    spaces: list[Space]


@doors.add("GET", "/api/v1/graph/statistics", scope="r", answer=GraphStatistics, errors=(404,))
async def statistics(shop: ShopDep) -> Response:
    """How many nodes and edges there are, by type"""
    return reply(shop.graph.statistics())


@doors.add("GET", "/api/v1/graph/neighbors/{node_type}/{node_id}", scope="r", answer=Neighbors, errors=(404,))
async def neighbors(
    shop: ShopDep,
    node_type: Id,
    node_id: Id,
    limit: Annotated[int, Query(ge=1, le=200)] = 20,
    relation: Annotated[str | None, Query(max_length=256)] = None,
) -> Response:
    """What a node hears from, newest first; `relation` as in the statistics: only by this one"""
    found = shop.graph.neighbors(node_type, node_id, relation=relation, limit=limit)
    return reply(Neighbors(Node(node_id, node_type), found))


@doors.add("GET", "/api/v1/embeddings", scope="r", answer=Spaces)
async def embeddings(shop: ShopDep) -> Response:
    """The vector spaces that serve"""
    facts = shop.graph.facts()
    found = [] if facts is None else [_space(facts)]
    # The graph's model is no space by itself: what it makes of this shop's nodes is, once that is there.
    others = [one for one in champions(shop) if one.version.model != SPACE and isinstance(one.model, ItemVectors)]
    found += [_of_model(one) for one in sorted(others, key=lambda one: one.version.model)]
    return reply(Spaces(found))


def _of_model(loaded: Loaded) -> Space:
    version, model = loaded.version, loaded.model
    index = None if loaded.item_index is None else loaded.item_index.facts
    until = model.reference if isinstance(model, DatedVectors) else None
    count = len(model.item_ids)
    return Space(
        name=version.model,
        dim=int(model.item_vectors.shape[1]),
        metric="cosine" if index is not None and index.metric == "cosine" else "inner_product",
        count=count,
        counts={"item": count},
        model=version.model,
        version=f"{version.model}/{version.version}",
        index="exact" if index is None or index.kind == "exact" else f"{index.kind}, recall {index.recall:.3f}",
        built_at=version.created_at or moment(0),
        reference=None if until is None else moment(until),
        pending=0,
        stale=False,
    )


def _space(facts: SpaceFacts) -> Space:
    return Space(
        name=facts.name,
        dim=facts.dim,
        metric=facts.metric,
        count=sum(facts.count.values()),
        counts=facts.count,
        model=facts.model,
        version=facts.version,
        index=facts.index,
        built_at=facts.built_at,
        reference=facts.reference,
        pending=facts.pending,
        stale=facts.stale,
    )
