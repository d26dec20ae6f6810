"""Watching a job: a reader that is slower than the job misses nothing, and what waits for it is bounded."""

import asyncio

from shopkeeper.core.clock import moment
from shopkeeper.core.records import JobEvent
from shopkeeper.lifecycle.watching import Watchers, follow

MANY = 5000


def event(seq: int) -> JobEvent:
    return JobEvent(seq=seq, type="done" if seq == MANY else "epoch", job_id="j", timestamp=moment(0), data={})


def test_a_slow_reader_gets_everything_once_in_order() -> None:
    watchers = Watchers()
    stored: list[JobEvent] = []

    def read(_job_id: str, after: int) -> tuple[list[JobEvent], bool]:
        return stored[after:], len(stored) == MANY

    def happen(count: int) -> None:
        for _ in range(count):
            stored.append(event(len(stored) + 1))
            watchers.tell(stored[-1:])

    async def slowly() -> list[int]:
        happen(1)
        seen = []
        async for found in follow(watchers, read, "j", 0, None):
            assert found is not None
            seen.append(found.seq)
            if found.seq in (1, 2):
                happen(10)
            if found.seq == 15:
                happen(MANY - len(stored))  # all at once, while this reader takes none
            await asyncio.sleep(0)
        return seen

    assert asyncio.run(slowly()) == list(range(1, MANY + 1))
    assert watchers._listeners == {}
