"""Models and their versions: look, train, promote, roll back."""

from __future__ import annotations

import asyncio
from typing import Annotated

import msgspec
from fastapi import Query, Request, Response

from shopkeeper.api.access import demand
from shopkeeper.api.body import read
from shopkeeper.api.door import CallerDep, Cursor, Doors, Id, Limit, Page, Queued, ShopDep, queued, reply
from shopkeeper.api.forms import EvaluateForm, PromoteForm, RollbackForm, TrainForm
from shopkeeper.api.page import cut
from shopkeeper.api.training import submit_training
from shopkeeper.core.records import ModelInfo, Version
from shopkeeper.lifecycle.registry import Promotion
from shopkeeper.lifecycle.splits import Split, Variant

doors = Doors("Models")
_SCOPE = r"^(all|(product|store|category|scenario):[^/\x00-\x1f\x7f]{1,264})$"
Scope = Annotated[str, Query(max_length=280, pattern=_SCOPE)]


class ModelDetail(msgspec.Struct):
    """A model, its champion in full, and how its traffic is shared."""

    name: str
    scope: str
    algorithm: str
    task: str
    versions: int
    aliases: dict[str, int]
    champion: Version | None
    traffic: Split


@doors.add("GET", "/api/v1/models", scope="r", answer=Page[ModelInfo])
async def list_models(
    shop: ShopDep,
    task: Annotated[str | None, Query(max_length=64)] = None,
    scope: Annotated[str | None, Query(max_length=160)] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """All models"""
    models = await asyncio.to_thread(shop.registry.models, task=task, scope=scope)
    return reply(cut(models, limit, cursor))


@doors.add("GET", "/api/v1/models/{model}", scope="r", answer=ModelDetail, errors=(404,))
async def get_model(shop: ShopDep, model: Id, scope: Scope = "all") -> Response:
    """One model with its champion"""
    info = await asyncio.to_thread(shop.registry.model, model, scope)
    number = info.aliases.get("champion")
    champion = None if number is None else await asyncio.to_thread(shop.registry.version, model, "champion", scope)
    active = shop.traffic.active(model, scope)
    alone = [] if number is None else [Variant(version=number, weight=1.0)]
    detail = ModelDetail(
        name=info.name,
        scope=info.scope,
        algorithm=info.algorithm,
        task=info.task,
        versions=info.versions,
        aliases=info.aliases,
        champion=champion,
        traffic=active.split if active is not None else Split(variants=alone),
    )
    return reply(detail, headers={"etag": _etag(info)})


@doors.add(
    "POST",
    "/api/v1/models/{model}/train",
    scope="o",
    status=202,
    body=TrainForm,
    answer=Queued,
    errors=(404, 409, 429),
)
async def train(request: Request, shop: ShopDep, caller: CallerDep, model: Id, scope: Scope = "all") -> Response:
    """Begins a training as a job; makes the model if it is new"""
    form = await read(request, TrainForm)
    if form.upload is not None:
        demand(caller, "a")  # as the door that uploads a version
    job = await asyncio.to_thread(submit_training, shop, model, scope, form, caller.name)
    return queued(job.job_id)


@doors.add("GET", "/api/v1/models/{model}/versions", scope="r", answer=Page[Version], errors=(404,))
async def list_versions(
    shop: ShopDep, model: Id, scope: Scope = "all", limit: Limit = 50, cursor: Cursor = None
) -> Response:
    """The versions of a model, newest first"""
    return reply(Page(*await asyncio.to_thread(shop.registry.versions, model, scope, limit=limit, cursor=cursor)))


@doors.add("GET", "/api/v1/models/{model}/versions/{version}", scope="r", answer=Version, errors=(404,))
async def get_version(shop: ShopDep, model: Id, version: Id, scope: Scope = "all") -> Response:
    """One version, by number or alias"""
    return reply(await asyncio.to_thread(shop.registry.version, model, version, scope))


@doors.add(
    "POST",
    "/api/v1/models/{model}/versions/{version}/evaluate",
    scope="o",
    status=202,
    body=EvaluateForm,
    answer=Queued,
    errors=(404, 409, 429),
)
async def evaluate(
    request: Request, shop: ShopDep, caller: CallerDep, model: Id, version: Id, scope: Scope = "all"
) -> Response:
    """Begins to measure a version anew, by default beside the champion; the verdict takes the old one's place"""
    form = await read(request, EvaluateForm)
    job = await asyncio.to_thread(
        shop.evaluations.submit, model, version, against=str(form.against), scope=scope, by=caller.name
    )
    return queued(job.job_id)


@doors.add(
    "POST", "/api/v1/models/{model}/promote", scope="o", body=PromoteForm, answer=Promotion, errors=(404, 409, 429)
)
async def promote(request: Request, shop: ShopDep, caller: CallerDep, model: Id, scope: Scope = "all") -> Response:
    """Makes a version the champion, if the gate lets it"""
    form = await read(request, PromoteForm)
    moved = await asyncio.to_thread(
        shop.registry.promote,
        model,
        str(form.version),
        scope=scope,
        force=form.force,
        reason=form.reason,
        by=caller.name,
    )
    return reply(moved)


@doors.add(
    "POST", "/api/v1/models/{model}/rollback", scope="o", body=RollbackForm, answer=Promotion, errors=(404, 409, 429)
)
async def rollback(request: Request, shop: ShopDep, caller: CallerDep, model: Id, scope: Scope = "all") -> Response:
    """Makes the champion of before the champion again"""
    form = await read(request, RollbackForm)
    moved = await asyncio.to_thread(
        shop.registry.rollback, model, to=str(form.to), scope=scope, reason=form.reason, by=caller.name
    )
    return reply(moved)


def _etag(info: ModelInfo) -> str:
    import hashlib

    return f'"{hashlib.sha256(msgspec.json.encode(info)).hexdigest()[:16]}"'
