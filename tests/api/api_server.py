"""A shop on a real server in a thread of the test's process: what the API's, client's and command line's tests use."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from shopkeeper.api.server import Server, address, listen
from shopkeeper.api.server import run as run_on_fast_loop
from shopkeeper.bootstrap import Shop, open_shop
from shopkeeper.core.clock import Clock
from shopkeeper.core.records import Event
from shopkeeper.settings import Settings

KEY = "a-key-that-nobody-guesses"


@dataclass
class Running:
    url: str
    shop: Shop
    server: Server
    http: httpx.Client
    loop: asyncio.AbstractEventLoop


@contextmanager
def serving(
    home: Path, *, filled: bool = True, kind: str = "empty", clock: Clock | None = None, **changes: Any
) -> Iterator[Running]:
    """Opens an own shop on `home`, fills it with a few orders unless told otherwise, and serves it on a free port. One
    of another `kind` has its events already. `clock` None: the one that goes with the kind."""
    settings = Settings(home=home, **changes)
    listener = listen("127.0.0.1", 0)
    ready, ended = threading.Event(), threading.Event()
    held: dict[str, Any] = {}

    async def run() -> None:
        shop = open_shop(settings, shop=kind, clock=clock)
        held["loop"] = asyncio.get_running_loop()
        try:
            await shop.start()
            held["shop"], held["server"] = shop, Server(shop, listener)
            task = asyncio.create_task(held["server"].run_until_stopped())
            shop.home.announce(address(listener, "127.0.0.1"))
            ready.set()
            await task
        finally:
            await shop.stop()

    def thread() -> None:
        try:
            run_on_fast_loop(run())
        finally:
            ready.set()
            ended.set()

    threading.Thread(target=thread, name="server", daemon=True).start()
    assert ready.wait(60)
    url = address(listener, "127.0.0.1")
    try:
        with httpx.Client(base_url=url, timeout=30) as http:
            if filled and kind == "empty":
                held["shop"].log.append(orders()).result()
            yield Running(url, held["shop"], held["server"], http, held["loop"])
    finally:
        if "server" in held:
            held["server"].should_exit = True
        assert ended.wait(60)


def orders() -> list[Event]:
    """Forty days in which three users buy four items."""
    now = datetime.now(UTC)
    return [
        Event(
            event_id=f"order-{day}-{user}",
            event_type="order",
            user_id=f"user-{user}",
            item_id=f"item-{(day + user) % 4}",
            time=now - timedelta(days=41 - day),
            quantity=1.0 + (day % 3),
            unit_price=5.0,
        )
        for day in range(40)
        for user in range(3)
    ]
