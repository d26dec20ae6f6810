"""The client's wire: requests, safe repetition, errors back onto the tree, event streams that resume."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Self, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from shopkeeper.core.clock import micros
from shopkeeper.core.errors import (
    Busy,
    Conflict,
    Invalid,
    NotFound,
    Overloaded,
    Refused,
    ShopkeeperError,
    Stale,
    Unavailable,
)
from shopkeeper.core.records import encode

T = TypeVar("T")
_REFUSED_BEFORE_WORK = frozenset({429, 503})
_FOR_A_PERSON = frozenset({"not_initialized", "not_installed"})  # waiting mends neither
_TIMEOUT = "timeout"
_BRANCHES: dict[str, type[ShopkeeperError]] = {
    "NotFound": NotFound,
    "Invalid": Invalid,
    "Refused": Refused,
    "Conflict": Conflict,
    "Unavailable": Unavailable,
    "Overloaded": Overloaded,
}


class Page(msgspec.Struct, Generic[T]):
    """One page of a list; give `next_cursor` to the same call for the next one. `total` null: not counted."""

    items: list[T]
    next_cursor: str | None = None
    total: int | None = None


class Wire:
    """A connection to one shop.

    `timeout_s`: an answer that takes longer is given up, as Unavailable `timeout`, `unreachable` where nobody was
    reached. `retries`: how often a repeatable request is repeated after a broken connection, 429 or 503, and after a
    time-out unless it only reads. `transport` replaces the network, e.g. by a shop in the same process.
    """

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:8080",
        api_key: str | None = None,
        *,
        timeout_s: float = 30.0,
        retries: int = 2,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        headers = {"x-api-key": api_key} if api_key else {}
        self.base_url = base_url.rstrip("/")
        self.retries = retries
        self._http = httpx.Client(base_url=self.base_url, headers=headers, timeout=timeout_s, transport=transport)

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def get(self, path: str, kind: type[T], query: Mapping[str, Any] | None = None) -> T:
        """Any GET door, its answer read as `kind`."""
        return self.call("GET", path, kind, query=query, repeat=True)

    def call(
        self,
        method: str,
        path: str,
        kind: type[T],
        body: Any = None,
        *,
        query: Mapping[str, Any] | None = None,
        repeat: bool = False,
    ) -> T:
        """Any door, its answer read as `kind`. `repeat`: the request may be sent again."""
        return decoded(self.send_request(method, path, body, query=query, repeat=repeat), kind)

    def send_request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, Any] | None = None,
        repeat: bool = False,
        accept: tuple[int, ...] = (),
        if_match: str | None = None,
    ) -> httpx.Response:
        """The checked answer. Statuses in `accept` are no errors here. `if_match`: the ETag of what is changed; Stale
        when it is another one by now."""
        headers = {} if if_match is None else {"if-match": if_match}
        left = self.retries if repeat else 0
        pause_s = 0.2
        while True:
            try:
                answer = self._http_send(method, path, query=query, body=body, headers=headers)
            except Unavailable as broken:
                late = broken.code == _TIMEOUT and method == "GET"  # one that is slow gets no more to do
                if late or not left:
                    raise
            else:
                if answer.status_code in accept:
                    return answer
                if answer.status_code not in _REFUSED_BEFORE_WORK or not left:
                    return _checked(answer)
                error = _error(answer)
                if error.code in _FOR_A_PERSON:
                    raise error
                pause_s = min(float(answer.headers.get("retry-after", pause_s)), 5.0)
            time.sleep(pause_s * random.uniform(1, 1.5))  # many that were sent away do not come back all at once
            left -= 1
            pause_s *= 2

    def send_file(
        self,
        path: str,
        file: Path,
        kind: type[T],
        fields: Mapping[str, str],
        *,
        query: Mapping[str, Any] | None = None,
    ) -> T:
        """A multipart upload."""
        with file.open("rb") as opened:
            files = {"file": (file.name, opened, "application/octet-stream")}
            answer = self._http_send("POST", path, query=query, data=dict(fields), files=files, timeout=None)
        return decoded(_checked(answer), kind)

    def receive_file(self, path: str, file: Path, query: Mapping[str, Any] | None = None) -> int:
        """A download: `file` is written whole or not at all. Gives its bytes."""
        partial = file.with_name(f".{file.name}.part")
        try:
            with self._http.stream("GET", path, params=_queried(query), timeout=None) as answer:
                if answer.is_error:
                    answer.read()
                _checked(answer)
                with partial.open("wb") as out:
                    for block in answer.iter_bytes():
                        out.write(block)
            partial.replace(file)
        except httpx.TransportError as error:
            raise self._broken(error) from error
        finally:
            partial.unlink(missing_ok=True)
        return file.stat().st_size

    def _http_send(
        self, method: str, path: str, *, query: Mapping[str, Any] | None = None, body: Any = None, **more: Any
    ) -> httpx.Response:
        params = _queried(query)
        if body is not None:
            headers = {**more.get("headers", {}), "content-type": "application/json"}
            more |= {"content": encode(body), "headers": headers}
        try:
            return self._http.request(method, path, params=params, **more)
        except httpx.TransportError as error:
            raise self._broken(error) from error

    def follow(self, path: str, after: int | None) -> Iterator[tuple[str, int | None, bytes]]:
        """(event name, number, data) of an event stream, resumed until the server ends it."""
        failures = 0
        while True:
            headers = {"accept": "text/event-stream"} | ({} if after is None else {"last-event-id": str(after)})
            try:
                with self._http.stream("GET", path, headers=headers, timeout=httpx.Timeout(30, read=60)) as answer:
                    if answer.is_error:
                        answer.read()
                    for name, number, data in _messages(_checked(answer).iter_lines()):
                        failures = 0
                        after = number if number is not None else after
                        yield name, number, data
                return
            except httpx.TransportError as error:
                failures += 1
                if failures > self.retries:
                    raise self._broken(error) from error
                time.sleep(0.2 * 2**failures)

    def _broken(self, error: httpx.TransportError) -> Unavailable:
        """Nobody was reached (`unreachable`), or whoever was did not answer in time (`timeout`)."""
        if not isinstance(error, httpx.TimeoutException) or isinstance(error, httpx.ConnectTimeout):
            why = str(error) or type(error).__name__
            text = f"no answer from {self.base_url} ({why}); is the shop up? shopkeeper up"
            return Unavailable(text, code="unreachable")
        request = error.request
        within = request.extensions.get("timeout", {}).get("read")
        text = f"{self.base_url} has not answered {request.method} {request.url.path} within {within or 0:g} s; "
        text += "" if request.method == "GET" else "it may be done all the same, so look before you ask for it again; "
        return Unavailable(f"{text}ask later, or with a longer timeout_s", code=_TIMEOUT)


class _Wrong(msgspec.Struct):
    """An error body, as far as the client needs it."""

    detail: str = ""
    code: str = "error"
    type: str = ""
    job_id: str = ""
    errors: list[dict[str, str]] | None = None


def _checked(answer: httpx.Response) -> httpx.Response:
    if answer.is_error:
        raise _error(answer)
    return answer


def _error(answer: httpx.Response) -> ShopkeeperError:
    return error_from(answer.content, answer.status_code)


def error_from(body: bytes, status: int = 0) -> ShopkeeperError:
    """The error of the tree that the server meant, by the body that told of it."""
    try:
        wrong = msgspec.json.decode(body, type=_Wrong)
    except (msgspec.DecodeError, UnicodeDecodeError):
        wrong = _Wrong(detail=f"HTTP {status} without a body that says why")
    if wrong.code == "busy":
        return Busy(wrong.detail, job_id=wrong.job_id)
    branch = Stale if status == 412 else _BRANCHES.get(wrong.type, ShopkeeperError)
    field = wrong.errors[0].get("field") if wrong.errors else None
    return branch(wrong.detail, code=wrong.code, field=field)


def tag_at(updated_at: datetime | None) -> str | None:
    """The ETag of a record that was last changed at a moment; None: any state will do."""
    return None if updated_at is None else f'"{micros(updated_at):x}"'


def tag_of(version: int | None) -> str | None:
    """The ETag of a record that is told apart by its version; None: any will do."""
    return None if version is None else f'"{version}"'


def decoded(answer: httpx.Response, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(answer.content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        text = f"{answer.request.url} answered something else than expected ({error}); are both sides the same version?"
        raise Unavailable(text, code="bad_answer") from error


def _messages(lines: Iterator[str]) -> Iterator[tuple[str, int | None, bytes]]:
    name, number, data = "message", None, ""
    for line in lines:
        key, _, value = line.partition(": ")
        if key == "event":
            name = value
        elif key == "id":
            number = int(value)
        elif key == "data":
            data = value
        elif not line and data:
            yield name, number, data.encode()
            name, number, data = "message", None, ""


def escaped(part: str) -> str:
    return quote(part, safe="")


def _queried(query: Mapping[str, Any] | None) -> dict[str, Any]:
    """None is left out; a list is sent as one pair for each."""
    return {
        name: [query_value(one) for one in value] if isinstance(value, list) else query_value(value)
        for name, value in (query or {}).items()
        if value is not None
    }


def query_value(value: Any) -> str | int | float:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, int | float) else str(value)
