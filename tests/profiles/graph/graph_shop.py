"""A whole shop with a graph model of random numbers, which is published as a trained one would be."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from shopkeeper.bootstrap import Shop, open_shop
from shopkeeper.core.ids import ulid
from shopkeeper.core.protocols import TrainingContext, silent
from shopkeeper.core.records import Event, Gate, Item, User
from shopkeeper.lifecycle.loading import write_golden
from shopkeeper.lifecycle.versions import Candidate
from shopkeeper.profiles.graph.artifact import HgtModel
from shopkeeper.profiles.graph.family import GraphFamily
from shopkeeper.profiles.graph.hetero import HeteroGraph
from shopkeeper.profiles.graph.inference import embed_all
from shopkeeper.profiles.graph.parameters import Shape
from shopkeeper.profiles.graph.reading import ShopReading, read_graph
from shopkeeper.profiles.graph.schema import CATEGORY, USER, GraphSchema, Relation
from shopkeeper.profiles.graph.tables import table_of
from shopkeeper.settings import Settings
from shopkeeper.stores.artifacts import seal

USERS, ITEMS = 12, 15
_SCHEMA = GraphSchema.of(
    (USER, "product", CATEGORY),
    [
        Relation(USER, "order", "product"),
        Relation(USER, "view", "product"),
        Relation(USER, "call", USER),
        Relation("product", "in", CATEGORY),
    ],
)
_EXACT = {"graph_epsilon": 0.0, "graph_idle_s": 0.05, "graph_drift": 2.0}


Test: TypeAlias = Callable[[Path], Coroutine[Any, Any, None]]


def on_a_loop(test: Test) -> Callable[[Path], None]:
    """A test that is a coroutine."""

    @functools.wraps(test)
    def run(tmp_path: Path) -> None:
        asyncio.run(test(tmp_path))

    return run


def at(home: Path, **settings: object) -> Shop:
    """Opened, with vectors that are exact and without drift unless the settings say otherwise."""
    return open_shop(
        Settings(home=home, **{**_EXACT, **settings}), shop=None if (home / "shop.db").exists() else "empty"
    )


def furnish(shop: Shop, events: int = 200) -> None:
    """People, things and what they did lately."""
    items = [
        Item(item_id=f"i{n}", name=f"thing {n}", kind="product", category=f"c{n % 4}", price=1.0 + n)
        for n in range(ITEMS)
    ]
    shop.items.put_many(items).result()
    people = [User(user_id=f"u{n}", attributes={"age": 20 + n, "plan": "ab"[n % 2]}) for n in range(USERS)]
    shop.users.put_many(people).result()
    rng = np.random.default_rng(0)
    now = datetime.now(UTC)
    done = [
        Event(
            event_type=str(rng.choice(["view", "order"])),
            user_id=f"u{rng.integers(USERS)}",
            target_id=f"i{rng.integers(ITEMS)}",
            time=now - timedelta(days=float(rng.random() * 100)),
        )
        for _ in range(events)
    ]
    done.append(Event(event_type="call", user_id="u1", target_id="u2", target_kind="user", time=now))
    shop.log.append(done).result()


def publish(shop: Shop, seed: int = 0) -> int:
    """A new version of `hgt` with random numbers becomes the champion. Returns its number."""
    tables = {
        USER: table_of([{"age": 20 + n, "plan": "ab"[n % 2]} for n in range(USERS)]),
        "product": table_of([{"name": f"thing {n}", "price": 1.0 + n} for n in range(ITEMS)]),
    }
    ids = {"product": [f"i{n}" for n in range(ITEMS)]}
    model = HgtModel.untrained(_SCHEMA, tables, ids, shape=Shape(width=8, heads=2), recent=6, seed=seed)
    folder = shop.home.path / f"made-{ulid()}"
    folder.mkdir()
    model.save(folder)
    golden = {"items": {"product": ["i0", "i1"]}, "moment": 10**15}
    write_golden(folder, golden, GraphFamily().probe(model, golden))
    candidate = Candidate(
        model="hgt",
        scope="all",
        family="graph",
        algorithm="hgt",
        files=seal(folder, {}),
        gate=Gate(verdict="PROMOTE", reasons=["as the test wants it"]),
    )
    version = shop.registry.register(folder, candidate, by="test")
    shop.registry.promote("hgt", version.version, force=True)
    return version.version


@asynccontextmanager
async def running(shop: Shop, *, schedules: bool = True) -> AsyncIterator[Shop]:
    await shop.start(schedules=schedules)
    try:
        yield shop
    finally:
        await shop.stop()


async def until(true: Callable[[], object], seconds: float = 60.0) -> None:
    """Raises TimeoutError when it does not come true."""
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.01)


async def settled(shop: Shop) -> None:
    """All events are seen, all vectors are right."""
    await shop.following.wait_for(shop.log.last_seq)
    graph = shop.graph

    def still() -> bool:
        facts = graph.facts()
        return facts is not None and facts.pending == 0 and not facts.stale

    await until(still)


async def sent(shop: Shop, *events: Event) -> None:
    await asyncio.wrap_future(shop.log.append(list(events)))
    await settled(shop)


def reading(shop: Shop) -> ShopReading:
    context = TrainingContext(
        home=shop.home.path,
        sql_url=shop.home.sql_url,
        source={"kind": "shop"},
        now=shop.clock.now() + 10**12,
        zone="UTC",
        seed=0,
        model="hgt",
    )
    return read_graph(context, silent)


def whole(shop: Shop) -> dict[str, np.ndarray]:
    """All vectors as they come from the log with the space's weights and moment, without anything that lives."""
    facts = shop.graph.facts()
    assert facts is not None
    model = shop.serving.get("hgt", facts.version.removeprefix("hgt/")).model
    found = reading(shop)
    graph: HeteroGraph = found.shop.graph
    inputs = {name: model.inputs(name, found.ids.get(name, ()), found.tables[name]) for name in graph.nodes}
    reference = int(facts.reference.timestamp() * 1e6)
    return embed_all(model, graph, inputs, reference)


def same(shop: Shop) -> None:
    """What lives is what the whole computation gives, of everybody who has a place."""
    expected = whole(shop)
    rows, items = shop.graph.space.items()
    order = np.argsort(rows)
    np.testing.assert_allclose(items[order], expected["product"], rtol=1e-3, atol=1e-4)
    users = 0
    for row in range(len(shop.vocab.users)):
        vector = shop.graph.space.user_vector(row)
        if vector is not None:
            np.testing.assert_allclose(vector, expected[USER][row], rtol=1e-3, atol=1e-4, err_msg=str(row))
            users += 1
    assert users >= USERS - 3
