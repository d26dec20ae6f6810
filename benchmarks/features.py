"""Features in process: one user, a thousand, a user with candidates, tiles, the shared level, and skew."""

from __future__ import annotations

import asyncio
import gc
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from benchmarks import record
from shopkeeper.checks.features import TYPES, Types
from shopkeeper.core.batch import EventBatch
from shopkeeper.core.clock import DAY, MINUTE, SECOND, StoppedClock
from shopkeeper.features.base import Ask
from shopkeeper.features.past import Past
from shopkeeper.features.realtime import of_users, realtime
from shopkeeper.features.registry import registered
from shopkeeper.features.replay import Question, replay
from shopkeeper.features.rings import SPANS
from shopkeeper.features.shared import SharedFeatures
from shopkeeper.features.state import FeatureState
from shopkeeper.features.tiles import Tiles
from shopkeeper.features.vector import FeatureSet
from shopkeeper.stores.redis import Shared

USERS, ITEMS, EVENTS = 2_000, 4_000, 500_000
BUSY, BUSY_EVENTS = USERS, 100_000
START = 1_700_000_000_000_000
NOW = START + 60 * DAY
ROUNDS = 2_000
CONTEXT = {"device": "mobile", "network": "4g", "weather": {"condition": "rain", "temperature": 11}}


def main() -> None:
    state = FeatureState(ZoneInfo("Europe/London"), Types())
    begun = time.perf_counter()
    state.apply(_events(EVENTS, USERS, START, NOW, 1))
    taken_in = EVENTS / (time.perf_counter() - begun)
    state.apply(_busy())
    users = np.random.default_rng(3).integers(0, USERS, ROUNDS).tolist()
    gc.freeze()
    tables = [
        _asked(state, users),
        _tiles(state, users),
        {
            "title": "Taking events in",
            "columns": ["what", "events/s"],
            "rows": [
                ["500,000 at once, no user has tiles", taken_in],
                ["one by one, users without tiles", _one_by_one(state, slots=False)],
                ["one by one, users with tiles", _one_by_one(state, slots=True)],
            ],
        },
        *asyncio.run(_shared(state)),
        _skew(),
    ]
    for table in tables:
        print(table["title"], table["rows"], flush=True)
    record.write(
        "features",
        "Features in process",
        f"{USERS:,} users and {ITEMS:,} items with {EVENTS:,} synthetic events of 60 days, and one user with "
        f"{BUSY_EVENTS:,} events within the last day; {len(registered())} features are registered, "
        f"{len(FeatureSet().names)} of them in a set that names none. {ROUNDS:,} questions each, users drawn "
        "at random, on one thread; wall time.",
        tables,
    )


def _asked(state: FeatureState, users: list[int]) -> dict[str, Any]:
    items = np.random.default_rng(4).choice(ITEMS, 200, replace=False).astype(np.int32)
    some, everything = FeatureSet(), FeatureSet(list(registered()))
    answers: list[tuple[str, Callable[[int], Any], list[int]]] = [
        ("all features of a user with ages, as the door tells them", lambda u: realtime(state, u, NOW, CONTEXT), users),
        ("the same of the user with 100,000 events", lambda _: realtime(state, BUSY, NOW, CONTEXT), users[:500]),
        (
            f"matrix of 200 candidates x {len(some.names)} standard features",
            lambda u: some.matrix(Ask.live(u, NOW, items, state)), users,
        ),
        (
            f"matrix of 200 candidates x all {len(everything.names)} features",
            lambda u: everything.matrix(Ask.live(u, NOW, items, state, CONTEXT)), users,
        ),
        (
            "the same of the user with 100,000 events",
            lambda _: everything.matrix(Ask.live(BUSY, NOW, items, state, CONTEXT)), users[:500],
        ),
        ("1,000 users at once", lambda _: of_users(state, range(1000), NOW), [0] * 5),
    ]  # fmt: skip
    return _timed("Milliseconds of one question", answers)


def _tiles(state: FeatureState, users: list[int]) -> dict[str, Any]:
    tiles = state.part(Tiles)

    def windows(user: int) -> None:
        for window in SPANS:
            tiles.series(user, NOW + 1, window, state)

    def missed(user: int) -> None:
        tiles.forget(user, state)
        windows(user)

    def exact(user: int) -> list[Any]:
        past: Past = state.past(user, NOW)
        return [past.counts(span) for span in (MINUTE, 5 * MINUTE, 30 * MINUTE, 60 * MINUTE, DAY)]

    table = _timed(
        "Milliseconds of the five windows of a user",
        [
            ("tiles, the user has a slot", windows, users),
            ("tiles, the slot is filled from the history first", missed, users),
            ("counted from the events themselves, by type", exact, users),
            ("tiles, the user with 100,000 events", lambda _: windows(BUSY), users),
            ("counted from the 8,192 events that are kept of that user", lambda _: exact(BUSY), users),
        ],
    )
    table["title"] += f" ({tiles.bytes() / len(tiles):,.0f} bytes a slot now)"
    return table


def _timed(title: str, answers: list[tuple[str, Callable[[int], Any], list[int]]]) -> dict[str, Any]:
    rows = []
    for name, answer, users in answers:
        for user in users[:20]:
            answer(user)
        taken = []
        for user in users:
            begun = time.perf_counter()
            answer(user)
            taken.append((time.perf_counter() - begun) * 1000)
        rows.append([name, float(np.quantile(taken, 0.5)), float(np.quantile(taken, 0.99))])
    return {"title": title, "columns": ["what", "P50 ms", "P99 ms"], "rows": rows}


def _one_by_one(state: FeatureState, *, slots: bool) -> float:
    events = _events(3_000, USERS, NOW, NOW + MINUTE, 7 + slots)
    tiles = state.part(Tiles)
    for user in range(USERS):
        tiles.forget(user, state)
        if slots:
            tiles.series(user, NOW + 1, "1d", state)
    begun = time.perf_counter()
    for at in range(len(events)):
        state.apply(events.take(slice(at, at + 1)))
    return len(events) / (time.perf_counter() - begun)


async def _shared(state: FeatureState) -> list[dict[str, Any]]:
    """Nothing where no Redis is installed."""
    program = shutil.which("redis-server")
    if program is None:
        return []
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        where = ["--port", str(port), "--bind", "127.0.0.1", "--dir", folder, "--save", ""]
        server = subprocess.Popen([program, *where], stdout=subprocess.DEVNULL)
        try:
            rows = await _over_redis(state, f"redis://127.0.0.1:{port}/0")
        finally:
            server.kill()
            server.wait()
    columns = ["what", "P50 ms", "P99 ms"]
    return [
        {"title": "Milliseconds through Redis on this machine, one round trip each", "columns": columns, "rows": rows}
    ]


async def _over_redis(state: FeatureState, url: str) -> list[list[Any]]:
    shared = Shared(url, prefix=("bench", "shop"), clock=StoppedClock(NOW), timeout_s=2.0)
    level = SharedFeatures(shared, clock=StoppedClock(NOW), version=lambda: 1)
    while await shared.get("is it up") is None and shared.round_trips == 0:
        await asyncio.sleep(0.1)
    told = of_users(state, range(1000), NOW)
    rows = []
    for row in range(1000):
        level.put(row, told[row])
    await level.get_many([0])
    for count, rounds in ((1, 500), (100, 50), (1000, 10)):
        taken = []
        for _ in range(rounds):
            begun = time.perf_counter()
            found = await level.get_many(range(count))
            taken.append((time.perf_counter() - begun) * 1000)
            assert None not in found
        rows.append([f"all features of {count:,} users read", *(float(np.quantile(taken, q)) for q in (0.5, 0.99))])
    await shared.close()
    return rows


def _skew() -> dict[str, Any]:
    """The same questions live, event by event, and by a replay of the log."""
    events = _events(6_000, 50, START, START + 30 * DAY, 11)
    names = [name for name, each in registered().items() if not getattr(each, "reads_request", False)]
    features, items = FeatureSet(names), np.arange(0, ITEMS, 40, dtype=np.int32)
    rng = np.random.default_rng(12)
    live, served, questions = FeatureState(ZoneInfo("UTC"), Types()), [], []
    for at in range(len(events)):
        live.apply(events.take(slice(at, at + 1)))
        if at % 20 == 19:
            now, user = int(events.time[at]) + int(rng.integers(5)) * SECOND, int(events.user[at])
            if at + 1 == len(events) or now < events.time[at + 1]:
                served.append(features.matrix(Ask.live(user, now, items, live)))
                questions.append(Question(user, now + 1, items))
    replayed = list(replay(events, questions, features, FeatureState(ZoneInfo("UTC"), Types())))
    differing = sum(int(np.count_nonzero(a != b)) for a, b in zip(served, replayed, strict=True))
    values = sum(one.size for one in served)
    return {
        "title": "Skew: values served while events came, against those of a replay of the log",
        "columns": ["questions", "features", "values", "differing"],
        "rows": [[len(served), len(names), values, differing]],
    }


def _events(n: int, users: int, start: int, end: int, seed: int) -> EventBatch:
    rng = np.random.default_rng(seed)
    quantity, price = rng.integers(1, 10, n).astype(float), np.round(rng.gamma(2.0, 2.0, n) + 0.1, 2)
    return EventBatch(
        seq=np.arange(1, n + 1, dtype=np.int64),
        user=rng.integers(0, users, n).astype(np.int32),
        item=np.minimum(rng.zipf(1.3, n), ITEMS).astype(np.int32) - 1,
        other=np.full(n, -1, dtype=np.int32),
        type=rng.integers(0, len(TYPES), n).astype(np.int32),
        store=np.zeros(n, dtype=np.int32),
        time=np.sort(rng.integers(start, end, n)),
        quantity=quantity,
        unit_price=price,
        value=quantity * price,
        promotion=np.zeros(n, dtype=np.bool_),
    )


def _busy() -> EventBatch:
    events = _events(BUSY_EVENTS, 1, NOW - DAY, NOW, 2)
    events.user[:] = BUSY
    return events


if __name__ == "__main__":
    main()
