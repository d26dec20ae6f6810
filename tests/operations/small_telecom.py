"""A small simulated shop in a home: `open_shop` finds it open and goes on with it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from shopkeeper.core.clock import Clock, SystemClock
from shopkeeper.operations.import_rows import targets
from shopkeeper.operations.opening import Opened
from shopkeeper.operations.telecom import open_telecom
from shopkeeper.sources.simulator.config import SimConfig
from shopkeeper.stores.home import Home
from shopkeeper.stores.meta import Meta
from shopkeeper.stores.sql import open_database

SMALL = SimConfig(user_count=60, product_count=8, app_count=6, avg_events_per_user=25, history_days=40)


def small_telecom(home: Path, config: SimConfig = SMALL, *, seed: int = 3, clock: Clock | None = None) -> Opened:
    clock = clock or SystemClock()
    with closing(open_database(Home(home).make().sql_url)) as db:
        return open_telecom(targets(db, clock), Meta(db), clock, config, seed=seed)
