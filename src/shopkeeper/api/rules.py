"""Rules: the conditions that score a profile. A wrong one is refused with the place where it is wrong."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
from fastapi import Query, Request, Response
from msgspec import UNSET

from shopkeeper.api.body import read
from shopkeeper.api.door import CallerDep, Cursor, Doors, Id, Limit, Page, ShopDep, reply
from shopkeeper.api.forms import RevertForm, RuleChange, RuleForm, RulesForm
from shopkeeper.api.page import cut
from shopkeeper.api.users import IfMatch
from shopkeeper.core.records import Rule
from shopkeeper.profiles.importing import read_unomi
from shopkeeper.stores.etags import etag

doors = Doors("Rules")


class Rules(msgspec.Struct):
    rules: list[Rule]


class RuleDone(msgspec.Struct):
    message: str
    rule: Rule


class RuleRejected(msgspec.Struct):
    """`index`: place in the body. `reason` begins with the place in the rule."""

    index: int
    name: str
    reason: str


class RulesImported(msgspec.Struct):
    created: list[Rule]
    rejected: list[RuleRejected]


class RuleField(msgspec.Struct):
    """`windows`: lengths in hours for which `name in N hours` can be written."""

    name: str
    type: str
    unit: str
    help: str
    windows: list[int]


class Told(msgspec.Struct):
    message: str


@doors.add("GET", "/api/v1/rules", scope="r", answer=Rules)
async def list_rules(shop: ShopDep) -> Response:
    """All rules"""
    return reply(Rules(shop.profiles.rulebook.all()))


@doors.add("POST", "/api/v1/rules", scope="o", status=201, body=RuleForm, answer=RuleDone, errors=(409, 429))
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


@doors.add("GET", "/api/v1/rules/{name}", scope="r", answer=Rule, errors=(404,))
async def get_rule(
    shop: ShopDep, name: Id, version: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None
) -> Response:
    """One rule, or one of its versions"""
    rule = shop.profiles.rulebook.get(name, version)
    return reply(rule, headers={"etag": etag(rule.updated_at)})


@doors.add("GET", "/api/v1/rules/{name}/versions", scope="r", answer=Page[Rule], errors=(404,))
async def rule_versions(shop: ShopDep, name: Id, limit: Limit = 50, cursor: Cursor = None) -> Response:
    """All versions of a rule, newest first"""
    return reply(cut(shop.profiles.rulebook.versions(name), limit, cursor))


@doors.add("POST", "/api/v1/rules/{name}/revert", scope="o", body=RevertForm, answer=RuleDone, errors=(404, 412, 429))
async def revert_rule(
    request: Request, shop: ShopDep, caller: CallerDep, name: Id, if_match: IfMatch = None
) -> Response:
    """Adds a version that says what an earlier one said"""
    form = await read(request, RevertForm)
    made = shop.profiles.rulebook.revert(name, form.version, if_match=if_match, by=caller.name)
    stored = await asyncio.wrap_future(made)
    message = f"rule {name!r} says again what version {form.version} said"
    return reply(RuleDone(message, stored), 200, {"etag": etag(stored.updated_at)})


@doors.add("POST", "/api/v1/rules/import", scope="o", body=RulesForm, answer=RulesImported, errors=(429,))
async def import_rules(request: Request, shop: ShopDep, caller: CallerDep) -> Response:
    """Makes rules of condition trees; one that cannot be said here is rejected alone, with the place and the reason"""
    form = await read(request, RulesForm)
    profiles = shop.profiles
    segments = {name: segment.condition for name, (segment, _) in profiles.segmentbook.compiled().items()}
    found = await asyncio.to_thread(read_unomi, form.rules, profiles.schema.refresh(), segments)
    made = await asyncio.wrap_future(profiles.rulebook.create_many(found.rules, by=caller.name))
    created, rejected = found.done(made)
    return reply(RulesImported(created, [RuleRejected(one.index, one.name, one.reason) for one in rejected]))


@doors.add("GET", "/api/v1/rule-fields", scope="r", answer=list[RuleField])
async def rule_fields(shop: ShopDep) -> Response:
    """The fields that a rule can read now"""
    return reply(shop.profiles.schema.fields())


@doors.add("POST", "/api/v1/operations/rules/refresh", scope="o", answer=Told)
async def refresh_rules(shop: ShopDep) -> Response:
    """Reads the rules and the users' records again"""
    count = shop.profiles.rulebook.refresh()
    return reply(Told(f"{count} rules and the records of {len(shop.profiles.people.all())} users are read again"))
