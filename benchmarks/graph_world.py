"""Graphs of any size whose edges are unevenly spread, as a shop's are, and what a stage takes of time and memory."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.batch import EventBatch
from shopkeeper.core.clock import DAY
from shopkeeper.profiles.graph.artifact import HgtModel
from shopkeeper.profiles.graph.build import IN, ShopGraph, Things, build
from shopkeeper.profiles.graph.parameters import Shape
from shopkeeper.profiles.graph.schema import CATEGORY, GraphSchema, Relation
from shopkeeper.profiles.graph.tables import NodeTable

SPAN = 365 * DAY
CATEGORIES = 50
TYPES = ("order",)
ORDER = Relation("user", "order", "product")
SHAPE = Shape(width=64, out=64, heads=4, layers=2)
Inputs = dict[str, NDArray[np.float32]]


def orders(users: int, items: int, count: int, seed: int = 0, first: int = 1, start: int = 0) -> EventBatch:
    """A year of them from `start` (us) on; of customers the busiest tenth has a fifth, of products two fifths."""
    random = np.random.default_rng(seed)
    nobody, nothing = np.full(count, -1, dtype=np.int32), np.full(count, np.nan)
    return EventBatch(
        np.arange(first, first + count),
        (random.random(count) ** 1.5 * users).astype(np.int32),
        (random.random(count) ** 2.5 * items).astype(np.int32),
        nobody,
        np.zeros(count, dtype=np.int32),
        nobody,
        start + np.sort(random.integers(0, SPAN, count)),
        nothing,
        nothing,
        nothing,
        np.zeros(count, dtype=np.bool_),
    )


def things(items: int) -> Things:
    return Things(["product"] * items, [f"c{row % CATEGORIES}" for row in range(items)])


def graph(users: int, items: int, count: int) -> ShopGraph:
    return build(orders(users, items, count), n_users=users, things=things(items), types=TYPES)


def schema(nodes: Mapping[str, int]) -> GraphSchema:
    return GraphSchema.of(nodes, [ORDER, Relation("product", IN, CATEGORY)])


def model(nodes: Mapping[str, int], categories: Sequence[str], recent: int = 32) -> HgtModel:
    """Not trained: what it costs does not depend on the numbers. Products and categories have learned vectors."""
    tables = {name: NodeTable(n) for name, n in nodes.items()}
    found = {"product": ids(nodes["product"]), CATEGORY: categories}
    return HgtModel.untrained(schema(nodes), tables, found, shape=SHAPE, recent=recent)


def ids(items: int) -> list[str]:
    return [f"p{row}" for row in range(items)]


def inputs(of: HgtModel, shop: ShopGraph) -> Inputs:
    known = {"product": ids(shop.graph.nodes["product"]), CATEGORY: shop.names[CATEGORY]}
    return {name: of.inputs(name, known.get(name, ()), NodeTable(n)) for name, n in shop.graph.nodes.items()}


@dataclass
class Stage:
    """`seconds` of processor time (median) of a call, and `megabytes` of memory at its peak above what was in use
    before it."""

    seconds: float
    megabytes: float


def stage(work: Callable[[], object], rounds: int = 1, warm: bool = False) -> Stage:
    """Linux only: the kernel's high-water mark is set back before."""
    Path("/proc/self/clear_refs").write_text("5")
    before, seconds = _memory("VmRSS"), []
    if warm:
        work()
    for _ in range(rounds):
        begin = time.process_time()
        work()
        seconds.append(time.process_time() - begin)
    return Stage(statistics.median(seconds), _memory("VmHWM") - before)


def _memory(what: str) -> float:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(what))
    return int(line.split()[1]) / 1024
