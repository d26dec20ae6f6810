"""What lets a shop explore: the stage that draws, the log of draws, and the one process that learns from them."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from dataclasses import dataclass, field
from functools import partial

from shopkeeper.bootstrap.furnishing import Stores
from shopkeeper.core.clock import Clock
from shopkeeper.core.errors import ShopkeeperError
from shopkeeper.core.ids import ulid
from shopkeeper.features.state import FeatureState
from shopkeeper.recommend.explore.context import ContextReader
from shopkeeper.recommend.explore.drawnlog import DrawnLog
from shopkeeper.recommend.explore.earned import Earnings
from shopkeeper.recommend.explore.learner import Learning, Shelf
from shopkeeper.recommend.explore.snapshots import Snapshots
from shopkeeper.recommend.explore.stage import Stage
from shopkeeper.recommend.scenariobook import ScenarioBook
from shopkeeper.settings import Settings
from shopkeeper.stores.consents import ConsentStore
from shopkeeper.stores.sql import Database

_LOGGER = logging.getLogger(__name__)
TICK_S = 10.0


@dataclass
class Exploration:
    """`stage` and `log` are used on the loop; `learning` on a thread of its own, one turn after the other."""

    stage: Stage
    snapshots: Snapshots
    log: DrawnLog
    learning: Learning
    book: ScenarioBook
    _running: asyncio.Task[None] | None = field(default=None, init=False)

    def start(self) -> None:
        """Draws may be noted. On the loop."""
        self.log.start()

    def learn(self) -> None:
        """From now on this process learns, or follows the one that does. On the loop."""
        self._running = asyncio.create_task(self._run(), name="exploring")

    async def stop(self) -> None:
        """Writes what waits; the database is open still. A second call does nothing."""
        running, self._running = self._running, None
        if running is not None:
            running.cancel()
            await asyncio.wait({running})
        await self.log.stop()
        if running is not None:
            try:
                await asyncio.to_thread(self.learning.release)
            except ShopkeeperError as error:
                _LOGGER.warning("the lease on learning ends by itself: %s", error.message)

    async def turn(self) -> int:
        """How many slates were learned."""
        for scenario in self.book.all():
            if scenario.exploring is not None:
                self.snapshots.want(scenario.name, scenario.exploring)
        return await asyncio.shield(asyncio.to_thread(self.learning.turn))

    async def _run(self) -> None:
        while True:
            try:
                await self.turn()
            except ShopkeeperError as error:
                _LOGGER.warning("nothing is learned for now: %s", error.message)
            except Exception:  # an edge: the shop serves on by what was learned before
                _LOGGER.exception("what was drawn could not be learned")
            await asyncio.sleep(TICK_S)


def exploration(
    settings: Settings,
    db: Database,
    clock: Clock,
    stores: Stores,
    features: FeatureState,
    consents: ConsentStore,
    book: ScenarioBook,
) -> Exploration:
    vocab, catalog, log = stores.vocab, stores.catalog, stores.log
    snapshots = Snapshots(vocab.items.rows)
    allows = partial(consents.allows, purpose="personalization")
    return Exploration(
        stage=Stage(snapshots, ContextReader(features)),
        snapshots=snapshots,
        log=DrawnLog(db, vocab.users, clock, last_seq=lambda: log.last_seq, strangers=settings.consent_default),
        learning=Learning(
            db,
            clock,
            snapshots,
            Earnings(vocab.users, vocab.event_types, allows=allows, window_s=settings.explore_window_s),
            Shelf(vocab.items, lambda: catalog.active),
            worker=f"{socket.gethostname()[:64]}-{os.getpid()}-{ulid()}",
            window_s=settings.explore_window_s,
            keep_days=settings.explore_keep_days,
        ),
        book=book,
    )
