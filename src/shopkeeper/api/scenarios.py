"""Scenarios: where slates are shown and what counts there. A change counts from the next request on."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Annotated, Any

import msgspec
from fastapi import Request, Response
from msgspec import Meta, Struct, field

from shopkeeper.api.body import read
from shopkeeper.api.door import CallerDep, Doors, Id, ShopDep, reply
from shopkeeper.api.users import IfMatch
from shopkeeper.bootstrap import Shop
from shopkeeper.recommend.scenarioform import scenario_of
from shopkeeper.recommend.scenarios import RANKER, TTL_S, Scenario
from shopkeeper.stores.scenarios import tag_of

doors = Doors("Personalisation")
_PATH = "/api/v1/personalization/scenarios"
_Rule = Annotated[str, Meta(min_length=1, max_length=8000)]


class QuotaForm(Struct):
    channel: Annotated[str, Meta(min_length=1, max_length=128)]
    quota: Annotated[int, Meta(ge=1, le=1000)]
    weight: Annotated[float, Meta(ge=0, le=100)] = 1.0


class BoostForm(Struct):
    """`factor` above 1 lifts what the rule holds for, below 1 sinks it."""

    rule: _Rule
    factor: Annotated[float, Meta(ge=0, le=100)]


class ScenarioForm(Struct):
    """What is left out is as in a new scenario. `name` and `version` may be given back as they were read: the path
    names the scenario, and the version is the next."""

    recall: Annotated[list[QuotaForm], Meta(min_length=1, max_length=20)]
    name: str | None = None
    version: int | None = None
    help: Annotated[str, Meta(max_length=1000)] = ""
    filters: Annotated[list[_Rule], Meta(max_length=32)] = field(
        default_factory=lambda: ["sellable", "in_stock", "unwanted", "consent"]
    )
    anchored: bool = False
    candidates: Annotated[int, Meta(ge=1, le=2000)] = 240
    ranker: Annotated[str, Meta(max_length=200)] | None = RANKER
    objectives: dict[str, float] = field(default_factory=dict)
    diversity: Annotated[float, Meta(ge=0, le=1)] = 0.0
    boosts: Annotated[list[BoostForm], Meta(max_length=32)] = field(default_factory=list)
    explore: dict[str, Any] = field(default_factory=dict)
    agent: dict[str, Any] = field(default_factory=dict)
    deadlines: dict[str, float] = field(default_factory=dict)
    ttl_s: Annotated[float, Meta(ge=0, le=86_400)] = TTL_S


class ScenarioInfo(Struct):
    """`problems`: rules that cannot run any more (they hold for nothing) and a ranker's version that is gone."""

    name: str
    version: int
    help: str
    recall: list[QuotaForm]
    filters: list[str]
    anchored: bool
    candidates: int
    ranker: str | None
    objectives: dict[str, float]
    diversity: float
    boosts: list[BoostForm]
    explore: dict[str, Any]
    agent: dict[str, Any]
    deadlines: dict[str, float]
    ttl_s: float
    built_in: bool
    problems: list[str]


class Scenarios(Struct):
    scenarios: list[ScenarioInfo]


class ItemField(Struct):
    name: str
    type: str
    unit: str
    help: str


@doors.add("GET", _PATH, scope="r", answer=Scenarios)
async def list_scenarios(shop: ShopDep) -> Response:
    """All scenarios, the built-in ones first"""
    return reply(Scenarios([_told(shop, one) for one in shop.shaped.book.all()]))


@doors.add("GET", f"{_PATH}/{{name}}", scope="r", answer=ScenarioInfo, errors=(404,))
async def get_scenario(shop: ShopDep, name: Id) -> Response:
    """One scenario as it is now"""
    found = shop.shaped.book.find(name)
    return reply(_told(shop, found), headers={"etag": tag_of(found.version)})


@doors.add(
    "PUT", f"{_PATH}/{{name}}", scope="o", body=ScenarioForm, answer=ScenarioInfo, also=(201,), errors=(409, 412, 429)
)
async def put_scenario(
    request: Request, shop: ShopDep, caller: CallerDep, name: Id, if_match: IfMatch = None
) -> Response:
    """Says what a scenario is from the next request on; a new name makes one"""
    form = await read(request, ScenarioForm)
    book = shop.shaped.book
    new = not book.has(name)
    wanted = scenario_of(name, 1, msgspec.to_builtins(form))
    # The check reads which models there are from SQL.
    writing = await asyncio.to_thread(book.put, wanted, by=caller.name, if_match=if_match)
    # Of this write, not of the book: somebody may have written again since.
    stored = replace(wanted, version=(await asyncio.wrap_future(writing)).version)
    return reply(_told(shop, stored), 201 if new else 200, {"etag": tag_of(stored.version)})


@doors.add("DELETE", f"{_PATH}/{{name}}", scope="o", status=204, errors=(404, 409, 412, 429))
async def delete_scenario(shop: ShopDep, caller: CallerDep, name: Id, if_match: IfMatch = None) -> Response:
    """Takes away what was written under a name; what is built in is there again"""
    await asyncio.wrap_future(shop.shaped.book.delete(name, by=caller.name, if_match=if_match))
    return Response(status_code=204)


@doors.add("GET", "/api/v1/personalization/item-fields", scope="r", answer=list[ItemField])
async def item_fields(shop: ShopDep) -> Response:
    """The fields of items that filters and boosts can read now"""
    fields = shop.shaped.shaping.columns.schema().fields.values()
    return reply([ItemField(one.name, one.type, one.unit, one.help) for one in fields])


def _told(shop: Shop, scenario: Scenario) -> ScenarioInfo:
    book = shop.shaped.book
    further = {"built_in": book.is_built_in(scenario), "problems": book.problems(scenario)}
    return msgspec.convert({**scenario.facts(), **further}, ScenarioInfo)
