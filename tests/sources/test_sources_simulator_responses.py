"""The frozen model of clicks: its numbers, what they depend on, and how policies are measured by it."""

import numpy as np
import pytest

from shopkeeper.core.clock import DAY, HOUR
from shopkeeper.core.errors import Invalid, NotFound
from shopkeeper.sources.simulator.audience import Audience
from shopkeeper.sources.simulator.config import SimConfig
from shopkeeper.sources.simulator.responses import VERSIONS, ResponseModel
from shopkeeper.sources.simulator.world import World
from shopkeeper.sources.simulator.yardstick import clicks_of, oracle, uniform, yardstick

PINNED = (
    (0.134930311, 0.0294261263, 0.0438535996, 0.0891100353, 0.00739385659, 0.0242896744),
    (0.0237675605, 0.238525125, 0.0326562997, 0.162728812, 0.109866965, 0.017836143),
)
PINNED_ENDS = (0.566979824, 2.63461935)


@pytest.fixture(scope="module")
def model() -> ResponseModel:
    return ResponseModel.version("v1")


def everybody(model, items: list[int]) -> tuple[np.ndarray, np.ndarray]:
    users = np.arange(len(model.user_ids))
    return users, np.tile(items, (len(users), 1))


def test_the_numbers_of_v1_never_change(model):
    """A world or a model that answers differently is another version: add it beside, and keep this one."""
    slate = ["p0000", "p0057", "p0199", "a0000", "a0042", "a0099"]
    found = [model.click_probabilities(user, slate, model.starts + 19 * HOUR) for user in ("u000000", "u000500")]
    assert np.array(found) == pytest.approx(np.array(PINNED), rel=1e-6)
    measured = yardstick(model, rounds=6, people=50)
    assert (measured.random, measured.oracle) == pytest.approx(PINNED_ENDS, rel=1e-6)


def test_a_better_place_is_clicked_on_more(model):
    users, items = everybody(model, [5])
    alone = model.chances(users, items, model.starts)[:, 0]
    fourth = model.chances(*everybody(model, [9, 8, 7, 5]), model.starts)[:, 3]
    assert fourth == pytest.approx(alone * VERSIONS["v1"].look ** 3)


def test_what_people_like_is_clicked_on_more(model):
    users, items = everybody(model, list(range(len(model.item_ids))))
    chances = model.chances(users, items, model.starts) / model.looks(len(model.item_ids))
    likings = np.concatenate([model.world.products.traits, model.world.apps.traits])
    likes = model.world.population.upto(len(users)).traits @ likings.T
    alike = [np.corrcoef(chances[user], likes[user])[0, 1] for user in range(0, len(users), 50)]
    assert np.mean(alike) > 0.6


def test_what_was_shown_tires_and_recovers(model):
    audience = Audience(model, 1)
    user, slate, at = np.array([3]), np.array([[10, 11]]), model.starts
    fresh = audience.chances(user, slate, at)
    once = audience.show(user, slate, at).chances
    assert once == pytest.approx(fresh)
    tired = audience.chances(user, slate, at)
    assert np.all(tired < fresh)
    assert np.all(audience.show(user, slate, at).chances == tired)
    assert np.all(audience.chances(user, slate, at) < tired)
    rested = audience.chances(user, slate, at + 30 * DAY)
    assert np.all(tired < rested)
    assert np.all(rested < model.chances(user, slate, at + 30 * DAY))  # no longer new
    other = audience.chances(np.array([4]), slate, at)
    assert other == pytest.approx(model.chances(np.array([4]), slate, at))


def test_the_new_has_a_charm_that_goes(model):
    users, items = everybody(model, [20])
    new = model.chances(users, items, model.starts)
    long_ago = model.chances(users, items, model.starts, np.full((len(users), 1), 1e-9))
    assert np.all(new > long_ago)


def test_the_hour_matters(model):
    users, items = everybody(model, list(range(200, 300)))
    morning, evening = (model.appeal(users[:1], items[:1], model.starts + hour * HOUR) for hour in (9, 21))
    assert np.abs(morning - evening).max() > 0.1


def test_people_stay_longer_when_they_clicked_and_less_when_tired(model):
    clicked, rested, tired = np.array([[True], [False]]), np.full((2, 1), np.nan), np.full((2, 1), 2.0)
    assert np.diff(model.stays(clicked, rested)) < 0
    assert np.all(model.stays(clicked, tired) < model.stays(clicked, rested))


def test_the_same_calls_give_the_same_clicks(model):
    users, items = everybody(model, [1, 2, 3])

    def clicks(seed: int) -> np.ndarray:
        audience = Audience(model, seed)
        return np.stack([audience.show(users, items, model.starts + n * DAY).clicked for n in range(3)])

    assert np.array_equal(clicks(4), clicks(4))
    assert not np.array_equal(clicks(4), clicks(5))


def test_clicks_come_as_often_as_their_chances_say(model):
    users, items = everybody(model, list(range(10)))
    answer = Audience(model, 2).show(users, items, model.starts)
    spread = np.sqrt((answer.chances * (1 - answer.chances)).sum())
    assert abs(answer.clicked.sum() - answer.chances.sum()) < 4 * spread
    random = np.random.default_rng(1)
    clicks = [model.respond("u000007", ["p0001", "a0001"], model.starts, random) for _ in range(400)]
    chances = model.click_probabilities("u000007", ["p0001", "a0001"], model.starts)
    assert np.mean(clicks, axis=0) == pytest.approx(chances, abs=0.1)


def test_memory_does_not_depend_on_who_is_shown_beside_whom(model):
    users, items = everybody(model, [30, 31])
    together, apart = Audience(model, 1), Audience(model, 1)
    together.show(users[:40], items[:40], model.starts)
    for user in (7, 0, 39, *range(8, 39), *range(1, 7)):
        apart.show(users[user : user + 1], items[user : user + 1], model.starts)
    later = model.starts + DAY
    assert np.array_equal(together.chances(users, items, later), apart.chances(users, items, later))


def test_policies_stand_between_random_and_oracle(model):
    ends = yardstick(model, rounds=8, people=60)
    assert ends.share(ends.random) == 0
    assert ends.share(ends.oracle) == 1
    assert ends.oracle > 2 * ends.random

    def knows_tastes(audience, users, at, places):
        odds = audience.model.appeal(*everybody_of(audience.model, users), at)
        return np.argsort(-odds, axis=1)[:, :places]

    def everybody_of(model, users):
        return users, np.tile(np.arange(len(model.item_ids)), (len(users), 1))

    assert 0.2 < ends.share(clicks_of(model, knows_tastes, rounds=8, people=60)) < 0.98


def test_policies_learn_from_what_they_are_told(model):
    told = []
    clicks_of(model, uniform(1), rounds=2, people=5, places=3, learn=lambda *what: told.append(what))
    assert len(told) == 2
    users, items, at, answer = told[1]
    assert items.shape == answer.clicked.shape == (5, 3)
    assert at > told[0][2]
    assert len(users) == 5


def test_the_model_can_stand_on_another_world():
    world = World.make(SimConfig(user_count=20, product_count=5, app_count=5), 8, first_day=20_100)
    model = ResponseModel.version("v1", world)
    assert len(model.user_ids) == 20
    assert model.item_ids == tuple(item.item_id for item in world.items())
    assert 0 < model.click_probabilities("u000019", ["p0004", "a0004"], model.starts).min() < 1
    assert yardstick(model, rounds=2, people=20, places=4).oracle > 0


def test_unknown_people_items_and_versions_are_not_found(model):
    for user, item in (("u999999", "p0000"), ("u000000", "p9999")):
        with pytest.raises(NotFound):
            model.click_probabilities(user, [item], model.starts)
    with pytest.raises(NotFound, match="v1"):
        ResponseModel.version("v0")


def test_a_slate_or_a_trial_that_cannot_be_is_refused(model):
    audience = Audience(model, 1)
    with pytest.raises(Invalid, match="twice"):
        audience.show(np.array([1]), np.array([[2, 2]]), model.starts)
    with pytest.raises(Invalid, match="twice"):
        audience.show(np.array([1, 1]), np.array([[2], [3]]), model.starts)
    for wrong in ({"rounds": 0}, {"people": 0}, {"people": 5000}, {"places": 0}, {"places": 300}):
        with pytest.raises(Invalid, match="people"):
            clicks_of(model, oracle, **wrong)
