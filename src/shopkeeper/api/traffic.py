"""Who answers a model's requests: the split, the shadow, and how versions are combined."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
from fastapi import Header, Request, Response

from shopkeeper.api.body import read
from shopkeeper.api.door import CallerDep, Doors, Id, Queued, ShopDep, queued, reply
from shopkeeper.api.forms import Source
from shopkeeper.api.models import Scope
from shopkeeper.api.training import chosen
from shopkeeper.bootstrap import Shop
from shopkeeper.core.errors import NotFound
from shopkeeper.lifecycle.shadowing import Compared
from shopkeeper.lifecycle.splits import MOST_VARIANTS, Mode, Shadow, Split, Stack

doors = Doors("Traffic")
IfMatch = Annotated[str | None, Header(max_length=200)]


class Served(msgspec.Struct):
    """A variant, and how many requests it has answered since it was loaded."""

    version: int
    weight: float
    served: int


class Traffic(msgspec.Struct):
    """Who answers now; without a split the champion, to whom all requests go."""

    variants: list[Served]
    mode: Mode
    auto_rollback: bool
    stack: Stack | None = None


@doors.add("GET", "/api/v1/models/{model}/traffic", scope="r", answer=Traffic, errors=(404,))
async def get_traffic(shop: ShopDep, model: Id, scope: Scope = "all") -> Response:
    """How the requests of a model are shared, and what each version has answered"""
    tag, traffic = await asyncio.to_thread(_traffic, shop, model, scope)
    return reply(traffic, headers={"etag": tag})


@doors.add(
    "PUT", "/api/v1/models/{model}/traffic",
    scope="o", body=Split, answer=Traffic, errors=(404, 409, 412, 429),
)  # fmt: skip
async def put_traffic(
    request: Request, shop: ShopDep, caller: CallerDep, model: Id, scope: Scope = "all", if_match: IfMatch = None
) -> Response:
    """Shares the requests from now on; every version is loaded and tried first"""
    form = await read(request, Split)
    await asyncio.to_thread(shop.traffic.set_split, model, form, scope=scope, by=caller.name, if_match=if_match)
    tag, traffic = await asyncio.to_thread(_traffic, shop, model, scope)
    return reply(traffic, headers={"etag": tag})


@doors.add("GET", "/api/v1/models/{model}/shadow", scope="r", answer=Compared, errors=(404,))
async def get_shadow(shop: ShopDep, model: Id, scope: Scope = "all") -> Response:
    """What the shadow said beside what was told"""
    await asyncio.to_thread(shop.registry.model, model, scope)
    comparison = shop.traffic.compared(model, scope)
    if comparison is None:
        raise NotFound(f"model {model!r} has no shadow; PUT one", code="no_shadow")
    return reply(comparison.report())


@doors.add(
    "PUT", "/api/v1/models/{model}/shadow",
    scope="o", body=Shadow, answer=Compared, errors=(404, 409, 429),
)  # fmt: skip
async def put_shadow(request: Request, shop: ShopDep, caller: CallerDep, model: Id, scope: Scope = "all") -> Response:
    """Asks a version beside what answers; nobody hears it"""
    form = await read(request, Shadow)
    await asyncio.to_thread(shop.traffic.set_shadow, model, form, scope=scope, by=caller.name)
    return await get_shadow(shop, model, scope)


@doors.add("DELETE", "/api/v1/models/{model}/shadow", scope="o", status=204, errors=(404, 429))
async def delete_shadow(shop: ShopDep, caller: CallerDep, model: Id, scope: Scope = "all") -> Response:
    """Ends the shadow"""
    await asyncio.to_thread(shop.registry.model, model, scope)
    await asyncio.to_thread(shop.traffic.end_shadow, model, scope=scope, by=caller.name)
    return Response(status_code=204)


class StackForm(msgspec.Struct):
    """The versions to combine, the champion among them, and where rows with their outcome come from."""

    versions: Annotated[list[int], msgspec.Meta(min_length=2, max_length=MOST_VARIANTS)]
    source: Source = msgspec.field(default_factory=Source)


@doors.add(
    "POST", "/api/v1/models/{model}/stack",
    scope="o", status=202, body=StackForm, answer=Queued, errors=(404, 409, 429),
)  # fmt: skip
async def stack(request: Request, shop: ShopDep, caller: CallerDep, model: Id, scope: Scope = "all") -> Response:
    """Learns how to combine versions, as a job, and shares the requests that way if it beats the champion"""
    form = await read(request, StackForm)
    source = chosen(form.source)
    job = await asyncio.to_thread(shop.stacks.stack, model, form.versions, source=source, scope=scope, by=caller.name)
    return queued(job.job_id)


def _traffic(shop: Shop, model: str, scope: str) -> tuple[str, Traffic]:
    tag, split = shop.traffic.stored(model, scope)
    variants = [Served(one.version, one.weight, _served(shop, model, one.version, scope)) for one in split.variants]
    return tag, Traffic(variants, split.mode, split.auto_rollback, split.stack)


def _served(shop: Shop, model: str, number: int, scope: str) -> int:
    loaded: Any = shop.serving.peek(model, str(number), scope)
    return loaded.answered if loaded is not None else 0
