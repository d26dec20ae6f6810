"""Trainings over Socket.IO, for browsers that speak it: /socket.io, where the extra `socketio` is installed.

A client joins a task and hears what /ws/training/{task_id} says, as events of its own. Everything under the path goes
to python-socketio; the rest of the application never sees it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from importlib.util import find_spec
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from shopkeeper.api import errors, jobs
from shopkeeper.api.access import NOBODY, Access, demand
from shopkeeper.api.middleware import tell
from shopkeeper.bootstrap import Shop
from shopkeeper.core.errors import Overloaded, ShopkeeperError

PATH = "/socket.io/"
MOST_JOINED = 20
_BUFFER = 64 * 1024
_EVENTS = {
    "progress": "training_progress",
    "epoch": "training_epoch",
    "log": "training_log",
    "status": "training_status",
    "done": "training_done",
}


class Join(msgspec.Struct):
    """`after`: the number of the last message that was heard."""

    task_id: str
    after: int = 0


def with_socketio(app: ASGIApp, shop: Shop, access: Access, closing: asyncio.Event, *, most: int) -> ASGIApp:
    """The application with /socket.io before it; without the extra as it is, and the path is not there."""
    return SocketIO(app, shop, access, closing, most=most) if find_spec("socketio") else app


class SocketIO:
    """At most `most` clients at once. All are sent away when `closing` is set."""

    def __init__(self, app: ASGIApp, shop: Shop, access: Access, closing: asyncio.Event, *, most: int) -> None:
        self._app = app
        self._shop = shop
        self._access = access
        self._closing = closing
        self._most = most
        self._server: Any = None  # socketio.AsyncServer; made when somebody comes, for it begins tasks of its own
        self._asgi: ASGIApp | None = None
        self._joined: dict[str, dict[str, asyncio.Task[None]]] = {}
        self._watch: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or not f"{scope['path']}/".startswith(PATH):
            await self._app(scope, receive, send)
            return
        scope["door"] = PATH
        if self._asgi is None:
            self._open()
        assert self._asgi is not None
        if scope["type"] == "http" and not Request(scope).query_params.get("sid") and self._full():
            error = Overloaded("too many Socket.IO clients; try again in a moment", code="too_many_clients")
            await tell(errors.answer(error, scope["path"], scope["request_id"]), send)
            return
        await self._asgi(scope, receive, send)

    def _full(self) -> bool:
        return len(self._server.eio.sockets) >= self._most

    def _open(self) -> None:
        import socketio

        server = socketio.AsyncServer(async_mode="asgi", max_http_buffer_size=_BUFFER, json=_Json)
        server.on("connect", self._connect)
        server.on("disconnect", self._disconnect)
        server.on("join", self._join)
        server.on("leave", self._leave)
        self._server, self._asgi = server, socketio.ASGIApp(server, socketio_path=PATH.strip("/"))
        self._watch = asyncio.create_task(self._until_closing(), name="socket.io")

    async def _until_closing(self) -> None:
        await self._closing.wait()
        server, self._server, self._asgi = self._server, None, None
        tasks = [task for joined in self._joined.values() for task in joined.values()]
        self._joined.clear()
        for task in tasks:
            task.cancel()
        await server.eio.disconnect()  # else those that poll would keep the shop open until their next answer
        await server.shutdown()

    # -- what clients say

    async def _connect(self, sid: str, environ: dict[str, Any], auth: Any = None) -> None:
        """The key comes in a header, or where a browser cannot set one, as `auth: {api_key}`."""
        from socketio.exceptions import ConnectionRefusedError as Turned

        caller = environ["asgi.scope"].get("caller", NOBODY)
        try:
            if caller is NOBODY and isinstance(auth, dict) and auth.get("api_key"):
                caller = self._access.by_key(str(auth["api_key"]).encode())
            demand(caller, "r")
        except ShopkeeperError as error:
            raise Turned(error.message, {"code": error.code}) from error
        self._joined[sid] = {}

    async def _disconnect(self, sid: str, _: Any = None) -> None:
        for task in self._joined.pop(sid, {}).values():
            task.cancel()

    async def _join(self, sid: str, data: Any = None) -> dict[str, Any]:
        """Begins to send what a training says; the acknowledgement has its state, or what is wrong."""
        try:
            asked = _read(data)
            job = await asyncio.to_thread(self._shop.jobs.get, asked.task_id)
            joined = self._joined.get(sid)
            if joined is None:
                return {"ok": False, "code": "gone", "message": "this client has left"}
            if asked.task_id not in joined and len(joined) >= MOST_JOINED:
                raise Overloaded(f"a client hears at most {MOST_JOINED} trainings at once; leave one", code="too_many")
        except ShopkeeperError as error:
            return {"ok": False, "code": error.code, "message": error.message}
        if (before := joined.pop(asked.task_id, None)) is not None:
            before.cancel()
        relay: Coroutine[Any, Any, None] = self._relay(self._server, sid, asked)
        joined[asked.task_id] = asyncio.create_task(relay, name=f"socket.io {asked.task_id}")
        return {"ok": True, "job": msgspec.to_builtins(job)}

    async def _leave(self, sid: str, data: Any = None) -> dict[str, Any]:
        try:
            asked = _read(data)
        except ShopkeeperError as error:
            return {"ok": False, "code": error.code, "message": error.message}
        task = self._joined.get(sid, {}).pop(asked.task_id, None)
        if task is not None:
            task.cancel()
        return {"ok": task is not None}

    async def _relay(self, server: Any, sid: str, asked: Join) -> None:
        """Until the training is done, the client leaves, or the server closes."""
        async for message in jobs.messages(self._shop, asked.task_id, asked.after, self._closing, []):
            if message is not None and message.data["type"] in _EVENTS:
                plain = msgspec.to_builtins(message.data)
                await server.emit(_EVENTS[message.data["type"]], plain, to=sid)
        own = self._joined.get(sid, {})
        if own.get(asked.task_id) is asyncio.current_task():
            del own[asked.task_id]


class _Json:
    """The JSON of python-socketio's packets."""

    @staticmethod
    def dumps(value: Any, **_: Any) -> str:
        return msgspec.json.encode(value).decode()

    @staticmethod
    def loads(text: str | bytes, **_: Any) -> Any:
        try:
            return msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError) as error:
            raise ValueError(str(error)) from error


def _read(data: Any) -> Join:
    """Raises Malformed."""
    try:
        asked = msgspec.convert(data, Join)
    except msgspec.ValidationError as error:
        raise errors.Malformed(f"expected {{task_id, after?}}: {error}", code="wrong_value") from error
    if asked.after < 0:
        raise errors.Malformed("after must be at least 0", code="wrong_value")
    return asked
