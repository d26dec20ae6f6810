"""What a person may ask of a shop: consent, their data, and to be forgotten."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

import msgspec
from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from msgspec import UNSET, UnsetType

from shopkeeper.api.asker import UserQuery, actor, fields, subject
from shopkeeper.api.body import read
from shopkeeper.api.door import CallerDep, Doors, Id, Queued, ShopDep, queued, reply
from shopkeeper.bootstrap import Shop
from shopkeeper.core.errors import NotFound
from shopkeeper.core.records import Consent
from shopkeeper.operations.exporting import Usage
from shopkeeper.stores.audit import Actor
from shopkeeper.stores.consents import PURPOSES, Purpose
from shopkeeper.stores.erasing import Mode

doors = Doors("Privacy")
_OPTED: tuple[Purpose, ...] = ("personalization", "profiling")


class ConsentForm(msgspec.Struct, forbid_unknown_fields=True):
    """What is left out stays as it is; a misspelled purpose is refused, as nobody would notice that it was not heard.
    `updated_at` is not read: what was shown may be sent back."""

    personalization: bool | UnsetType = UNSET
    profiling: bool | UnsetType = UNSET
    marketing: bool | UnsetType = UNSET
    updated_at: datetime | None = None

    def changes(self) -> dict[Purpose, bool]:
        given = {purpose: getattr(self, purpose) for purpose in PURPOSES}
        return {purpose: value for purpose, value in given.items() if value is not UNSET}


class Whose(msgspec.Struct):
    user_id: str | UnsetType = UNSET


class EraseForm(msgspec.Struct):
    """`confirm` repeats the user's id: erasing cannot be undone."""

    confirm: str
    mode: Mode = "erase"


class Success(msgspec.Struct):
    success: bool = True


@doors.add("GET", "/api/v1/users/{user_id}/consent", scope="r", answer=Consent, errors=(404,))
async def get_consent(shop: ShopDep, user_id: Id) -> Response:
    """What a user agrees to; the shop's default until they have said something"""
    row = shop.vocab.users.row(user_id)
    if row is None:
        raise NotFound(f"no user {user_id!r}", code="unknown_user", field="user_id")
    return reply(shop.consents.of(row))


@doors.add("PUT", "/api/v1/users/{user_id}/consent", scope="o", body=ConsentForm, answer=Consent, errors=(404, 429))
async def put_consent(request: Request, shop: ShopDep, caller: CallerDep, user_id: Id) -> Response:
    """Changes what a user agrees to; it counts from the next answer on"""
    form = await read(request, ConsentForm)
    changed = shop.consents.change(user_id, form.changes(), actor(request, caller))
    return reply(await asyncio.wrap_future(changed))


@doors.add(
    "POST", "/api/v1/personalization/opt-in", scope="p", body=Whose, body_required=False, answer=Success, errors=(429,)
)
async def opt_in(request: Request, shop: ShopDep, caller: CallerDep, user_id: UserQuery = None) -> Response:
    """Agrees to personalisation and profiling"""
    await _opt(shop, subject(user_id, await fields(request)), True, actor(request, caller))
    return reply(Success())


@doors.add(
    "POST", "/api/v1/personalization/opt-out", scope="p", body=Whose, body_required=False, answer=Success, errors=(429,)
)
async def opt_out(request: Request, shop: ShopDep, caller: CallerDep, user_id: UserQuery = None) -> Response:
    """Refuses personalisation and profiling; also for one whom the shop has not met yet"""
    await _opt(shop, subject(user_id, await fields(request)), False, actor(request, caller))
    return reply(Success())


@doors.add("GET", "/api/v1/users/{user_id}/export", scope="a", answer=dict[str, Any], errors=(404,))
async def export_user(shop: ShopDep, user_id: Id) -> Response:
    """Everything that the shop holds of a user, as one JSON document"""
    try:
        profile = shop.personal.read(user_id)[0]
    except NotFound:
        profile = None  # the record was deleted, or only consent is known: that is exported all the same
    parts = await asyncio.to_thread(shop.exporting.export, user_id, profile)
    return StreamingResponse(parts, media_type="application/json")


@doors.add(
    "POST",
    "/api/v1/users/{user_id}/erase",
    scope="a",
    status=202,
    body=EraseForm,
    answer=Queued,
    errors=(404, 409, 429),
)
async def erase_user(request: Request, shop: ShopDep, caller: CallerDep, user_id: Id) -> Response:
    """Forgets a user everywhere, as a job. `anonymise`: their orders stay, as sales of nobody"""
    form = await read(request, EraseForm)
    return await _erase(shop, user_id, form.confirm, form.mode, actor(request, caller))


@doors.add("GET", "/api/v1/personalization/data/usage", scope="r", answer=Usage, errors=(404,))
async def data_usage(shop: ShopDep, user_id: UserQuery = None) -> Response:
    """How much the shop holds of a user"""
    return reply(await asyncio.to_thread(shop.exporting.usage, subject(user_id, {})))


@doors.add("DELETE", "/api/v1/personalization/data", scope="a", status=202, answer=Queued, errors=(404, 409, 429))
async def delete_data(request: Request, shop: ShopDep, caller: CallerDep, user_id: UserQuery = None) -> Response:
    """Forgets a user everywhere, as a job: the same as erase"""
    named = subject(user_id, {})
    return await _erase(shop, named, named, "erase", actor(request, caller))


async def _erase(shop: Shop, user_id: str, confirm: str, mode: Mode, by: Actor) -> Response:
    job = await asyncio.to_thread(shop.erasure.submit, user_id, confirm, mode, by)
    return queued(job.job_id)


async def _opt(shop: Shop, user_id: str, agreed: bool, by: Actor) -> None:
    changes = dict.fromkeys(_OPTED, agreed)
    await asyncio.wrap_future(shop.consents.change(user_id, changes, by, make=True))
