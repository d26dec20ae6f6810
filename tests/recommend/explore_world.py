"""A database in which slots were drawn, and the learners of two processes over it."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from shopkeeper.core.clock import DAY, MINUTE, SECOND, StoppedClock
from shopkeeper.core.ids import ulid
from shopkeeper.core.records import Event
from shopkeeper.recommend.explore.asked import Exploring
from shopkeeper.recommend.explore.drawnlog import DrawnLog
from shopkeeper.recommend.explore.earned import Earnings
from shopkeeper.recommend.explore.explored import Explored
from shopkeeper.recommend.explore.learner import Learning, Shelf
from shopkeeper.recommend.explore.snapshots import Snapshots
from shopkeeper.recommend.made import Made
from shopkeeper.stores.events import EventLog
from shopkeeper.stores.sql import Database, open_database, sqlite_url
from shopkeeper.stores.vocabulary import Vocabularies

NOW = 20_000 * DAY
WINDOW_S = 1800.0
ASKED = Exploring("thompson_beta", share=1.0)


@cache
def _empty() -> bytes:
    """A database without rows: to make one takes longer than most tests."""
    with tempfile.TemporaryDirectory() as folder:
        open_database(sqlite_url(folder)).close()
        return (Path(folder) / "shop.db").read_bytes()


class World:
    """Items `i0`, `i1` ...; `agrees` are users who may be learned of, None: all."""

    def __init__(self, folder: Path, *, items: int = 6, clock: StoppedClock | None = None) -> None:
        if not (folder / "shop.db").exists():
            (folder / "shop.db").write_bytes(_empty())
        self.db: Database = open_database(sqlite_url(folder))
        self.clock = clock or StoppedClock(NOW)
        self.vocab = Vocabularies.load(self.db)
        self.events = EventLog(self.db, self.vocab, self.clock)
        if not len(self.vocab.items):
            views = [Event(event_type="view", user_id=f"u{k % 5}", item_id=f"i{k}") for k in range(max(items, 5))]
            self.events.append(views).result()
        self.active = np.ones(len(self.vocab.items), dtype=np.bool_)
        self.refusing: set[int] = set()
        self.log = DrawnLog(self.db, self.vocab.users, self.clock, last_seq=lambda: self.events.last_seq)

    def learning(self, worker: str = "one", kind: type[Learning] = Learning, **more: Any) -> Learning:
        """With snapshots of its own, as another process has them."""
        vocab = self.vocab
        allows = lambda row: row not in self.refusing  # noqa: E731
        earnings = Earnings(vocab.users, vocab.event_types, allows=allows, window_s=WINDOW_S)
        shelf = Shelf(vocab.items, lambda: self.active)
        snapshots = Snapshots(vocab.items.rows)
        snapshots.of("home", ASKED)
        return kind(self.db, self.clock, snapshots, earnings, shelf, worker=worker, window_s=WINDOW_S, **more)

    def show(
        self, user: str, items: Sequence[str], *, asked: Exploring = ASKED, context: Sequence[float] | None = None,
        allowed: bool = True, scenario: str = "home", slate_id: str | None = None,
    ) -> str:  # fmt: skip
        """A slate all of whose slots were drawn; its id."""
        made = self.made(user, items, asked, context, allowed=allowed, scenario=scenario, slate_id=slate_id)
        self.log.note(made)
        return made.slate_id

    def made(
        self, user: str, items: Sequence[str], asked: Exploring = ASKED, context: Sequence[float] | None = None, *,
        allowed: bool = True, scenario: str = "home", slate_id: str | None = None,
    ) -> Made:  # fmt: skip
        rows = self.vocab.items.rows(items)
        row = self.vocab.users.row(user)
        drawn = Explored(
            asked, 0, tuple(range(len(rows))), rows, np.stack([rows, np.full_like(rows, -1)], axis=1),
            np.full(len(rows), 0.5), ("bias", *asked.context) if context is not None else (),
            None if context is None else np.array(context),
        )  # fmt: skip
        return Made(
            slate_id=slate_id or ulid(self.clock.wall() // 1000), user_id=user,
            user=row if row is not None and allowed else -1, scenario=scenario, scenario_version=1, items=(),
            rows=rows, made_at=self.clock.now(), ttl_s=300.0, taken_ms=1.0, model_version="", versions={}, stages={},
            explored=drawn,
        )  # fmt: skip

    def write(self) -> None:
        asyncio.run(self.log.stop())

    def tell(self, user: str, item: str, kind: str = "click", request: str | None = None, **more: Any) -> None:
        context = {} if request is None else {"request_id": request}
        event = Event(event_type=kind, user_id=user, item_id=item, context=context | more.pop("said", {}), **more)
        self.events.append([event]).result()

    def pass_window(self) -> None:
        self.clock.advance(round(WINDOW_S * SECOND) + MINUTE)

    def estimate(self, learning: Learning, item: str, asked: Exploring = ASKED) -> float:
        """What the newest snapshot expects of an item, to 6 digits."""
        bound = learning._snapshots.of("home", asked)
        arm = bound.of(self.vocab.items.rows([item]))
        vector = np.array([1.0, *np.zeros(len(asked.context))]) if bound.policy.contextual else None
        return round(float(bound.policy.estimates(arm, vector)[0]), 6)
