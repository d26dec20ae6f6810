"""What was shown: noted as it is answered, written in batches beside the answers, found again by the id of an answer.

Noting never waits. A bounded number of slates waits for SQL; while it is full, new ones are lost and counted, as a slow
disk must cost nobody an answer. What waits is found as what is written is.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import datetime

from msgspec.structs import replace
from sqlalchemy import Connection

from shopkeeper.core.changes import Change
from shopkeeper.core.clock import Clock, moment
from shopkeeper.core.errors import NotFound, Overloaded, Unavailable
from shopkeeper.core.records import RecItem, Record
from shopkeeper.recommend.behind import WrittenBehind
from shopkeeper.recommend.made import Made, slate_of
from shopkeeper.stores import slates
from shopkeeper.stores.slates import SlateRow
from shopkeeper.stores.sql import Database
from shopkeeper.stores.vocabulary import UserVocabulary
from shopkeeper.telemetry import metrics

_LOGGER = logging.getLogger(__name__)
_BATCH = 500
_PIECE = 2_000
_LOOK_S = 600.0


class ShownItem(Record, kw_only=True):
    item_id: str
    score: float
    channels: list[str]


class Shown(Record, kw_only=True):
    """A slate as it was shown, best item first. `user_id` as it is called now; `served`: answers that it made."""

    request_id: str
    slate_id: str
    user_id: str
    scenario: str
    scenario_version: int
    made_at: datetime
    served: int
    degraded: bool
    items: list[ShownItem]
    versions: dict[str, int]

    def position(self, item_id: str) -> int:
        """The place of an item, 0 the first. Raises NotFound."""
        for place, item in enumerate(self.items):
            if item.item_id == item_id:
                return place
        raise NotFound(
            f"item {item_id[:80]!r} was not in the answer {self.request_id}; give one of those that were, or none",
            code="not_shown",
            field="item_id",
        )


class SlateLog(WrittenBehind):
    """`note`, `served` and `find` on the loop. `keep_s` seconds and the newest `most` slates are kept; `waiting` is how
    many may wait to be written. `also` are told of each slate that was computed."""

    name = "slate log"
    gather_s = 0.5
    idle_s = _LOOK_S  # what is old is taken away though nothing new comes

    def __init__(
        self,
        db: Database,
        users: UserVocabulary,
        clock: Clock,
        *,
        keep_s: float = 86_400.0,
        most: int = 1_000_000,
        waiting: int = 5_000,
        also: Sequence[Callable[[Made], None]] = (),
    ) -> None:
        super().__init__()
        self._db = db
        self._users = users
        self._clock = clock
        self._keep_s = keep_s
        self._most = most
        self._bound = waiting
        self._also = also
        self._pending: dict[str, SlateRow] = {}
        self._writing: dict[str, SlateRow] = {}
        self._served: dict[str, int] = {}
        self._strangers: set[str] = set()  # slates that wait, of people without a row
        self._next_look = 0.0

    @property
    def waiting(self) -> int:
        """Slates that are not written yet."""
        return len(self._pending) + len(self._writing)

    def note(self, made: Made) -> None:
        """A slate was computed and is answered for the first time."""
        for tell in self._also:
            tell(made)
        if self.waiting >= self._bound:
            metrics.slates_lost_total.inc()
            return
        row = self._pending[made.slate_id] = _row(made, self._users)
        if row.user_row is None:
            self._strangers.add(made.slate_id)
        self._noted.set()

    def served(self, slate_id: str, times: int = 1) -> None:
        """A slate was answered again, from a cache."""
        before = self._served.get(slate_id, 0)
        if before or len(self._served) < self._bound:
            self._served[slate_id] = before + times
            self._noted.set()

    async def find(self, request_id: str) -> Shown:
        """The slate that an answer was. Raises NotFound for an unknown or a forgotten one."""
        slate_id = slate_of(request_id)
        row = self._pending.get(slate_id) or self._writing.get(slate_id)
        if row is None:
            row = await asyncio.to_thread(self._read, slate_id)
        user_id = None if row is None else self._user_of(row)
        if row is None or user_id is None:
            hours = self._keep_s / 3600
            raise NotFound(
                f"no answer has the id {request_id[:80]!r}; answers are known for {hours:g} hours",
                code="unknown_request",
                field="request_id",
            )
        return _shown(request_id, row, user_id, self._served.get(slate_id, 0))

    def hear(self, change: Change) -> None:
        """Who was a stranger may be known by now: what waits of theirs goes when they are erased."""
        if change.kind != "user" or not self._strangers:
            return
        for waiting in (self._pending, self._writing):
            for slate_id in self._strangers & waiting.keys():
                one = waiting[slate_id]
                row = None if one.user_id is None else self._users.row(one.user_id)
                if row is not None:
                    waiting[slate_id] = replace(one, user_row=row, user_id=None)
                    self._strangers.discard(slate_id)

    def forget(self, row: int) -> None:
        """Of an erased person nothing waits any more."""
        self._pending = {slate_id: one for slate_id, one in self._pending.items() if one.user_row != row}
        self._writing = {slate_id: one for slate_id, one in self._writing.items() if one.user_row != row}

    # -- writing

    def _anything(self) -> bool:
        return self.waiting > 0 or bool(self._served)

    async def _try(self) -> bool:
        try:
            await self._write_gathered()
            if not self._ending.is_set():  # who closes a shop does not wait for that
                await self._drop_old()
        except (Unavailable, Overloaded) as error:
            _LOGGER.warning("%d slates wait to be logged: %s", self.waiting, error.message)
            return False
        except Exception:  # an edge: what cannot be written must not keep what comes after it from being written
            _LOGGER.exception("%d slates could not be logged", len(self._writing))
            metrics.slates_lost_total.inc(len(self._writing))
            self._ended()
        return True

    async def _write_gathered(self) -> None:
        """What came meanwhile is gathered again, unless that is much or nothing more will come: a commit for every few
        slates took as much time as they did, and the loop waited for its thread."""
        while self._anything():
            await self._write()
            if len(self._pending) < _BATCH and not self._ending.is_set():
                return

    async def _write(self) -> None:
        if not self._writing:
            batch = list(self._pending)[:_BATCH]
            self._writing = {slate_id: self._pending.pop(slate_id) for slate_id in batch}
        rows, served = list(self._writing.values()), self._served
        self._served = {slate_id: count for slate_id, count in served.items() if slate_id in self._pending}
        counts = {slate_id: count for slate_id, count in served.items() if slate_id not in self._pending}

        def write(connection: Connection) -> int:
            added = slates.add(connection, rows)
            slates.count_served(connection, counts)
            return added

        try:
            added = await asyncio.wrap_future(self._db.writer.submit(write))
        except BaseException:
            for slate_id, count in counts.items():
                self._served[slate_id] = self._served.get(slate_id, 0) + count
            raise
        self._ended()
        metrics.slates_logged_total.inc(added)

    def _ended(self) -> None:
        self._strangers.difference_update(self._writing)
        self._writing = {}

    async def _drop_old(self) -> None:
        """From time to time, in pieces: a million rows must not keep events from being written."""
        now = asyncio.get_running_loop().time()
        if now < self._next_look:
            return
        self._next_look = now + _LOOK_S
        since_ms = int(self._clock.wall() // 1000 - self._keep_s * 1000)
        cut = await asyncio.to_thread(self._oldest_kept, since_ms)
        dropped = 1
        while dropped and not self._ending.is_set():
            dropping = self._db.writer.submit(lambda one: slates.drop_before(one, cut, _PIECE))
            dropped = await asyncio.wrap_future(dropping)

    def _oldest_kept(self, since_ms: int) -> str:
        with self._db.read() as connection:
            return slates.oldest_kept(connection, since_ms, self._most)

    def _read(self, slate_id: str) -> SlateRow | None:
        with self._db.read() as connection:
            return slates.read(connection, slate_id)

    def _user_of(self, row: SlateRow) -> str | None:
        """What the user is called now, merged or not; None for an erased one."""
        if row.user_row is None:
            return row.user_id
        present = self._users.row(self._users.id(row.user_row))
        return None if present is None else self._users.id(present)


def _row(made: Made, users: UserVocabulary) -> SlateRow:
    """One who may not be known here is answered as a stranger, and still has a row by which the slate is found."""
    row = made.user if made.user >= 0 else users.row(made.user_id)
    return SlateRow(
        slate_id=made.slate_id,
        user_row=row,
        user_id=made.user_id if row is None else None,
        scenario=made.scenario,
        scenario_version=made.scenario_version,
        made_at=made.made_at,
        served=1,
        degraded=made.degraded,
        items=[_noted(item) for item in made.items],
        versions=made.versions,
    )


def _noted(item: RecItem) -> list[object]:
    return [item.item_id, round(item.score, 6), item.metadata.get("channels", [])]


def _shown(request_id: str, row: SlateRow, user_id: str, more: int) -> Shown:
    return Shown(
        request_id=request_id,
        slate_id=row.slate_id,
        user_id=user_id,
        scenario=row.scenario,
        scenario_version=row.scenario_version,
        made_at=moment(row.made_at),
        served=row.served + more,
        degraded=row.degraded,
        items=[ShownItem(item_id=id, score=score, channels=channels) for id, score, channels in row.items],
        versions=row.versions,
    )
