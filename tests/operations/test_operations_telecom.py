"""Opening a simulated shop: whole, also when it is killed on the way; and its stream, that goes on anywhere."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from own_shop import OwnShop, own_shop
from small_telecom import SMALL, small_telecom

from shopkeeper.core.clock import DAY, HOUR, MINUTE, StoppedClock, micros
from shopkeeper.core.errors import NotFound
from shopkeeper.operations.opening import is_open
from shopkeeper.operations.telecom import LAG_DAYS, clock_speed, made_of, open_telecom, telecom_clock
from shopkeeper.operations.telecomstream import TelecomStream, leave_out
from shopkeeper.sources.simulator.world import ZONE
from shopkeeper.stores import schema

NOW = micros(datetime(2026, 3, 19, 9, tzinfo=UTC))
DAYS = SMALL.history_days


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("telecom") / "home"
    small_telecom(home, clock=StoppedClock(NOW))
    return home


@pytest.fixture
def shop(tmp_path: Path, template: Path) -> Iterator[OwnShop]:
    shutil.copytree(template, tmp_path / "home")
    opened = own_shop(tmp_path / "home", StoppedClock(NOW), zone=ZONE)
    opened.clock.at = int(opened.meta.get("clock.position") or 0)
    with closing(opened):
        yield opened


def stream_of(shop: OwnShop) -> TelecomStream:
    return TelecomStream(shop.db, shop.to.log, shop.to.users, shop.meta, shop.clock, pace=60.0)


def ids(shop: OwnShop) -> list[str]:
    with shop.db.read() as connection:
        return list(connection.scalars(schema.events.select().with_only_columns(schema.events.c.event_id)))


def test_the_history_is_the_days_of_the_world_and_ends_where_the_clock_begins(shop: OwnShop) -> None:
    world = made_of(shop.meta).world()
    expected = [id for n in range(DAYS) for id in world.day(n)["event_id"]]
    assert sorted(ids(shop)) == sorted(expected)
    batch = shop.to.log.read()
    assert (batch.time[1:] >= batch.time[:-1]).all()
    opens_at = int(shop.meta.get("clock.position") or 0)
    assert batch.time.max() < opens_at == world.starts(DAYS)
    assert LAG_DAYS - 1 <= (NOW - opens_at) / DAY <= LAG_DAYS + 1
    facts = shop.meta.all()
    assert (facts["shop.kind"], facts["shop.timezone"], facts["shop.currency"]) == ("telecom", "Asia/Shanghai", "CNY")


def test_people_products_apps_and_levels_are_there(shop: OwnShop) -> None:
    user = shop.to.users.get("u000007")
    assert {"plan_type", "monthly_fee", "user_level", "tenure_months", "device_brand"} <= set(user.attributes)
    assert shop.to.users.list()[2] == SMALL.user_count
    kinds = [shop.catalog.kind[row] for row in range(len(shop.catalog))]
    assert (kinds.count("product"), kinds.count("app")) == (SMALL.product_count, SMALL.app_count)
    assert int(shop.catalog.sellable().sum()) == SMALL.product_count  # apps are used, not sold
    levels, _, total = shop.to.stock.list(limit=100)
    assert total == SMALL.product_count
    assert all(level.simulated for level in levels)
    assert {event.store_id for event in shop.to.log.recent(event_type="order", limit=20)} == {"online"}
    assert {event.store_id for event in shop.to.log.recent(event_type="app_use", limit=20)} == {None}


def test_opening_again_changes_nothing(shop: OwnShop) -> None:
    before = shop.to.log.count(), shop.meta.all()
    opened = open_telecom(shop.to, shop.meta, shop.clock)
    assert (shop.to.log.count(), shop.meta.all()) == before
    assert opened.events == before[0]


def test_an_opening_that_was_killed_comes_to_the_same(tmp_path: Path, template: Path) -> None:
    killed = tmp_path / "killed"
    script = textwrap.dedent(
        f"""
        import sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from pathlib import Path
        from own_shop import own_shop
        from small_telecom import SMALL
        from shopkeeper.core.clock import StoppedClock
        from shopkeeper.operations import telecom
        telecom._CHUNK_ROWS = 1
        shop = own_shop(Path({str(killed)!r}), StoppedClock({NOW}))
        def report(step, of, metrics=None, *, message="", epoch=False):
            print(step, flush=True)
        telecom.open_telecom(shop.to, shop.meta, shop.clock, SMALL, seed=3, report=report)
        """
    )
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    for line in child.stdout:
        if int(line) >= 15:
            break
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    with closing(own_shop(killed, StoppedClock(NOW))) as half:
        assert not is_open(half.meta)
        assert half.to.log.count() > 0
        # whoever asks for another world now gets the one that was begun
        open_telecom(half.to, half.meta, StoppedClock(NOW + 3 * DAY), seed=8)
        with closing(own_shop(template, StoppedClock(NOW))) as other:
            assert ids(half) == ids(other)
            assert half.meta.get("simulation.world") == other.meta.get("simulation.world")
            stocks = [[(s.item_id, s.on_hand) for s in one.to.stock.list(limit=100)[0]] for one in (half, other)]
            assert stocks[0] == stocks[1]


def test_the_stream_is_the_days_that_follow_once_each_whenever_it_was_stopped(shop: OwnShop) -> None:
    world = made_of(shop.meta).world()
    start, before = world.starts(DAYS), shop.to.log.count()
    for step in range(0, 3 * 24, 3):
        shop.clock.at = start + step * HOUR
        live = stream_of(shop)  # a new process each time
        while live.step(limit=7):
            pass
        if step % 5 == 0:  # as a kill between log and position leaves it
            shop.meta.set("live.done", "0").result()
    shop.clock.at = start + 3 * DAY
    live = stream_of(shop)
    while live.step():
        pass
    expected = [id for n in range(DAYS, DAYS + 3) for id in world.day(n)["event_id"]]
    assert ids(shop)[before:] == expected
    assert shop.to.log.recent(limit=1)[0].time is not None


def test_quiet_hours_are_skipped_but_nothing_comes_before_its_time(shop: OwnShop) -> None:
    world = made_of(shop.meta).world()
    first = int(world.day(DAYS)["time"][0])
    live = stream_of(shop)
    assert live.step() == 0
    assert shop.clock.now() == max(first - MINUTE, world.starts(DAYS))
    shop.clock.at = first - 1
    assert live.step() == 0
    shop.clock.at = first
    assert live.step() >= 1


def test_who_joins_gets_a_record_before_the_first_event_unless_there_is_one(shop: OwnShop) -> None:
    world = made_of(shop.meta).world()
    day = next(n for n in range(DAYS, DAYS + 400) if world.newcomers(n))
    (newcomer, *_) = world.newcomers(day)
    shop.meta.set("live.day", str(day)).result()
    shop.clock.at = world.starts(day)
    stream_of(shop).step()
    assert shop.to.users.get(newcomer.user_id).attributes["plan_type"] == newcomer.attributes["plan_type"]
    known = shop.to.users.put(type(newcomer)(user_id=newcomer.user_id, attributes={"vip": True})).result()[0]
    stream_of(shop).step()
    assert shop.to.users.get(newcomer.user_id) == known


def test_who_was_erased_does_not_come_back(shop: OwnShop) -> None:
    world = made_of(shop.meta).world()
    days = [world.day(n) for n in range(DAYS, DAYS + 400)]
    day, lines = next(
        (n, day) for n, day in enumerate(days, DAYS) if "call" in day["event_type"] and world.newcomers(n)
    )
    caller, called = lines.filter(lines["event_type"] == "call").select("user_id", "target_id").row(0)
    (newcomer, *_) = world.newcomers(day)
    gone = {caller, called, newcomer.user_id}
    before = shop.to.log.last_seq
    for id_ in gone:
        shop.db.writer.run(lambda connection, id_=id_: leave_out(connection, [id_, "of-another-shop", f"v{id_[1:]}"]))
    shop.meta.set("live.day", str(day)).result()
    shop.clock.at = world.starts(day + 1) - 1
    while stream_of(shop).step():
        pass
    came = [event for event in shop.to.log.recent(limit=1000) if event.seq > before]
    theirs = lines.filter(pl.col("user_id").is_in(list(gone)))
    to_them = lines.filter(~pl.col("user_id").is_in(list(gone)) & pl.col("target_id").is_in(list(gone)))
    orders = theirs.filter(pl.col("event_type") == "order")["event_id"].to_list()
    assert len(came) == lines.height - theirs.height - to_them.height + len(orders)
    assert sorted(event.event_id for event in came if event.user_id is None) == sorted(orders)
    assert not {id_ for event in came for id_ in (event.user_id, event.target_id)} & gone
    with pytest.raises(NotFound):
        shop.to.users.get(newcomer.user_id)


def test_only_a_simulated_shop_notes_who_was_erased(tmp_path: Path) -> None:
    with closing(own_shop(tmp_path / "home", StoppedClock(NOW))) as empty:
        empty.db.writer.run(lambda connection: leave_out(connection, ["u000007"]))
        assert empty.meta.get("live.gone") is None


def test_at_the_usual_pace_an_event_comes_a_second(shop: OwnShop) -> None:
    made = made_of(shop.meta)
    per_day = SMALL.user_count * SMALL.avg_events_per_user / DAYS
    assert clock_speed(made, 60.0) * per_day / 86_400 == pytest.approx(1.0)
    assert clock_speed(made, 0.0) == 0.0
    clock = telecom_clock(shop.meta, 0.0)
    assert clock.now() == int(shop.meta.get("clock.position") or 0)
