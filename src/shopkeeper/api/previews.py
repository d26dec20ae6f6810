"""Previews: what a condition would do before it is kept, and what the rules suggest to do for a user."""

from __future__ import annotations

import asyncio

import msgspec
from fastapi import Request, Response

from shopkeeper.api.body import read
from shopkeeper.api.door import Doors, Id, ShopDep, reply
from shopkeeper.api.forms import ConditionForm, PreviewForm
from shopkeeper.core.clock import rfc3339
from shopkeeper.profiles.preview import Preview, Previewing

doors = Doors("Rules")


class Recommendation(msgspec.Struct):
    """The actions of the rules that match, those with the greatest weight first."""

    user_id: str
    recommendations: list[str]
    generated_at: str


@doors.add("POST", "/api/v1/rules/preview", scope="r", body=PreviewForm, answer=Preview)
async def preview_rule(request: Request, shop: ShopDep) -> Response:
    """How many customers a rule would match, and how the scores would move; nothing is stored"""
    form = await read(request, PreviewForm)
    return await _answer(shop.profiles.preview(form.condition, weight=form.weight, name=form.name))


@doors.add("POST", "/api/v1/segments/preview", scope="r", body=ConditionForm, answer=Preview)
async def preview_segment(request: Request, shop: ShopDep) -> Response:
    """How many customers a segment would have; nothing is stored, and a segment moves no score"""
    form = await read(request, ConditionForm)
    return await _answer(shop.profiles.preview(form.condition))


@doors.add("GET", "/api/v1/recommendation/{user_id}", scope="p", answer=Recommendation, errors=(404,))
async def recommendation(shop: ShopDep, user_id: Id) -> Response:
    """What the rules suggest to do for a user"""
    found = shop.profiles.suggestions(user_id)
    return reply(Recommendation(user_id, found, rfc3339(shop.clock.wall())))


async def _answer(asked: Previewing) -> Response:
    for _ in asked.steps():
        await asyncio.sleep(0)
    return reply(asked.answer())
