"""Models as the personalisation paths know them: how they stand, one prediction, and a release step by step."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated, Any, cast

import msgspec
from fastapi import Query, Request, Response
from msgspec import UNSET, UnsetType

from shopkeeper.api.addressed import loaded
from shopkeeper.api.body import read
from shopkeeper.api.door import CallerDep, Doors, ShopDep, reply
from shopkeeper.api.errors import FieldProblem, Malformed
from shopkeeper.api.scoring import score, subject_of
from shopkeeper.bootstrap import Shop
from shopkeeper.core.clock import rfc3339
from shopkeeper.core.errors import Invalid
from shopkeeper.core.records import ModelInfo
from shopkeeper.lifecycle.addresses import CHAMPION

doors = Doors("Models")
ModelId = Annotated[str | None, Query(min_length=1, max_length=64)]
_PATHS = ("/api/v1/models", "/api/v1/personalization/models")
Number = float | int


class ModelStatus(msgspec.Struct):
    """`status`: ready, not_loaded (with a champion that cannot serve), or no_champion."""

    model_id: str
    status: str
    version: str | None
    last_updated: datetime | None


class Statuses(msgspec.Struct):
    """`models` when all were asked for, else the facts of the one."""

    models: list[ModelStatus] | UnsetType = UNSET
    model_id: str | UnsetType = UNSET
    status: str | UnsetType = UNSET
    version: str | UnsetType | None = UNSET
    last_updated: datetime | UnsetType | None = UNSET


class Features(msgspec.Struct):
    """Numbers in the order of the version's feature names."""

    features: list[Number]
    model_id: str | None = None


Body = list[Number] | Features


class Prediction(msgspec.Struct):
    model_id: str
    prediction: Any
    timestamp: str


@doors.add("GET", *(f"{path}/status" for path in _PATHS), scope="r", answer=Statuses, errors=(404,))
async def status(shop: ShopDep, model_id: ModelId = None) -> Response:
    """How the models stand, or one of them"""
    if model_id is not None:
        info = await asyncio.to_thread(shop.registry.model, model_id)
        return reply(await asyncio.to_thread(_status, shop, info))
    infos = await asyncio.to_thread(shop.registry.models, scope="all")
    return reply(Statuses([await asyncio.to_thread(_status, shop, info) for info in infos]))


@doors.add(
    "POST", *(f"{path}/predict" for path in _PATHS),
    scope="p", body=Body, answer=Prediction, errors=(404, 429, 500, 503, 504),
)  # fmt: skip
async def predict(request: Request, shop: ShopDep, model_id: ModelId = None) -> Response:
    """One prediction from numbers in the order of the model's features"""
    form: list[Number] | Features = await read(request, cast("type[Any]", Body))
    features, named = (form, None) if isinstance(form, list) else (form.features, form.model_id)
    name = model_id or named
    if name is None:
        raise Malformed("model_id is missing", errors=[FieldProblem("model_id", "is missing")])
    names = (await loaded(shop, name)).model.feature_names
    if len(features) != len(names):
        raise Invalid(
            f"{len(features)} features, {name} takes {len(names)}: {', '.join(names)[:500]}", field="features"
        )
    rows: list[dict[str, Any]] = [dict(zip(names, features, strict=True))]
    user = request.headers.get("x-user-id", "").encode("latin-1")
    scored = await score(shop, name, None, rows, subject=subject_of(user, rows))
    answer = Prediction(name, scored.predictions[0], rfc3339(shop.clock.wall()))
    return reply(answer, headers={"x-model-version": scored.tag})


class UpdateForm(msgspec.Struct):
    """`config`: steps, step_s, force, see `lifecycle.gradual.Steps`."""

    model_id: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    version: int | str
    config: dict[str, Any] = msgspec.field(default_factory=dict)
    description: Annotated[str, msgspec.Meta(max_length=10_000)] = ""


class UpdateBegun(msgspec.Struct):
    status: str
    message: str
    model_id: str
    job_id: str
    job_url: str


@doors.add(
    "PUT", *(f"{path}/update" for path in _PATHS),
    scope="o", body=UpdateForm, answer=UpdateBegun, errors=(404, 409, 429),
)  # fmt: skip
async def update(request: Request, shop: ShopDep, caller: CallerDep) -> Response:
    """Releases a version step by step, from a tenth of the requests to all"""
    form = await read(request, UpdateForm)
    job = await asyncio.to_thread(
        shop.gradual.release,
        form.model_id,
        str(form.version),
        config=form.config,
        reason=form.description,
        by=caller.name,
    )
    message = f"{form.model_id} is released step by step; watch {job.job_url}"
    return reply(UpdateBegun("accepted", message, form.model_id, job.job_id, job.job_url))


def _status(shop: Shop, info: ModelInfo) -> ModelStatus:
    number = info.aliases.get(CHAMPION)
    if number is None:
        return ModelStatus(info.name, "no_champion", None, None)
    version = shop.registry.version(info.name, number)
    serves = shop.serving.peek(info.name)
    state = "ready" if serves is not None and serves.version.version == number else "not_loaded"
    return ModelStatus(info.name, state, f"v{number}", version.created_at)
