"""The numbered messages of the operations: who comes back in time misses none, anybody else is told so."""

import asyncio
import threading

import pytest
from own_shop import own_shop

from shopkeeper.core.clock import StoppedClock
from shopkeeper.core.records import Job
from shopkeeper.lifecycle.jobs import JobService
from shopkeeper.operations.channels import Channels, channel_of

NOW = 1_790_000_000_000_000


@pytest.fixture
def clock():
    return StoppedClock(NOW)


@pytest.fixture
def jobs(tmp_path, clock):
    """No worker runs: what a job says is written by the test."""
    shop = own_shop(tmp_path, clock)
    yield JobService(shop.db, shop.home, clock)
    shop.close()


@pytest.fixture
def channels(jobs, clock):
    return Channels(jobs, clock)


def test_messages_are_numbered_without_a_gap_from_the_time_of_the_start(channels):
    begin = channels.last
    assert begin == NOW // 1000
    for number in range(3):
        channels.tell("ingestion", "stage", number=number)
    told = channels.after(begin)
    assert [one.id for one in told] == [begin + 1, begin + 2, begin + 3]
    assert [one.payload for one in told] == [{"event": "stage", "number": number} for number in range(3)]
    assert channels.after(begin + 2) == told[2:]
    assert channels.after(channels.last) == []


def test_what_is_not_kept_or_was_never_told_is_none(channels):
    begin = channels.last
    assert channels.after(begin - 1) is None
    assert channels.after(begin + 1) is None
    for number in range(1500):
        channels.tell("ingestion", "stage", number=number)
    assert channels.after(begin) is None
    assert len(channels.after(channels.last - 1000)) == 1000
    assert channels.after(channels.last - 1001) is None


def test_a_later_start_goes_on_above_the_numbers_of_before(channels, jobs, clock):
    for _ in range(500):
        channels.tell("refresh", "stage")
    clock.advance(1_000_000)
    assert Channels(jobs, clock).last > channels.last


def test_many_threads_tell_at_once_and_every_number_is_there_once(channels):
    begin = channels.last
    crowd = [threading.Thread(target=lambda: [channels.tell("refresh", "stage") for _ in range(100)]) for _ in range(8)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join()
    assert [one.id for one in channels.after(begin)] == list(range(begin + 1, begin + 801))


def test_listeners_are_woken_by_each_message_until_they_leave_and_by_the_end(channels):
    woken = []
    leave = channels.subscribe(lambda: woken.append(channels.last))
    channels.tell("ingestion", "start")
    channels.stop()
    assert woken == [channels.last] * 2
    assert channels.closed
    leave()
    leave()
    channels.tell("ingestion", "complete")
    assert len(woken) == 2


def test_jobs_are_told_on_the_channel_of_their_kind():
    def job(kind, **params):
        return Job(job_id="j", job_url="", kind=kind, status="queued", params=params)

    assert channel_of(job("refresh")) == channel_of(job("embed")) == "refresh"
    assert channel_of(job("train", model="hgt")) == "hgt_training"
    assert channel_of(job("train", model="fusion")) == "fusion_training"
    assert channel_of(job("train", model="ease")) is channel_of(job("cleanup")) is None


def test_a_job_that_is_cancelled_before_it_ran_has_failed(channels, jobs):
    async def work():
        channels.start()
        begin = channels.last
        job = await asyncio.to_thread(jobs.submit, "refresh", {})
        other = await asyncio.to_thread(jobs.submit, "cleanup", {})
        for one in (job, other):
            await asyncio.to_thread(jobs.cancel, one.job_id)
        await asyncio.sleep(0)  # what the writer's thread has handed over runs before this goes on
        return job, channels.after(begin)

    job, told = asyncio.run(work())
    assert [(one.channel, one.payload["event"]) for one in told] == [("refresh", "stage"), ("refresh", "failed")]
    assert {one.payload["job_id"] for one in told} == {job.job_id}
    assert told[1].payload["status"] == "cancelled"
