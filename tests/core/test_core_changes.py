"""Changes are told on the loop, in order, to everybody."""

from __future__ import annotations

import asyncio
import threading

from shopkeeper.core.changes import Change, Changes


def test_who_tells_on_the_loop_is_heard_at_once_and_from_a_thread_soon_and_in_order() -> None:
    async def run() -> None:
        changes, heard = Changes(), []
        changes.subscribe(lambda change: heard.append((change.rows, threading.current_thread())))
        changes.attach(asyncio.get_running_loop())
        changes.tell(Change("user", (1,)))
        assert [rows for rows, _ in heard] == [(1,)]
        await asyncio.to_thread(lambda: [changes.tell(Change("user", (row,))) for row in (2, 3)])
        await asyncio.sleep(0)
        assert [rows for rows, _ in heard] == [(1,), (2,), (3,)]
        assert {thread for _, thread in heard} == {threading.current_thread()}

    asyncio.run(run())


def test_a_listener_that_fails_keeps_nobody_from_hearing() -> None:
    changes, heard = Changes(), []
    changes.subscribe(lambda _: 1 // 0)
    changes.subscribe(heard.append)
    changes.tell(Change("all"))
    assert heard == [Change("all")]


def test_after_the_loop_is_gone_changes_are_heard_where_they_are_told() -> None:
    changes, heard = Changes(), []
    changes.subscribe(heard.append)

    async def run() -> None:
        changes.attach(asyncio.get_running_loop())

    asyncio.run(run())
    changes.tell(Change("item", (1,)))  # the loop is closed: nobody is there
    changes.detach()
    changes.tell(Change("item", (2,)))
    assert [change.rows for change in heard] == [(2,)]
