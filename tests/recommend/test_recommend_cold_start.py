"""Cold starts: who is new, what is new, and what is looked for."""

from __future__ import annotations

import numpy as np
import pytest
from recommend_world import NOW, Shelf, World

from shopkeeper.core.clock import DAY
from shopkeeper.core.records import RecItem, RecRequest
from shopkeeper.recommend.asking import Told
from shopkeeper.recommend.content import ContentIndex
from shopkeeper.recommend.scenarios import BUILT_IN

MADE_BEFORE = NOW - 400 * DAY


class Described(Shelf):
    """The shelf with words: things of g0 are mugs, of g1 lamps, of g2 rugs."""

    def __init__(self) -> None:
        super().__init__()
        what = ("mug", "lamp", "rug", "other")
        self.names = [f"{what[k // 8]} {k}" for k in range(len(self))]
        self.made = np.full(len(self), MADE_BEFORE)

    def put(self, id: str, name: str, category: str) -> int:
        self.ids.append(id)
        self.names.append(name)
        self.category.append(category)
        self.kind.append("product")
        self.attributes.append({})
        self.price = np.append(self.price, np.float32(4))
        self.active = np.append(self.active, True)
        self.made = np.append(self.made, NOW - DAY)
        self.version += 1
        return len(self.ids) - 1


@pytest.fixture
def world() -> World:
    shelf = Described()
    return World(shelf=shelf, told=Told(ContentIndex(shelf), lambda: shelf.made))


def shown(
    world: World, user: str = "stranger", scenario: str = "content", n: int = 8, **context: object
) -> list[RecItem]:
    request = RecRequest(user_id=user, n_recommendations=n, scenario=scenario, context=context)
    return world.service.recommend(request).recommendations


def group(items: list[RecItem]) -> list[str]:
    return [str(item.metadata["category"]) for item in items]


def test_who_is_new_is_shown_what_sells(world: World) -> None:
    found = shown(world)
    assert len(found) == 8
    assert {item.metadata["reason"]["kind"] for item in found} <= {"popular", "new"}


def test_what_is_looked_at_now_counts_for_who_is_new(world: World) -> None:
    found = shown(world, category="g1")
    assert group(found)[:5] == ["g1"] * 5
    assert found[0].metadata["reason"] == {"kind": "matches"}
    assert "context" in found[0].metadata["channels"]


@pytest.mark.parametrize("taken", [1, 2, 3])
def test_a_few_looks_turn_the_slate_at_once(world: World, taken: int) -> None:
    """Three are enough for most of it."""
    user = world.users.row("U59")
    assert user is not None
    world.state.forget(user)
    before = group(shown(world, "U59")).count("g2")
    for at in range(taken):
        world.happens("view", user, 16 + at, ago=10 - at)
    after = shown(world, "U59")
    assert group(after).count("g2") > before
    if taken == 3:
        assert group(after[:5]) == ["g2"] * 5
    assert any(item.metadata["reason"]["kind"] in ("because", "like") for item in after)


def test_an_item_that_nobody_has_bought_reaches_who_likes_its_kind(world: World) -> None:
    shelf = world.shelf
    assert isinstance(shelf, Described)
    user = world.users.row("U1")  # of the group that buys lamps
    assert user is not None
    shelf.put("N1", "lamp 99", "g1")
    world.items.row("N1")
    found = {item.item_id: item for item in shown(world, "U1", n=20)}
    assert {"content", "new"} <= set(found["N1"].metadata["channels"])
    assert found["N1"].metadata["reason"]["kind"] in ("like", "new")
    page = {item.item_id: item for item in shown(world, scenario="product", n=12, item_id="I9")}
    assert page["N1"].explanation == "similar to lamp 9"


def test_a_search_is_narrowed_to_what_it_finds(world: World) -> None:
    found = shown(world, "U0", "search", n=20, query="lamps")
    assert group(found) == ["g1"] * 8
    assert {item.metadata["reason"]["kind"] for item in found} <= {"again", "due", "matches"}


def test_a_search_that_finds_nothing_shows_the_rest(world: World) -> None:
    assert len(shown(world, "U0", "search", query="qqqq")) == 8


def test_a_search_by_ids_stays_among_them(world: World) -> None:
    found = shown(world, "U0", "search", item_ids=["I1", "I9", "I17"])
    assert {item.item_id for item in found} == {"I1", "I9", "I17"}


def test_what_is_due_is_told_in_words(world: World) -> None:
    world.clock.advance(12 * DAY)
    found = shown(world, "U0", "home", n=20)
    due = [item for item in found if item.metadata["reason"]["kind"] == "due"]
    assert due
    for item in due:
        assert item.explanation is not None
        assert item.explanation.startswith("you buy this about every ")
        assert item.metadata["reason"]["days"] > 0


def test_every_built_in_channel_has_its_words(world: World) -> None:
    """Nothing in any slate of any scenario stands there for no reason."""
    for name in BUILT_IN:
        for user in ("U0", "U31", "stranger"):
            for item in shown(world, user, name, n=10, item_id="I3", item_ids=["I3", "I4"]):
                assert item.explanation
                assert item.metadata["channels"]
