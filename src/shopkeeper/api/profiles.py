"""What is known of a user, and why it scores as it does."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from fastapi import Query, Response

from shopkeeper.api.door import Doors, Id, ShopDep, reply
from shopkeeper.core.records import Consent, Explanation

doors = Doors("Profiles")


class Profile(msgspec.Struct):
    """`profile` as older clients know it; beside it what is computed: attributes, scores, segments, windows.

    Who refuses profiling has no scores and no preferences (null); attributes, segments, windows and recent are empty.
    """

    user_id: str
    profile: dict[str, Any]
    attributes: dict[str, Any]
    scores: dict[str, Any] | None
    segments: list[Any]
    windows: dict[str, Any]
    preferences: dict[str, Any] | None
    recent: list[dict[str, Any]]
    consent: Consent | None = None


@doors.add("GET", "/api/v1/user/{user_id}", scope="r", answer=Profile, errors=(404,))
async def get_profile(shop: ShopDep, user_id: Id) -> Response:
    """The profile of a user"""
    return reply(shop.profiles.profile(user_id))


@doors.add("GET", "/api/v1/explain/{user_id}", scope="r", answer=Explanation, errors=(404,))
async def explain(
    shop: ShopDep,
    user_id: Id,
    k: Annotated[int, Query(ge=1, le=20)] = 5,
    level: Literal["groups"] = "groups",
) -> Response:
    """Why a profile scores as it does: contributions that add up exactly, and the trace of each rule"""
    del level  # there is this one only
    return reply(shop.profiles.explain(user_id, k))
