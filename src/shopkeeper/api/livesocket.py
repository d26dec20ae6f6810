"""Suggestions and feedback over one WebSocket that stays: ~/personalization/stream.

Plain ASGI beside the fast lane: an idle socket is one waiting coroutine. Each socket is answered message by message, in
order; while one is under way nothing more is read from it, so that a socket holds back whoever sends too fast.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from datetime import datetime
from typing import Annotated, Any, cast

import msgspec
from msgspec import Meta, Struct, field
from starlette.types import Receive, Scope, Send

from shopkeeper.api.access import NOBODY, Access, demand
from shopkeeper.api.body import decode
from shopkeeper.api.errors import Malformed
from shopkeeper.api.slates import check_feedback, check_request
from shopkeeper.bootstrap import Shop
from shopkeeper.core.clock import rfc3339
from shopkeeper.core.errors import Invalid, ShopkeeperError
from shopkeeper.core.ids import check_id
from shopkeeper.core.records import Feedback, RecFilters, RecRequest
from shopkeeper.telemetry import metrics

PATH = "/api/v1/personalization/stream"
_GREETING_S = 30.0
_GOING_DOWN, _REFUSED, _FULL = 1012, 1008, 1013
_LOGGER = logging.getLogger(__name__)
_json = msgspec.json.Encoder().encode


Mark = Annotated[str, Meta(max_length=128)] | int | None


class _Message(Struct, tag_field="type", kw_only=True):
    request_id: Mark = None


class Ask(_Message, tag="request", kw_only=True):
    """As the body of ~/personalization/recommend, for the user of the socket."""

    context: dict[str, Any] = field(default_factory=dict)
    n_recommendations: int = 10
    scenario: str = "content"
    filters: RecFilters | None = None
    use_cache: bool = True
    diversity_weight: float | None = None
    deadline_ms: int | None = None
    model: str | None = None
    debug: bool = False

    def by(self, user_id: str) -> RecRequest:
        """What a user asks with it."""
        return RecRequest(
            user_id=user_id,
            context=self.context,
            n_recommendations=self.n_recommendations,
            scenario=self.scenario,
            filters=self.filters,
            use_cache=self.use_cache,
            diversity_weight=self.diversity_weight,
            deadline_ms=self.deadline_ms,
            model=self.model,
            debug=self.debug,
        )


class Tell(_Message, tag="feedback", kw_only=True):
    """As the body of ~/personalization/feedback. Which answer is meant, `context` may say."""

    item_id: str
    feedback_type: str
    feedback_value: float = 1.0
    context: dict[str, Any] = field(default_factory=dict)
    timestamp: datetime | None = None


class Ping(_Message, tag="ping", kw_only=True):
    """Is somebody there?"""


Message = Ask | Tell | Ping


class Greeting(Struct):
    """The first message. A browser cannot set headers, so the key may come here."""

    user_id: str
    api_key: str | None = None


class _Marked(Struct):
    request_id: Mark = None


class LiveSockets:
    """All such sockets of one server: at most `most` at once; all are closed when `closing` is set."""

    def __init__(self, shop: Shop, access: Access, closing: asyncio.Event, *, most: int) -> None:
        self._shop = shop
        self._access = access
        self._closing = closing
        self._most = most
        self._open: set[_Socket] = set()
        self._watch: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._open)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One socket, from its opening to its end."""
        socket = _Socket(scope, receive, send)
        await receive()
        await send({"type": "websocket.accept"})
        if len(self._open) >= self._most or self._closing.is_set():
            await socket.close(_FULL if not self._closing.is_set() else _GOING_DOWN)
            return
        self._open.add(socket)
        metrics.live_sockets.set(len(self._open))
        if self._watch is None:
            self._watch = asyncio.create_task(self._until_closing(), name="live sockets")
        try:
            await self._talk(socket)
        except OSError:  # the client went away while something was sent to it
            return
        finally:
            self._open.discard(socket)
            metrics.live_sockets.set(len(self._open))

    async def _until_closing(self) -> None:
        """Ends what is idle at once, and the others after the answer that is under way."""
        await self._closing.wait()
        self._watch = None
        for socket in self._open:
            socket.ending = True
        idle = [socket.close(_GOING_DOWN) for socket in self._open if not socket.busy]
        await asyncio.gather(*idle, return_exceptions=True)

    async def _talk(self, socket: _Socket) -> None:
        if not await self._greeted(socket):
            return
        while (text := await socket.next()) is not None:
            socket.busy = True
            await socket.send(await self._answer(socket, text))
            socket.busy = False
            if socket.ending:
                await socket.close(_GOING_DOWN)
                return

    async def _greeted(self, socket: _Socket) -> bool:
        try:
            async with asyncio.timeout(_GREETING_S):
                text = await socket.next()
            if text is None:
                return False
            greeting = decode(text, Greeting)
            caller = socket.scope.get("caller", NOBODY)
            if caller is NOBODY and greeting.api_key is not None:
                caller = self._access.by_key(greeting.api_key.encode())
            demand(caller, "p")
            socket.user_id = check_id(greeting.user_id, "user_id")
        except TimeoutError:
            told = f'nothing was said for {_GREETING_S:g} s; say who you are: {{"user_id": ...}}'
            await socket.refuse(Malformed(told, code="no_greeting"))
            return False
        except ShopkeeperError as error:
            await socket.refuse(error)
            return False
        connected = {"type": "connected", "user_id": socket.user_id, "timestamp": self._now()}
        await socket.send(_json(connected))
        return True

    async def _answer(self, socket: _Socket, text: bytes) -> bytes:
        marked: Mark = None
        try:
            message: Message = decode(text, cast("type[Any]", Message))
            marked = message.request_id
            return await self._reply(socket, message)
        except ShopkeeperError as error:
            if marked is None:
                with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                    marked = msgspec.json.decode(text, type=_Marked).request_id
            return _problem(error, marked)
        except Exception:  # the last net: the socket goes on, the log has the trace
            _LOGGER.exception("a message of a live socket failed", extra={"request_id": socket.scope["request_id"]})
            told = f"something broke inside; the log has it under request id {socket.scope['request_id']}"
            return _json({"type": "error", "message": told, "code": "internal", **_mark(marked)})

    async def _reply(self, socket: _Socket, message: Message) -> bytes:
        if isinstance(message, Ask):
            request = message.by(socket.user_id)
            check_request(request)
            slate = await self._shop.slates.answer(request, whose=id(socket))
            mark = b"" if message.request_id is None else b',"request_id":' + _json(message.request_id)
            stamp = self._shop.slates.stamp()
            return b'{"type":"recommendations","data":%b,"timestamp":"%b"%b}' % (slate, stamp, mark)
        kind = "pong"
        if isinstance(message, Tell):
            await self._take(socket, message)
            kind = "feedback_received"
        return _json({"type": kind, "timestamp": self._now(), **_mark(message.request_id)})

    async def _take(self, socket: _Socket, told: Tell) -> None:
        """Durable when this returns."""
        feedback = Feedback(
            user_id=socket.user_id,
            item_id=told.item_id,
            feedback_type=told.feedback_type,
            feedback_value=told.feedback_value,
            context=told.context,
            timestamp=told.timestamp,
        )
        check_feedback(feedback)
        done = await asyncio.wrap_future(self._shop.log.append([self._shop.recommend.feedback(feedback)]))
        if done.rejected:
            raise Invalid(done.rejected[0].reason, code="bad_feedback")

    def _now(self) -> str:
        return rfc3339(self._shop.clock.now())


class _Socket:
    """One client. `busy` while a message of its is answered; `ending`: that answer is the last. After `close` nothing
    is sent any more: it may come while the next message is just being taken up."""

    __slots__ = ("_closed", "_receive", "_send", "busy", "ending", "scope", "user_id")

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope, self._receive, self._send = scope, receive, send
        self.busy = self.ending = self._closed = False
        self.user_id = ""

    async def next(self) -> bytes | None:
        """What the client says; None when it has left."""
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            return None
        text = message.get("text")
        return message.get("bytes") or b"" if text is None else text.encode()

    async def send(self, body: bytes) -> None:
        if not self._closed:
            await self._send({"type": "websocket.send", "text": body.decode()})

    async def close(self, code: int) -> None:
        if not self._closed:
            self._closed = True
            await self._send({"type": "websocket.close", "code": code})

    async def refuse(self, error: ShopkeeperError) -> None:
        await self.send(_problem(error, None))
        await self.close(_REFUSED)


def _problem(error: ShopkeeperError, marked: Mark) -> bytes:
    unknown = isinstance(error, Malformed) and error.field == "type"
    told = f"{error.message}; expected type request, feedback or ping" if unknown else error.message
    code = "unknown_type" if unknown else error.code
    return _json({"type": "error", "message": told, "code": code, **_mark(marked)})


def _mark(request_id: Mark) -> dict[str, str | int]:
    return {} if request_id is None else {"request_id": request_id}
