"""The turnstile lets in, holds while it is closed, and knows when everybody has left."""

from __future__ import annotations

import asyncio
import threading

import pytest

from shopkeeper.core.errors import Unavailable
from shopkeeper.core.turnstile import Turnstile


def test_who_comes_while_it_is_closed_waits_until_it_opens() -> None:
    async def run() -> None:
        gate = Turnstile()
        closer = threading.Thread(target=gate.close)  # any thread may close it
        closer.start()
        closer.join()
        assert gate.closed
        waiting = [asyncio.create_task(gate.wait(30)) for _ in range(3)]
        await asyncio.sleep(0)
        assert not any(task.done() for task in waiting)
        gate.open()
        await asyncio.wait_for(asyncio.gather(*waiting), 30)
        assert not gate.closed

    asyncio.run(run())


def test_who_waited_too_long_is_told_so() -> None:
    async def run() -> None:
        gate = Turnstile()
        await gate.wait(0.001)
        gate.close()
        with pytest.raises(Unavailable) as told:
            await gate.wait(0.001)
        assert told.value.code == "changing"

    asyncio.run(run())


def test_when_it_will_never_open_whoever_waits_is_told_why() -> None:
    async def run() -> None:
        gate = Turnstile()
        gate.close()
        waiting = asyncio.create_task(gate.wait(30))
        await asyncio.sleep(0)
        gate.give_up("the disk is full")
        for held in (waiting, gate.wait(30)):
            with pytest.raises(Unavailable, match="the disk is full"):
                await held
        assert gate.closed

    asyncio.run(run())


def test_it_is_empty_when_the_last_one_has_left_whatever_happened_to_them() -> None:
    async def run() -> None:
        gate, go = Turnstile(), asyncio.Event()
        assert await gate.empty(30)

        async def visit(fails: bool) -> None:
            with gate.inside():
                await go.wait()
                if fails:
                    raise ValueError("inside")

        visits = [asyncio.create_task(visit(fails)) for fails in (True, False)]
        await asyncio.sleep(0)
        gate.close()
        assert not await gate.empty(0.001)
        leaving = asyncio.create_task(gate.empty(30))
        await asyncio.sleep(0)
        go.set()
        assert await leaving
        assert isinstance((await asyncio.gather(*visits, return_exceptions=True))[0], ValueError)

    asyncio.run(run())
