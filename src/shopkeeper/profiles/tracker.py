"""Who belongs to which segment at this moment: exact per event, and on time when only the clock moves.

A follower of the log, behind the features. After each look at a user it is known until when the answers stand
(`rules/horizon.py`); when that moment comes the user is looked at again, as of that very moment. Changes are written as
spans, and told to webhooks in the same transaction. After a restart the time that was missed is made up for.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from shopkeeper.core.batch import EventBatch
from shopkeeper.core.clock import MINUTE, Clock
from shopkeeper.core.errors import ShopkeeperError
from shopkeeper.features.base import grown
from shopkeeper.features.state import FeatureState
from shopkeeper.profiles.conditions import Condition
from shopkeeper.profiles.live_schema import LiveSchema
from shopkeeper.profiles.motion import motions, movable
from shopkeeper.profiles.people import People, Person
from shopkeeper.profiles.rfm import moments
from shopkeeper.profiles.scale import ScaleKeeper
from shopkeeper.profiles.segmentbook import SegmentBook
from shopkeeper.profiles.sources import Many
from shopkeeper.profiles.surroundings import READ_FROM_BESIDE
from shopkeeper.profiles.table import ProfileTable
from shopkeeper.profiles.watch import Watched, watched
from shopkeeper.rules.horizon import NEVER
from shopkeeper.stores.consents import ConsentStore
from shopkeeper.stores.meta import Meta
from shopkeeper.stores.spans import Change, SpanStore
from shopkeeper.stores.sql import Database
from shopkeeper.stores.vocabulary import UserVocabulary
from shopkeeper.stores.webhooks import Announcement

_LOGGER = logging.getLogger(__name__)
_CHUNK = 20_000
"""Users looked at at once."""
_ROUNDS = 500
"""Looks at one user on the way to now; beyond that the way is cut short."""
_TURN_S = 0.02
"""Seconds that a turn of the loop may take."""
_PAUSE_S = 0.2
_LEFT_OFF = "segments.left_off"

Rows: TypeAlias = NDArray[np.int64]
Announce: TypeAlias = Callable[[Connection, Sequence[Announcement]], int]


@dataclass
class Members:
    """One segment: `inside` bool and `entered` us (0: no member), by user row, and at least as long as known.

    `unseen` bool: not looked at since the segment was made or changed; whoever is found inside then is not told of.
    """

    watched: Watched
    inside: NDArray[np.bool_]
    entered: Rows
    unseen: NDArray[np.bool_]

    @classmethod
    def none(cls, watched: Watched, n: int) -> Members:
        return cls(watched, np.zeros(n, dtype=np.bool_), np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.bool_))

    def grow(self, n: int) -> None:
        self.inside, self.entered = grown(self.inside, n), grown(self.entered, n)
        self.unseen = grown(self.unseen, n)

    def change(self, name: str, rows: Rows, holds: NDArray[np.bool_], now: int | Rows) -> list[tuple[Change, bool]]:
        """Takes up the answers for some users (k,). Gives what changed, and whether it is news."""
        news = ~self.unseen[rows]
        self.unseen[rows] = False
        changed = np.flatnonzero(holds != self.inside[rows])
        if not len(changed):
            return []
        times = np.broadcast_to(np.asarray(now), len(rows))[changed]
        where, entered = rows[changed], holds[changed]
        self.inside[where] = entered
        self.entered[where] = np.where(entered, times, 0)
        columns = (where.tolist(), entered.tolist(), times.tolist(), news[changed].tolist())
        return [(Change(name, row, enters, at), new) for row, enters, at, new in zip(*columns, strict=True)]


class SegmentTracker:
    """Used on the thread of the followers."""

    name = "segments"

    def __init__(
        self,
        db: Database,
        clock: Clock,
        features: FeatureState,
        users: UserVocabulary,
        people: People,
        schema: LiveSchema,
        book: SegmentBook,
        *,
        consents: ConsentStore | None = None,
    ) -> None:
        self._db = db
        self._meta = Meta(db)
        self._clock = clock
        self._features = features
        self._users = users
        self._people = people
        self._schema = schema
        self._book = book
        self._consents = consents
        self.spans = SpanStore(db)
        self.scale = ScaleKeeper()
        self._announce: Announce | None = None
        self._wake: Callable[[], None] = lambda: None

        self._segments: dict[str, Members] = {}
        self._compiled: object = None
        self._beside: tuple[int, ...] = ()
        self._due: Rows = np.empty(0, dtype=np.int64)
        self._customers: NDArray[np.bool_] = np.empty(0, dtype=np.bool_)
        self._next_due = NEVER
        self._n = 0
        self._loaded = False
        self._saved_at = 0
        self._lock = threading.Lock()
        self._touched: set[int] = set()
        self._lost = threading.Event()  # a write failed: SQL lacks changes

    def tell(self, announce: Announce, wake: Callable[[], None]) -> None:
        """Who hears of changes: `announce` within the write, `wake` after its commit."""
        self._announce, self._wake = announce, wake

    # -- events and time -------------------------------------------------------------------------------------

    def apply(self, batch: EventBatch) -> None:
        """Looks at the users of these events. Nothing to do before the first look at everybody."""
        if not self._loaded:
            return
        self._renew()
        rows = np.unique(batch.user[batch.user >= 0]).astype(np.int64)
        if not len(rows):
            return
        self._grow(int(rows[-1]) + 1)
        now = self._clock.now()
        self._advance(now, of=rows)
        roles = frozenset(self._features.kinds.roles(batch.type).tolist())
        known = self._customers[rows]
        self._look(rows[known], now, lambda watched: watched.touched_by(roles))
        self._look(rows[~known], now)

    def touch(self, rows: Iterable[int]) -> None:
        """Records or consents of these users have changed. From any thread; looked at soon."""
        with self._lock:
            self._touched.update(rows)

    def catch_up(self) -> None:
        """Everything that is due by now, at once."""
        self._prepare()
        self._advance(self._clock.now())

    async def settle(self) -> None:
        """The same in short turns of the loop: after it, answers are those of now."""
        self._prepare()
        while not self._advance(self._clock.now(), stop_at=time.monotonic() + _TURN_S):
            await asyncio.sleep(0)

    async def run(self) -> None:
        """Keeps time until it is cancelled."""
        while True:
            try:
                await self.settle()
                self._remember()
            except ShopkeeperError as error:  # the database does not answer: the next turn tries again
                _LOGGER.error("segments stand still: %s", error.message)
            await asyncio.sleep(_PAUSE_S)

    def _prepare(self) -> None:
        if not self._loaded:
            self.load()
        self._renew()
        self._look_at_touched()
        self._look_beside()
        wall = self._clock.wall()
        if self.scale.due(wall):
            self._look_again(self.scale.renew(wall))
        if self._lost.is_set():
            self._lost.clear()
            self._resolve()

    def _advance(self, now: int, *, stop_at: float = float("inf"), of: Rows | None = None) -> bool:
        """Looks at whoever is due (of some rows, or of all), each as of when they were. False: time was over first."""
        if of is None and self._next_due > now:
            return True
        for round in range(_ROUNDS + 1):
            due = self._due[: self._n] if of is None else self._due[of]
            late = np.flatnonzero(due <= now)
            if not len(late):
                break
            rows = late if of is None else of[late]
            times = due[late] if round < _ROUNDS else np.full(len(rows), now)
            for start in range(0, len(rows), _CHUNK):
                part = slice(start, start + _CHUNK)
                self._look(rows[part], times[part])
                if time.monotonic() > stop_at:
                    return False
        if of is None:
            self._next_due = int(self._due[: self._n].min()) if self._n else NEVER
        return True

    def _look_again(self, rows: Rows) -> None:
        """At these users, in the course of time."""
        now = self._clock.now()
        self._due[rows] = np.minimum(self._due[rows], now)
        self._next_due = min(self._next_due, now)

    # -- starting and stopping -------------------------------------------------------------------------------

    def load(self) -> None:
        """The first look at everybody: as of when the last process left off, then on to now."""
        self._loaded = True
        self._people.refresh()
        self._compiled = compiled = self._book.compiled()
        self._grow()
        now, (left_off, known), spans = self._clock.now(), self._left_off(), self.spans.open()
        at = now if left_off is None else min(left_off, now)
        for name, (segment, condition) in compiled.items():
            members = self._segments[name] = Members.none(self._watched(condition), len(self._due))
            rows, entered = spans.pop(name, (np.empty(0, dtype=np.int64), 0))
            members.inside[rows], members.entered[rows] = True, entered
            members.unseen[: self._n] = known.get(name) != segment.version
        self._write([(Change(name, row, False, at), False) for name, gone in spans.items() for row in gone[0].tolist()])
        everybody = np.arange(self._n)
        for start in range(0, self._n, _CHUNK):
            part = everybody[start : start + _CHUNK]
            self._count(self._table(part, at), part)
        self.scale.renew(self._clock.wall())
        self._due[: self._n] = at
        self._next_due = at
        self._advance(now)
        self._remember(now=True)

    def save(self) -> None:
        """Where this process leaves off. Returns when it is durable."""
        if self._loaded:
            self._meta.set(_LEFT_OFF, self._standing()).result()

    def _remember(self, *, now: bool = False) -> None:
        wall = self._clock.wall()
        if now or wall - self._saved_at >= MINUTE:
            self._saved_at = wall
            self._meta.set(_LEFT_OFF, self._standing())

    def _standing(self) -> str:
        known = {name: segment.version for name, (segment, _) in self._book.compiled().items()}
        return msgspec.json.encode({"at": self._clock.now(), "known": known}).decode()

    def _left_off(self) -> tuple[int | None, dict[str, int]]:
        """(up to when segments are right, their versions then)."""
        kept = self._meta.get(_LEFT_OFF)
        if kept is None:
            return None, {}
        standing = msgspec.json.decode(kept)
        return max(standing["at"], self.spans.latest() or 0), standing["known"]

    # -- definitions -----------------------------------------------------------------------------------------

    def _renew(self) -> None:
        """Takes up new and changed segments: they are filled in the course of time, and nobody is told."""
        compiled = self._book.compiled()
        if compiled is self._compiled:
            return
        self._compiled = compiled
        for name, (_, condition) in compiled.items():
            members = self._segments.get(name)
            fresh = self._watched(condition)
            if members is None:
                members = self._segments[name] = Members.none(fresh, len(self._due))
            elif members.watched.same(condition):
                members.watched = fresh
                continue
            members.watched = fresh
            members.unseen[: self._n] = True
            self._look_again(np.arange(self._n))
        now = self._clock.now()
        for name in [name for name in self._segments if name not in compiled]:
            rows = np.flatnonzero(self._segments.pop(name).inside).tolist()
            self._write([(Change(name, row, False, now), False) for row in rows])
        self._remember(now=True)

    def _watched(self, condition: Condition) -> Watched:
        return watched(condition, movable(self._schema.current()))

    # -- looking ---------------------------------------------------------------------------------------------

    def _look_at_touched(self) -> None:
        with self._lock:
            touched, self._touched = self._touched, set()
        if touched:
            self._people.reread(touched)
            self._renew()  # records bring fields
            self._grow(max(touched) + 1)
            self._look_again(np.array(sorted(touched), dtype=np.int64))

    def _look_beside(self) -> None:
        """Models and products: when they change, fields may change for anybody."""
        beside = self._schema.beside()
        if beside != self._beside:
            self._beside = beside
            if any(members.watched.fields & READ_FROM_BESIDE for members in self._segments.values()):
                self._look_again(np.arange(self._n))

    def _look(self, rows: Rows, now: int | Rows, which: Callable[[Watched], bool] = lambda _: True) -> None:
        """Which segments hold for these users (k,) at `now`, and until when."""
        if not len(rows):
            return
        chosen = {name: members for name, members in self._segments.items() if which(members.watched)}
        table = self._table(rows, now)
        source = table.source
        assert isinstance(source, Many)
        counted = self._count(table, rows)
        until = source.next_arrival()
        moving = frozenset[str]().union(*(members.watched.moving for members in chosen.values()))
        how, columns = motions(table, source, moving), table.columns()
        changes: list[tuple[Change, bool]] = []
        for name, members in chosen.items():
            holds, stands = members.watched.look(columns, how, now)
            changes += members.change(name, rows, holds & counted, now)
            until = np.minimum(until, stands)
        self._due[rows] = until if len(chosen) == len(self._segments) else np.minimum(until, self._due[rows])
        self._next_due = min(self._next_due, int(self._due[rows].min()))
        self._write(changes)

    def _table(self, rows: Rows, now: int | Rows) -> ProfileTable:
        people = [self._person(row) for row in rows.tolist()]
        source = Many.some(self._features, rows, now)
        return ProfileTable(self._schema.current(), source, people, self.scale.current)

    def _person(self, row: int) -> Person | None:
        """None: a visitor whom nobody has named."""
        known = self._people.at(row)
        if known is None and row < len(self._users) and not self._users.is_anonymous(row):
            return Person(row, self._users.id(row), {}, listed=False, removed=False)
        return known

    def _count(self, table: ProfileTable, rows: Rows) -> NDArray[np.bool_]:
        """Who of these users counts as a customer (k,); their purchases are put on the scale."""
        seen = (table.number("total_events") > 0).tolist()
        refused = frozenset[int]() if self._consents is None else self._consents.refused("profiling")
        counted = np.array(
            [
                person is not None
                and (person.listed or (was_seen and not person.removed))
                and person.row not in refused
                for person, was_seen in zip(table.people, seen, strict=True)
            ],
            dtype=np.bool_,
        )
        last = moments(table.number("days_since_order"), table.source.now)
        self.scale.put(rows, last, np.where(counted, table.number("orders"), 0.0), table.number("net_spend"))
        self._customers[rows] = counted
        return counted

    def _grow(self, n: int = 0) -> None:
        self._n = max(n, self._n, self._features.n_users, len(self._users))
        if self._n > len(self._due):
            self._due = grown(self._due, self._n, NEVER)
            self._customers = grown(self._customers, self._n)
            for members in self._segments.values():
                members.grow(len(self._due))

    # -- writing ---------------------------------------------------------------------------------------------

    def _write(self, changes: Sequence[tuple[Change, bool]]) -> None:
        """The spans, and news for the webhooks, in one write. What cannot be written is made up for later."""
        if not changes:
            return
        silent = frozenset[int]() if self._consents is None else self._consents.refused("marketing")
        news = [
            Announcement(
                "segment.entered" if change.entered else "segment.left",
                change.segment,
                change.user_row,
                self._users.id(change.user_row),
                change.time,
            )
            for change, is_news in changes
            if is_news and self._announce is not None and change.user_row not in silent
        ]

        def write(connection: Connection) -> None:
            self.spans.write(connection, [change for change, _ in changes])
            if news and self._announce is not None:
                self._announce(connection, news)

        try:
            self._db.writer.submit(write, after=lambda _: self._wake()).add_done_callback(self._written)
        except ShopkeeperError:  # the queue is full
            self._lost.set()

    def _written(self, done: Future[None]) -> None:
        if not done.cancelled() and done.exception() is not None:
            self._lost.set()

    def _resolve(self) -> None:
        """Compares the open spans with what is known, and writes the difference."""
        stored, now = self.spans.open(), self._clock.now()
        changes: list[tuple[Change, bool]] = []
        for name, members in self._segments.items():
            was = np.zeros(len(members.inside), dtype=np.bool_)
            if name in stored:
                was[stored[name][0]] = True
            for row in np.flatnonzero(was != members.inside).tolist():
                entered = bool(members.inside[row])
                changes.append((Change(name, row, entered, int(members.entered[row]) if entered else now), True))
        self._write(changes)

    # -- reading ---------------------------------------------------------------------------------------------

    def sizes(self) -> dict[str, int]:
        self.catch_up()
        return {name: int(np.count_nonzero(members.inside)) for name, members in self._segments.items()}

    def customers(self) -> NDArray[np.bool_]:
        """bool (n,) by user row: who counts, listed or seen, and agrees to profiling."""
        self.catch_up()
        return self._customers[: self._n].copy()

    def members(self, name: str) -> tuple[Rows, Rows] | None:
        """(rows ascending, times of entry) (k,); None: there is no such segment."""
        self.catch_up()
        found = self._segments.get(name)
        if found is None:
            return None
        rows = np.flatnonzero(found.inside)
        return rows, found.entered[rows]

    def of(self, row: int) -> list[str]:
        """The segments of a user, sorted."""
        self.catch_up()
        return sorted(name for name, found in self._segments.items() if row < self._n and found.inside[row])

    # -- people who change -----------------------------------------------------------------------------------

    def forget(self, row: int) -> None:
        """The user was erased: no member of anything, and nothing is written or told."""
        for members in self._segments.values():
            if row < len(members.inside):
                members.inside[row], members.entered[row] = False, 0
        self._people.reread([row])
        if row < self._n:
            self._due[row] = NEVER
            self._customers[row] = False
        nothing = np.zeros(1)
        self.scale.put(np.array([row]), nothing, nothing, nothing)

    def moved(self, source: int, target: int) -> None:
        """The source's events are the target's from now on; SQL has closed the source's spans already."""
        self.forget(source)
        self.touch([target])
