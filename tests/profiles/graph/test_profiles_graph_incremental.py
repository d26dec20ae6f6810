"""Kept right event by event, every number is what computing the whole graph gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from graph_world import NOW, TYPES, WIDTH, RandomModel, events, random_model
from hypothesis import given, settings
from hypothesis import strategies as st
from live_log import ITEMS, USERS, LiveLog

from shopkeeper.core.errors import Unavailable
from shopkeeper.profiles.graph import looking, telling
from shopkeeper.profiles.graph.adjacency import LiveGraph
from shopkeeper.profiles.graph.incoming import Ints
from shopkeeper.profiles.graph.incremental import Incremental
from shopkeeper.profiles.graph.inference import embed_all
from shopkeeper.profiles.graph.pace import Pace
from shopkeeper.profiles.graph.schema import CATEGORY, USER, GraphSchema, Relation
from shopkeeper.profiles.graph.tables import NodeTable, table_of

CHANGES = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 10**6), st.integers(0, 10**6)), max_size=10)
EXACT = Pace(epsilon=0.0)


class Facts:
    """Attributes of nodes, which change."""

    def __init__(self, graph: LiveGraph) -> None:
        self._graph = graph
        self.of: dict[tuple[str, int], dict[str, object]] = {}

    def __call__(self, node_type: str, nodes: Ints) -> tuple[Sequence[str], NodeTable]:
        rows = [self.of.get((node_type, node), {}) for node in nodes.tolist()]
        return [f"{node_type}{node}" for node in nodes.tolist()], table_of(rows)


class Live:
    """A log, its graph, and the engine on it."""

    def __init__(self, model: RandomModel, pace: Pace = EXACT) -> None:
        self.log = LiveLog()
        self.facts = Facts(self.log.graph)
        self.model = model
        self.engine = Incremental(model, self.log.graph, self.facts, NOW, pace)

    def change(self, what: tuple[int, int, int]) -> None:
        kind, a, b = what
        if kind == 7:
            name = (USER, "product", "app")[a % 3]
            node = b % self.log.graph.nodes[name]
            self.facts.of[name, node] = {"age": b % 90, "plan": "x" * (a % 7), "price": float(a % 50)}
            self.engine.reread(name, np.array([node]))
        elif kind == 8:
            for _ in range(a % 5):
                self.engine.step()
        else:
            touched = self.log.change(what)
            self.engine.grow()
            self.engine.touch(touched, taken_back=kind >= 3)

    def whole(self) -> dict[str, np.ndarray]:
        """From the log, as a job would: by node type, positions as in the live graph."""
        shop = self.log.whole()
        inputs = {}
        for name, n in shop.graph.nodes.items():
            nodes = np.arange(n)
            inputs[name] = self.model.inputs(name, *self.facts(name, nodes))
        return embed_all(self.model, shop.graph, inputs, NOW)


def same_vectors(live: Live) -> None:
    for name, expected in live.whole().items():
        found = live.engine.vectors(name)
        assert found is not None
        np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-4, err_msg=name)


@settings(max_examples=60, deadline=None)
@given(CHANGES, st.sampled_from([1, 3, 50]), st.sampled_from([1, 2, 3]), st.sampled_from([0, 10**6]))
def test_with_epsilon_zero_it_is_the_whole_computation(
    changes: list[tuple[int, int, int]], recent: int, depth: int, hub: int
) -> None:
    live = Live(random_model(depth=depth, recent=recent), replace(EXACT, hub=hub))
    for change in changes:
        live.change(change)
    live.engine.settle()
    assert live.engine.pending == 0
    same_vectors(live)


@settings(max_examples=20, deadline=None)
@given(CHANGES, CHANGES)
def test_states_of_an_earlier_moment_are_brought_up_to_date(
    before: list[tuple[int, int, int]], after: list[tuple[int, int, int]]
) -> None:
    live = Live(random_model())
    for change in before:
        live.change(change)
    kept = live.engine.kept()
    for change in after:
        live.change(change)
    live.engine = Incremental(live.model, live.log.graph, live.facts, NOW, EXACT, kept)
    live.engine.settle()
    same_vectors(live)


@settings(max_examples=30, deadline=None)
@given(CHANGES, st.integers(0, 10**6), st.integers(0, USERS - 1), st.sampled_from([1, 2, 3]))
def test_what_would_be_is_what_comes_and_leaves_no_trace(
    changes: list[tuple[int, int, int]], seed: int, row: int, depth: int
) -> None:
    live = Live(random_model(depth=depth))
    for change in changes:
        live.change(change)
    live.engine.settle()
    before = {name: states.h.copy() for name, states in live.engine.kept().items()}
    batch = events(seed, 8, first_seq=len(live.log.log) + 1)
    batch.user[:] = row
    supposed = live.engine.after(row, replace(batch, seq=batch.seq + 2**60))
    assert live.engine.pending == 0
    for name, states in live.engine.kept().items():
        for layer, h in zip(before[name], states.h, strict=True):
            np.testing.assert_array_equal(layer, h)
    same_vectors(live)
    live.log.log = live.log.log.join([live.log.log, batch])
    live.engine.touch(live.log.graph.add(batch))
    live.engine.settle()
    vectors = live.engine.vectors(USER)
    assert vectors is not None
    np.testing.assert_allclose(supposed, vectors[row], rtol=1e-3, atol=1e-4)


def test_what_did_not_change_is_not_computed_again() -> None:
    live = Live(random_model())
    live.change((1, 0, 39))
    live.engine.settle()
    assert live.engine.computed > 0
    again = Incremental(live.model, live.log.graph, live.facts, NOW, EXACT, live.engine.kept())
    same_vectors(replace_engine(live, again))
    assert again.pending > 0
    again.settle()
    assert again.computed == 0


def replace_engine(live: Live, engine: Incremental) -> Live:
    live.engine = engine
    return live


def test_both_ends_of_an_event_are_exact_after_one_step() -> None:
    live = Live(random_model(recent=50), Pace(epsilon=10.0))
    live.change((1, 0, 39))
    live.engine.settle()
    batch = events(77, 30, first_seq=1000)
    one = batch.take(np.flatnonzero((batch.user >= 0) & (batch.item >= 0))[:1])
    live.log.log = live.log.log.join([live.log.log, one])
    live.engine.touch(live.log.graph.add(one))
    assert live.engine.urgent == 2
    assert live.engine.waits(USER, int(one.user[0]))
    live.engine.step()
    assert live.engine.urgent == 0
    exact = Live(random_model(recent=50))
    exact.engine.touch(exact.log.graph.add(live.log.log))
    exact.engine.settle()
    user = int(one.user[0])
    mine, theirs = live.engine.vectors(USER), exact.engine.vectors(USER)
    assert mine is not None
    assert theirs is not None
    np.testing.assert_allclose(mine[user], theirs[user], rtol=1e-3, atol=1e-4)


def test_small_changes_are_owed_and_told_when_they_add_up() -> None:
    def settled(epsilon: float) -> tuple[int, float]:
        live = Live(random_model(recent=50), Pace(epsilon=epsilon))
        live.change((1, 0, 39))
        live.engine.settle()
        before = live.engine.computed
        for seed in range(20):
            live.change((1, seed, 1))
            live.engine.settle()
        return live.engine.computed - before, live.engine.owed()

    all_told, nothing_owed = settled(0.0)
    some, owed = settled(0.1)
    none, most = settled(1e9)
    assert all_told > some > none
    assert nothing_owed == 0
    assert 0 < owed < most


def test_the_most_urgent_come_first() -> None:
    live = Live(random_model(recent=50), Pace(events=1, top=1, epsilon=10.0))
    live.engine.settle()
    for seed in range(6):
        batch = events(seed, 50, first_seq=1000 + 50 * seed)
        live.engine.touch(live.log.graph.add(batch.take(np.flatnonzero((batch.user >= 0) & (batch.item >= 0))[:1])))
        last = int(batch.user[np.flatnonzero((batch.user >= 0) & (batch.item >= 0))[0]])
    live.engine.step()
    assert not live.engine.waits(USER, last)
    assert live.engine.urgent > 0


def test_a_step_is_bounded_and_the_readers_of_a_hub_wait_for_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "_TELL", 3)
    live = Live(random_model(recent=50), replace(EXACT, top=4, hub=2))
    for seed in range(3):
        live.change((1, seed, 39))
    steps = 0
    while live.engine.step():
        steps += 1
        assert steps < 100_000
    assert steps > 20
    same_vectors(live)


def test_many_new_nodes_come_in_the_course_of_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "LOOK", 3)
    live = Live(random_model())
    assert live.engine.pending >= USERS
    live.engine.settle()
    same_vectors(live)


def test_of_who_is_cleared_nothing_stays() -> None:
    live = Live(random_model())
    live.facts.of[USER, 3] = {"age": 33}
    live.change((1, 0, 39))
    live.engine.settle()
    states = live.engine.states(USER)
    assert states is not None
    before = states.h(2)[3].copy()
    del live.facts.of[USER, 3]
    live.engine.touch(live.log.forget(3), taken_back=True)
    live.engine.clear(3)
    assert not states.h(2)[3].any()
    live.engine.settle()
    same_vectors(live)
    assert np.abs(states.h(2)[3] - before).max() > 1e-3


def test_an_empty_shop_and_a_model_of_other_relations() -> None:
    graph = LiveGraph(TYPES)
    engine = Incremental(random_model(), graph, Facts(graph), NOW, EXACT)
    assert engine.step() == 0
    assert engine.pending == 0
    found = engine.vectors(USER)
    assert found is not None
    assert found.shape == (0, 9)
    only = random_model(schema=GraphSchema.of((USER, "product"), [Relation(USER, "order", "product")]))
    live = Live(only)
    for seed in range(3):
        live.change((1, seed, 39))
    live.engine.settle()
    assert live.engine.vectors(CATEGORY) is None
    same_vectors(live)


def test_the_width_of_layers_is_that_of_the_weights() -> None:
    live = Live(random_model())
    states = live.engine.states("product")
    assert states is not None
    assert [states.h(layer).shape[1] for layer in range(3)] == [WIDTH, 8, 8]
    assert sum(live.log.graph.nodes[name] for name in ("product", "app")) == ITEMS


def test_what_cannot_be_read_is_not_passed_by(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that does not answer for a while: events are taken, and nobody is forgotten."""
    live = Live(random_model())
    live.engine.settle()
    kept = live.engine.kept()
    live.facts.of[USER, 3] = {"age": 33}

    def broken(node_type: str, nodes: Ints) -> tuple[Sequence[str], NodeTable]:
        raise Unavailable("the database does not answer")

    live.engine = Incremental(live.model, live.log.graph, broken, NOW, EXACT, kept)
    live.log.graph.grow(USERS + 2, live.log.things.kind, live.log.things.category, ITEMS)
    live.engine.grow()  # as events of new users do: it reads nothing
    live.engine.touch(live.log.come(1, 20))
    live.engine.clear(4)
    waiting = live.engine.pending
    for _ in range(4):
        with pytest.raises(Unavailable):
            live.engine.step()
    assert live.engine.pending == waiting
    monkeypatch.setattr(live.engine, "_known", live.facts)
    live.engine.settle()
    vectors = live.engine.vectors(USER)
    assert vectors is not None
    assert len(vectors) == USERS + 2
    assert vectors.any(axis=1).all()
    np.testing.assert_allclose(vectors[:USERS], live.whole()[USER], rtol=2e-3, atol=2e-4)
