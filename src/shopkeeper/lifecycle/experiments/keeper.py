"""What experiments do by themselves: end when their time is over, when a guard trips, or when what they try is gone; go
on with a roll-out, finish an end that was cut off. One thread looks from time to time."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import suppress

from shopkeeper.core.clock import DAY, Clock
from shopkeeper.core.errors import Conflict, NotFound, ShopkeeperError, Unavailable
from shopkeeper.core.experiments import HandOver
from shopkeeper.lifecycle.experiments.book import ExperimentBook
from shopkeeper.lifecycle.experiments.reckoning import Reckoning, age, tripped
from shopkeeper.lifecycle.experiments.targets import Targets
from shopkeeper.stores.experiments import Kept

log = logging.getLogger(__name__)
LOOK_S = 30.0
_IDLE = 9.0
"""So much longer than it took it rests: at most a tenth of a core is used."""


class Keeper:
    """`look` may be called by hand; the thread begins with `start`."""

    def __init__(
        self, book: ExperimentBook, reckoning: Reckoning, targets: Targets, clock: Clock, *, look_s: float = LOOK_S
    ) -> None:
        self._book = book
        self._reckoning = reckoning
        self._targets = targets
        self._clock = clock
        self._look_s = look_s
        self._due: dict[str, str] = {}
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._closing.clear()
        self._thread = threading.Thread(target=self._run, name="experiments", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """A second call does nothing."""
        thread, self._thread = self._thread, None
        self._closing.set()
        if thread is not None:
            thread.join()

    def look(self) -> None:
        """At everything that runs, once."""
        watched = self._book.watched()
        self._due = {id: what for id, what in self._due.items() if id in {one.experiment_id for one in watched}}
        for kept in watched:
            if self._closing.is_set():
                return
            try:
                self._look_at(kept)
            except (Conflict, NotFound) as error:
                log.info("experiment %s: %s", kept.experiment_id, error.message)  # somebody was quicker
            except ShopkeeperError as error:
                log.warning("experiment %s: %s", kept.experiment_id, error.message)
            except Exception:  # an edge: what is wrong with one must not keep the others
                log.exception("experiment %s could not be looked at", kept.experiment_id)

    def _look_at(self, kept: Kept) -> None:
        id = kept.experiment_id
        handed = self._book.handed(kept)
        if handed is not None:
            self._finish(kept, handed)
            return
        if kept.status != "running":
            return
        gone = self._targets.of(kept.plan.target).gone(kept)
        if gone is not None:
            self._book.stop(id, by="experiments", reason=gone, stopped_by="target")
            return
        try:
            said = self._reckoning.of(kept)
        except Unavailable:  # the next look asks again
            raise
        except Exception:  # its time goes on, but no roll-out goes further that nothing watches
            log.exception("experiment %s cannot be reckoned", id)
            if kept.course.rolling is None:
                self._by_time(kept)
            return
        why = tripped(said.guards)
        if why is not None:
            self._guarded(kept, why)
            return
        if kept.course.rolling is None and kept.plan.ends_early and said.verdict == "winner":
            self._book.stop(id, by="experiments", reason="there is a winner", stopped_by="result")
            return
        self._by_time(kept)

    def _finish(self, kept: Kept, handed: HandOver) -> None:
        """The winner was rolled out, and then the end was cut off. A guard that tripped meanwhile takes it back."""
        try:
            why = tripped(self._reckoning.of(kept).guards)
        except Unavailable:
            raise
        except Exception:  # it is with everybody already, and as the end says why
            log.exception("experiment %s cannot be reckoned", kept.experiment_id)
            why = None
        if why is not None:
            self._guarded(kept, why)
            return
        self._book.stop(
            kept.experiment_id,
            winner=handed.variant,
            roll_out=True,
            by="experiments",
            reason=handed.reason,
            stopped_by=handed.stopped_by,
        )

    def _guarded(self, kept: Kept, why: str) -> None:
        log.warning("experiment %s is stopped: %s", kept.plan.name, why)
        self._book.stop(kept.experiment_id, by="experiments", reason=f"stopped by guard: {why}", stopped_by="guard")

    def _by_time(self, kept: Kept) -> None:
        """What is due by the clock is done when two looks agree: a clock that steps forward and back ends nothing."""
        now, rolling = self._clock.now(), kept.course.rolling
        due = None
        if rolling is not None:
            due = f"step {rolling.at}" if now >= rolling.next_at else None
        elif age(kept, now) >= kept.plan.max_days * DAY:
            due = "end"
        if due is None or self._due.get(kept.experiment_id) != due:
            self._due.pop(kept.experiment_id, None)
            if due is not None:
                self._due[kept.experiment_id] = due
            return
        self._due.pop(kept.experiment_id)
        if rolling is not None:
            self._book.step(kept.experiment_id, by="experiments")
        else:
            why = f"it has run for {kept.plan.max_days:g} days"
            self._book.stop(kept.experiment_id, by="experiments", reason=why, stopped_by="time")

    def _run(self) -> None:
        pause = self._look_s
        while not self._closing.wait(pause):
            began = time.monotonic()
            with suppress(ShopkeeperError):
                try:
                    self.look()
                except ShopkeeperError:
                    raise
                except Exception:  # an edge: one look that fails must not be the last
                    log.exception("experiments could not be looked at")
            pause = max(self._look_s, _IDLE * (time.monotonic() - began))
