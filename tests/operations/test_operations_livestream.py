"""The live stream releases what the shop clock has passed: in order, once, in bounded pieces, across restarts."""

import asyncio
from datetime import UTC, datetime

import pytest
from own_shop import OwnShop, own_shop

from shopkeeper.core.clock import HOUR, MINUTE, StoppedClock, micros, moment
from shopkeeper.core.errors import NotFound
from shopkeeper.core.records import Event
from shopkeeper.operations.livestream import LiveStream, shop_clock
from shopkeeper.stores import withheld

OPENS = micros(datetime(2026, 3, 1, tzinfo=UTC))


def line(minute: int, user: str | None = "7", **context: str) -> Event:
    return Event(
        event_id=f"w{minute}", event_type="order", user_id=user, item_id="A", target_id="A",
        time=moment(OPENS + minute * MINUTE), quantity=1.0, context=dict(context),
    )  # fmt: skip


@pytest.fixture
def clock():
    return StoppedClock(OPENS)


@pytest.fixture
def shop(tmp_path, clock):
    opened = own_shop(tmp_path / "home", clock)
    stream = [line(minute, user=f"u{minute % 10}") for minute in range(1, 101)]
    opened.db.writer.run(lambda connection: withheld.replace_all(connection, stream))
    opened.meta.set("clock.position", str(OPENS)).result()
    yield opened
    opened.close()


def stream_of(shop: OwnShop) -> LiveStream:
    return LiveStream(shop.db, shop.to.log, shop.to.users, shop.meta, shop.clock, speed=60)


def test_nothing_is_released_before_its_time(shop, clock):
    live = stream_of(shop)
    assert live.step() == 0
    clock.advance(10 * MINUTE)
    assert live.step() == 10
    assert [event.event_id for event in reversed(shop.to.log.recent())] == [f"w{n}" for n in range(1, 11)]
    assert shop.to.log.recent(limit=1)[0].time == moment(OPENS + 10 * MINUTE)
    assert live.step() == 0


def test_a_night_is_skipped_and_the_next_morning_is_not_released_early(shop, clock):
    morning = [line(9 * 60), line(9 * 60 + 5)]
    shop.db.writer.run(lambda connection: withheld.replace_all(connection, morning))
    live = stream_of(shop)
    assert live.step() == 0
    assert clock.now() == OPENS + (9 * 60 - 1) * MINUTE
    assert live.step() == 0
    clock.advance(MINUTE)
    assert live.step() == 1
    assert live.step() == 0
    assert clock.now() == OPENS + 9 * 60 * MINUTE


def test_a_clock_that_ran_ahead_is_caught_up_with_in_pieces(shop, clock):
    live = stream_of(shop)
    clock.advance(3 * HOUR)
    assert [live.step(limit=40) for _ in range(4)] == [40, 40, 20, 0]
    assert live.state.ended
    assert shop.to.log.count() == 100


def test_a_restart_goes_on_and_a_kill_between_log_and_position_repeats_nothing(shop, clock):
    clock.advance(30 * MINUTE)
    stream_of(shop).step()
    clock.advance(30 * MINUTE)
    assert stream_of(shop).step() == 30
    shop.meta.set("live.released", "50").result()  # as a kill before the position was written leaves it
    again = stream_of(shop)
    again.step()
    assert (again.state.released, shop.to.log.count()) == (60, 60)


def test_the_shop_clock_stands_still_while_the_shop_is_closed(shop, clock):
    clock.advance(45 * MINUTE)
    live = stream_of(shop)
    live.step()
    kept = int(shop.meta.get("clock.position") or 0)
    assert kept == OPENS + 45 * MINUTE
    assert shop_clock(shop.meta, speed=0).now() == kept


def test_a_new_customer_gets_a_record_unless_there_is_one(shop, clock):
    events = [line(1, "new", country="France"), line(2, "new"), line(3, None)]
    shop.db.writer.run(lambda connection: withheld.replace_all(connection, events))
    clock.advance(HOUR)
    with pytest.raises(NotFound):
        shop.to.users.get("new")
    stream_of(shop).step()
    assert shop.to.users.get("new").attributes == {"country": "France", "first_order": "2026-03-01"}
    assert shop.to.log.recent(limit=1)[0].user_id is None


def test_running_releases_until_it_is_cancelled(shop, clock):
    async def run() -> None:
        live = stream_of(shop)
        clock.advance(20 * MINUTE)
        task = asyncio.create_task(live.run(tick_s=0.01))
        while live.state.released < 20:
            await asyncio.sleep(0.01)
        clock.advance(5 * MINUTE)
        while live.state.released < 25:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert shop.to.log.count() == 25


def test_an_error_does_not_end_the_stream(shop, clock):
    def rename(old: str, new: str) -> None:
        shop.db.writer.run(lambda connection: connection.exec_driver_sql(f"ALTER TABLE {old} RENAME TO {new}"))

    async def run() -> None:
        live = stream_of(shop)
        clock.advance(20 * MINUTE)
        await asyncio.to_thread(rename, "withheld", "elsewhere")
        task = asyncio.create_task(live.run(tick_s=0.01, rest_s=0.01))
        while live.problem is None and not task.done():
            await asyncio.sleep(0.01)
        assert live.running
        await asyncio.to_thread(rename, "elsewhere", "withheld")
        while (live.state.released < 20 or live.problem is not None) and not task.done():
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert shop.to.log.count() == 20


def test_a_stream_that_is_cancelled_after_the_shop_has_closed_just_ends(shop):
    async def run() -> None:
        task = asyncio.create_task(stream_of(shop).run(tick_s=0.01, rest_s=0.01))
        await asyncio.sleep(0)
        await asyncio.to_thread(shop.close)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())


def test_a_paused_stream_releases_nothing_and_goes_on_where_it_was(shop, clock):
    async def run() -> None:
        live = stream_of(shop)
        live.pause()
        assert (live.paused, live.pause()) == (True, False)
        clock.advance(20 * MINUTE)
        task = asyncio.create_task(live.run(tick_s=0.001))
        for _ in range(50):
            await asyncio.sleep(0.001)
        assert (live.state.released, live.running) == (0, True)
        assert (live.resume(), live.resume()) == (True, False)
        while live.state.released < 20:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert shop.to.log.count() == 20


def test_the_shop_clock_stands_still_while_the_stream_is_paused(shop):
    running = shop_clock(shop.meta, speed=1e6)
    live = LiveStream(shop.db, shop.to.log, shop.to.users, shop.meta, running, speed=1e6)
    live.pause()
    stood = running.now()
    assert running.now() == stood
    live.resume()
    until = running.wall() + MINUTE
    while running.now() == stood and running.wall() < until:
        pass
    assert stood < running.now() <= running.wall()
