"""A bandit of its own: the scenario `bandit`, whose every slot a policy draws, by the names of an earlier system."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated, Any

import msgspec
from fastapi import Request, Response
from msgspec import Meta, Struct, field

from shopkeeper import plugins
from shopkeeper.api.body import read
from shopkeeper.api.door import CallerDep, Doors, Id, Queued, ShopDep, queued, reply
from shopkeeper.api.slates import check_feedback, check_request
from shopkeeper.bootstrap import Shop
from shopkeeper.core.clock import moment
from shopkeeper.core.errors import Invalid, NotFound, Unavailable
from shopkeeper.core.ids import ulid
from shopkeeper.core.records import Feedback, Item, RecFilters, RecRequest, RecResponse, User
from shopkeeper.recommend.explore.asked import Exploring
from shopkeeper.recommend.explore.bandit import NAME, Statistics, bandit, policies, statistics, told_context
from shopkeeper.recommend.explore.keeping import MODEL, Keeping
from shopkeeper.recommend.explore.orders import PolicyOrder

doors = Doors("Learning")
PATH = "/api/v1/bandit"
_User = Annotated[str, Meta(min_length=1, max_length=128)]
_NOT_YET = (429, 503)


class BanditBeginForm(Struct):
    """`n_items` are drawn from, at most 100. The first of `algorithm_configs` is the policy, with its parameters and
    the names of its `context`; none: Thompson sampling. `enable_cold_start`: new items are among those that are drawn
    from; `enable_evaluation`: each of them has a chance, so that other policies can be judged. `held_out`: share of the
    slates that are not learned but kept to measure on."""

    n_items: Annotated[int, Meta(ge=1)]
    enable_cold_start: bool = True
    enable_evaluation: bool = True
    held_out: Annotated[float, Meta(ge=0, le=0.5)] = 0.0
    algorithm_configs: dict[str, dict[str, Any]] = field(default_factory=dict)


class BanditBegun(Struct):
    """`config`: what the scenario explores."""

    status: str
    message: str
    config: dict[str, Any]


class BanditAskForm(Struct):
    """`experiment_id`: refused when there is none; who is in which variant is said by the experiment."""

    user_id: _User
    context: dict[str, Any] = field(default_factory=dict)
    num_recommendations: Annotated[int, Meta(ge=1, le=50)] = 10
    exclude_items: Annotated[list[_User], Meta(max_length=1000)] = field(default_factory=list)
    include_explanations: bool = False
    experiment_id: str | None = None


class DrawnItem(Struct):
    """`propensity`: with which chance it was drawn, given what stands above it; null: there was no choice."""

    item_id: str
    score: float
    propensity: float | None
    explanation: str | None = None


class DrawnItems(Struct):
    status: str
    request_id: str
    user_id: str
    recommendations: list[DrawnItem]
    algorithm: str
    degraded: bool
    timestamp: datetime
    experiments: dict[str, Any] | None = None


class BanditToldForm(Struct):
    """`context.request_id` names the answer; without it the user's newest that held the item is meant."""

    user_id: _User
    item_id: _User
    feedback_type: str
    feedback_value: Annotated[float, Meta(ge=0, le=5)] = 0.0
    context: dict[str, Any] = field(default_factory=dict)


class BanditTold(Struct):
    """`request_id`: the answer that it counts for, null: none that is known."""

    status: str
    message: str
    feedback_id: str
    timestamp: datetime
    request_id: str | None = None


class PolicySnapshotForm(Struct):
    """Of which scenario's learner the version is made, and under which name it is kept; `promote`: if its gate says
    so."""

    scenario: _User = NAME
    model: _User = MODEL
    promote: bool = True


class BanditFacts(Struct):
    status: str
    statistics: Statistics
    timestamp: datetime


class BanditKept(Struct):
    status: str
    message: str
    timestamp: datetime


class PolicyInfo(Struct):
    name: str
    description: str
    contextual: bool
    params_schema: dict[str, Any]


class BanditHealth(Struct):
    status: str
    initialized: bool
    algorithm: str
    snapshot: int
    waiting: int
    timestamp: datetime


@doors.add("POST", f"{PATH}/initialize", scope="o", body=BanditBeginForm, answer=BanditBegun, errors=(429,))
async def initialize(request: Request, shop: ShopDep, caller: CallerDep) -> Response:
    """Lets a policy draw from now on; repeated, it goes on with what was learned under the same configuration"""
    form = await read(request, BanditBeginForm)
    made = bandit(
        form.n_items,
        form.algorithm_configs,
        cold_start=form.enable_cold_start,
        evaluation=form.enable_evaluation,
        held_out=form.held_out,
    )
    writing = await asyncio.to_thread(shop.shaped.book.put, made, by=caller.name)
    await asyncio.wrap_future(writing)
    asked = asked_now(shop)
    shop.suggesting.exploration.snapshots.want(NAME, asked)
    await asyncio.to_thread(shop.suggesting.exploration.learning.refresh)
    return reply(BanditBegun("success", f"{asked.policy} draws from {asked.pool} items", dict(made.explore)))


@doors.add("POST", f"{PATH}/recommend", scope="p", body=BanditAskForm, answer=DrawnItems, errors=(404, *_NOT_YET))
async def recommend(request: Request, shop: ShopDep) -> Response:
    """Items that a policy draws for a user, with the chance of each"""
    form = await read(request, BanditAskForm)
    asked = asked_now(shop)
    if form.experiment_id is not None:
        await asyncio.to_thread(shop.experiments.get, form.experiment_id)
    wanted = RecRequest(
        user_id=form.user_id,
        context=await _context(shop, form, asked),
        n_recommendations=form.num_recommendations,
        scenario=NAME,
        filters=RecFilters(exclude_items=form.exclude_items) if form.exclude_items else None,
        use_cache=False,
        debug=True,
    )
    check_request(wanted)
    found = msgspec.json.decode(await shop.slates.answer(wanted), type=RecResponse)
    items = [
        DrawnItem(
            one.item_id,
            one.score,
            one.metadata.get("propensity"),
            one.explanation if form.include_explanations else None,
        )
        for one in found.recommendations
    ]
    told = DrawnItems(
        "success", found.request_id, found.user_id, items, _drawn_by(found) or asked.policy, found.degraded,
        found.timestamp, _tried(found),
    )  # fmt: skip
    return reply(told)


@doors.add("POST", f"{PATH}/feedback", scope="p", body=BanditToldForm, answer=BanditTold, errors=(404, *_NOT_YET))
async def feedback(request: Request, shop: ShopDep) -> Response:
    """What a user did with an item that was drawn; durable before the answer, learned when its time is over"""
    form = await read(request, BanditToldForm)
    asked_now(shop)
    answer = form.context.get("request_id")
    if answer is not None and not isinstance(answer, str):
        raise Invalid("context.request_id must be the text of an answer's id", code="bad_context", field="context")
    row = shop.vocab.items.row(form.item_id)
    if row is None:  # what was drawn is known; `POST ~/events` takes what is not in the shop yet
        raise NotFound(
            f"no item {form.item_id[:80]!r} was ever drawn or seen here; send what is not in the shop yet as an event",
            code="unknown_item",
        )
    if answer is None:
        answer = await shop.suggesting.exploration.log.answer_of(NAME, form.user_id, row)
    given = Feedback(
        user_id=form.user_id,
        item_id=form.item_id,
        feedback_type=form.feedback_type,
        feedback_value=form.feedback_value,
        context=form.context,
        request_id=answer,
    )
    check_feedback(given)
    event = shop.recommend.feedback(given)
    event.event_id = ulid()
    done = await asyncio.wrap_future(shop.log.append([event]))
    if done.rejected:
        raise Invalid(done.rejected[0].reason, code="bad_feedback")
    return reply(BanditTold("success", "feedback is stored", event.event_id, _now(shop), answer))


@doors.add("GET", f"{PATH}/statistics", scope="r", answer=BanditFacts, errors=(503,))
async def told_statistics(shop: ShopDep) -> Response:
    """How much was drawn and learned, and which items are expected to bring most"""
    asked = asked_now(shop)
    bound = shop.suggesting.exploration.snapshots.of(NAME, asked)
    return reply(BanditFacts("success", await asyncio.to_thread(statistics, shop.db, asked, bound), _now(shop)))


@doors.add("GET", f"{PATH}/algorithms", scope="r", answer=list[PolicyInfo])
async def algorithms() -> Response:
    """The policies that there are, with their parameters"""
    found = await asyncio.to_thread(policies)
    told = [
        PolicyInfo(name, one.description, one.contextual, plugins.params_schema(one.Params))
        for name, one in found.items()
    ]
    return reply(told)


@doors.add("GET", f"{PATH}/health", scope="r", answer=BanditHealth, errors=(503,))
async def health(shop: ShopDep) -> Response:
    """Does it draw, and by which snapshot"""
    asked, parts = asked_now(shop), shop.suggesting.exploration
    bound = parts.snapshots.of(NAME, asked)
    return reply(BanditHealth("healthy", True, asked.policy, bound.number, parts.log.waiting, _now(shop)))


@doors.add("POST", f"{PATH}/evaluate", scope="o", status=202, body=PolicyOrder, answer=Queued, errors=(404, 409, 429))
async def evaluate(request: Request, shop: ShopDep, caller: CallerDep) -> Response:
    """What another policy would have brought in the rounds that were drawn and learned"""
    form = await read(request, dict[str, Any])
    order = {"scenario": NAME, **form} if form.get("source") is None else form
    job = await asyncio.to_thread(shop.policy_evaluations.submit, order, by=caller.name)
    return queued(job.job_id)


@doors.add(
    "POST",
    f"{PATH}/snapshot",
    scope="o",
    status=202,
    body=PolicySnapshotForm,
    answer=Queued,
    errors=(404, 409, 429),
)
async def snapshot(request: Request, shop: ShopDep, caller: CallerDep) -> Response:
    """Begins to make a version of what a scenario's policy has learned, measured on slates that it was kept from"""
    form = await read(request, PolicySnapshotForm)
    asked = shop.shaped.book.find(form.scenario).exploring
    keeping = Keeping(shop.db, shop.releases)
    job = await asyncio.to_thread(
        keeping.snapshot, form.scenario, asked, model=form.model, promote=form.promote, by=caller.name
    )
    return queued(job.job_id)


@doors.add(
    "PUT",
    f"{PATH}/user/{{user_id}}/context",
    scope="o",
    body=dict[str, Any],
    answer=BanditKept,
    errors=(404, *_NOT_YET),
)
async def put_user_context(request: Request, shop: ShopDep, user_id: Id) -> Response:
    """Numbers of a user that policies may read as `context.NAME`; they are attributes of the user's record"""
    given = await read(request, dict[str, Any])
    asked_now(shop)
    try:
        before = (await asyncio.to_thread(shop.users.get, user_id)).attributes
    except NotFound:
        before = {}
    await asyncio.wrap_future(shop.users.put(User(user_id=user_id, attributes={**before, **given})))
    return reply(BanditKept("success", f"{len(given)} attributes of user {user_id} are stored", _now(shop)))


@doors.add(
    "PUT",
    f"{PATH}/item/{{item_id}}/features",
    scope="o",
    body=dict[str, Any],
    answer=BanditKept,
    errors=(404, *_NOT_YET),
)
async def put_item_features(request: Request, shop: ShopDep, item_id: Id) -> Response:
    """What is known of an item, for filters and boosts; they are attributes of the item's record"""
    given = await read(request, dict[str, Any])
    asked_now(shop)
    item: Item = await asyncio.to_thread(shop.items.get, item_id)
    changed = msgspec.structs.replace(item, attributes={**item.attributes, **given})
    await asyncio.wrap_future(shop.items.put(changed))
    return reply(BanditKept("success", f"{len(given)} attributes of item {item_id} are stored", _now(shop)))


def asked_now(shop: Shop) -> Exploring:
    """Raises Unavailable (`not_initialized`)."""
    book = shop.shaped.book
    asked = book.get(NAME).exploring if book.has(NAME) else None
    if asked is None:
        raise Unavailable(f"no bandit draws here yet; begin with POST {PATH}/initialize", code="not_initialized")
    return asked


async def _context(shop: Shop, form: BanditAskForm, asked: Exploring) -> dict[str, Any]:
    """What the request says, and what is stored of a user who agrees to be known."""
    row = shop.vocab.users.row(form.user_id)
    if not asked.context or row is None or not shop.consents.allows(row, "personalization"):
        return form.context
    try:
        stored = (await asyncio.to_thread(shop.users.get, form.user_id)).attributes
    except NotFound:
        return form.context
    return {**told_context(asked.context, stored), **form.context}


def _drawn_by(found: RecResponse) -> str | None:
    """The policy, which in an experiment may be another than the scenario's."""
    drawn = (found.debug_info or {}).get("explored")
    return drawn["policy"] if drawn else None


def _tried(found: RecResponse) -> dict[str, Any] | None:
    told = found.recommendations[0].metadata.get("experiments") if found.recommendations else None
    return told if isinstance(told, dict) else None


def _now(shop: Shop) -> datetime:
    return moment(shop.clock.now())
