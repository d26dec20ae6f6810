"""Schema, edges and tables: order, time, the newest edges, and columns by what is in them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from shopkeeper.core.clock import DAY
from shopkeeper.core.errors import Invalid
from shopkeeper.profiles.graph.hetero import BUCKETS, NO_TIME, Edges, HeteroGraph, age_buckets
from shopkeeper.profiles.graph.schema import GraphSchema, Relation
from shopkeeper.profiles.graph.tables import table_of

ORDER = Relation("user", "order", "product")
CALL = Relation("user", "call", "user")

some_edges = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), st.integers(-5, 5)), max_size=40)


def edges_of(rows: list[tuple[int, int, int]]) -> Edges:
    target, source, time = (np.array([row[k] for row in rows], dtype=np.int64) for k in range(3))
    return Edges.of(target.astype(np.int32), source.astype(np.int32), time, 6)


def as_rows(edges: Edges) -> list[tuple[int, int, int]]:
    return list(zip(edges.target.tolist(), edges.source.tolist(), edges.time.tolist(), strict=True))


@pytest.mark.parametrize("n", [3, 65_536, 65_537, 3_000_000])
def test_edges_of_large_graphs_lie_by_target_then_time_and_those_of_one_moment_as_they_came(n):
    random = np.random.default_rng(n)
    target = random.integers(0, n, 5_000).astype(np.int32)
    target[::7] = n - 1
    time = random.integers(0, 50, 5_000)
    time[::11] = NO_TIME
    came = np.arange(5_000, dtype=np.int32)
    edges = Edges.of(target, came, time, n)
    assert edges.source.tolist() == sorted(came.tolist(), key=lambda j: (target[j], time[j], j))


def test_a_relation_and_its_reverse_are_each_others():
    assert ORDER.reverse == Relation("product", "rev_order", "user")
    assert ORDER.reverse.reverse == ORDER
    assert CALL.reverse == Relation("user", "rev_call", "user")
    assert ORDER.reverse.backward
    assert not ORDER.backward


def test_a_relation_is_read_as_it_is_written():
    assert Relation.read(str(ORDER)) == ORDER
    for wrong in ("order", "user / order", " /  / ", "a / b / c / d"):
        with pytest.raises(Invalid):
            Relation.read(wrong)


def test_a_schema_has_both_ways_in_a_fixed_order():
    schema = GraphSchema.of(["user", "product"], [ORDER, CALL, ORDER])
    assert schema.relations == (CALL, CALL.reverse, ORDER, ORDER.reverse)
    assert schema == GraphSchema.of(["user", "product"], [CALL, ORDER])
    assert schema.forward == (CALL, ORDER)
    assert schema.into("user") == (CALL, CALL.reverse, ORDER.reverse)
    assert schema.out_of("product") == (ORDER.reverse,)


def test_a_schema_refuses_a_relation_without_its_ends():
    with pytest.raises(Invalid, match="user / order / product"):
        GraphSchema.of(["user"], [ORDER])


@given(some_edges)
def test_edges_come_by_destination_then_time(rows: list[tuple[int, int, int]]):
    edges = edges_of(rows)
    assert as_rows(edges) == sorted(rows, key=lambda row: (row[0], row[2]))
    assert edges.degree.tolist() == [sum(row[0] == target for row in rows) for target in range(6)]


@given(some_edges, st.integers(-6, 6))
def test_before_leaves_what_is_strictly_older(rows: list[tuple[int, int, int]], moment: int):
    assert as_rows(edges_of(rows).before(moment)) == [row for row in as_rows(edges_of(rows)) if row[2] < moment]


@given(some_edges, st.integers(0, 4))
def test_newest_leaves_the_last_of_each_destination(rows: list[tuple[int, int, int]], most: int):
    all_rows = as_rows(edges_of(rows))
    wanted = [row for target in range(6) for row in [r for r in all_rows if r[0] == target][-most:] if most]
    kept = edges_of(rows).newest(most)
    assert as_rows(kept) == wanted
    assert kept.n_targets == 6


def test_edges_without_a_time_are_older_than_everything():
    none = np.array([NO_TIME])
    edges = Edges.of(np.zeros(1, dtype=np.int32), np.zeros(1, dtype=np.int32), none, 1)
    assert len(edges.before(NO_TIME + 1)) == 1
    assert age_buckets(none, 0).tolist() == [0]


def test_ages_grow_with_their_bucket_and_the_future_is_new():
    ages: NDArray[np.int64] = np.array([-DAY, 0, DAY // 24, DAY - 1, DAY, 6 * DAY, 30 * DAY, 800 * DAY], dtype=np.int64)
    buckets = age_buckets(10**9 * 10**6 - ages, 10**9 * 10**6)
    assert buckets.tolist() == sorted(buckets.tolist())
    assert buckets[0] == buckets[1] == 1
    assert buckets[-1] == BUCKETS - 1


def test_a_graph_has_the_reverse_of_every_edge_and_empty_relations():
    schema = GraphSchema.of(["user", "product"], [ORDER, CALL])
    ends = (np.array([0, 1, 1], dtype=np.int32), np.array([1, 0, 1], dtype=np.int32), np.array([5, 6, 7]))
    graph = HeteroGraph.of(schema, {"user": 3, "product": 2}, {ORDER: ends})
    assert as_rows(graph.edges[ORDER]) == [(0, 1, 6), (1, 0, 5), (1, 1, 7)]
    assert as_rows(graph.edges[ORDER.reverse]) == [(0, 1, 5), (1, 0, 6), (1, 1, 7)]
    assert len(graph.edges[CALL]) == 0
    assert graph.edges[CALL].n_targets == 3
    assert len(graph) == 6
    assert len(graph.before(6)) == 2
    assert len(graph.newest(1)) == 4
    assert graph.newest(9) is not graph
    assert len(graph.newest(9)) == 6


def test_a_column_is_what_its_values_are():
    table = table_of(
        [
            {"fee": 39, "plan": "basic", "tags": ["a", "b"], "bills": [1.5, 2], "vip": True},
            {"fee": float("nan"), "plan": 7, "tags": [], "bills": None, "vip": False},
            {"fee": "much", "plan": "pro", "odd": {"a": 1}},
        ]
    )
    assert table.n == 3
    np.testing.assert_array_equal(table.numbers["fee"], [39, np.nan, np.nan])
    assert table.words == {"plan": ["basic", None, "pro"], "vip": ["true", "false", None]}
    assert table.lists == {"tags": [("a", "b"), (), ()]}
    assert table.series == {"bills": [(1.5, 2.0), (), ()]}
    assert table_of([]).n == 0
