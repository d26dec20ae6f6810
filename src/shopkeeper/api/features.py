"""Features: which there are, their versions, and those of users as they are now."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
from fastapi import Path, Query, Request, Response

from shopkeeper.api.body import read
from shopkeeper.api.door import CallerDep, Cursor, Doors, Id, Limit, Page, ShopDep, reply
from shopkeeper.api.forms import ComputeForm, UserIds
from shopkeeper.bootstrap import Shop
from shopkeeper.core.errors import Invalid, NotFound
from shopkeeper.features.crowd import AT_ONCE
from shopkeeper.features.realtime import of_users, said, with_said
from shopkeeper.features.registry import registered
from shopkeeper.features.versions import Difference, Exported, FeatureVersion, Validity
from shopkeeper.stores.paging import cursor_after, key_of

doors = Doors("Features")
_NOBODY = -1
"""The features of one whom nobody has met: who refuses profiling is answered so."""
_NUMBER = re.compile(r"[0-9]{1,10}")
Number = Annotated[int, Query(ge=1, le=2**31 - 1)]
VersionNumber = Annotated[int, Path(ge=1, le=2**31 - 1)]
_VERSIONS = "/api/v1/features/versions"


class FeatureFacts(msgspec.Struct):
    """`of`: user, item, pair or context. `standard`: part of a set that names none."""

    name: str
    group: str
    of: str
    unit: str
    default: float
    version: int
    help: str
    standard: bool


class FeatureList(msgspec.Struct):
    """`active_version` null: none was ever activated."""

    features: list[FeatureFacts]
    active_version: int | None


class VersionForm(msgspec.Struct):
    """`features` by name, a cross as `a*b`; null: the standard ones."""

    description: Annotated[str, msgspec.Meta(max_length=2000)] = ""
    features: Annotated[list[str], msgspec.Meta(min_length=1, max_length=500)] | None = None


class ValueAge(msgspec.Struct):
    """Seconds since the newest thing that the number was made of; null: nothing was ever there."""

    age_s: float | None
    status: str


class RealTimeFeatures(msgspec.Struct):
    """Four groups of name -> number; `ages` are seconds since the user's first and last event and last order; `values`
    says of each number its `age_s` and `status`: present, missing, expired."""

    temporal: dict[str, float]
    behavioral: dict[str, float]
    contextual: dict[str, float]
    aggregated: dict[str, float]
    timestamp: str
    ages: dict[str, float | None]
    values: dict[str, ValueAge]


@doors.add("GET", "/api/v1/features", scope="r", answer=FeatureList)
async def list_features(shop: ShopDep) -> Response:
    """Every feature that is installed, and the version that counts"""
    facts = [
        FeatureFacts(f.name, f.group, f.of, f.unit, f.default, f.version, f.help, getattr(f, "standard", True))
        for f in registered().values()
    ]
    active = await asyncio.to_thread(lambda: shop.feature_versions.active)
    return reply(FeatureList(facts, None if active is None else active.version))


@doors.add("GET", _VERSIONS, scope="r", answer=Page[FeatureVersion])
async def list_versions(shop: ShopDep, limit: Limit = 50, cursor: Cursor = None) -> Response:
    """Versions of the set of features, newest first"""
    before = key_of(cursor)
    if before is not None and not _NUMBER.fullmatch(before):
        raise Invalid("cursor was not given out by this list; begin without one", field="cursor")
    found, after, total = await asyncio.to_thread(
        shop.feature_versions.page, limit=limit, before=None if before is None else int(before)
    )
    return reply(Page(found, None if after is None else cursor_after(str(after)), total))


@doors.add("POST", _VERSIONS, scope="o", status=201, body=VersionForm, answer=FeatureVersion, errors=(429,))
async def create_version(request: Request, shop: ShopDep, caller: CallerDep) -> Response:
    """Makes a version of the features as they are now; it does not count before it is activated"""
    form = await read(request, VersionForm)
    made = await asyncio.to_thread(shop.feature_versions.create, form.description, form.features, by=caller.name)
    return reply(made, 201, {"location": f"{_VERSIONS}/{made.version}/export"})


@doors.add("GET", f"{_VERSIONS}/compare", scope="r", answer=Difference, errors=(404,))
async def compare_versions(shop: ShopDep, a: Number, b: Number) -> Response:
    """What version b has, lacks and has otherwise than version a"""
    return reply(await asyncio.to_thread(shop.feature_versions.compare, a, b))


@doors.add("POST", f"{_VERSIONS}/rollback", scope="o", answer=FeatureVersion, errors=(409, 429))
async def roll_back_version(shop: ShopDep, caller: CallerDep) -> Response:
    """The version that counted before counts again"""
    return reply(await asyncio.to_thread(shop.feature_versions.rollback, by=caller.name))


@doors.add(
    "POST", f"{_VERSIONS}/import", scope="o", status=201, body=Exported, answer=FeatureVersion, errors=(409, 429)
)
async def import_version(request: Request, shop: ShopDep, caller: CallerDep) -> Response:
    """Takes a version that another shop has exported, under its number where that is free"""
    given = await read(request, Exported)
    made = await asyncio.to_thread(shop.feature_versions.take, given, by=caller.name)
    return reply(made, 201, {"location": f"{_VERSIONS}/{made.version}/export"})


@doors.add("POST", f"{_VERSIONS}/{{version}}/activate", scope="o", answer=FeatureVersion, errors=(404, 409, 429))
async def activate_version(shop: ShopDep, caller: CallerDep, version: VersionNumber) -> Response:
    """The version counts from now on; 409 when a model in use reads a feature that is missing in it"""
    return reply(await asyncio.to_thread(shop.feature_versions.activate, version, by=caller.name))


@doors.add("POST", f"{_VERSIONS}/{{version}}/validate", scope="o", answer=Validity, errors=(404,))
async def validate_version(shop: ShopDep, version: VersionNumber) -> Response:
    """Whether the version could be activated now, and what keeps it from that"""
    return reply(await asyncio.to_thread(shop.feature_versions.validate, version))


@doors.add("GET", f"{_VERSIONS}/{{version}}/export", scope="r", answer=Exported, errors=(404,))
async def export_version(shop: ShopDep, version: VersionNumber) -> Response:
    """The version as a document that another shop can import"""
    found = await asyncio.to_thread(shop.feature_versions.export, version)
    name = f'attachment; filename="features-v{version}.json"'
    return reply(found, headers={"content-disposition": name})


@doors.add(
    "GET",
    "/api/v1/features/realtime/{user_id}",
    "/api/v1/personalization/features/realtime/{user_id}",
    scope="r",
    answer=RealTimeFeatures,
    errors=(404,),
)
async def realtime_features(shop: ShopDep, user_id: Id) -> Response:
    """The features of a user now"""
    found = await _told(shop, [user_id], {})
    if (error := found[user_id].get("error")) is not None:
        raise NotFound(error, code="unknown_user")
    return reply(found[user_id])


@doors.add(
    "POST",
    "/api/v1/features/compute",
    "/api/v1/personalization/features/compute",
    scope="r",
    body=ComputeForm | UserIds,
    answer=dict[str, dict[str, Any]],
)
async def compute_features(request: Request, shop: ShopDep) -> Response:
    """The features of up to 1000 users; an unknown one gets an error in its place"""
    form = await _asked(request)
    return reply(await _told(shop, form.user_ids, form.context))


async def _asked(request: Request) -> ComputeForm:
    body = await request.body()
    if body.lstrip()[:1] == b"[":
        return ComputeForm(user_ids=await read(request, UserIds))
    return await read(request, ComputeForm)


async def _told(shop: Shop, user_ids: Sequence[str], context: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Others are answered between the users. Where the own state is broken, what another process shared is told."""
    shared = shop.shared_features
    elsewhere: dict[int, dict[str, Any]] = {}
    broken = shop.features.name in shop.following.broken
    if shared is not None and broken:
        rows = [row for user_id in user_ids if (row := shop.vocab.users.row(user_id)) is not None]
        elsewhere = {row: told for row, told in zip(rows, await shared.get_many(rows), strict=True) if told is not None}
    found: dict[str, dict[str, Any]] = {}
    for start in range(0, len(user_ids), AT_ONCE):
        if start:
            await asyncio.sleep(0)
        some, now = user_ids[start : start + AT_ONCE], shop.clock.now()
        known = {user_id: row for user_id in some if (row := shop.vocab.users.row(user_id)) is not None}
        allowed = {row for row in known.values() if shop.consents.allows(row, "profiling")}
        told = {row: elsewhere[row] for row in allowed if row in elsewhere}
        own = [row for row in known.values() if row not in told]
        asked = [row if row in allowed else _NOBODY for row in own]
        for row, answer in zip(own, of_users(shop.features, asked, now), strict=True):
            told[row] = answer
            if shared is not None and row in allowed and not broken:
                shared.put(row, answer)
        moment = said(shop.features, now, context)
        for user_id in some:
            found_row = known.get(user_id)
            if found_row is None:
                found[user_id] = {"error": f"no user {user_id[:80]!r}; nobody of this id was recorded or seen"}
            else:
                found[user_id] = with_said(told[found_row], moment)
    return found
