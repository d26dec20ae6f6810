"""Slots that are drawn: with the chance that is told, repeatably, and never at the cost of a slate."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from own_loop import on_a_loop
from recommend_world import Hand, PriceRanker, World, recall_models
from slate_world import Slates, shown, slate

from shopkeeper.core.errors import Invalid
from shopkeeper.core.records import RecRequest
from shopkeeper.recommend.explore.asked import Exploring, exploring
from shopkeeper.recommend.explore.context import ContextReader, check_context
from shopkeeper.recommend.explore.drawing import draw, mixed, number, picked
from shopkeeper.recommend.explore.snapshots import begun
from shopkeeper.recommend.made import Made
from shopkeeper.recommend.scenariobook import ScenarioBook
from shopkeeper.recommend.scenarios import BUILT_IN
from shopkeeper.stores.exploring import Learned

SLATE = "01HZZZZZZZZZZZZZZZZZZZZZZZ"


def even(arms: np.ndarray) -> np.ndarray:
    return np.full(len(arms), 1 / len(arms))


def arms(n: int) -> np.ndarray:
    return np.arange(n, dtype=np.int32)


# -- the draw


def test_the_chance_is_a_mixture_of_the_best_the_policy_and_the_floor() -> None:
    asked = Exploring("ucb1", share=0.3, floor=0.2)
    p = mixed(np.array([0.0, 1.0, 0.0, 0.0]), asked)
    assert p == pytest.approx([0.7 + 0.015, 0.3 * 0.8 + 0.015, 0.015, 0.015])
    assert p.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("wrong", [[0.5, 0.6], [1.5, -0.5], [np.nan, 1.0], [np.inf, 0.0], [0.0, 0.0]])
def test_what_are_no_chances_is_refused(wrong: list[float]) -> None:
    with pytest.raises(Invalid, match="no chances"):
        mixed(np.array(wrong), Exploring("ucb1"))


def test_draws_come_as_often_as_their_chance_says() -> None:
    p = np.array([0.6, 0.25, 0.1, 0.05])
    found = np.bincount([picked(p, number(f"slate {k}", 3)) for k in range(20_000)], minlength=4) / 20_000
    assert np.abs(found - p).max() < 4 * np.sqrt(0.25 / 20_000)


def test_what_has_no_chance_is_never_drawn() -> None:
    p = np.array([0.0, 0.5, 0.5, 0.0])
    assert [picked(p, x) for x in (0.0, 0.4999, 0.5, 1 - 2**-53)] == [1, 1, 2, 2]


def test_a_slate_draws_the_same_whenever_it_is_made_and_another_slate_something_else() -> None:
    asked = Exploring("ucb1", share=1.0)
    one, again, other = (draw(arms(40), 10, asked, even, id) for id in (SLATE, SLATE, SLATE[:-1] + "0"))
    assert one == again
    assert one.order != other.order


def test_every_item_is_placed_once_and_pools_hold_what_is_left() -> None:
    asked = Exploring("ucb1", share=1.0, pool=5)
    for k in range(50):
        drawn = draw(arms(12), 12, asked, even, f"slate {k}")
        assert sorted(drawn.order) == list(range(12))
        assert drawn.slots == list(range(11)), "the last has no choice"
        for slot, pool, chance in zip(drawn.slots, drawn.pools, drawn.chances, strict=True):
            above = set(drawn.order[:slot])
            assert pool == [at for at in range(12) if at not in above][:5]
            assert drawn.order[slot] in pool
            assert chance == pytest.approx(1 / len(pool))


def test_only_the_asked_slots_are_drawn() -> None:
    asked = Exploring("ucb1", share=1.0, slots=frozenset({1, 3, 99}))
    drawn = draw(arms(30), 5, asked, even, SLATE)
    assert drawn.slots == [1, 3]
    assert drawn.order[0] == 0


def test_a_share_of_nothing_leaves_the_best_and_says_so() -> None:
    drawn = draw(arms(30), 5, Exploring("ucb1", share=0.0), even, SLATE)
    assert drawn.order == [0, 1, 2, 3, 4]
    assert drawn.chances == [1.0] * 5


def test_once_it_is_late_the_rest_stays_as_it_is() -> None:
    asks = iter([False, False, True, True, True])
    drawn = draw(arms(30), 5, Exploring("ucb1", share=1.0), even, SLATE, lambda: next(asks))
    assert drawn.slots == [0, 1]
    left = [at for at in range(30) if at not in drawn.order[:2]]
    assert drawn.order[2:] == left[:3]


@pytest.mark.parametrize(("n", "k"), [(5, 0), (5, 1), (0, 9), (5, 2)])
def test_few_candidates(n: int, k: int) -> None:
    drawn = draw(arms(k), n, Exploring("ucb1", share=1.0), even, SLATE)
    assert len(drawn.order) == min(n, k)
    assert len(drawn.slots) == min(n, max(k - 1, 0))


# -- in a slate


def world(explore: dict[str, Any], *, scenario: str = "home", models: dict[str, Any] | None = None) -> World:
    made = World(models=Hand(models or {**recall_models(), "home_ranker": PriceRanker()}), explores=True)
    made.service.book = ScenarioBook()
    made.service.book._present[scenario] = replace(BUILT_IN[scenario], explore=explore)
    return made


def ask(made: World, user: str = "U0", **given: Any) -> Made:
    request = RecRequest(**{"user_id": user, "scenario": "home", **given})
    asked = made.service._asked(request)
    wish = made.service._wish(asked)
    return made.service._made(asked, wish, made.service._pipeline.run(wish), 0.0)


def ids(made: Made) -> list[str]:
    return [item.item_id for item in made.items]


@on_a_loop
async def test_a_slate_tells_the_chance_of_each_drawn_slot() -> None:
    shop = world({"policy": "ucb1", "share": 0.5, "slots": [1, 2], "pool": 4, "floor": 0.2})
    made = await shop.service.make(RecRequest(user_id="U0", scenario="home"))
    told = [item.metadata.get("propensity") for item in made.items]
    assert [at for at, chance in enumerate(told) if chance is not None] == [1, 2]
    drawn = made.explored
    assert drawn is not None
    assert (drawn.asked.policy, drawn.number, drawn.slots) == ("ucb1", 0, (1, 2))
    assert drawn.pools.shape == (2, 4)
    assert drawn.drawn.tolist() == [int(made.rows[1]), int(made.rows[2])]
    assert drawn.chances.tolist() == [told[1], told[2]]
    assert all(chance == pytest.approx(1 - 0.5 + 0.125) or chance == pytest.approx(0.125) for chance in drawn.chances)
    assert made.stages.keys() >= {"rerank", "explore", "explain"}


def test_a_scenario_that_does_not_explore_is_made_as_ever() -> None:
    plain, exploring_world = World(), world({})
    exploring_world.models.held.pop("home_ranker")
    assert ids(ask(plain)) == ids(ask(exploring_world))
    made = ask(exploring_world)
    assert made.explored is None
    assert "explore" not in made.stages
    assert all("propensity" not in item.metadata for item in made.items)


@pytest.mark.parametrize("given", [{}, {"diversity_weight": 0.7}])
def test_with_a_share_of_nothing_the_slate_is_the_same(given: dict[str, Any]) -> None:
    drawn, plain = (ask(world(explore), **given) for explore in ({"policy": "ucb1", "share": 0.0}, {}))
    assert ids(drawn) == ids(plain)
    assert drawn.seen is not None
    assert plain.seen is not None
    assert (drawn.seen.vectors == plain.seen.vectors).all()


@on_a_loop
async def test_a_kept_answer_shows_the_draw_that_it_was_made_with() -> None:
    slates = Slates(world({"policy": "ucb1", "share": 1.0}))
    first, again, other = await slates.ask("U0"), await slates.ask("U0"), await slates.ask("U0", use_cache=False)
    assert again["cache_hit"]
    assert again["recommendations"] == first["recommendations"]
    assert slate(again) == slate(first) != slate(other)
    assert shown(other) != shown(first)
    assert [made.slate_id for made in slates.log.noted] == [slate(first), slate(other)]
    slates.front.tell_log()
    assert slates.log.times == {slate(first): 1}


def test_debug_tells_what_was_drawn_and_the_value_of_each_item_that_is_shown() -> None:
    explore = {"policy": "linear", "share": 1.0, "floor": 1.0, "context": ["user_orders_all", "context.warm"]}
    made = ask(world(explore, models=recall_models()), debug=True, context={"warm": 0.5})
    assert made.debug_info is not None
    told = made.debug_info["explored"]
    assert told["policy"] == "linucb"
    assert told["context"]["bias"] == 1.0
    assert told["context"]["context.warm"] == 0.5
    assert 0 < told["context"]["user_orders_all"] < 1
    assert len(told["propensities"]) == 10
    values = [one["value"] for one in made.debug_info["items"]]
    assert len(values) == len(made.items)
    assert values != sorted(values, reverse=True), "each is as likely"
    plain = ask(world({}, models=recall_models()), debug=True, n_recommendations=20)
    assert plain.debug_info is not None
    value_of = {id: one["value"] for id, one in zip(ids(plain), plain.debug_info["items"], strict=True)}
    both = [(value, value_of[id]) for value, id in zip(values, ids(made), strict=True) if id in value_of]
    assert len(both) > 5
    assert all(one == other for one, other in both)


class Broken:
    contextual = False
    arm_ids = ()

    def chances(self, _arms: np.ndarray, _context: object) -> np.ndarray:
        raise RuntimeError("out of order")


class NoChances(Broken):
    def chances(self, arms: np.ndarray, _context: object) -> np.ndarray:
        return np.full(len(arms), 0.9)


def learned(asked: Exploring, number: int = 1) -> Learned:
    return Learned(
        scenario="home", key=asked.key, policy=asked.policy, asked=asked.begun_with, number=number, position=1,
        rounds=1, state=b"", changed_at=0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("policy", "told"),
    [(Broken(), "explore: failed with RuntimeError"), (NoChances(), "explore: the policy gave what are no chances")],
)
def test_a_policy_that_fails_leaves_the_best(policy: Any, told: str) -> None:
    shop = world({"policy": "ucb1", "share": 1.0})
    asked = exploring({"policy": "ucb1"})
    assert asked is not None
    shop.snapshots.take(learned(asked), policy)
    made = ask(shop)
    assert made.degraded
    assert told in (made.explanation or "")
    assert made.explored is None
    assert ids(made) == ids(ask(world({})))


class Slow(Broken):
    """Takes longer for its first pool than the stage has."""

    def chances(self, arms: np.ndarray, _context: object) -> np.ndarray:
        time.sleep(0.06)
        return np.full(len(arms), 1 / len(arms))


def test_a_slate_whose_time_ends_between_two_draws_says_so() -> None:
    shop = world({"policy": "ucb1", "share": 1.0})
    shop.service.book._present["home"] = replace(shop.service.book.get("home"), deadlines={"explore": 50})
    asked = exploring({"policy": "ucb1"})
    assert asked is not None
    shop.snapshots.take(learned(asked), Slow())
    made = ask(shop)
    assert made.degraded
    assert "explore: no time left" in (made.explanation or "")
    assert made.explored is None or made.explored.slots == (0,)
    assert len(made.items) == 10


def test_a_policy_that_is_gone_leaves_the_best() -> None:
    made = ask(world({"policy": "luck", "share": 1.0}))
    assert "explore: no policy 'luck'; there are: " in (made.explanation or "")
    assert ids(made) == ids(ask(world({})))


def test_a_late_slate_is_not_drawn() -> None:
    made = ask(world({"policy": "ucb1", "share": 1.0}), deadline_ms=0.001)
    assert "explore: no time left" in (made.explanation or "")
    assert len(made.items) == 10
    assert made.explored is None


def test_the_stage_has_a_deadline_of_its_own() -> None:
    shop = world({"policy": "ucb1", "share": 1.0})
    shop.service.book._present["home"] = replace(shop.service.book.get("home"), deadlines={"explore": 1e-6})
    assert "explore: no time left" in (ask(shop).explanation or "")


def test_what_nobody_will_ask_about_is_not_drawn() -> None:
    shop = world({"policy": "ucb1", "share": 1.0, "floor": 1.0})
    plain = [item.item_id for item in shop.service.top("U0", 10, "home")]
    assert plain == ids(ask(world({})))


def test_items_that_came_after_a_snapshot_are_new_arms() -> None:
    shop = world({"policy": "thompson_beta", "share": 1.0, "floor": 0.0})
    asked = shop.service.book.get("home").exploring
    assert asked is not None
    learner = begun(asked)
    bad = shop.shelf.ids[0]
    for _ in range(200):
        learner.learn(learner.place(bad), 0.0, None)
    shop.snapshots.take(learned(asked), learner.snapshot())
    bound = shop.snapshots.of("home", asked)
    assert bound.of(np.array([0, 1, 24, 10_000], dtype=np.int32)).tolist() == [0, -1, -1, -1]
    shown = [ids(ask(shop, f"U{k % 7}")) for k in range(20)]
    assert all(bad not in slate[:5] for slate in shown), "what nobody knows is tried before what was found bad"


def test_an_older_snapshot_does_not_take_the_place_of_a_newer() -> None:
    shop = world({"policy": "ucb1"})
    asked = shop.service.book.get("home").exploring
    assert asked is not None
    for taken in (2, 1):
        shop.snapshots.take(learned(asked, taken), begun(asked).snapshot())
    assert shop.snapshots.held() == {("home", asked.key): 2}
    assert shop.snapshots.of("home", asked).number == 2


# -- whom a policy goes by


def test_a_page_goes_by_nothing_of_the_user() -> None:
    explore = {"policy": "linucb", "share": 1.0, "context": ["user_orders_all", "context.warm"]}
    about = {"item_id": "I9", "warm": 1}
    page = ask(world(explore, scenario="product"), scenario="product", context=about)
    assert page.explored is not None
    assert page.explored.context is not None
    assert page.explored.context.tolist() == [1.0, 0.0, 1.0]
    assert "I9" not in ids(page)


def test_of_strangers_and_of_those_who_do_not_agree_nothing_is_read() -> None:
    shop = world({"policy": "lints", "share": 1.0, "context": ["user_orders_all", "user_days_since_order"]})
    known = ask(shop).explored
    stranger = ask(shop, "nobody").explored
    shop.allows = lambda _: False
    shop.open()
    shop.service.book._present["home"] = replace(
        BUILT_IN["home"], explore={"policy": "lints", "share": 1.0, "context": ["user_orders_all"]}
    )
    refusing = ask(shop).explored
    assert known is not None
    assert stranger is not None
    assert refusing is not None
    assert known.context is not None
    assert known.context[1:].all()
    assert stranger.context is not None
    assert stranger.context.tolist() == [1.0, 0.0, 0.0]
    assert refusing.context is not None
    assert refusing.context.tolist() == [1.0, 0.0]


def test_what_a_context_is_made_of() -> None:
    reader = ContextReader(World().state)
    names = ["context.a", "context.b", "context.c", "context.d", "context.e", "request_temperature"]
    given = {"a": 5, "b": "x", "c": float("nan"), "d": True, "e": 10**400, "weather": {"temperature": 20}}
    found = reader.read(names, user=0, now=World().clock.now(), context=given)
    assert found[:6].tolist() == [1.0, 1.0, 0.0, 0.0, 1.0, 0.0]
    assert 0 < found[6] < 1
    for wrong in ("item_price", "nothing", "context."):
        with pytest.raises(Invalid, match="no feature"):
            check_context(wrong)


def test_an_earlier_name_of_a_policy_means_the_same() -> None:
    for old, new in (("ucb", "ucb1"), ("thompson", "thompson_beta"), ("linear", "linucb")):
        one, other = exploring({"policy": old}), exploring({"policy": new})
        assert one == other
    assert exploring({}) is None
