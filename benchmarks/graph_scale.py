"""A graph of a million customers: building it, parting it, an epoch of samples, and all vectors."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmarks import graph_world as world
from benchmarks import record
from shopkeeper.core.clock import DAY
from shopkeeper.profiles.graph.artifact import new_encoders
from shopkeeper.profiles.graph.inference import embed_all
from shopkeeper.profiles.graph.learner import Learner
from shopkeeper.profiles.graph.partition import Partition, partition
from shopkeeper.profiles.graph.steps import Ground, loss_of
from shopkeeper.profiles.graph.tables import NodeTable
from shopkeeper.profiles.graph.targets import window

USERS, ITEMS, ORDERS = 1_000_000, 100_000, 20_000_000
PARTS = 16
FANOUT, BATCH = 10, 1024


def main() -> None:
    torch.set_num_threads(1)
    rows: list[list[Any]] = []

    def done(what: str, work: Callable[[], Any]) -> Any:
        answer: list[Any] = []
        took = world.stage(lambda: answer.append(work()))
        rows.append([what, took.seconds, took.megabytes])
        print(*rows[-1], flush=True)
        return answer[0]

    users, items, orders = (int(each) for each in sys.argv[1:4]) if sys.argv[3:] else (USERS, ITEMS, ORDERS)
    shop = done("graph from the events", lambda: world.graph(users, items, orders))
    target = done("targets of the last day", lambda: window(shop.graph, world.SPAN - DAY, world.SPAN))
    learner, ground = _learner(shop), _ground(shop, target)
    torch.optim.AdamW([torch.zeros(1, requires_grad=True)]).zero_grad()  # torch loads much more at the first use of one
    steps, losses = done("one epoch of samples", lambda: _epoch(learner, ground))
    model = learner.model(recent=32)
    given = world.inputs(model, shop)
    vectors = done("all vectors, 32 newest edges", lambda: embed_all(model, shop.graph, given, world.SPAN))
    assert all(np.isfinite(each).all() for each in vectors.values())
    parted: Partition = done(f"{PARTS} METIS parts", lambda: partition(shop.graph, PARTS, recursive=False))
    largest = parted.sizes().max() / parted.sizes().mean()
    record.write(
        "graph_scale",
        "Graph of a million customers",
        f"Synthetic: {users:,} customers, {items:,} products in {world.CATEGORIES} categories, {orders:,} orders of a "
        f"year and as many reverse edges. 2 layers, 64 wide, 4 heads. The epoch foresees the new links of the last day "
        f"from what was before, {BATCH} customers a step, {FANOUT} edges of each relation, two hops. One run, one "
        "thread, one process; seconds of the processor; memory is the peak of each stage above what the ones before "
        "left in use.",
        [{"title": "Stages", "columns": ["stage", "CPU seconds", "peak MB above"], "rows": rows}],
        [
            f"{len(shop.graph):,} edges in all. The parts hold {parted.inside / parted.total:.0%} of the edges, the "
            f"largest {largest:.3f} of an even share of the nodes.",
            f"The epoch has {steps} steps; loss of the first ten {losses[0]:.2f}, of the last ten {losses[1]:.2f}.",
        ],
    )


def _learner(shop: world.ShopGraph) -> Learner:
    nodes, random = shop.graph.nodes, np.random.default_rng(0)
    tables = {name: NodeTable(n) for name, n in nodes.items()}
    ids = {"product": tuple(world.ids(nodes["product"])), "category": tuple(shop.names["category"])}
    encoders = new_encoders(shop.graph.schema, tables, ids, world.SHAPE.width, random)
    return Learner(shop.graph.schema, encoders, ids, tables, world.SHAPE, random, drop=0.1, forget=0.1)


def _ground(shop: world.ShopGraph, target: Any) -> Ground:
    own = {name: np.arange(n, dtype=np.int64) for name, n in shop.graph.nodes.items()}
    how: dict[str, Any] = {"layers": world.SHAPE.layers, "recent": 32, "users": BATCH, "negatives": 1.0}
    return Ground(shop.graph, own, [target], fanout=FANOUT, **how)


def _epoch(learner: Learner, ground: Ground) -> tuple[int, tuple[float, float]]:
    torch.manual_seed(0)
    optimizer = torch.optim.AdamW(learner.parameters(), lr=3e-3)
    learner.train()
    losses = []
    for step in ground.steps(np.random.default_rng(0)):
        loss = loss_of(learner, step, 0.2)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(float(loss.detach()))
    return len(losses), (float(np.mean(losses[:10])), float(np.mean(losses[-10:])))


if __name__ == "__main__":
    main()
