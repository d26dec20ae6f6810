"""A shop that serves in a process of its own, to be killed: `python dying_slates.py HOME`. Prints its address."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from shopkeeper.api.server import Server, address, listen
from shopkeeper.bootstrap import open_shop
from shopkeeper.settings import Settings


async def main(home: str) -> None:
    shop = open_shop(Settings(home=Path(home)), shop="empty")
    await shop.start()
    listener = listen("127.0.0.1", 0)
    print(address(listener, "127.0.0.1"), flush=True)
    await Server(shop, listener).run_until_stopped()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
