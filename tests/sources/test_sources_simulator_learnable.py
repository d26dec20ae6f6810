"""What a world does has causes: plain methods foresee it, and foresee nothing once the causes are taken away."""

import numpy as np
import polars as pl
import pytest
from simulated_log import Columns, dealt_out, ease, history, matrix, popularity, rank_auc, recall

from shopkeeper.core.days import date_of
from shopkeeper.sources.simulator.config import SimConfig
from shopkeeper.sources.simulator.people import FADE_DAYS
from shopkeeper.sources.simulator.seasons import PAYDAYS
from shopkeeper.sources.simulator.shelf import OFFER_OFF
from shopkeeper.sources.simulator.world import World

DAYS, CUT, FIRST = 180, 150, 20_000


@pytest.fixture(scope="module", params=[1, 2])
def world(request) -> World:
    config = SimConfig(product_count=200, app_count=100, history_days=DAYS, avg_events_per_user=120)
    return World.make(config, request.param, first_day=FIRST)


@pytest.fixture(scope="module")
def log(world) -> pl.DataFrame:
    return history(world)


@pytest.fixture(scope="module")
def halves(world, log) -> tuple[pl.DataFrame, pl.DataFrame]:
    before = pl.col("time") < world.starts(CUT)
    return log.filter(before), log.filter(~before)


@pytest.mark.parametrize(("kind", "times"), [("product", 2.5), ("app", 1.8)])
def test_tastes_are_found_in_what_people_did(world, halves, kind, times):
    known, coming = (matrix(world, half, kind) for half in halves)
    assert recall(ease(known), known, coming) > times * recall(popularity(known), known, coming)


def test_nothing_is_found_when_targets_change_hands(world, log):
    """The same people as active, the same products as popular: only who likes what is gone."""
    shuffled = dealt_out(log)
    before = pl.col("time") < world.starts(CUT)
    known, coming = matrix(world, shuffled.filter(before)), matrix(world, shuffled.filter(~before))
    assert recall(ease(known), known, coming) < 1.15 * recall(popularity(known), known, coming)


def test_what_is_on_record_tells_the_taste_of_somebody_unknown(world, halves):
    """People of the same plan, level and brand like the same: enough for somebody without a past."""
    known, coming = (matrix(world, half) for half in halves)
    groups = np.array([[user.attributes[name] for name in ("plan_type", "device_brand")] for user in world.users()])
    _, group = np.unique(groups, axis=0, return_inverse=True)
    likes = np.zeros((group.max() + 1, known.shape[1]))
    np.add.at(likes, group, known)
    alike = likes[group] - known  # without the person's own
    nothing = np.zeros_like(known)
    assert recall(alike, nothing, coming) > 1.15 * recall(popularity(known), nothing, coming)


def test_friends_tell_the_taste_of_somebody_unknown(world, halves):
    known, coming = (matrix(world, half) for half in halves)
    calls = Columns.of(world, halves[0].filter(pl.col("event_type") == "call"))
    ties = np.zeros((len(known), len(known)))
    np.add.at(ties, (calls.who, calls.target), 1)
    ties += ties.T
    shares = known / np.maximum(known.sum(axis=1, keepdims=True), 1)
    nothing = np.zeros_like(known)
    friends = recall(ties @ shares + 0.01 * shares.mean(axis=0), nothing, coming)
    rng = np.random.default_rng(0)
    strangers = recall(ties[rng.permutation(len(ties))] @ shares + 0.01 * shares.mean(axis=0), nothing, coming)
    assert friends > 1.25 * recall(popularity(known), nothing, coming)
    assert friends > 1.25 * strangers


def test_friends_call_one_another(world, log):
    calls = log.filter(pl.col("event_type") == "call")
    pairs = set(zip(calls["user_id"], calls["target_id"], strict=True))
    back = sum((other, one) in pairs for one, other in pairs) / len(pairs)
    assert back > 0.4
    assert len(pairs) / len(world.users()) ** 2 < 0.02


def test_weeks_months_and_single_people_have_their_rhythm(world, log):
    days = Columns.of(world, log).day
    per_day = np.bincount(days, minlength=DAYS)
    early = np.array([date_of(FIRST + n).day <= PAYDAYS for n in range(DAYS)])
    assert per_day[early].mean() > 1.2 * per_day[~early].mean()
    weekend = np.array([date_of(FIRST + n).weekday() >= 5 for n in range(DAYS)])
    games = {item.item_id for item in world.items() if item.category == "Games"}
    money = {item.item_id for item in world.items() if item.category == "Finance"}
    on_weekends = [
        weekend[Columns.of(world, log.filter(pl.col("target_id").is_in(list(apps)))).day].mean()
        for apps in (games, money)
    ]
    assert on_weekends[0] > 1.3 * on_weekends[1]


def test_offers_sell(world, log):
    orders = log.filter(pl.col("event_type") == "order")
    offered = orders.filter(pl.col("promotion").is_not_null())
    assert offered.height / orders.height > 1.4 / len(world.products.categories)
    price = {item.item_id: item.price for item in world.items()}
    paid = offered["unit_price"].to_numpy() / np.array([price[id_] for id_ in offered["target_id"]])
    assert paid == pytest.approx(1 - OFFER_OFF, abs=0.01)


def test_who_minds_prices_buys_cheaper_things(world, log):
    orders = Columns.of(world, log.filter(pl.col("event_type") == "order"))
    people = world.population.upto(world.config.user_count)
    dear = world.products.traits[orders.target, -1]
    minds = people.price_weight[orders.who] > np.median(people.price_weight)
    assert dear[~minds].mean() - dear[minds].mean() > 0.3


def test_leaving_is_foreseen(world, log):
    """By recency alone, and by how much less often somebody came of late: they fade before they go."""
    seen = Columns.of(world, log)
    people = world.config.user_count
    past = seen.day < CUT
    last = np.full(people, -1)
    np.maximum.at(last, seen.who[past], seen.day[past])
    late = np.bincount(seen.who[past & (seen.day >= CUT - FADE_DAYS)], minlength=people)
    before = np.bincount(seen.who[past & (seen.day < CUT - FADE_DAYS)], minlength=people)
    active = last >= CUT - 60
    leaves = np.bincount(seen.who[~past], minlength=people)[active] == 0
    assert 0.1 < leaves.mean() < 0.4
    assert rank_auc(CUT - last[active], leaves) > 0.65
    slower = before / CUT - late / FADE_DAYS
    truly = world.population.upto(people).leaves[active] < CUT + FADE_DAYS
    assert rank_auc(slower[active] / (before[active] / CUT + 0.1), truly) > 0.62


def test_people_leave_for_reasons(world):
    people = world.population.upto(world.config.user_count)
    gone = (people.leaves >= 0) & (people.leaves < 365)
    burden = np.log(people.fee) - 0.7 * people.income
    assert rank_auc(burden, gone) > 0.6
    place = np.arange(len(people)) // 32
    others = np.array([gone[(place == p)].mean() for p in range(place.max() + 1)])
    assert others.std() > 1.3 * np.sqrt(gone.mean() * (1 - gone.mean()) / 32)
