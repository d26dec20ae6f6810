"""The stock paths' models: every version of every forecast model under a uid."""

from __future__ import annotations

import asyncio
from typing import Annotated

import msgspec
from fastapi import Path, Query, Response, UploadFile

from shopkeeper.api.algorithms import described
from shopkeeper.api.archives import ARCHIVE_FORM, GZIP, archive_of
from shopkeeper.api.door import CallerDep, Doors, Envelope, ShopDep, enveloped
from shopkeeper.api.forms import Mode
from shopkeeper.api.stocknames import find, uid_of_version
from shopkeeper.api.stockwire import ForecastModel, ForecastModelDetail, detail, listed
from shopkeeper.core.errors import Conflict
from shopkeeper.core.records import AlgorithmInfo

doors = Doors("Stock")
Uid = Annotated[str, Path(min_length=1, max_length=400)]
Given = Annotated[str | None, Query(max_length=128)]


class RemovedModel(msgspec.Struct):
    model_uid: str


@doors.add("GET", "/api/models", scope="r", answer=Envelope[list[ForecastModel]])
async def list_models(
    shop: ShopDep,
    training_mode: Mode | None = None,
    product_id: Given = None,
    store_id: Given = None,
    category: Given = None,
    model_type: Annotated[str | None, Query(max_length=64)] = None,
) -> Response:
    """All versions of all forecast models"""
    found = await asyncio.to_thread(
        listed,
        shop,
        mode=training_mode,
        product_id=product_id,
        store_id=store_id,
        category=category,
        model_type=model_type,
    )
    return enveloped(found)


@doors.add("GET", "/api/models/types", scope="r", answer=Envelope[list[AlgorithmInfo]])
async def model_types() -> Response:
    """The algorithms that forecast"""
    return enveloped(await asyncio.to_thread(described, "forecast"))


@doors.add(
    "POST", "/api/models/import",
    scope="a", status=201, body=ARCHIVE_FORM, answer=Envelope[ForecastModelDetail], errors=(409, 429),
)  # fmt: skip
async def import_model(shop: ShopDep, caller: CallerDep, file: UploadFile) -> Response:
    """Registers an exported version; it is not the best one before it is promoted"""
    made = await asyncio.to_thread(shop.exchange.bring_in, file.file, by=caller.name, family="forecast")
    return enveloped(detail(made), 201, {"location": f"/api/models/{uid_of_version(made)}"})


@doors.add("GET", "/api/models/{model_uid}", scope="r", answer=Envelope[ForecastModelDetail], errors=(404,))
async def get_model(shop: ShopDep, model_uid: Uid) -> Response:
    """One version of a forecast model"""
    return enveloped(detail(await asyncio.to_thread(find, shop, model_uid)))


@doors.add("DELETE", "/api/models/{model_uid}", scope="o", answer=Envelope[RemovedModel], errors=(404, 409, 429))
async def delete_model(shop: ShopDep, caller: CallerDep, model_uid: Uid) -> Response:
    """Removes a version's files; never those of the best one"""
    version = await asyncio.to_thread(find, shop, model_uid)
    if "champion" in version.aliases:
        raise Conflict(f"{model_uid} is the best version; let another one take its place first", code="best_version")
    await asyncio.to_thread(
        shop.removal.version, version.model, version.version, version.scope, by=caller.name, let_go=True
    )
    return enveloped(RemovedModel(model_uid))


@doors.add("GET", "/api/models/{model_uid}/export", scope="o", answer=GZIP, errors=(404,))
async def export_model(shop: ShopDep, model_uid: Uid) -> Response:
    """A version as an archive (tar.gz) that another shop can import"""
    version = await asyncio.to_thread(find, shop, model_uid)
    return await archive_of(shop, version.model, str(version.version), version.scope)
