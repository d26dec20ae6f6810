"""A simulated shop in a process of its own that is killed at one place of being made anew:
`python dying_regeneration.py HOME PLACE`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

from shopkeeper.bootstrap import Shop, open_shop
from shopkeeper.operations import regeneration
from shopkeeper.settings import Settings
from shopkeeper.stores import reseeding
from shopkeeper.stores.audit import Actor

PLACES = ("building", "marked", "done", "half", "taken")


def die(*_: Any, **__: Any) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def leave_unfinished(shop: Shop) -> None:
    """A training, and the erasure of row 0, behind trainings that take longer than the shop will live."""
    for name in ("popularity", *(f"other_{n}" for n in range(12))):
        shop.releases.train(name, "popularity", requested_by="")
    shop.erasure.submit("u000000", "u000000", "erase", Actor("test", ""))


async def main(home: str, place: str) -> None:
    if place == "marked":  # the data is built, the job does not say so yet
        whole = regeneration.Regeneration._finish

        def finish(self: regeneration.Regeneration, *args: Any) -> None:
            whole(self, *args)
            die()

        regeneration.Regeneration._finish = finish  # type: ignore[method-assign]
    elif place == "done":  # the job says so, and nothing is taken over
        Shop._halt = die  # type: ignore[method-assign]
    elif place == "half":  # in the middle of the transaction
        reseeding.set_in = die  # type: ignore[assignment]
    elif place == "taken":  # the new data is there, and the old files too
        regeneration._empty = die
    shop = open_shop(Settings(home=Path(home)))
    await shop.start()
    if place != "building":
        leave_unfinished(shop)
    shop.regeneration.submit(seed=9)
    if place == "building":
        asyncio.get_running_loop().call_later(0.5, die)
    await asyncio.sleep(120)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
