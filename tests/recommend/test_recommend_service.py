from dataclasses import replace

import numpy as np
import pytest
from recommend_world import NOW, BrokenRanker, Hand, PriceRanker, World, recall_models

from shopkeeper.checks.recall import USERS
from shopkeeper.core.errors import Invalid, NotFound
from shopkeeper.core.records import Feedback, RecFilters, RecRequest
from shopkeeper.recommend.draft import Wish
from shopkeeper.recommend.scenarios import BUILT_IN
from shopkeeper.stores.vocabulary import Vocabulary


def ask(world: World, user: str = "U0", **given):
    return world.service.recommend(RecRequest(user_id=user, **given))


def ids(answer) -> list[str]:
    return [item.item_id for item in answer.recommendations]


def groups(answer) -> list[str]:
    return [item.metadata["category"] for item in answer.recommendations]


@pytest.fixture
def world() -> World:
    return World(models=Hand({**recall_models(), "home_ranker": PriceRanker()}))


def test_home_shows_what_the_user_buys_again(world: World) -> None:
    answer = ask(world, scenario="home", n_recommendations=4)
    assert set(ids(answer)) <= world.bought(0)
    assert groups(answer) == ["g0"] * 4
    assert not answer.degraded
    assert answer.model_version == "home_ranker:1"
    assert set(answer.stages) == {"filter", "recall", "rank", "rerank", "explain"}
    assert all("you b" in item.explanation for item in answer.recommendations)


def test_content_shows_nothing_bought_before(world: World) -> None:
    world.happens("order", 0, 20)
    answer = ask(world, scenario="content", n_recommendations=25)
    assert ids(answer)
    assert not set(ids(answer)) & world.bought(0)


def test_a_first_order_changes_the_next_slate_and_is_named_as_the_reason() -> None:
    world = World(models=Hand(recall_models()))
    world.users = Vocabulary([*world.users.ids(range(USERS)), "newcomer"])
    world.open()
    assert len({*groups(ask(world, "newcomer", n_recommendations=9))}) > 1
    world.happens("order", USERS, 9)
    answer = ask(world, "newcomer", n_recommendations=3)
    assert groups(answer) == ["g1"] * 3
    assert {item.explanation for item in answer.recommendations} == {"because you bought Thing 9"}
    assert answer.recommendations[0].metadata["reason"] == {"kind": "because", "item_id": "I9"}


def test_an_unknown_user_gets_what_sells(world: World) -> None:
    answer = ask(world, "nobody", n_recommendations=5)
    assert len(answer.recommendations) == 5
    assert all(item.explanation == "popular this week" for item in answer.recommendations)


def test_an_unknown_scenario_is_refused_with_the_known_ones(world: World) -> None:
    with pytest.raises(Invalid, match="content, content_discovery, home") as caught:
        ask(world, scenario="attic")
    assert caught.value.code == "unknown_scenario"


@pytest.mark.parametrize("n", [0, -1, 101])
def test_n_is_bounded(world: World, n: int) -> None:
    with pytest.raises(Invalid, match="1 to 100"):
        ask(world, n_recommendations=n)


def test_filters_by_category_price_kind_and_exclusion(world: World) -> None:
    world.shelf.kind[2] = "app"
    only = ask(world, scenario="home", n_recommendations=20, filters=RecFilters(categories=["g1"]))
    assert set(groups(only)) == {"g1"}
    cheap = ask(world, scenario="home", n_recommendations=20, filters=RecFilters(price_max=5))
    assert {item.metadata["price"] for item in cheap.recommendations} == {2.0}
    dear = ask(world, scenario="home", n_recommendations=20, filters=RecFilters(price_min=5, price_max=50))
    assert {item.metadata["price"] for item in dear.recommendations} == {10.0}
    without = ask(world, scenario="home", n_recommendations=25, filters=RecFilters(exclude_items=["I0", "unknown"]))
    assert "I0" not in ids(without)
    assert "I2" not in ids(ask(world, scenario="home", n_recommendations=25))
    assert ids(ask(world, scenario="home", filters=RecFilters(kinds=["app"]))) == ["I2"]


def test_contradicting_prices_are_refused(world: World) -> None:
    with pytest.raises(Invalid, match="price_min 9 is above price_max 3"):
        ask(world, filters=RecFilters(price_min=9, price_max=3))


def test_an_impossible_filter_gives_an_empty_slate(world: World) -> None:
    assert ask(world, filters=RecFilters(categories=["none such"])).recommendations == []


def test_inactive_items_are_never_shown(world: World) -> None:
    world.shelf.active[:8] = False
    assert "g0" not in groups(ask(world, scenario="home", n_recommendations=25))


def test_what_is_sold_out_is_not_shown() -> None:
    on_hand = np.full(25, np.nan, dtype=np.float32)
    on_hand[3], on_hand[4] = 0, 7
    shown = ids(ask(World(on_hand=on_hand), scenario="home", n_recommendations=25))
    assert "I3" not in shown
    assert "I4" in shown


def test_what_the_user_dislikes_is_not_shown(world: World) -> None:
    assert "I0" in ids(ask(world, scenario="home", n_recommendations=25))
    world.happens("dislike", 0, 0)
    assert "I0" not in ids(ask(world, scenario="home", n_recommendations=25))


def test_what_was_bought_today_rests_at_home(world: World) -> None:
    world.happens("order", 0, 1, ago=1000)
    assert "I1" not in ids(ask(world, scenario="home", n_recommendations=25))


def test_a_product_page_shows_its_neighbours_and_not_itself(world: World) -> None:
    answer = ask(world, "nobody", scenario="product", n_recommendations=4, context={"item_id": "I9"})
    assert "I9" not in ids(answer)
    assert groups(answer) == ["g1"] * 4
    assert answer.recommendations[0].explanation == "often bought together with Thing 9"
    similar = world.service.similar("I9", 4)
    assert [item.item_id for item in similar.items] == ids(answer)
    assert similar.versions == {"item_knn": 1, "ease": 1}


def test_similar_of_an_unknown_item_is_not_found(world: World) -> None:
    with pytest.raises(NotFound, match="no item 'gone'"):
        world.service.similar("gone", 3)


def test_where_the_user_is_narrows_nothing_but_a_page(world: World) -> None:
    plain = ask(world, scenario="home")
    assert ids(ask(world, scenario="home", context={"item_id": "I9"})) == ids(plain)
    assert len(ids(plain)) > 1


def test_as_many_candidates_as_are_asked_for(world: World) -> None:
    book = world.service.book
    book._present = {**book._present, "home": replace(BUILT_IN["home"], candidates=3, ranker=None)}
    assert len(ids(ask(world, scenario="home", n_recommendations=12))) == 12


def test_similar_is_about_the_item_whatever_became_of_the_scenario(world: World) -> None:
    before = [item.item_id for item in world.service.similar("I9", 4).items]
    book = world.service.book
    book._present = {**book._present, "product": replace(BUILT_IN["product"], anchored=False)}
    assert [item.item_id for item in world.service.similar("I9", 4).items] == before


def test_search_results_are_ranked_and_nothing_is_added(world: World) -> None:
    found = ["I9", "I0", "I17"]
    answer = ask(world, scenario="search_results", context={"item_ids": found})
    assert sorted(ids(answer)) == sorted(found)


@pytest.mark.parametrize("context", [{"item_id": 7}, {"item_ids": "I9"}, {"item_ids": ["x"] * 51}])
def test_a_bad_context_is_refused(world: World, context: dict) -> None:
    with pytest.raises(Invalid, match=r"context\.item_id"):
        ask(world, context=context)


def test_without_any_model_the_live_windows_answer() -> None:
    answer = ask(World(models=Hand({})), scenario="home", n_recommendations=5)
    assert len(answer.recommendations) == 5
    assert answer.degraded
    assert answer.model_version == "live"
    assert "ease: no model serves" in (answer.explanation or "")
    assert all(item.confidence is None for item in answer.recommendations)


def test_a_ranker_that_raises_leaves_the_fused_order(world: World) -> None:
    broken = World(models=Hand({**recall_models(), "home_ranker": BrokenRanker()}))
    plain = World(models=Hand(recall_models()))
    answer = ask(broken, scenario="home")
    assert answer.degraded
    assert "rank: failed with RuntimeError" in (answer.explanation or "")
    assert ids(answer) == ids(ask(plain, scenario="home"))


def test_a_ranker_that_needs_a_lost_feature_is_left_out() -> None:
    class Stranger(PriceRanker):
        feature_names = ("item_price", "phase_of_the_moon")

    answer = ask(World(models=Hand({**recall_models(), "home_ranker": Stranger()})), scenario="home")
    assert answer.degraded
    assert "phase_of_the_moon" in (answer.explanation or "")


def test_a_passed_deadline_skips_the_ranker() -> None:
    world = World(models=Hand({**recall_models(), "home_ranker": PriceRanker()}))
    late = Wish(user=0, now=NOW, n=5, scenario=BUILT_IN["home"], deadline_ms=0.0)
    slate = world.pipeline().run(late)
    assert "rank: no time left" in slate.fallbacks
    assert slate.probability is None
    assert len(slate.places) == 5


def test_an_explicit_model_that_does_not_exist_is_not_found(world: World) -> None:
    with pytest.raises(NotFound, match="no model 'dream'"):
        ask(world, model="dream")


def test_an_explicit_model_that_does_not_rank_is_refused(world: World) -> None:
    with pytest.raises(Invalid, match="does not rank"):
        world.service.recommend(RecRequest(user_id="U1", model="popularity"))


@pytest.mark.parametrize("place", list(BUILT_IN))
def test_items_that_the_shelf_does_not_show_yet_disturb_nothing(place: str) -> None:
    """Events may name an item a moment before the catalogue shows it."""
    world = World()
    unseen = len(world.shelf.ids) + 3
    for kind in ("order", "view", "dislike"):
        world.happens(kind, user=1, item=unseen)
    world.items = Vocabulary([*world.shelf.ids, "x", "y", "z", "unseen"])
    world.open()
    context = {"item_ids": [world.shelf.ids[0], "unseen"]}
    answer = world.service.recommend(RecRequest(user_id="U1", scenario=place, context=context, debug=True))
    assert {item.item_id for item in answer.recommendations} <= set(world.shelf.ids)
    assert [text for text in answer.debug_info["fallbacks"] if "failed" in text] == []
    only_unseen = world.service.recommend(RecRequest(user_id="U1", scenario=place, context={"item_id": "unseen"}))
    assert {item.item_id for item in only_unseen.recommendations} <= set(world.shelf.ids)
    assert world.service.similar("unseen").items


def test_feedback_on_a_purchase_takes_the_price_of_the_shelf(world: World) -> None:
    given = Feedback(user_id="U0", item_id="I1", feedback_type="purchase")
    assert world.service.feedback(given).value == 10.0
    unknown = Feedback(user_id="U0", item_id="elsewhere", feedback_type="purchase")
    assert world.service.feedback(unknown).value is None


def test_debug_tells_versions_and_candidates(world: World) -> None:
    info = ask(world, scenario="home", debug=True).debug_info
    assert info is not None
    assert info["versions"] == {"ease": 1, "item_knn": 1, "popularity": 1, "home_ranker": 1}
    assert info["candidates"] >= 10


def test_every_scenario_answers_everybody(world: World) -> None:
    for name in BUILT_IN:
        for user in ("U0", "nobody"):
            answer = ask(world, user, scenario=name, n_recommendations=3)
            assert len(ids(answer)) == len(set(ids(answer))) <= 3
    assert [each.name for each in world.service.book.all()] == list(BUILT_IN)


def test_a_new_version_is_used_at_once(world: World) -> None:
    before = ids(ask(world, scenario="home", n_recommendations=25))
    world.models.held["home_ranker"] = type(world.models.held["home_ranker"])(
        world.models.held["home_ranker"].version, _Dear()
    )
    after = ids(ask(world, scenario="home", n_recommendations=25))
    assert before != after
    assert sorted(before) == sorted(after)


def test_a_new_item_of_the_shop_does_not_disturb_the_models(world: World) -> None:
    world.shelf.ids.append("NEW")
    world.shelf.names.append("New thing")
    world.shelf.category.append("g0")
    world.shelf.kind.append("product")
    world.shelf.price = np.append(world.shelf.price, np.float32(4))
    world.shelf.active = np.append(world.shelf.active, True)
    world.happens("order", 0, 25, ago=10**12)
    assert "NEW" in ids(ask(world, scenario="home", n_recommendations=25))


class _Dear(PriceRanker):
    def score(self, rows: np.ndarray) -> np.ndarray:
        return (rows[:, 0] / 100).astype(np.float32)
