"""The model registry's doors: entries with states, check, totals, upload, download."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

import msgspec
from fastapi import Form, Query, Response, UploadFile

from shopkeeper.api.archives import GZIP, archive_of
from shopkeeper.api.door import CallerDep, Doors, Id, ShopDep, reply
from shopkeeper.api.models import Scope
from shopkeeper.core.records import Version
from shopkeeper.lifecycle.addresses import CANDIDATE, CHAMPION
from shopkeeper.lifecycle.catalogue import Entry, Totals, Validation
from shopkeeper.operations.uploads import FORMATS

doors = Doors("Model registry")
Format = Literal["archive", "onnx", "safetensors"]
Ref = Annotated[str | None, Query(max_length=64, description="A number or an alias; the champion when left out")]
_FORM = {
    "multipart/form-data": {
        "schema": {
            "type": "object",
            "required": ["file", "name"],
            "properties": {
                "file": {"type": "string", "format": "binary"},
                "name": {"type": "string", "minLength": 1, "maxLength": 64},
                "version": {"type": "string", "maxLength": 128, "description": "What its maker calls it"},
                "format": {"type": "string", "enum": list(FORMATS), "description": "Else the file's ending says"},
                "feature_names": {"type": "string", "maxLength": 100_000, "description": "For onnx: comma between"},
                "quantise": {"type": "boolean", "description": "For onnx: int8 weights where outputs stay close"},
            },
        }
    }
}


class Entries(msgspec.Struct):
    models: list[Entry]
    total_count: int


class Taken(msgspec.Struct):
    success: bool
    message: str
    model_id: str
    entry: Entry
    version: Version


class Done(msgspec.Struct):
    success: bool
    message: str


@doors.add("GET", "/api/v1/model-registry/models", scope="r", answer=Entries)
async def list_entries(shop: ShopDep) -> Response:
    """All models with their versions and states"""
    found = await asyncio.to_thread(shop.catalogue.entries)
    return reply(Entries(found, len(found)))


@doors.add("GET", "/api/v1/model-registry/models/{model}", scope="r", answer=Entry, errors=(404,))
async def get_entry(shop: ShopDep, model: Id, scope: Scope = "all") -> Response:
    """One model with its versions and states"""
    return reply(await asyncio.to_thread(shop.catalogue.entry, model, scope))


@doors.add("GET", "/api/v1/model-registry/validate", scope="r", answer=Validation)
async def validate(shop: ShopDep) -> Response:
    """Compares every file of every version with its hash"""
    return reply(await asyncio.to_thread(shop.catalogue.validate))


@doors.add("GET", "/api/v1/model-registry/stats", scope="r", answer=Totals)
async def stats(shop: ShopDep) -> Response:
    """How many models, versions and bytes there are"""
    return reply(await asyncio.to_thread(shop.catalogue.totals))


@doors.add(
    "POST", "/api/v1/model-registry/models/upload", scope="a", body=_FORM, answer=Taken, errors=(409, 429)
)  # fmt: skip
async def upload_model(
    shop: ShopDep,
    caller: CallerDep,
    file: UploadFile,
    name: Annotated[str, Form(min_length=1, max_length=64)],
    version: Annotated[str, Form(max_length=128)] = "",
    format: Annotated[Format | None, Form()] = None,
    feature_names: Annotated[str, Form(max_length=100_000)] = "",
    quantise: Annotated[bool, Form()] = False,
) -> Response:
    """Takes a model file (onnx, or an exported archive) as the next version of a model, on HOLD"""
    made = await asyncio.to_thread(
        shop.uploads.take,
        file.file,
        file.filename or "",
        model=name,
        format=format,
        label=version,
        feature_names=[part.strip() for part in feature_names.split(",")] if feature_names else None,
        quantise=quantise,
        by=caller.name,
    )
    entry = await asyncio.to_thread(shop.catalogue.entry, made.model, made.scope)
    message = f"{made.model} v{made.version} is registered; it answers when it is promoted"
    return reply(Taken(True, message, made.model, entry, made))


@doors.add(
    "GET", "/api/v1/model-registry/models/{model}/download", "/api/v1/model-registry/models/{model}/export",
    scope="o", answer=GZIP, errors=(404,),
)  # fmt: skip
async def download(shop: ShopDep, model: Id, version: Ref = None, scope: Scope = "all") -> Response:
    """A version as an archive; without one the champion, or the candidate where there is none"""
    if version is None:
        info = await asyncio.to_thread(shop.registry.model, model, scope)
        version = CHAMPION if CHAMPION in info.aliases else CANDIDATE
    return await archive_of(shop, model, version, scope)


@doors.add("DELETE", "/api/v1/model-registry/models/{model}", scope="a", answer=Done, errors=(404, 409, 429))
async def delete_entry(
    shop: ShopDep, caller: CallerDep, model: Id, scope: Scope = "all", force: bool = False
) -> Response:
    """Removes a model with all its versions; one that serves only by force"""
    await asyncio.to_thread(shop.removal.model, model, scope, by=caller.name, force=force)
    return reply(Done(True, f"{model} is removed with all its versions"))
