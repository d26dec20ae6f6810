"""What a person may ask of a shop: consent, their data, and to be forgotten."""

from __future__ import annotations

import asyncio

import msgspec
from fastapi import Request, Response
from msgspec import UNSET, UnsetType

from shopkeeper.api.asker import UserQuery, actor, fields, subject
from shopkeeper.api.body import read
from shopkeeper.api.door import CallerDep, Doors, Id, ShopDep, reply
from shopkeeper.bootstrap import Shop
from shopkeeper.core.errors import NotFound
from shopkeeper.core.records import Consent
from shopkeeper.stores.audit import Actor
from shopkeeper.stores.consents import PURPOSES, Purpose

doors = Doors("Privacy")
_OPTED: tuple[Purpose, ...] = ("personalization", "profiling")


class ConsentForm(msgspec.Struct):
    """What is left out stays as it is."""

    personalization: bool | UnsetType = UNSET
    profiling: bool | UnsetType = UNSET
    marketing: bool | UnsetType = UNSET

    def changes(self) -> dict[Purpose, bool]:
        given = {purpose: getattr(self, purpose) for purpose in PURPOSES}
        return {purpose: value for purpose, value in given.items() if value is not UNSET}


class Whose(msgspec.Struct):
    user_id: str | UnsetType = UNSET


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


async def _opt(shop: Shop, user_id: str, agreed: bool, by: Actor) -> None:
    changes = dict.fromkeys(_OPTED, agreed)
    await asyncio.wrap_future(shop.consents.change(user_id, changes, by, make=True))
