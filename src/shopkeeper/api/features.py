"""Features: of one user as they are now, and of many at once."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import Request, Response

from shopkeeper.api.body import read
from shopkeeper.api.door import Doors, Id, ShopDep, reply
from shopkeeper.api.forms import ComputeForm, UserIds
from shopkeeper.bootstrap import Shop
from shopkeeper.core.errors import NotFound
from shopkeeper.features.realtime import realtime

doors = Doors("Features")
_NOBODY = -1
"""The features of one whom nobody has met: who refuses profiling is answered so."""


class RealTimeFeatures(msgspec.Struct):
    """Four groups of name -> number; `ages` are seconds since the user's first and last event and last order."""

    temporal: dict[str, float]
    behavioral: dict[str, float]
    contextual: dict[str, float]
    aggregated: dict[str, float]
    timestamp: str
    ages: dict[str, float | None]


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
    return reply(_of(shop, user_id))


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
    found: dict[str, Any] = {}
    for user_id in form.user_ids:
        try:
            found[user_id] = _of(shop, user_id)
        except NotFound as error:
            found[user_id] = {"error": error.message}
    return reply(found)


async def _asked(request: Request) -> ComputeForm:
    body = await request.body()
    if body.lstrip()[:1] == b"[":
        return ComputeForm(user_ids=await read(request, UserIds))
    return await read(request, ComputeForm)


def _of(shop: Shop, user_id: str) -> dict[str, Any]:
    row = shop.vocab.users.row(user_id)
    if row is None:
        raise NotFound(f"no user {user_id[:80]!r}; nobody of this id was recorded or seen", code="unknown_user")
    seen = row if shop.consents.allows(row, "profiling") else _NOBODY
    return realtime(shop.features, seen, shop.clock.now())
