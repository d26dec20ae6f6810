"""The channels that are made of the live state, and how they are found by their names."""

from __future__ import annotations

import numpy as np
import pytest
from recommend_world import NOW, Hand, World, recall_models, shop_log

from shopkeeper.checks.recall import small_orders
from shopkeeper.core.batch import EventBatch
from shopkeeper.core.clock import DAY, HOUR
from shopkeeper.core.errors import Invalid, Unavailable
from shopkeeper.core.records import RecRequest
from shopkeeper.features.copurchase import CoPurchases
from shopkeeper.features.item_facts import ItemFacts
from shopkeeper.recommend.asking import Channels, Question, Told, channel_names, check_channel
from shopkeeper.recommend.bound import Binder, BoundRanker
from shopkeeper.recommend.candidates import COLUMNS, FUSED, TOLD, Quota, fuse
from shopkeeper.recommend.channels import BASKET, SIMILAR
from shopkeeper.recommend.content import ContentIndex
from shopkeeper.recommend.due import Due
from shopkeeper.recommend.history import History, given_items, history_of
from shopkeeper.recommend.newcomers import NEW_DAYS, New
from shopkeeper.recommend.recall.factors import Factors
from shopkeeper.recommend.together import LEAST, SHRINK, Together

N = small_orders().n_items


@pytest.fixture
def world() -> World:
    return World()


def items(*rows: int) -> np.ndarray:
    return np.array(rows, dtype=np.int32)


def channels(world: World) -> Channels:
    return Channels(world.state, Binder(world.models, world.shelf.ids))


# -- together


def expected_together(world: World, seeds: np.ndarray) -> np.ndarray:
    """The docstring's formula, from every count of the state."""
    every = np.arange(N, dtype=np.int32)
    lines = np.zeros(N)
    known = world.state.part(ItemFacts).lines[:N]
    lines[: len(known)] = known
    pairs = world.state.part(CoPurchases).counts(seeds, every).astype(float)
    pairs[pairs < LEAST] = 0
    return (pairs / np.sqrt(lines[seeds] + SHRINK)[:, None]).sum(axis=0) / np.sqrt(lines + SHRINK)


def test_together_is_what_the_counts_say(world: World) -> None:
    seeds = items(0, 3, 17)
    found = Together(world.state).scores(given_items(seeds), NOW, N)
    np.testing.assert_allclose(found, expected_together(world, seeds), rtol=1e-5)
    assert found[1] > 0 == found[24]


def test_together_hears_of_an_order_at_once(world: World) -> None:
    together = Together(world.state)
    seeds = items(0)
    before = together.scores(given_items(seeds), NOW, N)
    assert before[20] == 0
    for user in (1, 2):
        world.happens("order", user, 0, ago=HOUR)
        world.happens("order", user, 20, ago=HOUR - 1)
    after = together.scores(given_items(seeds), NOW, N)
    assert after[20] > 0
    np.testing.assert_allclose(after, expected_together(world, seeds), rtol=1e-5)


def test_together_hears_that_two_users_are_one(world: World) -> None:
    """Their orders of one day are pairs from then on."""
    together, seeds = Together(world.state), items(0)
    more = [
        (10**6 + at, user, item, -1, 0, 0, NOW - HOUR, 1.0, 3.0, 3.0, False)
        for at, (user, item) in enumerate([(1, 0), (1, 24), (2, 23), (2, 24)])
    ]
    world.state.apply(EventBatch.from_rows(more))
    before = together.scores(given_items(seeds), NOW, N)
    assert before[23] == 0
    log = shop_log().events
    of_both = EventBatch.join([log.take(np.isin(log.user, [1, 2])), EventBatch.from_rows(more)])
    for _ in world.state.merge(2, 1, of_both):
        pass
    after = together.scores(given_items(seeds), NOW, N)
    np.testing.assert_allclose(after, expected_together(world, seeds), rtol=1e-5)
    assert not np.array_equal(before, after)


def test_the_voice_of_together_is_the_seed_with_the_largest_share(world: World) -> None:
    seeds = items(0, 8, 23)
    together = Together(world.state)
    wanted = items(1, 9, 16, 24)
    alone = np.stack([together.scores(given_items(seeds[at : at + 1]), NOW, N)[wanted] for at in range(3)])
    expected = np.where(alone.max(axis=0) > 0, alone.argmax(axis=0), -1)
    assert together.because(given_items(seeds), wanted).tolist() == expected.tolist()


def test_together_passes_over_items_that_nobody_has_met(world: World) -> None:
    together = Together(world.state)
    assert not together.scores(given_items(items(24, 900)), NOW, N).any()
    assert not together.scores(given_items(items()), NOW, N).any()
    assert together.because(given_items(items(24, 900)), items(0, 1)).tolist() == [-1, -1]
    assert len(together.scores(given_items(items(0)), NOW, 5)) == 5


# -- due


def test_due_is_highest_when_the_interval_is_over() -> None:
    world = World()
    for ago in (40, 30, 20):
        world.happens("order", 7, 2, ago=ago * DAY)
    strength = {
        days: float(Due(world.state, 7).scores(given_items(items()), NOW + days * DAY, N)[2]) for days in range(30)
    }
    known = Due(world.state, 7).intervals(NOW)
    at = known.items.tolist().index(2)
    over = round(float(known.days[at] - known.age[at]))
    assert max(strength, key=strength.__getitem__) == pytest.approx(max(over, 0), abs=1)


def test_due_counts_lines_of_one_visit_once(world: World) -> None:
    for ago in (21 * DAY, 21 * DAY - HOUR, 11 * DAY, DAY):
        world.happens("order", 59, 24, ago=ago)
    found = Due(world.state, 59).intervals(NOW)
    at = found.items.tolist().index(24)
    assert found.times[at] == 3
    assert found.days[at] == pytest.approx(10, abs=0.1)
    assert found.age[at] == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("user", [-1, 10_000])
def test_nobody_has_no_intervals(world: World, user: int) -> None:
    assert not Due(world.state, user).scores(given_items(items()), NOW, N).any()


def test_what_was_bought_once_is_never_due(world: World) -> None:
    world.happens("order", 3, 24)
    assert Due(world.state, 3).scores(given_items(items()), NOW + 30 * DAY, N)[24] == 0


# -- new


def test_new_is_what_came_lately(world: World) -> None:
    new = New(world.state)
    assert not new.scores(given_items(items()), NOW, N).any()  # everything has been there for a hundred days
    world.happens("view", 1, 24, ago=DAY)
    found = new.scores(given_items(items()), NOW, N)
    assert np.flatnonzero(found).tolist() == [24]
    world.happens("order", 1, 24)
    assert new.scores(given_items(items()), NOW, N)[24] > found[24]
    assert not new.scores(given_items(items()), NOW + int((NEW_DAYS + 1) * DAY), N).any()


def test_an_item_without_events_is_as_new_as_its_record(world: World) -> None:
    made = np.full(26, NOW - 100 * DAY)
    made[24], made[25] = NOW - DAY, NOW - 2 * DAY
    found = New(world.state, lambda: made).scores(given_items(items()), NOW, 27)
    assert np.flatnonzero(found).tolist() == [24, 25]
    assert found[24] > found[25]


# -- by name


def test_the_basket_of_a_scenario_is_what_it_is_about(world: World) -> None:
    anchored = channels(world).find(BASKET, Question(1, NOW, anchored=True))
    assert anchored is not None
    assert set(anchored.versions) == {"ease", "item_knn"}
    about = given_items(items(0, 1))
    found = anchored.channel.scores(about, NOW, N)
    assert not found[[0, 1]].any()
    assert found[2:8].min() > found[8:].max()
    assert set(anchored.channel.because(about, items(2, 3)).tolist()) <= {0, 1}


def test_else_a_basket_is_what_lies_in_the_cart_and_is_not_bought(world: World) -> None:
    def basket() -> np.ndarray:
        asked = channels(world).find(BASKET, Question(1, NOW))
        return np.zeros(N) if asked is None else asked.channel.scores(history_of(world.state, 1, NOW), NOW, N)

    assert not basket().any()
    world.happens("cart", 1, 17, ago=2 * DAY)
    assert not basket().any()  # left lying since the day before yesterday
    world.happens("cart", 1, 9, ago=2 * HOUR)
    assert int(basket().argmax()) in range(8, 16)
    world.happens("order", 1, 9, ago=HOUR)
    assert not basket().any()


def test_similar_is_about_the_newest_item(world: World) -> None:
    asked = channels(world).find(SIMILAR, Question(0, NOW))
    assert asked is not None
    world.happens("view", 0, 9)
    history = history_of(world.state, 0, NOW)
    assert history.items[0] == 9
    found = asked.channel.scores(history, NOW, N)
    assert int(found.argmax()) in range(8, 16)
    assert found[9] == 0


def test_a_blend_does_with_the_parts_that_serve(world: World) -> None:
    world.models = Hand({})
    asked = channels(world).find(SIMILAR, Question(-1, NOW, anchored=True))
    assert asked is not None
    assert asked.versions == {}
    assert asked.channel.scores(given_items(items(0)), NOW, N)[1:8].all()  # together needs no model


def test_a_blend_leaves_what_a_channel_keeps_as_it_is() -> None:
    popular = recall_models()["popularity"]
    there = channels(World(models=Hand({"ease": popular})))  # an answer that is the same for everybody is kept
    alone = there.find("ease", Question(0, NOW))
    blend = there.find(SIMILAR, Question(0, NOW, anchored=True))
    assert alone is not None
    assert blend is not None
    about = given_items(items(0))
    for _ in range(2):
        assert blend.channel.scores(about, NOW, N)[0] == 0
        assert alone.channel.scores(about, NOW, N)[0] > 0


def test_a_model_that_should_serve_and_does_not_is_named_and_an_optional_one_is_not() -> None:
    there = channels(World(models=Hand({})))
    with pytest.raises(Unavailable, match="no model serves"):
        there.find("ease", Question(0, NOW))
    assert there.find("als", Question(0, NOW)) is None
    assert there.find("query", Question(0, NOW, context={"query": "thing"})) is None
    assert there.find("space:nowhere", Question(0, NOW)) is None
    assert there.find("due", Question(0, NOW, anchored=True)) is None


def test_any_recall_model_is_a_channel_by_its_name() -> None:
    models = recall_models()
    world = World(models=Hand({**models, "winter": models["ease"]}))
    asked = channels(world).find("winter", Question(0, NOW))
    assert asked is not None
    assert asked.versions == {"winter": 1}
    history = history_of(world.state, 0, NOW)
    ease = channels(world).find("ease", Question(0, NOW))
    assert ease is not None
    np.testing.assert_array_equal(asked.channel.scores(history, NOW, N), ease.channel.scores(history, NOW, N))


def test_a_model_is_bound_again_only_while_the_shop_lacks_some_of_its_items() -> None:
    shop = list(World().shelf.ids)
    last = shop.pop()
    models = recall_models()
    binder = Binder(Hand(models), shop)

    def bound(name: str) -> object:
        found = binder.channel(name)
        assert found is not None
        return found[0]

    whole, lacking = bound("ease"), bound("popularity")
    assert last not in models["ease"].item_ids
    assert last in models["popularity"].item_ids
    shop.append("another")
    assert bound("ease") is whole
    assert bound("popularity") is not lacking
    shop.append(last)
    known = bound("popularity")
    shop.append("one more")
    assert bound("popularity") is known


def test_the_item_vectors_of_a_model_are_a_space() -> None:
    ids = small_orders().item_ids[:24]
    vectors = np.zeros((24, 3), dtype=np.float32)
    vectors[np.arange(24), np.arange(24) // 8] = 2.0
    vectors[:, 0] += 0.1
    world = World(models=Hand({"words": Factors(ids[::-1], vectors[::-1].copy(), 0.1, 0.1, 1.0)}))
    asked = channels(world).find("space:words", Question(-1, NOW))
    assert asked is not None
    assert asked.versions == {"words": 1}
    found = asked.channel.scores(given_items(items(9, 24)), NOW, N)
    assert set(np.flatnonzero(found > 0.9).tolist()) == set(range(8, 16))
    assert found[24] == 0
    assert asked.channel.because(given_items(items(24, 9, 1)), items(10, 2, 24)).tolist() == [1, 2, -1]
    assert not asked.channel.scores(given_items(items()), NOW, N).any()


def test_channel_names_are_checked() -> None:
    for name in (*channel_names(["ease", "winter"]), "space:words"):
        check_channel(name, ["ease", "winter"])
    for name in ("", "winter", "space:", "Ease", "x" * 1000):
        with pytest.raises(Invalid, match="there are: again, due") as caught:
            check_channel(name, ["ease"])
        assert caught.value.code == "unknown_channel"


# -- what a ranker reads


def test_what_a_ranker_reads_does_not_depend_on_who_may_name_candidates() -> None:
    rng = np.random.default_rng(2)
    scores = {each.channel: rng.random(300).astype(np.float32) for each in TOLD}
    wide = fuse(scores, [Quota(each.channel, 300) for each in TOLD], None, 300)
    narrow = fuse(scores, [Quota("ease", 40, 3.0)], None, 300)
    assert len(narrow) == 40
    assert narrow.channels_of(0) == ["ease"]
    place = {item: at for at, item in enumerate(wide.items.tolist())}
    same = [place[item] for item in narrow.items.tolist()]
    np.testing.assert_array_equal(narrow.columns(), wide.columns()[same])
    training = fuse(scores, TOLD, None, 300)
    np.testing.assert_allclose(training.told, training.fused, rtol=1e-6)


def test_a_ranker_is_told_of_the_channels_it_reads_whatever_the_scenario() -> None:
    class Reader:
        feature_names = (FUSED, "recall_due")
        defaults = np.zeros(2, dtype=np.float32)
        seen: np.ndarray | None = None

        def score(self, rows: np.ndarray) -> np.ndarray:
            Reader.seen = rows
            return rows[:, 0]

    assert set(BoundRanker(Reader()).channels) == {"due", *(each.channel for each in TOLD)}
    world = World(models=Hand({**recall_models(), "home_ranker": Reader()}))
    found = world.service.recommend(RecRequest(user_id="U3", scenario="reorder", n_recommendations=8, debug=True))
    assert found.debug_info is not None
    assert {"again", "due"} <= set(found.debug_info["named"])
    assert Reader.seen is not None
    assert Reader.seen[:, 1].any()


def test_columns_of_channels_that_were_not_asked_are_zero() -> None:
    found = fuse({"ease": np.ones(5, dtype=np.float32)}, [Quota("ease", 5)], None, 5)
    columns = dict(zip(COLUMNS, found.columns().T, strict=True))
    assert columns["recall_ease"].tolist() == [1.0] * 5
    assert not columns["recall_due"].any()
    assert found.columns(["recall_ease", "recall_due"]).tolist() == [[1.0, 0.0]] * 5


def test_a_model_that_reads_what_is_said_of_a_user_is_told_it() -> None:
    """`two_tower` in place of a network: who is `mild` gets the even items."""

    class Reading:
        item_ids = tuple(World().shelf.ids)
        half_life_days = None

        def scores(self, items: np.ndarray, _weights: np.ndarray) -> np.ndarray:
            return np.full(N, float(len(items) > 0), dtype=np.float32)

        def scores_for(self, features: dict[str, object], items: np.ndarray, weights: np.ndarray) -> np.ndarray:
            if not isinstance(features["taste"], str):
                raise Invalid("taste is no text")
            return self.scores(items, weights) + (np.arange(N) % 2 == 0)

        def because(self, _items: np.ndarray, _weights: np.ndarray, wanted: np.ndarray) -> np.ndarray:
            return np.full(len(wanted), -1, dtype=np.int32)

    world = World(models=Hand({"two_tower": Reading(), "ease": recall_models()["ease"]}))
    records: dict[int, dict[str, object]] = {0: {"taste": "mild", "odd": {}}, 1: {"taste": 7}, 2: {}}
    told = Told(ContentIndex(world.shelf), users=lambda row: records[row])
    asking = Channels(world.state, Binder(world.models, world.shelf.ids), told=told)

    def scores(user: int, *, anchored: bool = False, name: str = "two_tower") -> list[float]:
        asked = asking.find(name, Question(user, NOW, anchored))
        assert asked is not None
        nothing = History(items(), np.zeros(0), items())
        return asked.channel.scores(given_items(items(1)) if anchored else nothing, NOW, N).tolist()

    assert scores(0) == [float(at % 2 == 0) for at in range(N)]
    for user in (1, 2, -1):  # what cannot be read counts as not said
        assert scores(user) == [0.0] * N
    assert scores(0, anchored=True) == [1.0] * N, "a page is nobody"
    assert scores(0, name="ease") == scores(2, name="ease")
