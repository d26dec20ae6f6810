"""From events to a graph: both ends or none, kinds and categories, sampling, statistics."""

from __future__ import annotations

import pytest

from shopkeeper.core.batch import EventBatch
from shopkeeper.core.errors import Invalid
from shopkeeper.profiles.graph.build import Scope, ShopGraph, Things, build, kind_name, relation_name
from shopkeeper.profiles.graph.hetero import NO_TIME
from shopkeeper.profiles.graph.schema import Relation
from shopkeeper.profiles.graph.statistics import statistics

TYPES = ("order", "call", "click")
THINGS = Things(kind=["product", "app", "product"], category=["tea", None, "tea"])
ORDER = Relation("user", "order", "product")
CALL = Relation("user", "call", "user")
ALL = Scope()


def event(seq: int, user: int | None, item: int | None, other: int | None, kind: int, time: int) -> tuple[object, ...]:
    return (seq, user, item, other, kind, None, time, None, None, None, None)


EVENTS = EventBatch.from_rows(
    [
        event(1, 0, 0, None, 0, 10),
        event(2, 0, 2, None, 0, 20),
        event(3, 1, 1, None, 2, 30),
        event(4, 1, None, 0, 1, 40),
        event(5, None, 2, None, 0, 50),  # a sale without a customer
        event(6, 2, None, None, 2, 60),  # aims at nothing that is known
        event(7, 3, 0, None, 0, 70),  # does not agree to be profiled
        event(8, 0, None, 3, 1, 80),  # calls one who does not agree
    ]
)


def built(scope: Scope = ALL) -> ShopGraph:
    return build(EVENTS, n_users=4, things=THINGS, types=TYPES, refused=[3], scope=scope)


def pairs(graph: ShopGraph, relation: Relation) -> list[tuple[int, int, int]]:
    edges = graph.graph.edges[relation]
    return list(zip(edges.source.tolist(), edges.target.tolist(), edges.time.tolist(), strict=True))


def test_every_event_with_both_ends_is_an_edge_and_the_others_are_counted():
    graph = built()
    assert pairs(graph, ORDER) == [(0, 0, 10), (0, 1, 20)]
    assert pairs(graph, ORDER.reverse) == [(0, 0, 10), (1, 0, 20)]
    assert pairs(graph, CALL) == [(1, 0, 40)]
    assert pairs(graph, Relation("user", "click", "app")) == [(1, 0, 30)]
    assert graph.dropped == {"no_user": 1, "no_target": 1, "refused": 2, "not_sampled": 0}


def test_items_are_nodes_of_their_kind_and_find_their_category():
    graph = built()
    assert graph.graph.nodes == {"user": 4, "app": 1, "product": 2, "category": 1}
    assert graph.rows["product"].tolist() == [0, 2]
    assert pairs(graph, Relation("product", "in", "category")) == [(0, 0, NO_TIME), (1, 0, NO_TIME)]
    assert graph.names == {"category": ("tea",)}
    assert graph.rows["app"].tolist() == [1]


def test_a_sample_is_a_share_drawn_by_its_seed():
    many = EventBatch.from_rows([event(seq, seq % 4, seq % 3, None, 0, seq) for seq in range(1, 2001)])

    def edges(seed: int) -> tuple[int, int]:
        graph = build(many, n_users=4, things=THINGS, types=TYPES, scope=Scope(ratio=0.25, seed=seed))
        kept = sum(len(edges) for relation, edges in graph.graph.edges.items() if relation.source == "user")
        return kept, graph.dropped["not_sampled"]

    kept, left = edges(1)
    assert kept + left == 2000
    assert 400 < kept < 600
    assert edges(1) == (kept, left)
    assert edges(2) != (kept, left)


def test_a_ratio_is_a_share():
    for wrong in (0.0, 1.5):
        with pytest.raises(Invalid, match="sample_ratio"):
            built(Scope(ratio=wrong))


def test_without_times_every_edge_was_always_there():
    graph = built(Scope(timed=False))
    assert {time for _, _, time in pairs(graph, ORDER)} == {NO_TIME}


def test_names_that_would_be_taken_for_others_are_changed():
    assert relation_name("order") == "order"
    assert relation_name("rev_order") == "event_rev_order"
    assert kind_name("product") == "product"
    assert kind_name("user") == "user_item"


def test_a_shop_without_events_or_items_is_an_empty_graph():
    graph = build(EventBatch.empty(), n_users=0, things=Things([], []), types=())
    assert len(graph.graph) == 0
    assert graph.graph.nodes == {"user": 0}
    assert graph.dropped == {"no_user": 0, "no_target": 0, "refused": 0, "not_sampled": 0}


def test_statistics_add_up():
    graph = built()
    counts = {relation: len(edges) for relation, edges in graph.graph.edges.items()}
    told = statistics(graph.graph.nodes, counts, graph.dropped)
    assert told.total_nodes == 8
    assert told.total_edges == sum(told.edge_counts.values()) == 12
    assert told.edge_counts["user / order / product"] == told.edge_counts["product / rev_order / user"] == 2
    assert told.edge_types == list(told.edge_counts)
    assert told.node_types == ["user", "app", "product", "category"]
