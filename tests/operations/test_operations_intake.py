"""How events come in: told by its state, started and stopped by hand."""

import asyncio
from datetime import UTC, datetime

import pytest
from own_shop import own_shop

from shopkeeper.core.clock import MINUTE, StoppedClock, micros, moment
from shopkeeper.core.errors import Conflict, Unavailable
from shopkeeper.core.records import Event
from shopkeeper.features.state import FeatureState
from shopkeeper.operations.intake import Intake
from shopkeeper.operations.livestream import LiveStream
from shopkeeper.stores import withheld
from shopkeeper.stores.following import Following

OPENS = micros(datetime(2026, 3, 1, tzinfo=UTC))


@pytest.fixture
def clock():
    return StoppedClock(OPENS)


@pytest.fixture
def shop(tmp_path, clock):
    opened = own_shop(tmp_path, clock)
    coming = [
        Event(event_id=f"w{n}", event_type="order", user_id=f"u{n}", target_id="A", time=moment(OPENS + n * MINUTE))
        for n in range(1, 6)
    ]
    opened.db.writer.run(lambda connection: withheld.replace_all(connection, coming))
    yield opened
    opened.close()


@pytest.fixture
def following(shop):
    state = FeatureState(UTC, shop.to.vocabularies.event_types)
    return Following(shop.to.log, [state])


@pytest.fixture
def live(shop, clock):
    return LiveStream(shop.db, shop.to.log, shop.to.users, shop.meta, clock, speed=60)


def intake_of(shop, live, following):
    return Intake(live, shop.to.log, following, shop.to.vocabularies, shop.clock)


def test_events_are_pending_until_they_are_in_the_derived_state(shop, live, following, clock):
    intake = intake_of(shop, live, following)
    clock.advance(3 * MINUTE)
    live.step()
    told = intake.state()
    assert (told["events"], told["pending_events"], told["cached_users"]) == (3, 3, 3)
    assert told["last_event_at"] == moment(OPENS + 3 * MINUTE)
    following.catch_up()
    assert intake.state()["pending_events"] == 0


def test_stopping_and_starting_change_something_once_each(shop, live, following):
    intake = intake_of(shop, live, following)
    intake.open()
    opened = intake.state()
    assert (opened["running"], opened["stopped_at"]) == (True, None)
    assert [intake.stop(), intake.stop()] == [True, False]
    stopped = intake.state()
    assert (stopped["running"], stopped["started_at"]) == (False, opened["started_at"])
    assert stopped["stopped_at"] is not None
    assert [intake.start(), intake.start()] == [True, False]
    assert (intake.state()["running"], intake.state()["stopped_at"]) == (True, None)


def test_a_source_that_has_released_everything_does_not_run(shop, live, following, clock):
    intake = intake_of(shop, live, following)
    clock.advance(60 * MINUTE)
    live.step()
    assert intake.state()["running"] is False


def test_a_shop_without_a_source_cannot_start_one(shop, following):
    intake = intake_of(shop, None, following)
    assert intake.stop() is False
    assert intake.state()["running"] is False
    with pytest.raises(Conflict) as refused:
        intake.start()
    assert refused.value.code == "no_live_source"


def test_what_comes_is_told_at_once_and_as_a_sum(shop, live, following, clock):
    async def work():
        told = asyncio.Queue()
        intake = intake_of(shop, live, following)
        watching = asyncio.create_task(intake.watch(told.put_nowait))
        await asyncio.sleep(0)  # it has begun to listen
        clock.advance(2 * MINUTE)
        await asyncio.to_thread(live.step)
        first = await told.get()
        for _ in range(3):
            clock.advance(MINUTE)
            await asyncio.to_thread(live.step)
        second = await told.get()
        watching.cancel()
        await asyncio.wait({watching})
        return first, second

    assert asyncio.run(work()) == (2, 3)


def test_what_could_not_be_told_does_not_silence_what_comes_later(shop, live, following, clock):
    async def work():
        told, failed = asyncio.Queue(), asyncio.Event()

        def tell(events):
            if not failed.is_set():
                failed.set()
                raise Unavailable("the database is locked")
            told.put_nowait(events)

        intake = intake_of(shop, live, following)
        watching = asyncio.create_task(intake.watch(tell))
        await asyncio.sleep(0)  # it has begun to listen
        clock.advance(2 * MINUTE)
        await asyncio.to_thread(live.step)
        await failed.wait()
        clock.advance(MINUTE)
        await asyncio.to_thread(live.step)
        later = await told.get()
        watching.cancel()
        await asyncio.wait({watching})
        return later

    assert asyncio.run(work()) == 1
