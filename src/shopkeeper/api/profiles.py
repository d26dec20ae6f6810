"""What is known of a user, and why it scores as it does."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
from fastapi import Header, Query, Response

from shopkeeper.api.door import Doors, Id, ShopDep, reply
from shopkeeper.core.language import Lang, preferred
from shopkeeper.core.records import Consent, Explanation
from shopkeeper.profiles.ladder import Level

doors = Doors("Profiles")


class Cleared(msgspec.Struct):
    message: str


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


@doors.add("GET", "/api/v1/explain/{user_id}", scope="r", answer=Explanation, errors=(404, 503))
async def explain(
    shop: ShopDep,
    user_id: Id,
    k: Annotated[int, Query(ge=1, le=20)] = 5,
    level: Level = "groups",
    lang: Lang | None = None,
    accept_language: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> Response:
    """Why a profile scores as it does: contributions that add up exactly, the trace of each rule, and sentences"""
    spoken = lang or preferred(accept_language)
    explaining = shop.profiles.explaining
    asked = shop.profiles.ask(user_id, k, level, spoken)
    answer = await asyncio.to_thread(asked.answer) if asked.heavy else asked.answer()
    explaining.keep(asked, answer)
    return reply(answer, headers={"content-language": spoken})


@doors.add("POST", "/api/v1/operations/explainer/clear", scope="o", answer=Cleared)
async def clear_explanations(shop: ShopDep) -> Response:
    """Forget the explanations that are kept; each is worked out anew"""
    n = shop.profiles.explaining.clear()
    return reply(Cleared(f"{n} explanation{'' if n == 1 else 's'} forgotten"))
