"""Who belongs to which segment at this moment: exact per event, and on time when only the clock moves.

A follower of the log, behind the features. After each look at a user it is known until when the answers stand
(`rules/horizon.py`); when that moment comes the user is looked at again, as of that very moment. Changes are written by
`stays.py`. After a restart the time that was missed is made up for.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.batch import EventBatch
from shopkeeper.core.clock import SECOND, Clock
from shopkeeper.core.errors import ShopkeeperError
from shopkeeper.core.records import Segment
from shopkeeper.features.base import grown
from shopkeeper.features.state import FeatureState
from shopkeeper.profiles.conditions import Condition
from shopkeeper.profiles.leftoff import LeftOff, Standing
from shopkeeper.profiles.live_schema import LiveSchema
from shopkeeper.profiles.members import Members, News, Rows
from shopkeeper.profiles.motion import motions, movable
from shopkeeper.profiles.people import People, Person, customers_among
from shopkeeper.profiles.rfm import RfmScale, moments
from shopkeeper.profiles.scale import ScaleKeeper
from shopkeeper.profiles.segmentbook import SegmentBook
from shopkeeper.profiles.sources import Many
from shopkeeper.profiles.stays import Announce, Stays
from shopkeeper.profiles.surroundings import READ_FROM_BESIDE
from shopkeeper.profiles.table import ProfileTable
from shopkeeper.profiles.watch import Watched, watched
from shopkeeper.rules.horizon import AGAIN, NEVER
from shopkeeper.stores.consents import ConsentStore
from shopkeeper.stores.spans import Change
from shopkeeper.stores.sql import Database
from shopkeeper.stores.vocabulary import UserVocabulary

_LOGGER = logging.getLogger(__name__)
_CHUNK = 20_000
"""Users looked at at once while nobody waits."""
_FEW = 1_000
"""And in a turn of the loop."""
_ROUNDS = 500
"""Looks at one user on the way to now; beyond that the way is cut short."""
_STRIDE = 10
"""What cannot be foreseen is looked at after a tenth of the way that is left to now, when that is long."""
_TURN_S = 0.02
"""Seconds that a turn of the loop may take."""
_PAUSE_S = 0.2


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
        self._left_off = LeftOff(db)
        self._clock = clock
        self._features = features
        self._users = users
        self._people = people
        self._schema = schema
        self._book = book
        self._consents = consents
        self._stays = Stays(db, users, consents)
        self.spans = self._stays.spans
        self.scale = ScaleKeeper()

        self._segments: dict[str, Members] = {}
        self._filling: set[str] = set()  # not everybody was looked at since these were made or changed
        self._compiled: Mapping[str, tuple[Segment, Condition]] = {}
        self._fields = schema.current()  # those that the segments were compiled for
        self._beside: tuple[int, ...] = ()
        self._due: Rows = np.empty(0, dtype=np.int64)
        self._customers: NDArray[np.bool_] = np.empty(0, dtype=np.bool_)
        self._next_due = NEVER
        self._n = 0
        self._loaded = False
        self._latest = 0  # the clock at the last turn
        self._lock = threading.Lock()
        self._touched: set[int] = set()

    def tell(self, announce: Announce, wake: Callable[[], None]) -> None:
        """Who hears of changes: `announce` within the write, `wake` after its commit."""
        self._stays.tell(announce, wake)

    # -- events and time -------------------------------------------------------------------------------------

    def apply(self, batch: EventBatch) -> None:
        """Looks at the users of these events. Nothing to do before the first look at everybody."""
        if not self._loaded:
            return
        rows = np.unique(batch.user[batch.user >= 0]).astype(np.int64)
        if not len(rows):
            return
        try:
            self._renew()
        except ShopkeeperError as error:  # the definitions of before go on; the next turn reads them again
            _LOGGER.error("segments cannot be read: %s", error.message)
        self._grow(int(rows[-1]) + 1)
        now = self._clock.now()
        self._advance(now, of=rows)
        roles = frozenset(self._features.kinds.roles(batch.type).tolist())
        known = self._customers[rows]
        self._look(rows[known], now, lambda watched: watched.touched_by(roles))
        self._look(np.array([row for row in rows[~known].tolist() if self._person(row)], dtype=np.int64), now)

    def touch(self, rows: Iterable[int]) -> None:
        """Records or consents of these users have changed. From any thread; looked at soon."""
        with self._lock:
            self._touched.update(rows)

    def catch_up(self) -> None:
        """Everything that is due by now, at once."""
        self._prepare()
        self._advance(self._clock.now())

    async def settle(self) -> None:
        """The same in short turns of the loop: after it, answers are those of the moment of the call."""
        self._prepare()
        now = self._clock.now()  # one: a clock may run faster than the looks
        while not self._advance(now, stop_at=time.monotonic() + _TURN_S):
            await asyncio.sleep(0)

    async def run(self) -> None:
        """Keeps time until it is cancelled."""
        while True:
            try:
                await self.settle()
                self._remember()
            except ShopkeeperError as error:  # the database does not answer: the next turn tries again
                _LOGGER.error("segments stand still: %s", error.message)
            except Exception:  # an edge: whatever one segment or user does must not stop the clock of the others
                _LOGGER.exception("segments stand still")
            await asyncio.sleep(_PAUSE_S)

    def _prepare(self) -> None:
        if not self._loaded:
            self.load()
        now, before = self._clock.now(), self._latest
        self._latest = now
        if now < before - SECOND:  # set back: what was found at later times is not true now
            self._look_again(np.arange(self._n))
        self._renew()
        self._look_at_touched()
        self._look_beside()
        wall = self._clock.wall()
        if self.scale.due(wall):
            self._look_again(self.scale.renew(wall))
        if self._stays.incomplete:
            self._stays.resolve(self._segments, now)

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
            chunk = _CHUNK if stop_at == float("inf") else _FEW
            for start in range(0, len(rows), chunk):
                part = slice(start, start + chunk)
                self._look(rows[part], times[part])
                if time.monotonic() > stop_at:
                    return False
        if of is None:
            self._next_due = int(self._due[: self._n].min()) if self._n else NEVER
            if self._filling:
                self._filling.clear()
                self._remember(now=True)
        return True

    def _look_again(self, rows: Rows) -> None:
        """At these users, in the course of time."""
        if len(rows):
            now = self._clock.now()
            self._due[rows] = np.minimum(self._due[rows], now)
            self._next_due = min(self._next_due, now)

    # -- starting and stopping -------------------------------------------------------------------------------

    def load(self) -> None:
        """The first look at everybody: as of when the last process left off, then on to now."""
        self._loaded = True
        self._people.refresh()
        compiled = self._book.compiled()
        self._compiled, self._fields, self._beside = compiled, self._schema.current(), self._schema.beside()
        self._grow()
        now, left_off, spans = self._clock.now(), self._left_off.read(), self.spans.open()
        at, known = now, dict[str, int]()
        if left_off is not None:
            at, known = min(now, max(left_off.at, self.spans.latest() or 0)), dict(left_off.known)
        for name, (segment, condition) in compiled.items():
            members = self._segments[name] = Members.none(self._watched(condition), len(self._due))
            rows, entered = spans.pop(name, (np.empty(0, dtype=np.int64), 0))
            members.inside[rows], members.since[rows] = True, entered
            if known.get(name) != segment.version:
                members.unseen[: self._n] = True
                self._filling.add(name)
        self._stays.write(
            [(Change(name, row, False, at), False) for name, gone in spans.items() for row in gone[0].tolist()]
        )
        everybody = np.arange(self._n)
        for start in range(0, self._n, _CHUNK):
            part = everybody[start : start + _CHUNK]
            self._count(self._table(part, at), part)
        self.scale.renew(self._clock.wall())
        self._due[: self._n] = at
        self._next_due, self._latest = at, now
        self._advance(now)
        self._remember(now=True)

    def save(self) -> None:
        """Where this process leaves off."""
        if self._loaded:
            self._left_off.keep_now(self._standing())

    def _remember(self, *, now: bool = False) -> None:
        wall = self._clock.wall()
        if now or self._left_off.due(wall):
            self._left_off.keep(self._standing(), wall)

    def _standing(self) -> Standing:
        """A segment that is being filled is not among the known ones: after a kill the rest of it is no news either."""
        known = {n: segment.version for n, (segment, _) in self._compiled.items() if n not in self._filling}
        return Standing(min(self._clock.now(), self._next_due), known)

    # -- definitions -----------------------------------------------------------------------------------------

    def _renew(self) -> None:
        """Takes up new and changed segments: they are filled in the course of time, and nobody is told."""
        compiled = self._book.compiled()
        if compiled is self._compiled:
            return
        self._compiled, self._fields = compiled, self._schema.current()
        anew = np.empty(0, dtype=np.int64)
        for name, (_, condition) in compiled.items():
            members = self._segments.get(name)
            if members is not None and members.watched.condition is condition:
                continue
            fresh = self._watched(condition)
            if members is None:
                members = self._segments[name] = Members.none(fresh, len(self._due))
            elif members.watched.same(condition):
                members.watched = fresh
                continue
            members.watched = fresh
            members.unseen[: self._n] = True
            self._filling.add(name)
            anew = np.arange(self._n)
        self._look_again(anew)
        now = self._clock.now()
        for name in [name for name in self._segments if name not in compiled]:
            self._filling.discard(name)
            rows = np.flatnonzero(self._segments.pop(name).inside).tolist()
            self._stays.write([(Change(name, row, False, now), False) for row in rows])
        self._remember(now=True)

    def _watched(self, condition: Condition) -> Watched:
        return watched(condition, movable(self._fields))

    # -- looking ---------------------------------------------------------------------------------------------

    def _look_at_touched(self) -> None:
        with self._lock:
            touched, self._touched = self._touched, set()
        if touched:
            try:
                self._people.reread(touched)
            except ShopkeeperError:  # the next turn tries again
                self.touch(touched)
                raise
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
        until = arrival = source.next_arrival()
        moving = frozenset[str]().union(*(members.watched.moving for members in chosen.values()))
        again = np.maximum(AGAIN, (self._clock.now() - np.asarray(now)) // _STRIDE)
        how, columns = motions(table, source, moving, again), table.columns()
        changes: list[News] = []
        for name, members in chosen.items():
            holds, stands = members.watched.look(columns, how, now, again)
            changes += members.change(name, rows, holds & counted, now)
            until = np.minimum(until, stands)
        until = np.where(counted, until, arrival)  # who does not count waits for an event or a record
        self._due[rows] = until if len(chosen) == len(self._segments) else np.minimum(until, self._due[rows])
        self._next_due = min(self._next_due, int(self._due[rows].min()))
        self._stays.write(changes)

    def _table(self, rows: Rows, now: int | Rows) -> ProfileTable:
        people = [self._person(row) for row in rows.tolist()]
        source = Many.some(self._features, rows, now)
        return ProfileTable(self._fields, source, people, self.scale.current)

    def _person(self, row: int) -> Person | None:
        """None: a visitor whom nobody has named."""
        known = self._people.at(row)
        if known is None and row < len(self._users) and not self._users.is_anonymous(row):
            return Person(row, self._users.id(row), {}, listed=False, removed=False)
        return known

    def _count(self, table: ProfileTable, rows: Rows) -> NDArray[np.bool_]:
        """Who of these users counts as a customer (k,); their purchases are put on the scale."""
        counted = customers_among(table.people, table.number("total_events") > 0, self._consents)
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

    # -- reading: as of the last look; `settle` or `catch_up` first ------------------------------------------

    def sizes(self) -> dict[str, int]:
        return {name: int(np.count_nonzero(members.inside)) for name, members in self._segments.items()}

    def members(self, name: str) -> tuple[Rows, Rows] | None:
        """(rows ascending, times of entry) (k,); None: there is no such segment."""
        found = self._segments.get(name)
        if found is None:
            return None
        rows = np.flatnonzero(found.inside)
        return rows, found.since[rows]

    def of(self, row: int) -> list[str]:
        """The segments of a user now, sorted. Nobody else is looked at."""
        self._prepare()
        if row >= self._n:
            return []
        self._advance(self._clock.now(), of=np.array([row]))
        return sorted(name for name, found in self._segments.items() if found.inside[row])

    def bounds(self) -> RfmScale:
        """Of the scores, about as of now."""
        self._prepare()
        return self.scale.current

    # -- people who change -----------------------------------------------------------------------------------

    def forget(self, row: int) -> None:
        """The user was erased: no member of anything, and nothing is written or told."""
        self.touch([row])
        for members in self._segments.values():
            members.forget(row)
        if row < self._n:
            self._due[row] = NEVER
            self._customers[row] = False
        nothing = np.zeros(1)
        self.scale.put(np.array([row]), nothing, nothing, nothing)

    def moved(self, source: int, target: int) -> None:
        """The source's events are the target's from now on. SQL has closed the source's spans, but for those that were
        on their way there."""
        now = self._clock.now()
        left = [name for name, members in self._segments.items() if source < self._n and members.inside[source]]
        self._stays.write([(Change(name, source, False, now), False) for name in left])
        self.forget(source)
        self.touch([target])
