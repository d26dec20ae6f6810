"""What scenarios make of a shop: filters, the last order, and what is kept of both until something changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recommend_world import NOW, World

from shopkeeper.core.clock import DAY, HOUR, SECOND
from shopkeeper.core.errors import Conflict, Invalid
from shopkeeper.recommend.candidates import Quota
from shopkeeper.recommend.diversity import Vectors, diversified
from shopkeeper.recommend.objectives import OBJECTIVES, scaled
from shopkeeper.recommend.scenariobook import ScenarioBook
from shopkeeper.recommend.scenarioform import body_of, scenario_of
from shopkeeper.recommend.scenarios import BUILT_IN, Boost, Scenario, is_named
from shopkeeper.recommend.shaping import Shaping
from shopkeeper.recommend.shown import LatelyShown
from shopkeeper.recommend.tastes import Taste, Tastes, taste_of

N = 25
PLAIN = Scenario("plain", (Quota("trending", 50),), filters=("sellable",), ranker=None)


class Attributes:
    """Attributes as records have them."""

    def __init__(self, **columns: list[Any]) -> None:
        self.version = 0
        self.columns = columns

    def types(self) -> Any:
        kinds: dict[type, str] = {bool: "bool", str: "text", float: "number"}
        return {name: kinds[type(next(v for v in values if v is not None))] for name, values in self.columns.items()}

    def column(self, name: str, n: int) -> list[Any]:
        values = self.columns[name][:n]
        return values + [None] * (n - len(values))


class Made:
    """A shaping and all that it reads."""

    def __init__(self, **given: Any) -> None:
        self.world = World()
        self.on_hand = np.full(N, np.nan, dtype=np.float32)
        self.daily = np.ones(N, dtype=np.float32)
        self.told: list[int] = []
        self.tastes, self.shown = Tastes(self.told.append), LatelyShown()
        self.shaping = Shaping(
            self.world.state,
            self.world.shelf,
            self.world.items,
            on_hand=lambda: self.on_hand,
            daily=lambda: self.daily,
            tastes=self.tastes,
            shown=self.shown,
            **given,
        )
        self.filters, self.reranker = self.shaping.filters, self.shaping.reranker

    def base(self, *filters: str, now: int = NOW) -> set[int]:
        return set(np.flatnonzero(self.filters.base(replace(PLAIN, filters=filters), now)).tolist())

    def order(self, strength: list[float], n: int = N, **changes: Any) -> list[int]:
        scenario = replace(
            PLAIN, **{key: value for key, value in changes.items() if key not in ("user", "diversity_wish")}
        )
        found = self.reranker.rerank(
            scenario,
            np.arange(len(strength), dtype=np.int32),
            np.array(strength, dtype=np.float32),
            n,
            user=changes.get("user", -1),
            now=NOW,
            diversity=changes.get("diversity_wish"),
        )
        return found.places.tolist()


# -- filters


def test_words_and_rules_filter_together() -> None:
    made = Made()
    assert made.base("sellable") == set(range(N))
    assert made.base("sellable", "price > 5 and category == 'g1'") == {9, 11, 13, 15}
    assert made.base("sellable", "price > 5", "category == 'g1'") == {9, 11, 13, 15}
    made.world.shelf.kind[9] = "page"
    made.world.shelf.active[11] = False
    made.world.shelf.version += 1
    assert made.base("sellable", "price > 5 and category == 'g1'") == {13, 15}
    assert made.base("price > 5 and category == 'g1'") == {9, 13, 15}, "not a product, but active"
    scenario = replace(PLAIN, filters=("sellable", "price > 5 and category == 'g1'"))
    of_kinds = made.filters.base(scenario, NOW, of_kinds=True)
    assert set(np.flatnonzero(of_kinds).tolist()) == {9, 13, 15}, "the request says which kinds"


def test_a_kept_mask_is_the_same_array_until_something_changes() -> None:
    made = Made()
    scenario = replace(PLAIN, filters=("sellable", "in_stock", "price > 5"))
    first = made.filters.base(scenario, NOW)
    assert made.filters.base(scenario, NOW + 5 * SECOND) is first, "no live count is read"
    made.on_hand = np.where(np.arange(N) == 1, 0, np.nan).astype(np.float32)
    second = made.filters.base(scenario, NOW)
    assert first[1]
    assert not second[1]
    made.world.shelf.price = np.full(N, 1.0, dtype=np.float32)
    made.world.shelf.version += 1
    assert not made.filters.base(scenario, NOW).any()


def test_live_counts_are_read_again_each_second() -> None:
    made = Made()
    sold = replace(PLAIN, filters=("sellable", "sold_7d >= 100"))
    assert not made.filters.base(sold, NOW).any()
    for k in range(200):
        made.world.happens("order", 1, 3, ago=k)
    assert set(np.flatnonzero(made.filters.base(sold, NOW + SECOND)).tolist()) == {3}


def test_a_rule_that_cannot_run_any_more_holds_for_nothing(caplog: pytest.LogCaptureFixture) -> None:
    made = Made()
    assert made.base("sellable", "brand == 'Acme'") == set()
    assert "cannot run and holds for nothing" in caplog.text


def test_attributes_are_fields_and_numbers_of_the_map() -> None:
    attributes = Attributes(brand=["Acme", None, "Best"], vegan=[True], weight=[2.5, 0.5], **{"size of": [4.0]})
    made = Made(attributes=attributes)
    assert made.base("brand == 'Acme'") == {0}
    assert made.base("vegan") == {0}
    assert made.base("weight < 1") == {1}
    assert made.base("attributes.get('size of', 0) > 3") == {0}
    assert made.base("brand is None") == set(range(N)) - {0, 2}
    attributes.columns["brand"][1] = "Acme"
    made.world.shelf.version += 1
    assert made.base("brand == 'Acme'") == {0, 1}


def test_a_number_too_large_to_count_with_is_as_if_it_were_missing() -> None:
    attributes = Attributes(weight=[2.5, 10**400, float("inf"), True])
    made = Made(attributes=attributes)
    assert made.base("weight > 1") == {0}
    assert made.base("attributes.get('weight', 7) > 5") == set(range(1, N))


def test_an_empty_catalogue_and_a_grown_one() -> None:
    made = Made()
    shelf = made.world.shelf
    kept = dict(vars(shelf))
    for name in ("ids", "names", "category", "kind"):
        setattr(shelf, name, [])
    shelf.price, shelf.active, shelf.version = np.empty(0, np.float32), np.empty(0, np.bool_), 1
    assert made.base("sellable", "in_stock", "price > 1 and sold_30d >= 0 and cover_days > 1") == set()
    nothing = made.reranker.rerank(
        replace(PLAIN, objectives={"novelty": 1.0}, boosts=(Boost("is_new", 2.0),), diversity=0.5),
        np.empty(0, np.int32),
        np.empty(0, np.float32),
        10,
        user=-1,
        now=NOW,
    )
    assert nothing.places.tolist() == []
    vars(shelf).update(kept, version=2)
    assert len(made.base("sellable", "price > 1")) == N


def test_what_was_seen_or_hidden_is_taken_out_of_a_users_mask() -> None:
    made = Made()
    feed = replace(PLAIN, filters=("sellable", "seen in 2 hours"))

    def left(user: int, now: int = NOW, scenario: Scenario = feed) -> set[int]:
        mask = made.filters.base(scenario, now).copy()
        made.filters.personal(mask, scenario, user, now)
        return set(range(N)) - set(np.flatnonzero(mask).tolist())

    made.shown.note(1, np.array([3, 4], dtype=np.int32), NOW - HOUR)
    made.world.happens("view", 1, 7, ago=HOUR)
    made.world.happens("view", 1, 8, ago=3 * HOUR)
    assert left(1) == {3, 4, 7}
    assert left(1, NOW + 2 * HOUR) == set()
    assert left(-1) == left(999) == set()
    assert left(1, scenario=PLAIN) == set()
    made.tastes.put(1, {"hidden_categories": "g0", "hidden_items": [made.world.shelf.ids[20], "elsewhere"]})
    assert left(1, scenario=PLAIN) == {*range(8), 20}
    made.tastes.put(1, {})
    assert left(1, scenario=PLAIN) == set()
    assert made.told == [1, 1]


# -- the last order


def test_without_anything_to_shape_the_order_is_that_of_the_strength() -> None:
    made = Made()
    assert made.order([0.2, 0.5, 0.5, 0.1], n=3) == [1, 2, 0]
    assert made.order([0.2, 0.5], n=10) == [1, 0]


def test_objectives_move_what_they_aim_at() -> None:
    made = Made()
    flat = [1.0] * N
    assert made.order(flat, n=2, objectives={"revenue": 1.0}) == [1, 3], "the odd ones cost ten"
    for k in range(50):
        made.world.happens("order", 1, 6, ago=k)
    assert made.order(flat, n=1, objectives={"popularity": 1.0}) == [6]
    assert made.order(flat, objectives={"novelty": 1.0})[-1] == 6
    made.on_hand = np.full(N, 50.0, dtype=np.float32)
    made.on_hand[5], made.on_hand[7] = 10_000.0, 1.0
    assert made.order(flat, n=1, objectives={"clearance": 1.0}) == [5]
    assert made.order(flat, objectives={"stock": 1.0})[-1] == 7
    assert made.order(flat, objectives={"stock": -1.0})[0] == 7
    mixed = made.order([1.0, 0.0, *[0.5] * 23], n=1, objectives={"relevance": 1.0, "revenue": 0.01})
    assert mixed == [0]


def test_what_a_ranker_foretells_of_several_tasks_counts_by_weight() -> None:
    made = Made()
    strength = np.array([0.9, 0.5, 0.1], dtype=np.float32)
    tasks = {"ctr": strength, "gmv": np.array([0.0, 20.0, 100.0], dtype=np.float32)}

    def order(objectives: dict[str, float], told: dict[str, Any]) -> list[int]:
        scenario, items = replace(PLAIN, objectives=objectives), np.arange(3, dtype=np.int32)
        found = made.reranker.rerank(scenario, items, strength, 3, user=-1, now=NOW, tasks=told)
        return found.places.tolist()

    assert order({"gmv": 1.0}, tasks) == [2, 1, 0]
    assert order({"ctr": 1.0}, tasks) == [0, 1, 2]
    assert order({"ctr": 1.0, "gmv": 1.2}, tasks) == [2, 0, 1]
    assert order({"ctr": 1.3, "gmv": -1.0}, tasks) == [0, 1, 2]
    assert order({"gmv": 1.0}, {}) == [0, 1, 2], "relevance stands for what nobody tells"
    plain = order({"popularity": 1.0}, {})
    assert order({"popularity": 1.0}, {"popularity": tasks["gmv"]}) == plain, "the name of an objective stays that"


def test_freshness_is_for_what_came_lately() -> None:
    made = Made()
    for k, age in ((2, 1), (3, 400)):
        made.world.happens("view", 1, k, ago=age * DAY)
    facts = made.shaping.columns.age_days(N, NOW)
    order = made.order([1.0] * N, objectives={"freshness": 1.0})
    assert order == np.argsort(facts, kind="stable").tolist()
    assert order[-1] == 3


def test_boosts_lift_and_sink_but_do_not_promote_what_is_nearly_gone() -> None:
    made = Made()
    strength = [0.9, 0.8, 0.7, 0.0]
    assert made.order(strength, boosts=(Boost("item_id == 'i2'", 2.0),)) == [0, 1, 2, 3]  # nothing has that id
    third = made.world.shelf.ids[2]
    assert made.order(strength, boosts=(Boost(f"item_id == '{third}'", 2.0),))[0] == 2
    assert made.order(strength, boosts=(Boost("price > 5", 0.1),))[:2] == [0, 2]
    made.on_hand = np.full(N, np.nan, dtype=np.float32)
    made.on_hand[2] = 1.0
    made.daily = np.full(N, 0.9, dtype=np.float32)
    assert made.order(strength, boosts=(Boost(f"item_id == '{third}'", 2.0),))[0] == 0
    made.daily = np.full(N, 0.1, dtype=np.float32)
    assert made.order(strength, boosts=(Boost(f"item_id == '{third}'", 2.0),))[0] == 2


def test_what_a_user_is_fond_of_rises() -> None:
    made = Made()
    made.tastes.load([(1, {"categories": ["g2", "nowhere"]})])
    strength = [1.0 - k / 100 for k in range(N)]
    risen = made.order(strength, user=1)
    assert risen[:2] == [16, 17]
    assert [row for row in risen if row < 16] == list(range(16))
    assert made.order(strength, user=2) == list(range(N))


def test_diversity_of_the_request_wins_over_that_of_the_scenario() -> None:
    made = Made()
    strength = [1.0 - k / 1000 for k in range(N)]
    first = made.order(strength, n=4, diversity=0.5)
    groups = [made.world.shelf.category[row] for row in first]
    assert len(set(groups[:3])) == 3
    assert made.order(strength, n=4, diversity=0.5, diversity_wish=0.0) == [0, 1, 2, 3]
    assert made.order(strength, n=4, diversity_wish=0.5) == first


def test_each_factor_is_told() -> None:
    made = Made()
    scenario = replace(PLAIN, objectives={"relevance": 1.0, "revenue": 1.0, "novelty": 1.0}, diversity=0.3)
    found = made.reranker.rerank(
        replace(scenario, boosts=(Boost("price > 5", 2.0),)),
        np.arange(5, dtype=np.int32),
        np.linspace(1, 0, 5, dtype=np.float32),
        3,
        user=-1,
        now=NOW,
        tell=True,
    )
    assert found.told is not None
    assert [set(one) for one in found.told] == [{"relevance", "revenue", "items", "factor", "value", "likeness"}] * 3
    for place, one in zip(found.places.tolist(), found.told, strict=True):
        assert one["factor"] == (2.0 if place % 2 else 1.0)
        mean = (one["relevance"] + one["revenue"] + one["items"]) / 3
        assert one["value"] == pytest.approx(mean * one["factor"], abs=1e-5)


def test_nothing_is_kept_too_long_of_a_changed_scenario() -> None:
    made = Made()
    strength = [1.0 - k / 100 for k in range(N)]
    assert made.order(strength, n=1, boosts=(Boost("price > 5", 3.0),)) == [1]
    assert made.order(strength, n=1, boosts=(Boost("price < 5", 3.0),)) == [0], "equal name and version, other rules"


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.floats(0, 1, width=32), min_size=1, max_size=N),
    st.dictionaries(st.sampled_from(sorted(OBJECTIVES)), st.floats(0.125, 5, width=32), max_size=3),
    st.floats(0, 1),
    st.integers(1, 30),
)
def test_an_order_is_a_choice_without_repeats(
    strength: list[float], objectives: dict[str, float], diversity: float, n: int
) -> None:
    found = _KEPT.order(strength, n, objectives=objectives, diversity=diversity)
    assert len(found) == len(set(found)) == min(n, len(strength))
    assert set(found) <= set(range(len(strength)))


_KEPT = Made()


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.floats(0, 1), st.booleans())
def test_variety_is_that_of_the_plain_definition(seed: int, weight: float, vectors: bool) -> None:
    """One item after the other, each alikeness worked out anew."""
    draw = np.random.default_rng(seed)
    k, n = int(draw.integers(1, 12)), 8
    value, category = draw.random(k), draw.integers(-1, 3, k).astype(np.int32)
    unit = None
    if vectors:
        unit = draw.normal(size=(k, 3)).astype(np.float32)
        unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    places, likeness = diversified(value, category, unit, weight, n)
    chosen: list[int] = []
    for at, place in enumerate(places.tolist()):
        alike = np.zeros(k)
        for row in range(k):
            same = sum(1 for other in chosen if category[row] >= 0 and category[other] == category[row])
            of_category = 1 - 0.5**same
            near = max((float(unit[row] @ unit[other]) for other in chosen), default=0.0) if unit is not None else 0.0
            alike[row] = of_category if unit is None else (of_category + max(near, 0.0)) / 2
        score = (1 - weight) * value - weight * alike
        best = max(score[row] for row in range(k) if row not in chosen)
        assert score[place] == pytest.approx(best, abs=1e-5)
        if weight > 1e-3:
            assert likeness[at] == pytest.approx(alike[place], abs=1e-3 / weight * 0.1 + 1e-4)
        chosen.append(place)
    assert len(chosen) == min(k, n)


class _Space:
    name, version = "hgt", "hgt/1"

    def items(self) -> tuple[Any, Any]:
        vectors = np.array([[3.0, 0.0], [0.0, 0.0], [np.nan, 1.0]], dtype=np.float32)
        return np.array([0, 2, 5], dtype=np.int32), vectors

    def user_vector(self, _row: int) -> None:
        return None


def test_vectors_of_items_that_have_none_or_bad_ones_are_zero() -> None:
    unit = Vectors(_Space()).unit(np.array([0, 1, 2, 5, 9], dtype=np.int32))
    assert unit is not None
    assert unit.tolist() == [[1, 0], [0, 0], [0, 0], [0, 0], [0, 0]]
    assert Vectors(None).unit(np.array([0], dtype=np.int32)) is None


def test_relevance_is_scaled_from_0_to_1() -> None:
    assert scaled(np.array([2, 4, 3], dtype=np.float32)).tolist() == [0.5, 1, 0.75]
    assert scaled(np.array([-2, 2, 0], dtype=np.float32)).tolist() == [0, 1, 0.5]
    assert scaled(np.array([0, 0], dtype=np.float32)).tolist() == [1, 1]


# -- what is known of users


def test_tastes_are_read_of_what_users_state_freely() -> None:
    assert taste_of({"categories": ["a", 3, None], "hidden_items": "x", "color": {"deep": 1}}) == Taste(
        frozenset({"a"}), frozenset(), frozenset({"x"})
    )
    assert not taste_of({"categories": 7, "hidden_categories": {"a": 1}})
    told: list[int] = []
    tastes = Tastes(told.append)
    tastes.put(1, {"color": "red"})
    tastes.put(1, {"categories": "a"})
    tastes.put(1, {"categories": ["a"], "size": 3})
    tastes.put(1, {})
    assert told == [1, 1]


def test_what_was_shown_is_bounded() -> None:
    shown = LatelyShown(users=2, slates=2)
    for user in (0, 1, 2):
        for k in range(3):
            shown.note(user, np.array([k], dtype=np.int32), NOW - (2 - k) * HOUR)
    assert shown.rows(0, NOW, 24).tolist() == []
    assert shown.rows(2, NOW, 24).tolist() == [1, 2]
    assert shown.rows(2, NOW, 0.5).tolist() == [2]
    shown.note(-1, np.array([1], dtype=np.int32), NOW)
    shown.forget(2)
    assert shown.rows(2, NOW, 24).tolist() == shown.rows(-1, NOW, 24).tolist() == []


# -- scenarios themselves


def test_spans_of_filters() -> None:
    assert Scenario("s", (), filters=("bought",)).repeats is False
    week = Scenario("s", (), filters=("bought in 7 days", "seen in 1 hour"))
    assert (week.repeats, week.rest_days, week.named["seen"]) == (True, 7.0, 1.0)
    assert Scenario("s", (), filters=("seen",)).named["seen"] == 24.0
    for both in (("bought", "bought in 7 days"), ("bought in 7 days", "bought")):
        assert Scenario("s", (), filters=both).repeats is False, "all must hold"
    assert Scenario("s", (), filters=("seen in 2 days", "seen in 3 hours")).named["seen"] == 48.0
    assert not is_named("bought in seven days")
    assert Scenario("s", (), filters=("bought in 7 weeks",)).rules == ("bought in 7 weeks",)


def test_a_scenario_is_read_back_as_it_was_written() -> None:
    for each in BUILT_IN.values():
        assert scenario_of(each.name, each.version, body_of(each)) == each


def test_a_book_without_a_store_gives_what_is_built_in_and_takes_nothing() -> None:
    book = ScenarioBook()
    assert book.get("home") is BUILT_IN["home"]
    with pytest.raises(Invalid, match="no scenario 'hall'; there are: content"):
        book.get("hall")
    with pytest.raises(Conflict):
        book.put(BUILT_IN["home"])
