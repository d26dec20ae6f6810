"""Predicting: a request's rows to the version that answers it, and the answer back.

champion, or split (sticky | random | ensemble) -> lane of that version -> outputs

A variant that fails, or takes more than half of the time there is, is answered for by the champion; the guard then
decides whether it goes on. A shadow hears of the request afterwards.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Coroutine
from typing import Any

from shopkeeper.core.errors import Invalid, NotFound, Overloaded, Unavailable
from shopkeeper.lifecycle.addresses import CHAMPION, version_number
from shopkeeper.lifecycle.experiments.versions import ModelVariants
from shopkeeper.lifecycle.guard import complaint
from shopkeeper.lifecycle.lanes import Lane, LaneLimits, Rows
from shopkeeper.lifecycle.loading import Loaded
from shopkeeper.lifecycle.serving import Scored, Serving
from shopkeeper.lifecycle.shadowing import Comparison
from shopkeeper.lifecycle.splits import Split, Variant, choose, combine, stacked
from shopkeeper.lifecycle.traffic import Active, Traffic
from shopkeeper.lifecycle.views import View
from shopkeeper.telemetry import metrics

log = logging.getLogger(__name__)
_SHADOWS_AT_ONCE = 8


class Predictor:
    """Belongs to the event loop: call it there only."""

    def __init__(
        self,
        serving: Serving,
        traffic: Traffic,
        limits: LaneLimits | None = None,
        variants: ModelVariants | None = None,
    ) -> None:
        """`variants`: who gets which version where an experiment tries some."""
        self._variants = variants
        self._serving = serving
        self._traffic = traffic
        self._limits = limits or LaneLimits()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loads: dict[tuple[str, str, str], asyncio.Future[Loaded]] = {}

    async def predict(
        self,
        model: str,
        rows: Rows,
        *,
        ref: str = CHAMPION,
        scope: str = "all",
        subject: str | None = None,
        view: View | None = None,
    ) -> Scored:
        """One output a row, by a version that is asked for or by whoever answers `subject` (a person's id). In a `view`
        the champion answers, or the version that is asked for: vectors of two versions do not go together.

        Raises NotFound (model, version), Invalid (rows, or a model that takes none), Overloaded, Unavailable.
        """
        started = time.perf_counter()
        status = "error"
        try:
            if view is None:
                scored = await self._answer(model, rows, ref, scope, subject)
            else:
                scored = await self._by(await self.loaded(model, ref, scope), rows, view=view)
            status = "ok"
            return scored
        except NotFound:
            model = "unknown"  # a name that does not exist must not become a label
            raise
        finally:
            requests, duration = _meter(model, status)
            requests()
            duration(time.perf_counter() - started)

    async def _answer(self, model: str, rows: Rows, ref: str, scope: str, subject: str | None) -> Scored:
        if ref != CHAMPION:
            return await self._by(await self.loaded(model, ref, scope), rows)
        active = self._traffic.active(model, scope)
        tried = None if self._variants is None else self._variants.of(model, scope, subject)
        if active is None:
            scored = await self._by(await self.loaded(model, CHAMPION, scope), rows)
        elif active.split.mode == "ensemble":
            scored = await self._together(model, scope, active, rows)
        else:
            number = choose(active.split, f"{model}:{scope}", subject) if tried is None else tried.version
            scored = await self._shared(model, scope, active, rows, number)
        if tried is not None:
            tried.answered()
        if (comparison := self._traffic.compared(model, scope)) is not None:
            self._ask_shadow(model, scope, comparison, rows, scored)
        return scored

    async def loaded(self, model: str, ref: str = CHAMPION, scope: str = "all") -> Loaded:
        """A version that may answer. One that is not in memory is loaded once, in one thread, for all who wait.

        Raises NotFound (model, version), Unavailable.
        """
        if (there := self._serving.peek(model, ref, scope)) is not None:
            return there
        if ref != CHAMPION and version_number(ref) is None:  # an alias may be moved while others look it up
            return await asyncio.to_thread(self._serving.get, model, ref, scope)
        key = (model, ref, scope)
        load = self._loads.get(key)
        if load is None:
            load = asyncio.ensure_future(asyncio.to_thread(self._serving.get, model, ref, scope))
            self._loads[key] = load
            load.add_done_callback(lambda done: self._load_ended(key, done))
        return await asyncio.shield(load)

    def _load_ended(self, key: tuple[str, str, str], done: asyncio.Future[Loaded]) -> None:
        del self._loads[key]
        if not done.cancelled():
            done.exception()  # seen, also when everybody who waited has gone

    def _until(self) -> float:
        """The end (loop time) of the time that a request has, whoever answers it."""
        return asyncio.get_running_loop().time() + self._limits.deadline_s

    async def _by(
        self,
        loaded: Loaded,
        rows: Rows,
        *,
        aside: bool = False,
        until: float | None = None,
        view: View | None = None,
    ) -> Scored:
        asked = loaded if view is None else loaded.seen_as(view)
        if not asked.scores_rows:
            raise Invalid(f"model {loaded.version.model!r} does not score rows", code="not_a_row_scorer")
        lane: Lane | None = asked.lane
        if lane is None:
            lane = asked.lane = Lane(asked, self._limits)
        with loaded:
            outputs = await lane.score(rows, aside=aside, until=until)
        loaded.answered += 1
        return Scored(predictions=outputs, version=loaded.version.version, output=asked.output)

    # -- a split

    async def _shared(self, model: str, scope: str, active: Active, rows: Rows, number: int | None) -> Scored:
        """By a version of the split; the champion for None and for one that was taken out."""
        until = self._until()
        champion = await self.loaded(model, CHAMPION, scope)
        if number is None or number not in active.versions or number == champion.version.version:
            number = champion.version.version
            return await self._champion(active, champion, rows)
        try:
            return await self._member(model, scope, active, number, rows)
        except Overloaded:
            return await self._by(champion, rows, until=until)  # too many requests are not its fault
        except Exception as error:  # noqa: BLE001  the edge: whatever a stranger's version does
            # Rows that the champion refuses too are the client's mistake.
            answered = await self._by(champion, rows, until=until)
            self._failed(model, active, number, error)
            return answered
        finally:
            self._guard(model, scope, active, number, champion.version.version)

    async def _champion(self, active: Active, champion: Loaded, rows: Rows) -> Scored:
        """Its failures are noted, as those of its variants are: the guard weighs one against the other."""
        try:
            return await self._noted(active, self._by(champion, rows))
        except Unavailable:
            active.window(champion.version.version).note(ok=False, seconds=0.0)
            raise

    async def _member(self, model: str, scope: str, active: Active, number: int, rows: Rows) -> Scored:
        """A variant gets half of the time there is: the champion may have to answer for it."""
        answer = self._noted(active, self._variant(model, number, scope, rows))
        async with asyncio.timeout(self._limits.deadline_s / 2):
            scored = await answer
        _variant_meter(model, number, "ok")
        return scored

    async def _variant(self, model: str, number: int, scope: str, rows: Rows, *, aside: bool = False) -> Scored:
        return await self._by(await self.loaded(model, str(number), scope), rows, aside=aside)

    async def _noted(self, active: Active, answer: Coroutine[Any, Any, Scored]) -> Scored:
        started = time.perf_counter()
        scored = await answer
        active.window(scored.version).note(ok=True, seconds=time.perf_counter() - started)
        return scored

    def _failed(self, model: str, active: Active, number: int, error: Exception) -> None:
        log.warning("model %s v%s failed, the champion answered: %s: %s", model, number, type(error).__name__, error)
        active.window(number).note(ok=False, seconds=0.0)
        _variant_meter(model, number, "error")

    def _guard(self, model: str, scope: str, active: Active, number: int, champion: int) -> None:
        if active.withdrawing or not active.split.auto_rollback or self._traffic.active(model, scope) is not active:
            return
        why = complaint(active.window(number), active.window(champion))
        if why is not None:
            active.withdrawing = True
            self._in_background(self._take_out(model, scope, active, number, f"automatic rollback: {why}"))

    async def _take_out(self, model: str, scope: str, active: Active, number: int, reason: str) -> None:
        try:
            await asyncio.to_thread(self._traffic.take_out, model, number, scope=scope, by="guard", reason=reason)
        finally:
            active.withdrawing = False  # where it could not be stored, the next answer tries again

    # -- an ensemble

    async def _together(self, model: str, scope: str, active: Active, rows: Rows) -> Scored:
        """All variants at once; the mean of those that answered, or the champion when it cannot be made."""
        split, until = active.split, self._until()
        champion = await self.loaded(model, CHAMPION, scope)
        asked = [self._member(model, scope, active, variant.version, rows) for variant in split.variants]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        heard = [(v, a) for v, a in zip(split.variants, answers, strict=True) if isinstance(a, Scored) and v.weight > 0]
        complete = len(heard) == len(split.variants)
        told = _joined(model, split, heard) if heard and (split.stack is None or complete) else None
        if told is None:
            answered = await self._by(champion, rows, until=until)
        else:
            members = [variant.version for variant, _ in heard]
            answered = Scored(predictions=told, version=members[0], output=heard[0][1].output, members=members)
        for variant, answer in zip(split.variants, answers, strict=True):
            if isinstance(answer, Exception) and not isinstance(answer, Overloaded):
                self._failed(model, active, variant.version, answer)
                self._guard(model, scope, active, variant.version, champion.version.version)
        return answered

    # -- a shadow

    def _ask_shadow(self, model: str, scope: str, comparison: Comparison, rows: Rows, told: Scored) -> None:
        if comparison.shadow.share < 1 and random.random() >= comparison.shadow.share:
            return
        if comparison.running >= _SHADOWS_AT_ONCE:
            comparison.skipped += 1
            return
        comparison.running += 1
        self._in_background(self._shadow(model, scope, comparison, rows, told))

    async def _shadow(self, model: str, scope: str, comparison: Comparison, rows: Rows, told: Scored) -> None:
        started = time.perf_counter()
        outcome = "error"
        try:
            said = await self._variant(model, comparison.shadow.version, scope, rows, aside=True)
            comparison.heard(told.predictions, said.predictions, time.perf_counter() - started)
            outcome = "ok"
        except Overloaded:
            comparison.skipped += 1
            outcome = "skipped"
        except Exception as error:  # noqa: BLE001  the edge: it is a stranger's, and nobody hears it
            comparison.failed()
            log.debug("the shadow of %s failed: %s", model, error)
        finally:
            comparison.running -= 1
            metrics.model_shadow_requests_total.labels(model, outcome).inc()

    def _in_background(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.get_running_loop().create_task(_logged(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _logged(work: Coroutine[Any, Any, Any]) -> None:
    try:
        await work
    except Exception:  # the edge: nobody waits for it, so the log must have it
        log.exception("work in the background of predictions failed")


def _joined(model: str, split: Split, heard: list[tuple[Variant, Scored]]) -> list[Any] | None:
    """None when their outputs cannot be combined: they are of different forms, or no probabilities for a stack."""
    outputs = [answer.predictions for _, answer in heard]
    try:
        if split.stack is not None:
            return stacked(outputs, split.stack)
        return combine(outputs, [variant.weight for variant, _ in heard])
    except (Invalid, TypeError, ValueError) as error:
        log.warning("the ensemble of %s cannot be combined, the champion answered: %s", model, error)
        return None


_METERS: dict[tuple[str, str], tuple[Any, Any]] = {}


def _meter(model: str, status: str) -> tuple[Any, Any]:
    """The bound counters; looking up labels costs more than counting."""
    bound = _METERS.get((model, status))
    if bound is None:
        requests = metrics.model_predict_requests_total.labels(model, status).inc
        bound = _METERS[model, status] = (requests, metrics.model_predict_duration_seconds.labels(model).observe)
    return bound


def _variant_meter(model: str, version: int, outcome: str) -> None:
    metrics.model_variant_requests_total.labels(model, f"v{version}", outcome).inc()
