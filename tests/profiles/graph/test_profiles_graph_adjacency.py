"""The live graph holds, after any history of a log, what building from that log gives."""

from __future__ import annotations

import numpy as np
import pytest
from graph_world import NOW, TYPES, events
from hypothesis import given, settings
from hypothesis import strategies as st
from live_log import ITEMS, USERS, LiveLog

from shopkeeper.core.clock import DAY
from shopkeeper.profiles.graph import incoming as pool
from shopkeeper.profiles.graph.adjacency import LiveGraph
from shopkeeper.profiles.graph.hetero import Edges
from shopkeeper.profiles.graph.incoming import Incoming
from shopkeeper.profiles.graph.schema import CATEGORY, USER, Relation

CHANGES = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 10**6), st.integers(0, 10**6)), max_size=12)
ALL = 10**9


def same_edges(live: LiveLog, most: int) -> None:
    """Edges of all relations, into categories by name."""
    shop = live.whole()
    graph = shop.graph.newest(most)
    names = shop.names.get(CATEGORY, ())
    for relation in set(live.graph.relations) | set(graph.schema.relations):
        n = live.graph.nodes[relation.target]
        mine = live.graph.newest(relation, None, most)
        built = graph.edges.get(relation, Edges.none(n))
        for node in range(n):
            at = node
            if relation.target == CATEGORY:
                name = next(name for name, number in live.graph.categories.items() if number == node)
                if name not in names:
                    assert mine.degree[node] == 0
                    continue
                at = names.index(name)
            here, there = (slice(*e.indptr[k : k + 2]) for e, k in ((mine, node), (built, at)))
            sources = mine.source[here].tolist()
            if relation.source == CATEGORY:
                by_number = {number: name for name, number in live.graph.categories.items()}
                sources = [names.index(by_number[number]) for number in sources]
            assert sources == built.source[there].tolist(), (relation, node)
            assert mine.time[here].tolist() == built.time[there].tolist(), (relation, node)


@settings(max_examples=60, deadline=None)
@given(CHANGES, st.sampled_from([1, 3, ALL]))
def test_after_any_history_it_is_the_graph_of_the_log(changes: list[tuple[int, int, int]], most: int) -> None:
    live = LiveLog()
    for change in changes:
        live.change(change)
    same_edges(live, most)
    assert live.graph.nodes[USER] == USERS


@settings(max_examples=30, deadline=None)
@given(CHANGES, st.tuples(st.integers(0, 6), st.integers(0, 10**6), st.integers(0, 10**6)))
def test_whose_edges_changed_is_told(before: list[tuple[int, int, int]], change: tuple[int, int, int]) -> None:
    live = LiveLog()
    for one in before:
        live.change(one)
    old = _all(live.graph)
    touched = live.change(change)
    told = {(name, node) for name, parts in touched.items() for part in parts for node in part.tolist()}
    for (relation, node), edges in _all(live.graph).items():
        if edges != old.get((relation, node), []):
            assert (relation.target, node) in told, (relation, node)


@settings(max_examples=30, deadline=None)
@given(CHANGES, st.integers(0, 10**6), st.integers(0, 30))
def test_a_trial_leaves_no_trace(changes: list[tuple[int, int, int]], seed: int, n: int) -> None:
    live = LiveLog()
    for change in changes:
        live.change(change)
    before, told = _all(live.graph), live.graph.statistics()
    with live.graph.trial(events(seed, n, first_seq=2**60)) as touched:
        now = _all(live.graph)
        changed = {key for key, edges in now.items() if edges != before.get(key, [])}
        assert changed == {key for key in changed if key[0].target in touched}
    after = {key: edges for key, edges in _all(live.graph).items() if edges}
    assert after == {key: edges for key, edges in before.items() if edges}
    assert live.graph.statistics() == told


def _all(graph: LiveGraph) -> dict[tuple[Relation, int], list[tuple[int, int, int]]]:
    found = {}
    for relation, edges in graph.relations.items():
        for node in range(edges.n):
            found[relation, node] = list(zip(*(column.tolist() for column in edges.of(node)), strict=True))
    return found


@pytest.mark.parametrize("holes", [0, 10**9])
@pytest.mark.parametrize("few", [0, 64])
def test_runs_that_move_and_pools_that_close_up_lose_nothing(
    monkeypatch: pytest.MonkeyPatch, holes: int, few: int
) -> None:
    monkeypatch.setattr(pool, "_HOLES", holes)
    monkeypatch.setattr(pool, "_FEW", few)
    rng = np.random.default_rng(1)
    edges = Incoming()
    edges.grow(7)
    target = rng.integers(0, 7, 3000)
    source, time = rng.integers(0, 99, 3000).astype(np.int32), rng.integers(0, 50, 3000)
    for at in np.array_split(np.arange(3000), 211):
        edges.add(target[at], source[at], time[at], at)
        if at[0] % 5 == 0:
            gone = np.zeros(int(edges.degree(np.array([3]))[0]), dtype=np.bool_)
            edges.take(3, gone)
    whole = Edges.of(target.astype(np.int32), source, time, 7)
    mine = edges.newest(None, ALL)
    assert mine.source.tolist() == whole.source.tolist()
    assert mine.time.tolist() == whole.time.tolist()
    assert len(edges) == 3000


def test_who_called_himself_still_does_after_a_merge() -> None:
    live = LiveLog()
    live.come(0, 200)
    calls = np.flatnonzero(live.log.other >= 0)
    live.log.other[calls] = live.log.user[calls]
    live.graph = LiveGraph(TYPES)
    live.grow()
    live.graph.add(live.log)
    live.merge(1, 7)
    same_edges(live, ALL)


def test_which_edges_are_among_the_newest() -> None:
    live = LiveLog()
    live.come(0, 200)
    relation = Relation(USER, "view", "product")
    edges = live.graph.relations[relation]
    for node in range(edges.n):
        _, time, order = edges.of(node)
        nodes = np.full(len(time), node, dtype=np.int64)
        kept = edges.among_newest(nodes, time, order, 4)
        assert kept.tolist() == [at >= len(time) - 4 for at in range(len(time))]


def test_events_without_an_end_are_counted_and_make_no_edge() -> None:
    live = LiveLog()
    live.come(3, 300)
    user, item, other = live.log.user, live.log.item, live.log.other
    nobody = user < 0
    nothing = ~nobody & (item < 0) & (other < 0)
    told = live.graph.statistics()
    assert told.dropped == {"no_user": nobody.sum(), "no_target": nothing.sum(), "refused": 0}
    assert (
        told.total_edges
        == len(live.graph)
        == 300
        - nobody.sum()
        - nothing.sum()
        + told.edge_counts["product / in / category"]
        + told.edge_counts["app / in / category"]
    )
    live.refuse(2)
    both = ((user == 2) | (other == 2)) & ~nobody & ~nothing
    assert live.graph.statistics().dropped["refused"] == both.sum()
    live.allow(2)
    assert live.graph.statistics() == told


def test_new_items_users_and_event_types_come_while_it_lives() -> None:
    types = ["view"]
    graph = LiveGraph(types)
    assert graph.statistics().total_nodes == 0
    graph.grow(1, ["product"], ["shoes"], 1)
    assert graph.statistics().edge_counts == {"product / in / category": 1}
    types.append("rev_order")
    graph.grow(3, ["product", "user"], ["shoes", "hats"], 2)
    batch = events(0, 50, n_users=3, n_items=2)
    batch.type[:] = 1
    graph.add(batch)
    assert {str(relation) for relation in graph.relations if not relation.backward} >= {
        "user / event_rev_order / product",
        "user / event_rev_order / user_item",
        "user_item / in / category",
    }
    assert graph.place("user_item", 1) == 0
    assert graph.place("product", 1) is None
    assert graph.place(CATEGORY, "hats") == 1
    assert graph.place(USER, 3) is None


def test_late_edges_find_their_place_and_clocks_may_be_wrong() -> None:
    live = LiveLog()
    live.come(0, 60)
    late = events(1, 60, first_seq=61)
    late.time[:30] -= 5000 * DAY
    late.time[30:] = NOW + 400 * DAY
    live.log = live.log.join([live.log, late])
    live.graph.add(late)
    same_edges(live, 3)


def test_what_comes_one_by_one_of_who_does_not_agree_lies_in_a_few_pieces() -> None:
    live = LiveLog()
    live.refuse(1)
    batch = events(3, 300, n_users=USERS, n_items=ITEMS)
    batch.user[:] = 1
    for at in range(len(batch)):
        live.graph.add(batch.take(slice(at, at + 1)))
    assert len(live.graph._shelf) < 12
    assert sum(map(len, live.graph._shelf)) == 300 == live.graph.dropped["refused"]
    live.log = batch
    live.allow(1)
    assert len(live.graph) == sum(len(edges) for edges in live.whole().graph.edges.values()) // 2


def test_many_places_are_those_of_each() -> None:
    live = LiveLog()
    rows = np.arange(ITEMS + 3)
    for name in ("user", "product", "app", "nothing"):
        found = live.graph.places(name, rows).tolist()
        if name == "nothing":
            assert set(found) == {-1}
        else:
            assert found == [-1 if (at := live.graph.place(name, row)) is None else at for row in rows.tolist()]
