"""The channel `graph`: candidates from a vector space, which no ranker's training has seen."""

from __future__ import annotations

import numpy as np
import pytest
from graph_space import Space
from recommend_world import NOW, World

from shopkeeper.core.errors import Unavailable
from shopkeeper.core.records import RecRequest, RecResponse
from shopkeeper.recommend.candidates import COLUMNS, TOLD, Quota, fuse
from shopkeeper.recommend.channels import GRAPH, REPLAYED
from shopkeeper.recommend.history import given_items
from shopkeeper.recommend.nearest import Nearest
from shopkeeper.recommend.recall.model import best
from shopkeeper.recommend.scenarios import BUILT_IN

NOTHING = given_items(np.empty(0, dtype=np.int32))


@pytest.fixture(scope="module")
def space() -> Space:
    return Space(World())


def graphed(space: Space, **more: object) -> World:
    world = World(**more)
    world.space = space
    world.open()
    return world


def asked(world: World, user: str = "U0", scenario: str = "content", n: int = 10, **context: object) -> RecResponse:
    request = RecRequest(user_id=user, n_recommendations=n, scenario=scenario, context=context, debug=True)
    return world.service.recommend(request)


def test_items_come_in_the_order_of_the_inner_product(space: Space) -> None:
    scores = Nearest(space, 4).scores(NOTHING, NOW, 25)
    product = space.vectors @ space.users[4]
    expected = space.rows[np.argsort(-product, kind="stable")]
    np.testing.assert_array_equal(best(scores, 25), expected)
    assert (scores > 0).all()
    np.testing.assert_allclose(scores[space.rows] - scores.min(), product - product.min(), atol=1e-6)


@pytest.mark.parametrize("user", [-1, 59, 10_000])
def test_who_has_no_place_in_the_space_is_named_nothing(space: Space, user: int) -> None:
    assert not Nearest(space, user).scores(NOTHING, NOW, 25).any()


def test_items_that_the_mask_does_not_know_yet_are_passed_over(space: Space) -> None:
    few = Nearest(space, 4).scores(NOTHING, NOW, 10)
    np.testing.assert_array_equal(few, Nearest(space, 4).scores(NOTHING, NOW, 25)[:10])
    more = Nearest(space, 4).scores(NOTHING, NOW, 40)
    assert not more[25:].any()


def test_vectors_that_are_not_finite_are_a_fallback_and_the_slate_comes() -> None:
    broken = Space(World())
    broken.vectors = broken.vectors.copy()
    broken.vectors[3, 0] = np.nan
    with pytest.raises(Unavailable, match="not finite"):
        Nearest(broken, 4).scores(NOTHING, NOW, 25)
    found = asked(graphed(broken))
    assert found.recommendations
    assert found.degraded
    assert "graph: the vectors of space hgt are not finite" in str(found.explanation)


def test_a_slate_tells_who_named_what_and_which_version_said_so(space: Space) -> None:
    found = asked(graphed(space))
    assert found.debug_info is not None
    assert found.debug_info["named"]["graph"] > 0
    assert found.debug_info["versions"]["hgt"] == 7
    assert any("graph" in item.metadata["channels"] for item in found.recommendations)
    assert found.debug_info["fallbacks"] == ["rank: no model serves"]


def test_what_only_the_graph_names_has_a_reason_in_words(space: Space) -> None:
    world = graphed(space)
    world.models.held.clear()  # nothing but the graph and what sells
    world.open()
    items = asked(world).recommendations
    named = [item for item in items if "graph" in item.metadata["channels"]]
    assert named
    for item in named:
        assert item.explanation == "taken by customers with a taste like yours"
        assert item.metadata["reason"] == {"kind": "alike"}


@pytest.mark.parametrize("user", ["U0", "stranger"])
def test_without_a_space_a_slate_is_what_it_was(space: Space, user: str) -> None:
    """No space, none published, or somebody without a vector: no fallback, and nothing else."""
    plain = asked(World(), user)
    unpublished = Space(World())
    unpublished.version = None
    for world in (graphed(unpublished), *([graphed(space)] if user == "stranger" else [])):
        found = asked(world, user)
        assert [item.item_id for item in found.recommendations] == [item.item_id for item in plain.recommendations]
        assert found.explanation == plain.explanation
        assert found.debug_info is not None
        assert "hgt" not in found.debug_info["versions"]


def test_who_refuses_what_is_personal_is_not_looked_up(space: Space) -> None:
    world = graphed(space, allows=lambda _: False)
    assert asked(world).debug_info == asked(World(allows=lambda _: False)).debug_info


def test_a_page_is_nobodys_taste(space: Space) -> None:
    found = asked(graphed(space), scenario="product", item_id="I3")
    assert found.debug_info is not None
    assert "graph" not in found.debug_info["named"]


def test_what_was_bought_is_not_brought_back_by_the_graph(space: Space) -> None:
    world = graphed(space)
    shown = {item.item_id for item in asked(world, n=25).recommendations}
    assert shown.isdisjoint(world.bought(0))


def test_quotas_of_the_graph_are_obeyed() -> None:
    for scenario in BUILT_IN.values():
        quotas = [quota for quota in scenario.recall if quota.channel == GRAPH]
        assert len(quotas) == (not scenario.anchored and scenario.name != "reorder")
    scores = {"graph": np.linspace(1, 2, 25, dtype=np.float32)}
    found = fuse(scores, (Quota("graph", 7),), None, 100)
    assert found.items.tolist() == list(range(24, 17, -1))


def test_a_ranker_is_given_what_its_training_could_have_seen(space: Space) -> None:
    """The graph brings candidates; the columns of those that were there before do not move, and it has none itself."""
    assert list(COLUMNS) == [*(f"recall_{name}" for name in REPLAYED), "recall_fused"]
    assert GRAPH not in REPLAYED
    assert {each.channel for each in TOLD} <= set(REPLAYED)
    scores = {"ease": np.linspace(0, 1, 25, dtype=np.float32), "popularity": np.linspace(1, 0, 25, dtype=np.float32)}
    few = tuple(Quota(q.channel, 5, q.weight) for q in BUILT_IN["home"].recall)
    graph = Nearest(space, 0).scores(NOTHING, NOW, 25)
    without, beside = (fuse(each, few, None, 100) for each in (scores, {**scores, "graph": graph}))
    more = np.flatnonzero(np.isin(beside.items, without.items))
    assert len(beside) > len(without)
    order, other = np.argsort(without.items), more[np.argsort(beside.items[more])]
    np.testing.assert_array_equal(without.columns()[order], beside.columns()[other])
    assert beside.fused.all()
