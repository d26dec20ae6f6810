"""Rules: the conditions that score a profile. A wrong one is refused with the place where it is wrong."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from fastapi import Request, Response
from msgspec import UNSET

from shopkeeper.api.body import read
from shopkeeper.api.door import CallerDep, Doors, Id, ShopDep, reply
from shopkeeper.api.forms import RuleChange, RuleForm
from shopkeeper.api.users import IfMatch
from shopkeeper.core.records import Rule
from shopkeeper.stores.etags import etag

doors = Doors("Rules")


class Rules(msgspec.Struct):
    rules: list[Rule]


class RuleDone(msgspec.Struct):
    message: str
    rule: Rule


@doors.add("GET", "/api/v1/rules", scope="r", answer=Rules)
async def list_rules(shop: ShopDep) -> Response:
    """All rules"""
    return reply(Rules(shop.profiles.rulebook.all()))


@doors.add("POST", "/api/v1/rules", scope="o", status=201, body=RuleForm, answer=RuleDone, errors=(429,))
async def create_rule(request: Request, shop: ShopDep, caller: CallerDep) -> Response:
    """Makes a rule; it counts at once"""
    form = await read(request, RuleForm)
    made = shop.profiles.rulebook.create(
        form.name,
        form.condition,
        description=form.description,
        weight=form.weight,
        action=form.action,
        by=caller.name,
    )
    stored = await asyncio.wrap_future(made)
    return reply(RuleDone(f"rule {stored.name!r} is made", stored), 201, {"etag": etag(stored.updated_at)})


@doors.add("PUT", "/api/v1/rules/{name}", scope="o", body=RuleChange, answer=RuleDone, errors=(404, 412, 429))
async def change_rule(
    request: Request, shop: ShopDep, caller: CallerDep, name: Id, if_match: IfMatch = None
) -> Response:
    """Changes a rule; what is left out stays"""
    change = await read(request, RuleChange)
    given: dict[str, Any] = {
        field: value for field in change.__struct_fields__ if (value := getattr(change, field)) is not UNSET
    }
    stored = await asyncio.wrap_future(shop.profiles.rulebook.update(name, **given, if_match=if_match, by=caller.name))
    return reply(RuleDone(f"rule {name!r} is changed", stored), 200, {"etag": etag(stored.updated_at)})


@doors.add("DELETE", "/api/v1/rules/{name}", scope="o", status=204, errors=(404, 412, 429))
async def delete_rule(shop: ShopDep, caller: CallerDep, name: Id, if_match: IfMatch = None) -> Response:
    """Removes a rule"""
    await asyncio.wrap_future(shop.profiles.rulebook.delete(name, if_match=if_match, by=caller.name))
    return Response(status_code=204)
