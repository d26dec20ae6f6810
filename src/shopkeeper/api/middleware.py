"""The one middleware: request id, key, limits, metrics, access log, and the last net, fused in one pure ASGI callable.

Four stacked ones cost four times as much (docs/architecture.md). It stands in front of both lanes.
"""

from __future__ import annotations

import logging
import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shopkeeper.api import errors
from shopkeeper.api.access import Access, demand, from_this_machine, key_in_url
from shopkeeper.api.errors import Answer, Malformed
from shopkeeper.core.errors import Invalid, Refused, ShopkeeperError, Unavailable
from shopkeeper.core.turnstile import Turnstile
from shopkeeper.telemetry import metrics

log = logging.getLogger("shopkeeper.access")
_REQUEST_ID = re.compile(rb"[A-Za-z0-9_.:-]{1,128}")
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_UPLOADS = re.compile(
    r"/api/(v1/data/imports|data/upload|models/import|v1/models/[^/]+/import|v1/model-registry/models/upload)"
)
_BATCHES = re.compile(r"/(predictions/.*|predict|[a-z]+_embedding|v[12]/models/.*|api/v1/(personalization/)?events)")
# Whose bodies are of a protocol of its own.
_OWN_BODIES = "/socket.io/"
# Says only that the process lives.
_ALWAYS = frozenset({"/livez"})
# Asked every few seconds, and 503 is an answer like another.
_PROBES = frozenset({"/readyz", "/ping", "/v2/health/ready"})
_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_bits = random.Random().getrandbits  # an id is told to whoever asks and opens nothing: it need not be hard to guess
_OF_PREDICTIONS = ("model", "model_version", "trace_id")


@dataclass(frozen=True, slots=True)
class Limits:
    """Largest bodies in bytes: in general, of events and predictions, of uploads."""

    body: int
    batch: int
    upload: int

    def of(self, path: str) -> int:
        kind = _kind_of(path)
        return self.upload if kind == "upload" else self.batch if kind == "batch" else self.body


@lru_cache(maxsize=1024)
def _kind_of(path: str) -> str:
    if _UPLOADS.fullmatch(path):
        return "upload"
    return "batch" if _BATCHES.fullmatch(path) else "body"


class Gatehouse:
    """`app` sees `scope["caller"]`, `scope["request_id"]`, and may set `scope["door"]`, the path's template."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        access: Access,
        limits: Limits,
        closing: Callable[[], bool],
        turnstile: Turnstile,
    ) -> None:
        self.app = app
        self.access = access
        self.limits = limits
        self.closing = closing
        self.turnstile = turnstile
        self.count = metrics.http_requests.note

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        headers = _wanted(scope)
        request_id = request_id_of(headers.get(b"x-request-id"))
        scope["request_id"] = request_id
        if trace_id := trace_id_of(headers.get(b"traceparent")):
            scope["trace_id"] = trace_id
        marker = (b"x-request-id", request_id.encode())
        status = 0

        async def marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), marker]
            await send(message)

        try:
            try:
                self._admit(scope, headers)
                receive = self._bounded(scope, headers, receive)
                if self.turnstile.closed:
                    await self._hold(scope["path"])
                with self.turnstile.inside():
                    await self.app(scope, receive, marked)
            except ShopkeeperError as error:
                await tell(errors.answer(error, scope["path"], request_id), marked)
        except ClientDisconnect:
            status = 499
        except Exception:  # the last net: whatever it was, the client gets an answer and the log the trace
            log.exception("unexpected error", extra=_facts(scope, path=scope["path"]))
            if not status:
                await tell(errors.unexpected(scope["path"], request_id), marked)
        finally:
            self._note(scope, status, time.perf_counter() - began)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = _wanted(scope)
        scope["request_id"] = request_id_of(headers.get(b"x-request-id"))
        try:
            self._admit(scope, headers)
            if self.turnstile.closed:
                await self._hold(scope["path"])
        except ShopkeeperError:
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return
        with self.turnstile.inside():
            await self.app(scope, receive, send)

    @property
    def at_ease(self) -> bool:
        """Whether everybody is let in just now and nothing is written about it: no answer differs from the one before
        because of where the server stands."""
        return not (self.closing() or self.turnstile.closed or log.isEnabledFor(logging.DEBUG))

    def lets_in(self, scope: Scope, door: str) -> bool:
        """Whether a request with these headers reaches a door of this scope. Nobody is told why not."""
        headers = _wanted(scope)
        try:
            self._admit(scope, headers)
            self._bounded(scope, headers, _nobody)
            demand(scope["caller"], door)
        except ShopkeeperError:
            return False
        return True

    async def _hold(self, path: str) -> None:
        """While the shop changes over to other data, callers wait outside; probes are told so at once."""
        if path in _PROBES:
            raise Unavailable("the shop changes over to other data; try again in a moment", code="changing")
        if path not in _ALWAYS:
            await self.turnstile.wait()

    def _admit(self, scope: Scope, headers: dict[bytes, bytes]) -> None:
        """Sets the caller. Raises whatever refuses the request before its door is looked for."""
        if self.closing() and not self.turnstile.closed:
            raise Unavailable("the shop is closing; try again in a moment", code="closing")
        query = scope["query_string"]
        if query and key_in_url(query):
            raise Refused("a key in a URL ends up in logs; send it as X-API-Key", code="key_in_url")
        if self.access.open and not from_this_machine(headers.get(b"host"), headers.get(b"origin")):
            raise Refused(
                "while no API key is set, only this machine's own pages may call; set SHOPKEEPER_API_KEY",
                code="foreign_origin",
            )
        scope["caller"] = self.access.caller(headers.get(b"x-api-key"), headers.get(b"authorization"))

    def _bounded(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive) -> Receive:
        """Checks length and type of a body that is announced; counts one that is not. Raises Invalid."""
        if scope["method"] not in _WITH_BODY:
            return receive
        path = scope["path"]
        limit = self.limits.of(path)
        length = headers.get(b"content-length")
        if length is None and b"transfer-encoding" not in headers:
            return receive
        if length is not None and not length.isdigit():
            raise Malformed("Content-Length is not a number", code="bad_length")
        if length is not None and int(length) > limit:
            raise _too_large(limit)
        if length != b"0" and not path.startswith(_OWN_BODIES):
            _check_type(path, headers.get(b"content-type"))
        return receive if length is not None else _counted(receive, limit)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        path = scope.get("door") or getattr(scope.get("route"), "path", None) or "unmatched"
        method = scope["method"]
        self.count(path, method, status, seconds)
        level = _level(status, scope["path"])
        if log.isEnabledFor(level):
            log.log(
                level,
                "%s %s %d",
                method,
                scope["path"],
                status,
                extra=_facts(scope, method=method, path=path, status=status, ms=round(seconds * 1000, 3)),
            )


def _facts(scope: Scope, **more: Any) -> dict[str, Any]:
    """What a log line bears: the request's id, its trace, and the model and version of a prediction."""
    told = {name: scope[name] for name in _OF_PREDICTIONS if name in scope}
    return {"request_id": scope["request_id"], **told, **more}


async def tell(answer: Answer, send: Send) -> None:
    """Sends a whole answer."""
    headers = [
        (b"content-type", answer.media),
        (b"content-length", str(len(answer.body)).encode()),
        *answer.headers,
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


_WANTED = frozenset(
    {
        b"x-request-id", b"x-api-key", b"authorization", b"content-length", b"content-type", b"transfer-encoding",
        b"host", b"origin", b"traceparent",
    }
)  # fmt: skip


def _wanted(scope: Scope) -> dict[bytes, bytes]:
    return {name: value for name, value in scope["headers"] if name in _WANTED}


def request_id_of(given: bytes | None) -> str:
    """The id that was sent, when it can be echoed, else a new one."""
    if given is not None and _REQUEST_ID.fullmatch(given):
        return given.decode()
    return new_request_id()


def new_request_id() -> str:
    return f"{_bits(96):024x}"


def trace_id_of(traceparent: bytes | None) -> str | None:
    """The trace that a request belongs to, by the header of W3C Trace Context."""
    found = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
    return found[1].decode() if found is not None else None


def _too_large(limit: int) -> Invalid:
    return Invalid(f"the body is larger than {limit} bytes, the limit here; send less at once", code="body_too_large")


def _check_type(path: str, given: bytes | None) -> None:
    # A body without a type is read as JSON: small clients forget the header.
    uploads = _kind_of(path) == "upload"
    if given == b"application/json" and not uploads:
        return
    kind = (given or b"application/json").partition(b";")[0].strip().lower()
    wanted = b"multipart/form-data" if uploads else b"application/json"
    if kind != wanted:
        raise Invalid(
            f"content type {kind.decode('latin-1')[:80]!r} is not read here; send {wanted.decode()}",
            code="wrong_content_type",
        )


async def _nobody() -> Message:
    return {"type": "http.disconnect"}


def _counted(receive: Receive, limit: int) -> Receive:
    seen = 0

    async def counting() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > limit:
            raise _too_large(limit)
        return message

    return counting


def _level(status: int, path: str) -> int:
    """Server errors are warnings, refused requests are told; successes, and probes of a shop that is not ready, are
    told only at debug level."""
    if status < 400 or (status == 503 and path in _PROBES):
        return logging.DEBUG
    return logging.WARNING if status >= 500 else logging.INFO
