"""The live stream of the simulated shop: goes on with the world's days, event by event, as the shop clock reaches them.

The position is kept after the events are durable; events released twice by a kill in between are duplicates to the log.
Hours in which nothing happens are skipped. Who was erased does not come back: their orders are sales of nobody, and
nothing else is told of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import Connection

from shopkeeper.core.clock import MINUTE, SECOND, SkippingClock, moment
from shopkeeper.core.records import Event
from shopkeeper.operations.streaming import LIMIT, LiveState, Stream, registered
from shopkeeper.operations.telecom import STORE_ID, WORLD, clock_speed, made_of
from shopkeeper.sources.simulator.people import number_of, user_id
from shopkeeper.stores.events import EventLog
from shopkeeper.stores.meta import Meta, get_in, set_in
from shopkeeper.stores.sql import Database
from shopkeeper.stores.users import UserStore

if TYPE_CHECKING:
    import polars as pl

_POSITION_EVERY_US = 2 * SECOND
_LONGEST_GAP_US = 30 * MINUTE
_GONE = "live.gone"  # numbers of subscribers who were erased


class TelecomStream(Stream):
    """Goes on with the world's days, event by event, when the shop clock has reached them."""

    def __init__(
        self, db: Database, log: EventLog, users: UserStore, meta: Meta, clock: SkippingClock, *, pace: float
    ) -> None:
        """`pace`: see `clock_speed`."""
        made = made_of(meta)
        super().__init__(db, clock, speed=clock_speed(made, pace))
        self._log = log
        self._users = users
        self._meta = meta
        self._world = made.world()
        self._day = int(meta.get("live.day") or made.config.history_days)
        self._done = int(meta.get("live.done") or 0)
        self._released = int(meta.get("live.released") or 0)
        self._lines: pl.DataFrame | None = None
        self._kept_at = clock.wall()

    @property
    def state(self) -> LiveState:
        return LiveState(self._released, None, self._clock.now(), self._speed)

    def step(self, limit: int = LIMIT) -> int:
        now = self._clock.now()
        lines = self._today()
        while self._done >= lines.height and now >= self._world.starts(self._day + 1):
            self._day, self._done, self._lines = self._day + 1, 0, None
            lines = self._today()
        due = lines[self._done : self._done + limit]
        due = due.filter(due["time"] <= now)
        if due.height:
            self._log.append([*_events(due, self._gone())]).result()
        else:
            self._skip_quiet_hours(lines)
        self._keep(due.height)
        return due.height

    def _today(self) -> pl.DataFrame:
        """The present day's events; who joins today gets a record first."""
        if self._lines is None:
            joining, gone = self._world.newcomers(self._day), self._gone()
            newcomers = [one for one in joining if one.user_id not in gone and not registered(self._users, one.user_id)]
            if newcomers:
                self._users.put_many(newcomers).result()
            self._lines = self._world.day(self._day)
        return self._lines

    def _gone(self) -> set[str]:
        return {user_id(number) for number in _numbers(self._meta.get(_GONE))}

    def _skip_quiet_hours(self, lines: pl.DataFrame) -> None:
        ended = self._done >= lines.height
        coming = self._world.starts(self._day + 1) if ended else int(lines["time"][self._done])
        if coming - self._clock.now() > _LONGEST_GAP_US:
            self._clock.skip_to(coming if ended else coming - MINUTE)

    def _keep(self, released: int) -> None:
        wall = self._clock.wall()
        if not released and wall - self._kept_at < _POSITION_EVERY_US:
            return
        self._done += released
        self._released += released
        self._kept_at = wall
        self._db.writer.submit(self._write_position).result()

    def _write_position(self, connection: Connection) -> None:
        facts = {
            "live.day": self._day,
            "live.done": self._done,
            "live.released": self._released,
            "clock.position": self._clock.now(),
        }
        for key, value in facts.items():
            set_in(connection, key, str(value))


def leave_out(connection: Connection, user_ids: Iterable[str]) -> None:
    """Inside the write that erases these people: the stream of a simulated shop must not bring them back."""
    numbers = {number for id_ in user_ids if (number := number_of(id_)) is not None}
    if numbers and get_in(connection, WORLD) is not None:
        numbers |= _numbers(get_in(connection, _GONE))
        set_in(connection, _GONE, msgspec.json.encode(sorted(numbers)).decode())


def _numbers(stored: str | None) -> set[int]:
    return set() if stored is None else msgspec.json.decode(stored, type=set[int])


def _events(lines: pl.DataFrame, gone: set[str]) -> Iterator[Event]:
    for row in lines.iter_rows(named=True):
        left_out = row["user_id"] in gone
        if (left_out and row["event_type"] != "order") or row["target_id"] in gone:
            continue
        yield Event(
            event_id=row["event_id"],
            event_type=row["event_type"],
            user_id=None if left_out else row["user_id"],
            target_kind=row["target_kind"],
            target_id=row["target_id"],
            store_id=STORE_ID if row["event_type"] == "order" else None,
            time=moment(row["time"]),
            quantity=row["quantity"],
            unit_price=row["unit_price"],
            value=row["value"],
            promotion=row["promotion"],
        )
