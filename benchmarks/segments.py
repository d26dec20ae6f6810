"""Segments that follow every event: the time of a look, at the bundled shop's size and at a million users."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from sqlalchemy import Connection, insert

from benchmarks import record
from benchmarks.rules import shop
from shopkeeper.core.batch import EventBatch
from shopkeeper.core.clock import DAY, SECOND, StoppedClock
from shopkeeper.features.state import FeatureState
from shopkeeper.profiles.conditions import compiled
from shopkeeper.profiles.defaults import SEGMENTS
from shopkeeper.profiles.service import ProfileService
from shopkeeper.profiles.sources import Many
from shopkeeper.profiles.table import ProfileTable
from shopkeeper.stores import schema
from shopkeeper.stores.sql import Database, open_database, sqlite_url
from shopkeeper.stores.vocabulary import Vocabularies

USERS = 1_000_000
EVENTS = 5 * USERS
ROUNDS = 2_000
SEED = 7
NOW = 1_700_000_000_000_000
OWN = {
    "week": "orders in 7 days >= 1",
    "slipping": "orders >= 3 and days_since_order > max(30, 2 * days_between_orders)",
    "lookers": "(event_counts in 24 hours).get('view', 0) >= 3 and not (orders in 30 days >= 1)",
    "spenders": "spend in 90 days - returned in 90 days > 500",
}
"""Beside the six default segments: windows, days and a map."""


def main() -> None:
    state, people, now = shop()
    rows = [_measured("UCI Online Retail", state, [person.user_id for person in people], now)]
    rows.append(_measured("synthetic", _synthetic(), [f"user-{n}" for n in range(USERS)], NOW))
    record.write(
        "segments",
        "Segments that follow every event",
        f"The {len(SEGMENTS)} default segments and {len(OWN)} with windows and days, kept by the tracker of one "
        "process beside its database (SQLite). Online Retail: the kept history. Synthetic: uniform orders and views of "
        f"300 days, {EVENTS / USERS:g} a user, seed {SEED}. One event: from the applied event to known membership and "
        f"the time of the next look, {ROUNDS:,} events of random users; the spans are written in the background. "
        "Everybody anew: what a scheduled recomputation of all segments takes, which the tracker makes needless.",
        [
            {
                "title": "Time of a look",
                "columns": [
                    "shop", "users", "order, P50 (ms)", "order, P99 (ms)", "view, P50 (ms)", "view, P99 (ms)",
                    "in batches of 1,000, an event (ms)", "new score bounds (ms)", "first look at start (s)",
                    "everybody anew (ms)",
                ],
                "rows": rows,
            }
        ],
    )  # fmt: skip


def _measured(name: str, state: FeatureState, ids: list[str], now: int) -> list[Any]:
    with tempfile.TemporaryDirectory() as home:
        db = _database(Path(home), ids)
        clock = StoppedClock(now)
        profiles = ProfileService(db, clock, state, Vocabularies.load(db).users)
        profiles.segmentbook.seed(SEGMENTS)
        for segment, condition in OWN.items():
            profiles.segmentbook.create(segment, condition).result()
        tracker = profiles.tracker
        start = time.perf_counter()
        tracker.load()
        first = time.perf_counter() - start
        db.writer.submit(lambda _: None).result()  # behind the first spans
        random = np.random.default_rng(SEED)
        orders, views = (_looks(profiles, state, random, len(ids), now, kind) for kind in ("order", "view"))
        batch = EventBatch.join([_event(random, len(ids), now, "order", n) for n in range(1000)])
        state.apply(batch)
        start = time.perf_counter()
        tracker.apply(batch)
        batched = (time.perf_counter() - start) / len(batch)
        clock.advance(61 * SECOND)
        start = time.perf_counter()
        tracker.catch_up()
        bounds = time.perf_counter() - start
        anew = _anew(profiles, state, len(ids), now)
        db.close()
    ms = [1000 * s for s in (*np.percentile(orders, (50, 99)), *np.percentile(views, (50, 99)), batched, bounds)]
    return [name, f"{len(ids):,}", *(f"{value:.3g}" for value in ms), f"{first:.2g}", f"{1000 * anew:,.0f}"]


def _looks(
    profiles: ProfileService, state: FeatureState, random: np.random.Generator, users: int, now: int, kind: str
) -> list[float]:
    times = []
    for n in range(ROUNDS):
        batch = _event(random, users, now, kind, n)
        state.apply(batch)
        start = time.perf_counter()
        profiles.tracker.apply(batch)
        times.append(time.perf_counter() - start)
    return times


def _anew(profiles: ProfileService, state: FeatureState, users: int, now: int) -> float:
    """All segments of everybody from the present histories, the fields included."""
    fields = profiles.schema.refresh()
    conditions = [compiled(text, fields) for text in (*(each.condition for each in SEGMENTS), *OWN.values())]
    people = [profiles.people.at(row) for row in range(users)]
    start = time.perf_counter()
    table = ProfileTable(fields, Many.some(state, np.arange(users), now), people, profiles.tracker.scale.current)
    for condition in conditions:
        condition.many(table.columns())
    return time.perf_counter() - start


_TYPES = ("order", "return", "view")


class _Names:
    def id(self, row: int) -> str:
        return _TYPES[row]

    def row(self, id_: str, /) -> int | None:
        return _TYPES.index(id_) if id_ in _TYPES else None


def _synthetic() -> FeatureState:
    state, random = FeatureState(ZoneInfo("UTC"), _Names(), features=[]), np.random.default_rng(SEED)
    for start in range(0, EVENTS, 500_000):
        n = 500_000
        kinds = np.where(random.random(n) < 0.5, 0, 2).astype(np.int32)
        users = random.integers(0, USERS, n)
        state.apply(_batch(start, users, kinds, NOW - random.integers(0, 300 * DAY, n), random.gamma(2, 10, n)))
    return state


def _event(random: np.random.Generator, users: int, now: int, kind: str, n: int) -> EventBatch:
    user = random.integers(0, users, 1)
    return _batch(n, user, np.array([_TYPES.index(kind)], dtype=np.int32), np.array([now]), np.array([20.0]))


def _batch(first: int, users: Any, kinds: Any, times: Any, values: Any) -> EventBatch:
    n = len(users)
    return EventBatch(
        seq=np.arange(first + 1, first + n + 1, dtype=np.int64),
        user=users.astype(np.int32),
        item=(users % 3000).astype(np.int32),
        other=np.full(n, -1, dtype=np.int32),
        type=kinds,
        store=np.full(n, -1, dtype=np.int32),
        time=times,
        quantity=np.ones(n),
        unit_price=np.full(n, np.nan),
        value=values,
        promotion=np.zeros(n, dtype=np.bool_),
    )


def _database(home: Path, ids: list[str]) -> Database:
    db = open_database(sqlite_url(home))

    def fill(connection: Connection) -> None:
        facts = {"kind": "user", "attributes": {}, "listed": True, "created_at": 1, "updated_at": 1}
        for start in range(0, len(ids), 50_000):
            part = enumerate(ids[start : start + 50_000], start)
            connection.execute(insert(schema.users), [{"row": row, "user_id": id, **facts} for row, id in part])

    db.writer.submit(fill).result()
    return db


if __name__ == "__main__":
    main()
