"""Where every request for a slate comes in: answered again while it holds, else computed once for all that ask now."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Hashable
from typing import Protocol

from shopkeeper.core.changes import Change
from shopkeeper.core.clock import Clock, rfc3339
from shopkeeper.core.errors import Overloaded, ShopkeeperError, Unavailable
from shopkeeper.core.records import Record, RecRequest
from shopkeeper.recommend.made import Made
from shopkeeper.recommend.slates.entry import Entry, first_answer, rows_of, tail_of
from shopkeeper.recommend.slates.keys import Key, Who, kept, key_of
from shopkeeper.recommend.slates.local import Local
from shopkeeper.recommend.slates.shared import SharedSlates
from shopkeeper.recommend.slates.window import Speed, Window
from shopkeeper.telemetry import metrics

_LOGGER = logging.getLogger(__name__)
_RENEW = 0.1  # of its time before the end a slate that is asked often is computed anew
_WORTH_SHARING_S = 2.0  # what was degraded for a moment stays here
_MANY = 50_000  # users that changed at once: dropping them one by one would hold up the loop
_HOT = 200
_TICK_S = 1.0
_SWEEP = 30  # ticks


class Users(Protocol):
    def row(self, id: str, /) -> int | None: ...

    def id(self, row: int, /) -> str: ...

    def __len__(self) -> int: ...


class Log(Protocol):
    def note(self, made: Made, /) -> None: ...

    def served(self, slate_id: str, times: int = 1, /) -> None: ...


class Make(Protocol):
    def __call__(self, request: RecRequest, *, whose: Hashable = None) -> Awaitable[Made]: ...


class FrontFacts(Record, kw_only=True):
    """Answers since the start. `coalesced`: by the computation that another had begun; `computed`: because nothing was
    kept; `bypassed`: because the request wanted it so; `bytes` and `limit` of what this process keeps."""

    total_requests: int
    local_hits: int
    shared_hits: int
    coalesced: int
    computed: int
    bypassed: int
    entries: int
    bytes: int
    limit: int
    evicted: int
    expired: int
    invalidated: int
    renewed: int


class _Flight:
    """A computation under way. `stale`: what it is made of changed meanwhile, so that it answers those who asked before
    and nobody after. `items` are rows that changed meanwhile."""

    __slots__ = ("future", "items", "scenario", "stale", "who")

    def __init__(self, who: Who, scenario: str) -> None:
        self.who, self.scenario = who, scenario
        self.stale = False
        self.items: set[int] = set()
        self.future: asyncio.Future[tuple[Made | None, Entry]] | None = None


class Front:
    """Used on the loop. `most` bytes are kept here; `shared` is the level that processes share.

    `hear` is what tells it of changes; see core/changes.py.
    """

    def __init__(
        self,
        make: Make,
        *,
        users: Users,
        clock: Clock,
        log: Log,
        most: int,
        shared: SharedSlates | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._make, self._users, self._clock, self._log = make, users, clock, log
        self._now = now
        self.local = Local(most)
        self._by_body = self.local.by_body
        self.shared = shared
        self.window = Window(now())
        self._flights: dict[tuple[Key, int | None], _Flight] = {}  # those that others may wait for
        self._airborne: set[_Flight] = set()
        self._behind: set[asyncio.Task[None]] = set()
        self._unsaid: list[Entry] = []
        self._ticking: asyncio.Task[None] | None = None
        self._stamp_ms, self._stamp = -1, b""
        self._local_hits = self._shared_hits = self._coalesced = 0
        self._missed = self._bypassed = self._renewed = 0
        self.used_ahead = 0
        self.shown: Callable[[RecRequest, Made], None] | None = None
        """Told of every slate that was computed for somebody; see ahead.py."""
        self.emptied: Callable[[list[RecRequest]], None] | None = None
        """Told what was asked most often, when all of it had to be dropped."""

    # -- answering

    def again(self, body: bytes) -> bytes | None:
        """The answer to a body that was answered before, without reading it; None when it is not kept."""
        entry = self._by_body.get(body)
        return None if entry is None else self._again(entry, self._now())

    async def answer(self, request: RecRequest, body: bytes | None = None, *, whose: Hashable = None) -> bytes:
        """A RecResponse in JSON. `body`: what the request was read from, so that its like needs no reading.

        Raises what `make` raises; for all who waited for the same.
        """
        try:
            return await self._answer(request, body, whose)
        except Exception as error:
            if not isinstance(error, ShopkeeperError) or isinstance(error, Unavailable | Overloaded):
                self.window.fail(self._now())
            raise

    async def _answer(self, request: RecRequest, body: bytes | None, whose: Hashable) -> bytes:
        began = self._now()
        if not kept(request):
            return await self._apart(request, began, whose)
        key = key_of(request, self._users.row(request.user_id))
        entry = self.local.find(key)
        if entry is not None:
            if body is not None:
                self.local.alias(entry, body)
            found = self._again(entry, began)
            if found is not None:
                return found
        return await self._together(request, key, body, began, whose)

    def _again(self, entry: Entry, began: float) -> bytes | None:
        if began >= entry.renew_at:
            if began >= entry.until:
                self.local.remove(entry)
                self.local.expired += 1
                return None
            self._renew(entry)
        self.local.used(entry)
        self._local_hits += 1
        window = self.window
        ms = (self._now() - began) * 1000
        window.add(ms)
        if window.full:
            window.fold(began)
        return self._answered(entry, ms)

    def _answered(self, entry: Entry, ms: float) -> bytes:
        if entry.said == entry.met:
            self._unsaid.append(entry)
        if entry.made is not None:
            self._first(entry)
        return entry.answer(self.stamp(), ms)

    def stamp(self) -> bytes:
        """The time of an answer, RFC 3339; anew each millisecond of the shop."""
        ms = self._clock.now() // 1000
        if ms != self._stamp_ms:
            self._stamp_ms, self._stamp = ms, rfc3339(ms * 1000).encode()
        return self._stamp

    def _first(self, entry: Entry) -> None:
        """What was computed ahead is given to somebody for the first time. Others may have it from now on, as the log
        knows it."""
        made, entry.made = entry.made, None
        if made is not None:
            self._log.note(made)
            entry.said += 1  # the note says that it answers once
            self.used_ahead += 1
            self._share(entry)

    async def _apart(self, request: RecRequest, began: float, whose: Hashable) -> bytes:
        self._bypassed += 1
        made = await self._make(request, whose=whose)
        self._log.note(made)
        self.window.add((self._now() - began) * 1000)
        return first_answer(made, tail_of(made))

    async def _together(
        self, request: RecRequest, key: Key, body: bytes | None, began: float, whose: Hashable
    ) -> bytes:
        at = (key, request.deadline_ms)
        while (flight := self._flights.get(at)) is not None:
            try:
                _, entry = await self._landing(flight)
            except _Abandoned:
                continue  # who computed it went away: somebody else does
            self._coalesced += 1
            ms = (self._now() - began) * 1000
            self.window.add(ms)
            return self._answered(entry, ms)
        flight = self._begin(at, request)
        try:
            made, entry = await self._computed_once(request, key, flight, whose)
        except BaseException as error:
            self._land(at, flight, error)
            raise
        self._land(at, flight, (made, entry))
        if body is not None:
            self.local.alias(entry, body)
        ms = (self._now() - began) * 1000
        self.window.add(ms)
        if made is None:  # another process had it
            self._shared_hits += 1
            return self._answered(entry, ms)
        self._missed += 1
        self._log.note(made)
        if self.shown is not None:
            self.shown(request, made)
        return first_answer(made, entry.tail)

    async def _computed_once(
        self,
        request: RecRequest,
        key: Key,
        flight: _Flight,
        whose: Hashable,
        *,
        anew: bool = False,
        ahead: bool = False,
    ) -> tuple[Made | None, Entry]:
        """(None, what another process had computed) or (what was computed, its entry). It is kept when it may be."""
        began = self._clock.wall()
        if self.shared is not None and not anew:
            entry = await self.shared.find(key, request, self._now)
            if entry is not None and not flight.stale and flight.items.isdisjoint(entry.rows):
                self.local.put(entry)
                return None, entry
        made = await self._make(request, whose=whose)
        entry = self._entry(made, request, key)
        if entry.until > self._now() and not flight.stale and flight.items.isdisjoint(entry.rows):
            entry.began = began
            self.local.put(entry)
            if not ahead:
                self._share(entry)
        return made, entry

    def _share(self, entry: Entry) -> None:
        ttl = entry.until - self._now()
        if self.shared is not None and entry.began is not None and ttl > _WORTH_SHARING_S:
            self.shared.put(entry, entry.began, ttl)

    def _entry(self, made: Made, request: RecRequest, key: Key) -> Entry:
        now, ttl = self._now(), made.ttl_s
        return Entry(
            key,
            request,
            slate_id=made.slate_id,
            tail=tail_of(made),
            scenario=made.scenario,
            rows=rows_of(made),
            until=now + ttl,
            renew_at=now + ttl * (1 - _RENEW),
        )

    # -- flights

    def _begin(self, at: tuple[Key, int | None], request: RecRequest) -> _Flight:
        flight = self._flights[at] = _Flight(at[0][0], request.scenario)
        self._airborne.add(flight)
        return flight

    async def _landing(self, flight: _Flight) -> tuple[Made | None, Entry]:
        if flight.future is None:
            flight.future = asyncio.get_running_loop().create_future()
        return await asyncio.shield(flight.future)

    def _land(
        self, at: tuple[Key, int | None], flight: _Flight, landed: tuple[Made | None, Entry] | BaseException
    ) -> None:
        self._airborne.discard(flight)
        if self._flights.get(at) is flight:
            del self._flights[at]
        future = flight.future
        if future is None:
            return
        if not isinstance(landed, BaseException):
            future.set_result(landed)
            return
        future.set_exception(landed if isinstance(landed, Exception) else _Abandoned())
        future.exception()  # those who waited may be gone: nobody else is to be told

    # -- ahead of being asked

    async def ahead(self, request: RecRequest) -> bool:
        """Computes what is likely to be asked, unless it is kept. False: it was, or nothing came of it."""
        key = key_of(request, self._users.row(request.user_id))
        at = (key, request.deadline_ms)
        if not kept(request) or self.local.find(key) is not None or at in self._flights:
            return False
        return await self._ahead(request, key)

    async def _ahead(self, request: RecRequest, key: Key, *, anew: bool = False) -> bool:
        at = (key, request.deadline_ms)
        flight = self._begin(at, request)
        try:
            made, entry = await self._computed_once(request, key, flight, "ahead", anew=anew, ahead=True)
        except BaseException as error:
            self._land(at, flight, error)
            if isinstance(error, ShopkeeperError):
                return False  # whoever asks is told why
            raise
        if made is not None:
            entry.made = made
        self._land(at, flight, (made, entry))
        return made is not None

    def _renew(self, entry: Entry) -> None:
        """One that is asked often is computed anew a while before its end, so that nobody waits for it then."""
        entry.renew_at = entry.until
        at = (entry.key, entry.request.deadline_ms)
        if entry.met < 2 or at in self._flights:
            return

        async def renew() -> None:
            try:
                self._renewed += await self._ahead(entry.request, entry.key, anew=True)
            except Exception:  # an edge: nobody waits for it, and whoever asks next is told
                _LOGGER.exception("a kept slate could not be computed anew")

        task = asyncio.get_running_loop().create_task(renew(), name="slate ahead")
        self._behind.add(task)
        task.add_done_callback(self._behind.discard)

    # -- hearing of changes

    def hear(self, change: Change) -> None:
        """Drops what is not right any more. What is being computed is not kept, when it began before."""
        kind, rows, names = change.kind, change.rows, change.names
        if kind == "user" and rows:
            self.forget_users(rows)
        elif kind == "item" and rows:
            self._forget_items(rows)
        elif kind == "scenario" and names:
            for name in names:
                self.local.drop_scenario(name)
            self._outdate(lambda flight: flight.scenario in names)
        else:
            self.forget_all()

    def forget_users(self, rows: tuple[int, ...]) -> int:
        """Returns how many slates were dropped here."""
        if not self._airborne and not len(self.local):
            return 0
        if len(rows) > _MANY:
            return self.forget_all()
        known = len(self._users)
        # By its id too: it may have been asked for before the shop knew it.
        who: set[Who] = {*rows, *(self._users.id(row) for row in rows if 0 <= row < known)}
        self._outdate(lambda flight: flight.who in who)
        return sum(self.local.drop_user(one) for one in who)

    def forget_user(self, user_id: str) -> int:
        """The same by an id; other processes hear of it too."""
        row = self._users.row(user_id)
        gone = self.local.drop_user(user_id)
        if row is not None:
            gone += self.forget_users((row,))
        if self.shared is not None:
            self.shared.drop(user_id, row)
        return gone

    def _forget_items(self, rows: tuple[int, ...]) -> None:
        """What is being computed may show them as they were: whether it does is seen when it is there."""
        for row in rows:
            self.local.drop_item(row)
        for flight in self._airborne:
            flight.items.update(rows)
        self._flights.clear()

    def forget_all(self) -> int:
        hot = [entry.request for entry in self.local.most_met(_HOT)] if self.emptied is not None else []
        gone = self.local.clear()
        self._outdate(lambda _: True)
        if hot and self.emptied is not None:
            self.emptied(hot)
        return gone

    def _outdate(self, meant: Callable[[_Flight], bool]) -> None:
        """Who asks from now on does not wait for these."""
        for flight in self._airborne:
            flight.stale = flight.stale or meant(flight)
        for at in [at for at, flight in self._flights.items() if flight.stale]:
            del self._flights[at]

    # -- running

    def start(self) -> None:
        if self.shared is not None:
            self.shared.start()
        self._ticking = asyncio.create_task(self._tick(), name="slates")

    async def stop(self) -> None:
        """Tells the log the rest, and keeps nothing. A second call does nothing."""
        tasks = [*self._behind, *([] if self._ticking is None else [self._ticking])]
        self._ticking = None
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self.tell_log()
        self.local.clear()

    async def _tick(self) -> None:
        ticks = 0
        while True:
            await asyncio.sleep(_TICK_S)
            ticks += 1
            self.window.fold(self._now())
            self.tell_log()
            if ticks % _SWEEP == 0:
                self.sweep()

    def tell_log(self) -> None:
        """How often kept slates have answered since it was told last."""
        unsaid, self._unsaid = self._unsaid, []
        for entry in unsaid:
            times, entry.said = entry.met - entry.said, entry.met
            if times > 0:
                self._log.served(entry.slate_id, times)
                metrics.recommend_cache_hits_total.labels(entry.scenario).inc(times)

    def sweep(self) -> int:
        """Drops what is over; how many that were."""
        return self.local.drop_expired(self._now())

    def speed(self) -> Speed:
        return self.window.speed(self._now())

    def facts(self) -> FrontFacts:
        asked = self._local_hits + self._shared_hits + self._coalesced + self._missed + self._bypassed
        return FrontFacts(
            total_requests=asked,
            local_hits=self._local_hits,
            shared_hits=self._shared_hits,
            coalesced=self._coalesced,
            computed=self._missed,
            bypassed=self._bypassed,
            entries=len(self.local),
            bytes=self.local.size,
            limit=self.local.most,
            evicted=self.local.evicted,
            expired=self.local.expired,
            invalidated=self.local.dropped,
            renewed=self._renewed,
        )


class _Abandoned(Exception):
    """Who computed a slate went away before it was there."""
