"""A world is drawn from a seed alone, and keeps to its config."""

import hashlib

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_log import Columns, history, numbers

from shopkeeper.core.clock import DAY, StoppedClock, moment
from shopkeeper.core.errors import Invalid
from shopkeeper.core.ids import check_id
from shopkeeper.core.records import Event
from shopkeeper.sources.simulator.config import PER_VISIT, SimConfig
from shopkeeper.sources.simulator.names import BRANDS, LEVELS, PLANS
from shopkeeper.sources.simulator.world import World
from shopkeeper.stores.event_check import validate_event

FIRST = 20_000
COUNTED = {
    "orders": ("order", "product"), "app_usages": ("app_use", "app"), "calls": ("call", "user"),
    "click_products": ("click", "product"), "click_apps": ("click", "app"),
}  # fmt: skip


@pytest.fixture(scope="module")
def world() -> World:
    return World.make(SimConfig(user_count=400, history_days=60, avg_events_per_user=60), 3, first_day=FIRST)


@pytest.fixture(scope="module")
def log(world) -> pl.DataFrame:
    return history(world)


def per_visit(log: pl.DataFrame, what: str) -> np.ndarray:
    """Events of one type on each day of a visit, 0 included."""
    event_type, kind = COUNTED[what]
    mine = (pl.col("event_type") == event_type) & (pl.col("target_kind") == kind)
    day = pl.col("event_id").str.slice(4, 5)
    return log.group_by("user_id", day).agg(mine.sum().alias("n"))["n"].to_numpy()


def test_the_same_seed_gives_the_same_world(world, log):
    again = World.make(world.config, 3, first_day=FIRST)
    assert history(again).equals(log)
    assert again.users() == world.users()
    assert again.items() == world.items()
    other = World.make(world.config, 4, first_day=FIRST)
    assert not other.day(0).equals(world.day(0))
    assert other.users() != world.users()
    assert other.items() != world.items()


def test_a_shop_that_was_opened_goes_on_with_its_own_days(world):
    """Only seed and config are kept in a shop: a world that is drawn otherwise would go on with other people."""
    days = "".join(world.day(n).write_csv() for n in (0, 59, 400))
    assert hashlib.sha256(days.encode()).hexdigest() == (
        "fee3101debeaef473cedc01171fa0119cab7ddede1ab3dce3ef1ec09efab39d2"
    )


def test_a_day_does_not_depend_on_what_was_asked_before(world):
    expected = {n: world.day(n) for n in (0, 1, 59, 60, 2000)}
    fresh = World.make(world.config, 3, first_day=FIRST)
    for n in (2000, 60, 0, 59, 1):
        assert fresh.day(n).equals(expected[n])
    assert fresh.users() == world.users()


def test_who_is_who_does_not_depend_on_how_many_there_are():
    small = World.make(SimConfig(user_count=100, history_days=1), 3, first_day=FIRST)
    large = World.make(SimConfig(user_count=3000, history_days=1), 3, first_day=FIRST)
    assert small.users() == large.users()[:100]


@settings(max_examples=25, deadline=None)
@given(
    ranges=st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)).map(sorted), min_size=5, max_size=5),
    users=st.integers(10, 60),
    average=st.integers(1, 1000),
    days=st.integers(1, 20),
)
def test_every_visit_keeps_to_the_least_and_the_most(ranges, users, average, days):
    bounds = {}
    for what, (least, most) in zip(PER_VISIT, ranges, strict=True):
        bounds |= {f"min_{what}_per_user": least, f"max_{what}_per_user": most}
    config = SimConfig(
        user_count=users, product_count=5, app_count=5, avg_events_per_user=average, history_days=days, **bounds
    )
    log = history(World.make(config, 1, first_day=FIRST))
    for what in PER_VISIT:
        found = per_visit(log, what)
        least, most = config.range_of(what)
        assert not len(found) or least <= found.min() <= found.max() <= most


@pytest.mark.parametrize(
    "numbers",
    [
        {},
        {"user_count": 3000, "avg_events_per_user": 8},
        {"history_days": 120, "avg_events_per_user": 150},
        {"min_orders_per_user": 0, "max_orders_per_user": 1, "max_calls_per_user": 40, "avg_events_per_user": 100},
    ],
)
def test_people_make_as_many_events_as_asked_on_average(numbers):
    config = SimConfig(**numbers)
    log = history(World.make(config, 2, first_day=FIRST))
    assert log.height / config.user_count == pytest.approx(config.avg_events_per_user, rel=0.08)


def test_an_average_that_the_bounds_leave_no_room_for_is_neared():
    config = SimConfig(user_count=200, avg_events_per_user=1000, history_days=5)
    log = history(World.make(config, 1, first_day=FIRST))
    visits = log.group_by("user_id", pl.col("event_id").str.slice(4, 5)).len().height
    assert 0.8 * 200 * 5 < visits < 0.95 * 200 * 5


def test_nothing_is_done_where_nothing_is_allowed():
    none = {f"{end}_{what}_per_user": 0 for what in PER_VISIT for end in ("min", "max")}
    day = World.make(SimConfig(**none), 1, first_day=FIRST).day(0)
    assert day.height == 0
    assert day.schema == World.make(SimConfig(), 1, first_day=FIRST).day(0).schema


def test_the_smallest_world_lives():
    config = SimConfig(user_count=10, product_count=5, app_count=5, avg_events_per_user=30, history_days=1)
    world = World.make(config, 9, first_day=FIRST)
    assert len(world.users()) == 10
    assert [item.kind for item in world.items()] == ["product"] * 5 + ["app"] * 5
    assert history(world, 30).height > 0


def test_times_lie_in_their_day_and_run_forward(world):
    for n in (0, 17, 59):
        times = world.day(n)["time"].to_numpy()
        assert np.all(np.diff(times) >= 0)
        assert world.starts(n) <= times[0] <= times[-1] < world.starts(n) + DAY


def test_every_event_is_one_that_the_log_takes(world, log):
    assert log["event_id"].n_unique() == log.height
    clock = StoppedClock(world.starts(60))
    for row in log.sample(300, seed=1).iter_rows(named=True):
        event = msgspec.convert({**row, "time": moment(row["time"])}, Event)
        checked = validate_event(event, clock)
        assert isinstance(checked, Event), checked
        assert checked.time == event.time


def test_orders_have_prices_calls_and_uses_have_seconds_clicks_have_neither(log):
    orders = log.filter(pl.col("event_type") == "order")
    assert (orders["value"] - orders["quantity"] * orders["unit_price"]).abs().max() < 0.01
    assert orders["unit_price"].min() > 0
    lasting = log.filter(pl.col("event_type").is_in(["call", "app_use"]))
    assert lasting["value"].min() >= 1
    assert lasting["quantity"].null_count() == lasting.height
    clicks = log.filter(pl.col("event_type") == "click")
    assert clicks["value"].null_count() == clicks["unit_price"].null_count() == clicks.height
    assert set(clicks["target_kind"]) == {"product", "app"}


def test_targets_exist_and_nobody_calls_themselves(world, log):
    items = {item.item_id for item in world.items()}
    assert set(log.filter(pl.col("target_kind") != "user")["target_id"]) <= items
    calls = log.filter(pl.col("event_type") == "call")
    assert (calls["user_id"] != calls["target_id"]).all()
    assert set(calls["target_id"]) <= {user.user_id for user in world.users()}


def test_records_hold_what_a_phone_company_knows(world):
    users = world.users()
    assert len({user.user_id for user in users}) == 400
    for user in users:
        check_id(user.user_id)
        known = user.attributes
        assert known["plan_type"] in PLANS
        assert 39 <= known["monthly_fee"] <= 399
        assert known["user_level"] in LEVELS
        assert 1 <= known["tenure_months"] <= 180
        assert known["device_brand"] in BRANDS
        assert len(known["name"]) == 3
        assert known["region"]
    assert len(PLANS) == len(LEVELS) == 4
    assert len(BRANDS) == 6


def test_items_have_names_categories_and_products_have_prices(world):
    for item in world.items():
        check_id(item.item_id)
        assert item.name
        assert item.category
        assert (item.price is not None and item.price > 0) == (item.kind == "product")


def test_people_join_in_the_history_and_after_it(world):
    before = {user.user_id for user in world.users()}
    joined = [user.user_id for n in range(1, 60) for user in world.newcomers(n)]
    later = [user.user_id for n in range(60, 200) for user in world.newcomers(n)]
    assert set(joined) < before
    assert later == [f"u{number:06d}" for number in range(400, 400 + len(later))]
    assert joined
    assert later


def test_nobody_acts_before_joining_or_after_leaving(world):
    seen = Columns.of(world, history(world, 200))
    people = world.population.on(199)
    assert np.all(people.joined[seen.who] <= seen.day)
    assert np.all(people.leaves[seen.who] > seen.day)
    calls = Columns.of(world, history(world, 200).filter(pl.col("event_type") == "call"))
    assert np.all(people.joined[calls.target] <= calls.day)
    newest = numbers(pl.Series([user.user_id for n in range(60, 150) for user in world.newcomers(n)]))
    assert np.isin(newest, seen.who).mean() > 0.5


def test_a_day_or_seed_that_is_none_is_refused(world):
    with pytest.raises(Invalid) as refused:
        world.day(-1)
    assert refused.value.field == "day"
    with pytest.raises(Invalid) as refused:
        World.make(SimConfig(), -1, first_day=FIRST)
    assert refused.value.field == "seed"
