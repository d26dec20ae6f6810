"""The recommendation service: requests in, slates out."""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.clock import Clock
from shopkeeper.core.errors import Invalid, NotFound, Unavailable
from shopkeeper.core.ids import ulid
from shopkeeper.core.protocols import VectorSpace
from shopkeeper.core.records import Event, Feedback, RecItem, Record, RecRequest, RecResponse
from shopkeeper.features.state import FeatureState
from shopkeeper.lifecycle.addresses import parse_address
from shopkeeper.lifecycle.experiments.assigning import Chosen
from shopkeeper.recommend import feedback as feedbacks
from shopkeeper.recommend.acting.acted import Acted
from shopkeeper.recommend.acting.steering import Steering
from shopkeeper.recommend.admission import Admission
from shopkeeper.recommend.answers import (
    count,
    debug_of,
    items_of,
    lasts,
    name_action,
    name_variants,
    price_of,
    ranked_by,
)
from shopkeeper.recommend.asking import Told, check_channel
from shopkeeper.recommend.bound import Binder
from shopkeeper.recommend.candidates import Quota
from shopkeeper.recommend.draft import Slate, Wish
from shopkeeper.recommend.eligible import Rows, Shelf
from shopkeeper.recommend.explore.stage import Stage
from shopkeeper.recommend.made import Made
from shopkeeper.recommend.pipeline import Pipeline
from shopkeeper.recommend.quicker import MANY, quicken
from shopkeeper.recommend.scenariobook import ScenarioBook
from shopkeeper.recommend.scenarios import Scenario
from shopkeeper.recommend.scoring import Scoring
from shopkeeper.recommend.shaping import Shaping
from shopkeeper.recommend.standing import Models, Standing
from shopkeeper.recommend.variants import ScenarioVariants

MOST = 100
_PATIENT_MS = 60_000.0
_MOST_ABOUT = 50
_LOADING_S = 10.0
"""So long a request that names no time waits for a model that is not in memory."""
_PATIENCE = 3
"""Deadlines that a request may wait for its turn, unless it says itself by when it has to be answered."""


class Similar(Record, kw_only=True):
    """Items that go with an item. `versions` of the models that said so."""

    item_id: str
    items: list[RecItem]
    versions: dict[str, int]


class RecommendService:
    """Used on the thread that owns the feature state. `on_hand` gives pieces by item row, NaN where nobody counted.

    `allows` says whether the user of a row may be known here; one who may not is answered as a stranger.
    """

    def __init__(
        self,
        *,
        features: FeatureState,
        catalog: Shelf,
        users: Rows,
        items: Rows,
        models: Models,
        clock: Clock,
        deadline_ms: float = 100.0,
        on_hand: Callable[[], NDArray[np.float32]] | None = None,
        allows: Callable[[int], bool] = lambda _: True,
        space: VectorSpace | None = None,
        scenarios: ScenarioBook | None = None,
        shaping: Shaping | None = None,
        told: Told | None = None,
        variants: ScenarioVariants | None = None,
        stage: Stage | None = None,
        steering: Steering | None = None,
    ) -> None:
        self.book = ScenarioBook() if scenarios is None else scenarios
        self._variants, self._steering = variants, steering
        self._allows = allows
        self._catalog = catalog
        self._users = users
        self._items = items
        self._clock = clock
        self._deadline_ms = deadline_ms
        self._models = models
        self._shaping = shaping or Shaping(features, catalog, items, on_hand=on_hand, space=space)
        self._space = space
        self._told = told
        self._admission = Admission()
        self._scoring = Scoring(clock)
        self._standing = Standing(models)
        self._binder = Binder(models, catalog.ids, self._standing)
        self._pipeline = Pipeline(
            features, catalog, items, self._binder, self._shaping, space, self._scoring, told, stage
        )

    def supposing(self, features: FeatureState, catalog: Shelf, space: VectorSpace | None) -> RecommendService:
        """The same service over another state, other items and another space, for a question that nobody keeps."""
        other = copy.copy(self)
        binder = self._binder if catalog is self._catalog else self._binder.over(catalog.ids)
        other._catalog, other._binder, other._space = catalog, binder, space
        other._shaping = shaping = self._shaping.over(features, catalog, space)
        other._pipeline = Pipeline(features, catalog, self._items, binder, shaping, space, self._scoring, self._told)
        return other

    def top(self, user_id: str, n: int, scenario_name: str) -> list[RecItem]:
        """What the user would be shown, without a deadline and without counting as a request. Raises Invalid."""
        user, now = self._known(user_id), self._clock.now()
        place, _ = self._place(scenario_name, user_id)
        wish = Wish(user, now, n, place, deadline_ms=_PATIENT_MS)
        return items_of(self._pipeline.run(wish), self._catalog)

    def recommend(self, request: RecRequest) -> RecResponse:
        """A slate, all at once, for who asks one at a time; a stranger gets what sells.

        Raises Invalid (scenario, bounds, filters), NotFound (model).
        """
        started = time.perf_counter()
        asked = self._asked(request)
        wish = self._wish(asked)
        return self._made(asked, wish, self._pipeline.run(wish, started), started).response()

    async def make(self, request: RecRequest, *, whose: Hashable = None) -> Made:
        """The same among many. `whose`: the socket or batch that asks; such take turns. None: one who asks once.

        Raises as `recommend`, Overloaded when its turn would not come within the deadline, and Unavailable (`deadline`)
        when the model that it asks for is not read from disk by then.
        """
        started = time.perf_counter()
        asked = self._asked(request)
        if request.model is not None:
            await self._loaded(request.model, asked.deadline_ms / 1000 if asked.hurried else _LOADING_S)
        elif asked.scenario.ranker is not None:
            await self._standing.ready(asked.scenario.ranker, asked.deadline_ms / 1000)
        patience_s = asked.patience_ms / 1000 - (time.perf_counter() - started)
        await self._admission.turn(patience_s, whose)
        begun = time.perf_counter()
        try:
            wish = self._wish(asked)  # not before its turn: the moment and the consent that count are those of now
            draft = self._pipeline.draft(wish, started if asked.hurried else begun)
            if not draft.waits:
                return self._made(asked, wish, self._pipeline.finish(draft), started)
        finally:
            self._admission.done(time.perf_counter() - begun)
        await self._pipeline.rank(draft)
        return self._made(asked, wish, self._pipeline.finish(draft), started)

    def left_alone(self) -> int:
        """Rankers that are not asked now, as they failed too often."""
        return self._scoring.left_alone()

    def warm(self) -> None:
        """Binds what serves and what is built in, so that the first visitor does not wait for it."""
        if self._told is not None:
            self._told.index.warm()
        if len(self._catalog) >= MANY:
            quicken()
        now, some = self._clock.now(), np.arange(min(1, len(self._catalog)), dtype=np.int32)
        for place in filter(self.book.is_built_in, self.book.all()):
            about = some if place.anchored else some[:0]
            self._pipeline.run(Wish(-1, now, 1, place, about=about, deadline_ms=_PATIENT_MS))

    def similar(self, item_id: str, n: int = 10, *, channel: str = "fused", user_id: str | None = None) -> Similar:
        """Items that go with one, by all that the scenario `product` asks or by one channel; what sells where nothing
        is known of it. A user is not shown what they refused. Raises NotFound, Invalid."""
        row = self._items.row(item_id)
        if row is None:
            raise NotFound(f"no item {item_id!r}", code="unknown_item", field="item_id")
        if not 1 <= n <= MOST:
            raise Invalid(f"n is {n}, expected 1 to {MOST}", code="out_of_bounds", field="n")
        about = np.array([row], dtype=np.int32)
        place = self.book.get("product")
        if not place.anchored:  # somebody made a page of it that is about the user
            place = replace(place, anchored=True)
        if channel != "fused":
            served = self._models.peek(channel)
            check_channel(channel, [channel] if served is not None and hasattr(served.model, "scores") else [])
            place = replace(place, recall=(Quota(channel, max(2 * n, 60), 1.0),))
        user = -1 if user_id is None else self._known(user_id)
        wish = Wish(user, self._clock.now(), n, place, about=about, deadline_ms=self._deadline_ms)
        slate = self._pipeline.run(wish)
        return Similar(item_id=item_id, items=items_of(slate, self._catalog), versions=slate.versions)

    def feedback(self, given: Feedback) -> Event:
        """The event that the caller appends to the log. Raises Invalid for an unknown kind of feedback."""
        row = self._items.row(given.item_id)
        price = price_of(self._catalog, row) if row is not None and row < len(self._catalog) else None
        return feedbacks.to_event(given, price)

    def _place(self, scenario_name: str, user_id: str) -> tuple[Scenario, tuple[Chosen, ...]]:
        """The scenario as the user gets it, and which variants of experiments that is. Raises Invalid."""
        place = self.book.get(scenario_name)
        return (place, ()) if self._variants is None else self._variants.of(place, user_id)

    def _asked(self, request: RecRequest) -> _Asked:
        """Raises Invalid."""
        place, tried = self._place(request.scenario, request.user_id)
        slate_id, acted, alone = ulid(), None, None
        if self._steering is not None:
            place, acted, alone = self._steering.act(place, request.user_id, slate_id, self._clock.now())
        if not 1 <= request.n_recommendations <= MOST:
            raise Invalid(
                f"n_recommendations is {request.n_recommendations}, expected 1 to {MOST}",
                code="out_of_bounds",
                field="n_recommendations",
            )
        deadline = request.deadline_ms or place.deadlines.get("total", self._deadline_ms)
        about, context = self._about(request.context, page=place.anchored), request.context
        given = context.get("item_ids") or (place.anchored and context.get("item_id"))
        unknown = bool(given) and not len(about)
        return _Asked(request, place, about, deadline, slate_id, unknown, tried, acted, alone)

    def _wish(self, asked: _Asked) -> Wish:
        request = asked.request
        return Wish(
            user=self._known(request.user_id),
            now=self._clock.now(),
            n=request.n_recommendations,
            scenario=asked.scenario,
            filters=request.filters,
            about=asked.about,
            context=request.context,
            ranker=request.model,
            diversity=request.diversity_weight,
            tell=request.debug,
            deadline_ms=asked.deadline_ms,
            slate_id=asked.slate_id,
        )

    async def _loaded(self, name: str, seconds: float) -> None:
        """Reads an asked version from disk, where it is not in memory, while others go on. What takes longer than
        `seconds` is read all the same, for who asks later. Raises as `Models.get`, and Unavailable (`deadline`)."""
        model, ref = parse_address(name)
        if self._models.peek(model, ref) is not None:
            return
        try:
            async with asyncio.timeout(seconds):
                await asyncio.to_thread(self._models.get, model, ref)
        except TimeoutError:
            raise Unavailable(
                f"model {name!r} was not read from disk within {seconds * 1000:g} ms; ask again in a moment",
                code="deadline",
            ) from None

    def _made(self, asked: _Asked, wish: Wish, slate: Slate, started: float) -> Made:
        taken = time.perf_counter() - started
        place, fallbacks = asked.scenario, slate.fallbacks
        if asked.alone is not None:
            fallbacks.append(asked.alone)
        count(place.name, taken, slate)
        items, debug = items_of(slate, self._catalog), debug_of(slate) if asked.request.debug else None
        if asked.tried:
            name_variants(asked.tried, items, debug)
        if asked.acted is not None:
            name_action(asked.acted, items, debug)
        return Made(
            slate_id=wish.slate_id,
            user_id=asked.request.user_id,
            user=wish.user,
            scenario=place.name,
            scenario_version=place.version,
            items=tuple(items),
            rows=slate.candidates.items[slate.places],
            made_at=wish.now,
            ttl_s=lasts(place.ttl_s, fallbacks),
            taken_ms=round(taken * 1000, 3),
            model_version=ranked_by(slate),
            versions=slate.versions,
            stages=slate.stages,
            degraded=bool(fallbacks),
            explanation=_explained(fallbacks, asked.unknown),
            debug_info=debug,
            seen=slate.seen,
            tried=asked.tried,
            explored=slate.explored,
            acted=asked.acted,
        )

    def _known(self, user_id: str) -> int:
        """The row of a user, -1 for a stranger and for one who does not agree to personalisation."""
        row = self._users.row(user_id)
        return row if row is not None and self._allows(row) else -1

    def _about(self, context: Mapping[str, Any], *, page: bool) -> NDArray[np.int32]:
        """Rows of `context.item_ids`, and of `context.item_id` where the slate is about a `page`: else that only says
        where the user is. Ids that the shop does not know are passed over. Raises Invalid."""
        given = context.get("item_ids", [])
        if not isinstance(given, list) or len(given) > _MOST_ABOUT:
            raise Invalid(
                f"context.item_ids must be a list of at most {_MOST_ABOUT} item ids",
                code="bad_context",
                field="context",
            )
        one = context.get("item_id")
        if not isinstance(one, str | None):
            raise Invalid("context.item_id must be the text of an item id", code="bad_context", field="context")
        ids = [one, *given] if one is not None and page else given
        rows = [self._items.row(id) for id in ids if isinstance(id, str)]
        return np.array(list(dict.fromkeys(row for row in rows if row is not None)), dtype=np.int32)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request that was found to be in order. `about`: rows of the page or basket; `unknown`: items were named, and
    the shop knows none of them. `acted`: which action of an agent it is; `alone`: why an agent that should steer does
    not."""

    request: RecRequest
    scenario: Scenario
    about: NDArray[np.int32]
    deadline_ms: float
    slate_id: str
    unknown: bool = False
    tried: tuple[Chosen, ...] = ()
    acted: Acted | None = None
    alone: str | None = None

    @property
    def hurried(self) -> bool:
        """Did the request itself say by when? Then its time runs while it waits for its turn, too."""
        return self.request.deadline_ms is not None

    @property
    def patience_ms(self) -> float:
        """So long it may wait for its turn. A crowd is better served a little late than sent away."""
        return self.deadline_ms if self.hurried else _PATIENCE * self.deadline_ms


def _explained(fallbacks: Sequence[str], unknown: bool) -> str | None:
    """What is to be said of a whole slate."""
    told = [_UNKNOWN] if unknown else []
    if fallbacks:
        told.append(f"without {'; '.join(fallbacks)}")
    return "; ".join(told) or None


_UNKNOWN = "none of the items in its context is known here"
