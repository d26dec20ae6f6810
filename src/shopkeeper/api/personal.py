"""One person's profile, to be read and corrected, and what they said they prefer."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from fastapi import Request, Response

from shopkeeper.api.asker import UserQuery, actor, fields, subject
from shopkeeper.api.body import read
from shopkeeper.api.door import CallerDep, Doors, Id, ShopDep, reply
from shopkeeper.api.errors import FieldProblem, Malformed
from shopkeeper.api.users import IfMatch
from shopkeeper.core.ids import check_id
from shopkeeper.core.records import UserProfile
from shopkeeper.profiles.personal import READ_ONLY, Changes

doors = Doors("Personalisation")
_PROFILE = "/api/v1/personalization/user/{user_id}/profile"
_PREFERENCES = "/api/v1/personalization/preferences"


class Stored(msgspec.Struct):
    status: str
    message: str


class Reset(msgspec.Struct):
    success: bool
    message: str
    user_id: str


@doors.add("GET", _PROFILE, scope="r", answer=UserProfile, errors=(404,))
async def get_user_profile(shop: ShopDep, user_id: Id) -> Response:
    """A person's profile: features, preferences, the last 50 events, where their vector lives"""
    profile, tag = shop.personal.read(user_id)
    return reply(profile, headers={"etag": tag})


@doors.add("PUT", _PROFILE, scope="o", body=UserProfile, answer=Stored, errors=(412, 429))
async def put_user_profile(
    request: Request, shop: ShopDep, caller: CallerDep, user_id: Id, if_match: IfMatch = None
) -> Response:
    """Changes features and preferences key by key; null takes a key away. What is not named stays"""
    check_id(user_id, "user_id")
    body = await read(request, dict[str, Any])
    unknown = sorted(body.keys() - set(UserProfile.__struct_fields__))
    if unknown:
        told = f"a profile has no {unknown[0]!r}; what can be changed are features and preferences"
        raise Malformed(told, code="wrong_value", errors=[FieldProblem(unknown[0], told)])
    try:
        changes = msgspec.convert({name: body[name] for name in ("features", "preferences") if name in body}, Changes)
    except msgspec.ValidationError as error:
        raise Malformed(str(error), code="wrong_value", errors=[FieldProblem("body", str(error))]) from error
    done = await asyncio.wrap_future(shop.personal.write(user_id, changes, if_match, actor(request, caller)))
    ignored = [*(name for name in READ_ONLY if name in body), *(f"features.{name}" for name in done.ignored)]
    made = "the user was created" if done.created else "the profile was changed"
    told = f"{made}; ignored, as it is worked out: {', '.join(ignored)}" if ignored else made
    return reply(Stored("success", told), headers={"etag": done.tag})


@doors.add("GET", _PREFERENCES, scope="r", answer=dict[str, Any])
async def get_preferences(shop: ShopDep, user_id: UserQuery = None) -> Response:
    """What a user said they prefer"""
    named = subject(user_id, {})
    stated = await asyncio.to_thread(shop.preferences.of, shop.vocab.users.row(named))
    return reply({**stated.fields, "user_id": named})


@doors.add("PUT", _PREFERENCES, scope="p", body=dict[str, Any], answer=dict[str, Any], errors=(429,))
async def put_preferences(request: Request, shop: ShopDep, caller: CallerDep, user_id: UserQuery = None) -> Response:
    """Says preferences, field by field; null takes one away. Returns all of them"""
    body = await read(request, dict[str, Any])
    named = subject(user_id, body)
    changes = {name: value for name, value in body.items() if name != "user_id"}
    stated = await asyncio.wrap_future(shop.preferences.change(named, changes, actor(request, caller)))
    return reply({**stated.fields, "user_id": named})


@doors.add(
    "POST", f"{_PREFERENCES}/reset", scope="p", body=dict[str, Any], body_required=False, answer=Reset, errors=(429,)
)
async def reset_preferences(request: Request, shop: ShopDep, caller: CallerDep, user_id: UserQuery = None) -> Response:
    """Takes back all that a user said they prefer"""
    named = subject(user_id, await fields(request))
    any_ = await asyncio.wrap_future(shop.preferences.reset(named, actor(request, caller)))
    return reply(Reset(True, "preferences were reset" if any_ else "there were no preferences", named))
