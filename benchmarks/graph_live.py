"""Vectors kept right while events come: what one event takes, and how much the shop can take in."""

from __future__ import annotations

import dataclasses
import statistics
import time
from typing import Any

import numpy as np

from benchmarks import graph_world as world
from benchmarks import record
from shopkeeper.core.batch import EventBatch
from shopkeeper.profiles.graph.adjacency import LiveGraph
from shopkeeper.profiles.graph.artifact import HgtModel
from shopkeeper.profiles.graph.embedding import compute
from shopkeeper.profiles.graph.incremental import Incremental
from shopkeeper.profiles.graph.inference import vectors_of
from shopkeeper.profiles.graph.pace import Pace
from shopkeeper.profiles.graph.reads import reads_of
from shopkeeper.profiles.graph.schema import CATEGORY, USER
from shopkeeper.profiles.graph.states import Kept
from shopkeeper.profiles.graph.tables import NodeTable
from shopkeeper.profiles.graph.weights import Floats

SIZES = ((5_000, 2_000, 250_000), (100_000, 10_000, 2_000_000))
SINGLE, MANY = 1_000, 4_096
BUDGET_S = 60.0
EPSILONS = (0.05, 0.2)


def main() -> None:
    single, many, whole = [], [], []
    for users, items, count in SIZES:
        size = f"{users // 1000} k users, {items // 1000} k products, {count:,} orders"
        history = world.orders(users, items, count)
        live = _live(users, items, history)
        model = world.model(live.nodes, list(live.categories))
        took = world.stage(lambda m=model, g=live: _all(m, g))
        whole.append([size, took.seconds, sum(live.nodes.values()) / took.seconds, took.megabytes])
        for epsilon in EPSILONS:
            live = _live(users, items, history)
            engine = _engine(model, live, epsilon)
            coming = world.orders(users, items, SINGLE + MANY, seed=7, first=count + 1, start=world.SPAN)
            single.append([size, epsilon, *_one_by_one(engine, live, coming, SINGLE)])
            row = _in_batches(engine, live, coming.take(np.arange(SINGLE, SINGLE + MANY)))
            many.append([size, epsilon, *row, *_apart(model, engine, live)])
            print(single[-1], many[-1], flush=True)
    record.write(
        "graph_live",
        "Graph vectors while events come",
        "Synthetic orders of a year, then one after the other more of them; a model of 2 layers, 64 wide, 4 heads, "
        "that reads the 32 newest edges of each relation. An event is taken in when it is in the graph and the "
        "vectors of both its ends are computed from it; what it changes further away waits for idle time, and is due "
        "where a node's h has changed by more than epsilon (a share of its length). "
        f"{SINGLE:,} events one by one, everything that waits done between them where it takes no more than 20 ms; "
        f"{MANY:,} in batches of 256, then the work that is left, at most {BUDGET_S:.0f} s of it. One thread, one "
        "run, no server around it.",
        [
            {
                "title": "One event: until the vectors of both its ends are right",
                "columns": ["shop", "epsilon", "p50 ms", "p99 ms", "worst ms"],
                "rows": single,
            },
            {
                "title": f"{MANY:,} events in batches of 256",
                "columns": [
                    "shop",
                    "epsilon",
                    "events/s taken in",
                    "vectors and parts of them/s",
                    "work left s",
                    "the same/s, meanwhile",
                    "cosine to computing all anew: mean",
                    "worst 1 %",
                ],
                "rows": many,
            },
            {
                "title": "All vectors at once",
                "columns": ["shop", "CPU seconds", "vectors/s", "peak MB"],
                "rows": whole,
            },
        ],
    )


def _live(users: int, items: int, history: EventBatch) -> LiveGraph:
    live, things = LiveGraph(world.TYPES), world.things(items)
    live.grow(users, things.kind, things.category, items)
    live.add(history)
    return live


def _all(model: HgtModel, live: LiveGraph) -> list[dict[str, Floats]]:
    """Every layer of all nodes, as the job `embed` computes them."""
    known = _Known(live)
    given = {name: model.inputs(name, *known(name, np.arange(n))) for name, n in live.nodes.items()}
    return compute(model, live, given, world.SPAN, lambda *_args, **_more: None)


def _engine(model: HgtModel, live: LiveGraph, epsilon: float) -> Incremental:
    """With the vectors of a whole computation, as after the job `embed`."""
    kept, layers = {}, _all(model, live)
    for name, n in live.nodes.items():
        owed, hub = np.zeros((len(layers), n), dtype=np.float32), np.zeros((len(layers), n), dtype=np.bool_)
        kept[name] = Kept(np.arange(n), [layer[name] for layer in layers], reads_of(live, model, name), owed, hub)
    engine = Incremental(model, live, _Known(live), world.SPAN, dataclasses.replace(Pace(), epsilon=epsilon), kept)
    engine.settle()
    return engine


class _Known:
    def __init__(self, live: LiveGraph) -> None:
        self._names = {"product": world.ids(live.nodes["product"]), CATEGORY: list(live.categories)}

    def __call__(self, node_type: str, nodes: Any) -> tuple[list[str], NodeTable]:
        names = self._names.get(node_type)
        return ([] if names is None else [names[node] for node in nodes]), NodeTable(len(nodes))


def _one_by_one(engine: Incremental, live: LiveGraph, coming: EventBatch, count: int) -> list[float]:
    seconds = []
    for at in range(count):
        event = coming.take(np.array([at]))
        begin = time.perf_counter()
        engine.touch(live.add(event))
        while engine.urgent:
            engine.step()
        seconds.append(time.perf_counter() - begin)
        until = time.perf_counter() + 0.02
        while time.perf_counter() < until and engine.step():
            pass
    return [1000 * statistics.median(seconds), 1000 * float(np.quantile(seconds, 0.99)), 1000 * max(seconds)]


def _in_batches(engine: Incremental, live: LiveGraph, coming: EventBatch) -> list[float]:
    _work(engine, BUDGET_S)
    computed, begin = engine.computed, time.perf_counter()
    for at in range(0, len(coming), 256):
        engine.touch(live.add(coming.take(np.arange(at, min(at + 256, len(coming))))))
        while engine.urgent:
            engine.step()
    taken, meanwhile = time.perf_counter() - begin, engine.computed - computed
    computed = engine.computed
    left = _work(engine, BUDGET_S)
    return [len(coming) / taken, meanwhile / taken, left, (engine.computed - computed) / max(left, 1e-9)]


def _work(engine: Incremental, most: float) -> float:
    begin = time.perf_counter()
    while time.perf_counter() - begin < most and engine.step():
        pass
    return time.perf_counter() - begin


def _apart(model: HgtModel, engine: Incremental, live: LiveGraph) -> list[float]:
    """How near the users' vectors are to those of the whole graph as it is now."""
    exact = vectors_of(model.heads[USER], _all(model, live)[-1][USER], model.dim)[:, :-1]
    kept = engine.vectors(USER)
    assert kept is not None
    cosine = (exact * kept[:, :-1]).sum(axis=1)
    return [float(cosine.mean()), float(np.quantile(cosine, 0.01))]


if __name__ == "__main__":
    main()
