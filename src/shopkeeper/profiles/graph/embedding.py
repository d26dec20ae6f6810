"""The job `embed`: the vectors of all users and items anew, from the log, with one version's weights.

It runs in a child and leaves a sealed folder; the shop takes it over while the vectors of before go on to serve.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from shopkeeper.core.batch import EventBatch
from shopkeeper.core.clock import StoppedClock
from shopkeeper.core.protocols import JobContext, Report
from shopkeeper.core.records import FileEntry
from shopkeeper.lifecycle.loading import load_model
from shopkeeper.profiles.fusion.past import refused_of
from shopkeeper.profiles.graph import snapshot
from shopkeeper.profiles.graph.adjacency import LiveGraph
from shopkeeper.profiles.graph.build import Scope
from shopkeeper.profiles.graph.hetero import NO_TIME, Edges
from shopkeeper.profiles.graph.incoming import Ints
from shopkeeper.profiles.graph.inference import layer_of
from shopkeeper.profiles.graph.known import Known
from shopkeeper.profiles.graph.model import GraphWeights
from shopkeeper.profiles.graph.reads import reads_of
from shopkeeper.profiles.graph.schema import Relation
from shopkeeper.profiles.graph.snapshot import Space, SpaceMeta
from shopkeeper.profiles.graph.states import Kept, widths
from shopkeeper.profiles.graph.weights import Floats
from shopkeeper.stores.artifacts import sync_folder
from shopkeeper.stores.catalog import Catalog
from shopkeeper.stores.events import EventLog
from shopkeeper.stores.sql import Database, open_database
from shopkeeper.stores.vocabulary import Vocabularies

FOLDER = "space"
_SLICE = 200_000
_NODES = 20_000


class EmbedOrder(msgspec.Struct, kw_only=True):
    """What the child is told: the scope, and the version's files."""

    model: str
    version: int
    algorithm: str
    folder: str
    files: list[FileEntry]
    ratio: float = 1.0
    seed: int = 0
    timed: bool = True
    data: str = ""
    wall: int = 0


def embed(ctx: JobContext) -> dict[str, Any]:
    """Reads log and records read-only, leaves the folder `space`; the result counts its nodes and edges."""
    order = msgspec.convert(ctx.params, EmbedOrder)
    model, _ = load_model(order.algorithm, Path(order.folder), order.files)
    db = open_database(ctx.sql_url, read_only=True)
    try:
        space, graph = _embed(db, model, order, ctx)
    finally:
        db.close()
    target = ctx.workdir / FOLDER
    target.mkdir(exist_ok=True)
    for left in target.iterdir():  # of an attempt that was cut off
        left.unlink()
    snapshot.write(target, space)
    sync_folder(ctx.workdir)
    told = graph.statistics()
    return {
        "model": order.model,
        "version": order.version,
        "seq": space.meta.seq,
        "node_counts": told.node_counts,
        "edge_counts": told.edge_counts,
        "dropped": told.dropped,
    }


def _embed(db: Database, model: GraphWeights, order: EmbedOrder, ctx: JobContext) -> tuple[Space, LiveGraph]:
    graph, refused, seq = _graph(db, Scope(order.ratio, order.seed, order.timed), ctx)
    known = Known(db, graph, lambda row: row not in refused)
    inputs = {name: _inputs(model, name, graph.nodes[name], known) for name in graph.nodes if widths(model, name)}
    layers = compute(model, graph, inputs, ctx.now, ctx.report)
    kept = {}
    for name in inputs:
        h = [layer[name] for layer in layers if name in layer]
        n = graph.nodes[name]
        owed, hub = np.zeros((len(h), n), dtype=np.float32), np.zeros((len(h), n), dtype=np.bool_)
        kept[name] = Kept(np.arange(n, dtype=np.int64), h, reads_of(graph, model, name), owed, hub)
    meta = SpaceMeta(
        model=order.model,
        version=order.version,
        data=order.data,
        seq=seq,
        reference=ctx.now,
        built_at=order.wall,
        layers={name: len(states.h) for name, states in kept.items()},
        categories=list(graph.categories),
    )
    return Space(meta, snapshot.keys_of(graph, kept), kept), graph


def _graph(db: Database, scope: Scope, ctx: JobContext) -> tuple[LiveGraph, frozenset[int], int]:
    """Log first, then what its rows stand for: a row that an event has is known by then."""
    log = EventLog(db, Vocabularies.load(db), StoppedClock(ctx.now))
    slices: list[EventBatch] = []
    after, last = 0, log.last_seq
    while after < last and len(batch := log.read(after, _SLICE)):
        slices.append(batch)
        after = int(batch.seq[-1])
        ctx.report(after, 2 * last, message="reading the log")
    names = Vocabularies.load(db)
    catalog = Catalog(db, names)
    refused = refused_of(db, names, ctx.now)
    graph = LiveGraph(names.event_types.ids(range(len(names.event_types))))
    graph.grow(len(names.users), catalog.kind, catalog.category, len(catalog))
    for row in refused:
        graph.refuse(row)
    random = np.random.default_rng(scope.seed)
    for batch in slices:
        if scope.ratio < 1:
            batch = batch.take(random.random(len(batch)) < scope.ratio)
        graph.add(batch if scope.timed else _untimed(batch))
    return graph, refused, after


def _untimed(batch: EventBatch) -> EventBatch:
    return replace(batch, time=np.full(len(batch), NO_TIME))


def _inputs(model: GraphWeights, name: str, n: int, known: Known) -> Floats:
    parts = [np.empty((0, widths(model, name)[0]), dtype=np.float32)]
    for start in range(0, n, _NODES):
        ids, table = known(name, np.arange(start, min(start + _NODES, n), dtype=np.int64))
        parts.append(model.inputs(name, ids, table))
    return np.concatenate(parts)


def compute(
    model: GraphWeights, graph: LiveGraph, inputs: Mapping[str, Floats], reference: int, report: Report
) -> list[dict[str, Floats]]:
    """Every layer of all nodes of a live graph, as `inference.embed_states` does of a built one."""

    def into(relation: Relation, nodes: Ints | None) -> Edges:
        return graph.newest(relation, nodes, model.recent)

    layers: list[dict[str, Floats]] = [dict(inputs)]
    for number, layer in enumerate(model.layers):
        report(len(model.layers) + number, 2 * len(model.layers), message=f"layer {number + 1}")
        below = layers[-1]
        kept = [name for name in layer.types if name in below]
        layers.append({name: layer_of(layer, name, None, below, into, reference) for name in kept})
    return layers
