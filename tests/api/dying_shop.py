"""A shop in a process of its own that is killed at one place of an erasure: `python dying_shop.py HOME USER PLACE`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

from shopkeeper.bootstrap import open_shop
from shopkeeper.operations import erasure
from shopkeeper.settings import Settings
from shopkeeper.stores.audit import Actor

PLACES = ("files", "events", "person", "swept")


def die(*_: Any, **__: Any) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


async def main(home: str, user_id: str, place: str) -> None:
    if place == "files":  # its child has just begun
        started = erasure.Erasure.submit

        def submit(self: erasure.Erasure, *args: Any) -> Any:
            job = started(self, *args)
            asyncio.get_running_loop().call_later(0.3, die)
            return job

        erasure.Erasure.submit = submit  # type: ignore[method-assign]
    elif place == "events":  # some are gone, the rest is not
        whole = erasure.erase_events

        def some(*args: Any) -> int:
            return die() if some.called else setattr(some, "called", True) or whole(*args, limit=5)

        some.called = False  # type: ignore[attr-defined]
        erasure.erase_events = some  # type: ignore[assignment]
    elif place == "person":  # all events are gone, the ids are not
        erasure.erase_person = die
    else:  # the rows are gone, the old bytes are not
        erasure.sweep = die
    shop = open_shop(Settings(home=Path(home)))
    await shop.start()
    shop.erasure.submit(user_id, user_id, "erase", Actor("local"))
    await asyncio.sleep(120)


asyncio.run(main(*sys.argv[1:]))
