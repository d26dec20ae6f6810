"""How a command reaches its shop: over HTTP when a server is live on the home, else by opening the shop itself.

Either way the command speaks through the client, so it is written once and shows the same.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from shopkeeper.core.errors import NotFound

if TYPE_CHECKING:
    from shopkeeper.client import ShopkeeperClient
    from shopkeeper.settings import Settings


@contextmanager
def reach(settings: Settings, *, make: bool = False) -> Iterator[ShopkeeperClient]:
    """A client of the shop on `settings.home`. `make`: an own, empty shop is opened when there is none yet."""
    from shopkeeper.client import ShopkeeperClient
    from shopkeeper.stores.home import Home

    home = Home(settings.home)
    url = settings.backend_base_url or home.live_url()
    if url is not None:
        with ShopkeeperClient(url, settings.api_key) as client:
            yield client
        return
    if not home.exists and not make:
        raise NotFound(f"there is no shop in {home.path}; open one: shopkeeper up", code="no_shop")
    with _opened(settings) as client:
        yield client


@contextmanager
def _opened(settings: Settings) -> Iterator[ShopkeeperClient]:
    """The shop in this process, with its loop in a thread of its own; the live stream stands still."""
    from shopkeeper.api.app import create_app
    from shopkeeper.bootstrap import open_shop
    from shopkeeper.client import ShopkeeperClient

    quiet = settings.model_copy(update={"live_speed": 0.0})
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="shop", daemon=True)
    thread.start()

    def on_loop(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result()

    async def begin() -> Any:
        shop = open_shop(quiet)
        await shop.start(schedules=False)
        return shop

    try:
        shop = on_loop(begin())
        try:
            transport = _transport(create_app(shop, manage=False), loop)
            with ShopkeeperClient("http://127.0.0.1", quiet.api_key, timeout_s=600, transport=transport) as client:
                yield client
        finally:
            on_loop(shop.stop())
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def _transport(app: Any, loop: asyncio.AbstractEventLoop) -> Any:
    import httpx

    class InProcess(httpx.BaseTransport):
        """Hands requests to an ASGI app that lives on another thread's loop. Answers come whole, not as streams."""

        def __init__(self) -> None:
            self._asgi = httpx.ASGITransport(app=app, raise_app_exceptions=False)

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            content = request.read()
            future = asyncio.run_coroutine_threadsafe(self._answer(request, content), loop)
            return future.result()

        async def _answer(self, request: httpx.Request, content: bytes) -> httpx.Response:
            again = httpx.Request(request.method, request.url, headers=request.headers, content=content)
            answer = await self._asgi.handle_async_request(again)
            body = await answer.aread()
            return httpx.Response(answer.status_code, headers=answer.headers, content=body, request=request)

    return InProcess()
