"""The family `graph`: the shop's log as a graph, cut by time; new links of the last share of it are the test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from shopkeeper.core.clock import rfc3339
from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import Metrics, Report, TrainingContext, TrainingData
from shopkeeper.core.records import Gate
from shopkeeper.lifecycle.reporting import within
from shopkeeper.profiles.graph.algorithm import Hgt
from shopkeeper.profiles.graph.artifact import HgtModel
from shopkeeper.profiles.graph.build import Scope
from shopkeeper.profiles.graph.hetero import NO_TIME, HeteroGraph
from shopkeeper.profiles.graph.inference import embed_all
from shopkeeper.profiles.graph.measures import measure, naive
from shopkeeper.profiles.graph.reading import read_graph
from shopkeeper.profiles.graph.rows import GraphHoldout, GraphRows, inputs_of
from shopkeeper.profiles.graph.schema import USER
from shopkeeper.profiles.graph.tables import NodeTable
from shopkeeper.profiles.graph.targets import split_at, window
from shopkeeper.profiles.graph.warm import champion_of
from shopkeeper.quality import gate

_GOLDEN_ITEMS = 5


class GraphFamily:
    """Learns from the shop's own log only. `source` may carry `scope` (`sampled`: a share `sample_ratio` of the events,
    drawn by `random_seed`)."""

    name: ClassVar[str] = "graph"

    def data(self, context: TrainingContext, params: Any, report: Report) -> TrainingData:
        """Raises Invalid (source, scope, a warm start of another shape), Conflict when there are too few events to
        learn from."""
        kind = context.source.get("kind", "shop")
        if kind != "shop":
            raise Invalid(f"a graph model learns from the shop's own log, not from source kind {kind!r}", field="kind")
        wanted = params if isinstance(params, Hgt.Params) else Hgt.Params()
        scope = scope_of(context.source, context.seed)
        reading = read_graph(context, within(report, 0, 90), scope)
        graph = reading.shop.graph
        split = split_at(graph, wanted.train_ratio, wanted.val_ratio)
        later = window(graph, split.until, split.end)
        known = graph.before(split.until)
        links = {str(relation): int(each.new.sum()) for relation, each in later.links.items()}
        champion, begun = champion_of(context, wanted.shape, split.until) if wanted.warm_start else (None, "")
        rows = GraphRows(known, reading.ids, reading.tables, split, links, champion, begun)
        everybody = naive(known, later, context.seed)
        holdout = GraphHoldout(rows.graph, reading.ids, reading.tables, later, everybody, context.seed)
        facts = {
            "rows": len(known),
            "from": rfc3339(int(reading.events.time[0])),
            "to": rfc3339(split.until),
            "train_end": rfc3339(split.train_end),
            "holdout_links": sum(links.values()),
            "nodes": dict(graph.nodes),
            "edges": {str(relation): len(edges) for relation, edges in graph.edges.items()},
            "dropped": dict(reading.shop.dropped),
            "sample_ratio": scope.ratio,
            "refused": len(reading.refused),
            "fingerprint": reading.fingerprint(),
            **({"warm_start": begun} if begun else {}),
        }
        return TrainingData(rows, holdout, golden_of(rows), facts)

    def evaluate(self, model: HgtModel, holdout: GraphHoldout) -> Metrics:
        """`auc`, `recall@20` and `ndcg@10` of new links (`measures.measure`); `naive_` and `lately_`: everybody is
        shown what was taken most, ever or lately. What was not measured is left out."""
        inputs = inputs_of(model, holdout.ids, holdout.tables)
        vectors = embed_all(model, holdout.graph, inputs, holdout.window.moment)
        found = measure(whole_space(vectors, holdout.graph, model.dim), holdout.graph, holdout.window, holdout.seed)
        history = model.summary.get("loss_history") or []
        told = {"epochs": float(len(history)), "best_epoch": float(model.summary.get("best_epoch", 0))}
        if history:
            told["final_loss"] = float(history[-1])
        return {name: value for name, value in {**found, **told, **holdout.naive}.items() if np.isfinite(value)}

    def judge(self, candidate: Metrics, champion: Metrics | None) -> Gate:
        """Link AUC and recall beside the champion's, and neither worse than those of what was taken most. Recall must
        reach that of what was taken most lately too; its AUC, which asks little about whose a link is, is only told."""
        rules: list[gate.Rule] = [
            gate.AtLeast("auc", 0.99),
            gate.AtLeast("recall@20", 0.98),
            gate.Beats("auc", "naive_auc"),
            gate.Beats("recall@20", "naive_recall@20"),
            gate.Beats("recall@20", "lately_recall@20"),
        ]
        return gate.judge(rules, candidate, champion)

    def probe(self, model: HgtModel, golden: Any) -> list[float]:
        """The vectors of golden items and of a user who took them, on a graph of their own."""
        graph, ids, tables, moment = golden_graph(model, golden)
        vectors = embed_all(model, graph, inputs_of(model, ids, tables), moment)
        return [float(value) for name in sorted(vectors) for value in vectors[name].ravel()]


def scope_of(source: Mapping[str, Any], seed: int) -> Scope:
    """What of the log takes part; the times are always read, they say what is past. Raises Invalid."""
    how = source.get("scope", "full")
    if how not in ("full", "sampled"):
        raise Invalid(f"scope is {how!r}, expected full or sampled", field="scope")
    ratio, drawn_by = source.get("sample_ratio", 1.0), source.get("random_seed", seed)
    if not isinstance(ratio, int | float) or not isinstance(drawn_by, int) or drawn_by < 0:
        raise Invalid("sample_ratio is a number up to 1 and random_seed a whole number from 0", field="source")
    return Scope(float(ratio) if how == "sampled" else 1.0, drawn_by)


def whole_space(vectors: Mapping[str, Any], graph: HeteroGraph, dim: int) -> dict[str, Any]:
    """With zeros for the nodes of types that the model was not trained with: it says nothing of them."""
    return {name: vectors.get(name, np.zeros((n, dim), dtype=np.float32)) for name, n in graph.nodes.items()}


def golden_of(rows: GraphRows) -> dict[str, Any]:
    """A few items of each kind, by id."""
    kinds = {kind: list(ids[:_GOLDEN_ITEMS]) for kind, ids in sorted(rows.ids.items()) if ids}
    return {"items": kinds, "moment": rows.split.until}


def golden_graph(
    model: HgtModel, golden: Any
) -> tuple[HeteroGraph, dict[str, tuple[str, ...]], dict[str, NodeTable], int]:
    """Two users, the first of whom has taken every golden item along every relation."""
    moment = int(golden["moment"])
    ids = {name: tuple(golden["items"].get(name, ())) for name in model.schema.node_types if name != USER}
    nodes = {name: 2 if name == USER else len(ids[name]) for name in model.schema.node_types}
    forward = {}
    for relation in model.schema.forward:
        n = min(nodes[relation.source], nodes[relation.target])
        many = max(nodes[relation.source], nodes[relation.target]) if n else 0
        source = np.minimum(np.arange(many), 0 if relation.source == USER else nodes[relation.source] - 1)
        target = np.minimum(np.arange(many), nodes[relation.target] - 1)
        time = np.full(many, moment) - np.arange(many) * 86_400_000_000
        time = time if USER in (relation.source, relation.target) else np.full(many, NO_TIME)
        forward[relation] = source.astype(np.int32), target.astype(np.int32), time.astype(np.int64)
    tables = {name: NodeTable(n) for name, n in nodes.items()}
    return HeteroGraph.of(model.schema, nodes, forward), ids, tables, moment
