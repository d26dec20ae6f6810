"""A door: one route with its scope, body, answer and every status it can give.

FastAPI routes them and shows them on the OpenAPI page; bodies and answers are the records of `core`, read and written
by msgspec in both lanes. `Doors` collects one noun's doors; `app.py` mounts them.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from fastapi import Depends, Path, Query, Response
from starlette.requests import HTTPConnection

from shopkeeper.api.access import NOBODY, Caller, demand
from shopkeeper.bootstrap import Shop

T = TypeVar("T")
Endpoint = Callable[..., Awaitable[Response]]
EVENT_STREAM = "text/event-stream"


class Page(msgspec.Struct, Generic[T]):
    """One page of a list. `next_cursor` null: this was the last one. `total` null: not counted."""

    items: list[T]
    next_cursor: str | None = None
    total: int | None = None


class Envelope(msgspec.Struct, Generic[T]):
    """The stock paths' answer."""

    data: T
    status: str = "success"


class Queued(msgspec.Struct):
    """202: the work has become a job."""

    job_id: str
    job_url: str
    status: str = "queued"


@dataclass(frozen=True, slots=True)
class Door:
    """`answer` and `body` are types for the OpenAPI page, or a media type where it is not JSON. `waited` is the answer
    with 200 of a door that answers 202, when it was asked to wait."""

    method: str
    path: str
    scope: str
    tag: str
    summary: str
    endpoint: Endpoint | None
    status: int = 200
    answer: Any = None
    waited: Any = None
    body: Any = None
    body_required: bool = True
    errors: tuple[int, ...] = ()
    also: tuple[int, ...] = ()
    query: tuple[tuple[str, dict[str, Any]], ...] = ()

    @property
    def operation_id(self) -> str:
        """`get_api_v1_users_user_id`: one name for one door."""
        return re.sub(r"\W+", "_", f"{self.method.lower()}{self.path}").strip("_")


class Doors:
    """The doors of one noun."""

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self.all: list[Door] = []

    def add(
        self, method: str, *paths: str, scope: str, **facts: Any
    ) -> Callable[[Callable[..., Awaitable[Response]]], Endpoint]:
        """Decorator. The endpoint's first docstring line is the summary; more than one path are aliases."""

        def keep(endpoint: Endpoint) -> Endpoint:
            summary = (endpoint.__doc__ or endpoint.__name__).strip().splitlines()[0].rstrip(".")
            self.all.extend(Door(method, path, scope, self.tag, summary, endpoint, **facts) for path in paths)
            return endpoint

        return keep

    def hot(self, method: str, *paths: str, scope: str, summary: str, **facts: Any) -> None:
        """Describes a door that the fast lane answers."""
        self.all.extend(Door(method, path, scope, self.tag, summary, None, **facts) for path in paths)


def reply(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Any record, list or plain value as a JSON answer."""
    return Response(msgspec.json.encode(value), status, headers, media_type="application/json")


def enveloped(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """The same in the stock paths' envelope."""
    return reply({"status": "success", "data": value}, status, headers)


def queued(job_id: str) -> Response:
    """J202: the job's address in body and Location."""
    url = f"/api/v1/jobs/{job_id}"
    return reply(Queued(job_id, url), 202, {"location": url})


async def _shop(connection: HTTPConnection) -> Shop:
    shop: Shop = connection.app.state.shop
    return shop


async def _caller(connection: HTTPConnection) -> Caller:
    caller: Caller = connection.scope.get("caller", NOBODY)
    return caller


def needs(scope: str) -> Callable[[HTTPConnection], Awaitable[None]]:
    """The dependency that lets in callers with this scope only."""

    async def check(connection: HTTPConnection) -> None:
        demand(connection.scope.get("caller", NOBODY), scope)

    return check


ShopDep = Annotated[Shop, Depends(_shop)]
CallerDep = Annotated[Caller, Depends(_caller)]
Id = Annotated[str, Path(min_length=1, max_length=128)]
Limit = Annotated[int, Query(ge=1, le=1000)]
Cursor = Annotated[str | None, Query(max_length=512)]
