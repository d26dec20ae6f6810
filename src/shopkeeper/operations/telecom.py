"""Opening the simulated shop: subscribers of a phone company, with a history that is made on the spot.

Opening can be repeated: the history is committed with the day that comes next, and the last write says `done`. What the
world is made of is kept beside it, so that its stream goes on after any restart with the events that would have come.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
from sqlalchemy import Connection

from shopkeeper.core.clock import Clock, ReplayClock
from shopkeeper.core.days import day_of
from shopkeeper.core.protocols import Report, silent
from shopkeeper.core.records import StockLevel, Store
from shopkeeper.operations.import_rows import Targets
from shopkeeper.operations.opening import Opened, as_opened, mark_open, simulated_levels
from shopkeeper.sources import stock_simulation
from shopkeeper.sources.simulator.config import SimConfig
from shopkeeper.sources.simulator.world import CURRENCY, ZONE, World
from shopkeeper.stores.filling import fill_items, fill_levels, fill_users
from shopkeeper.stores.meta import Meta, set_in
from shopkeeper.stores.rows import RowGiver

if TYPE_CHECKING:
    import polars as pl

KIND = "telecom"
STORE_ID = "online"
FIRST = SimConfig(user_count=2000, product_count=60, app_count=40, avg_events_per_user=120, history_days=180)
"""What a new shop is made of: half a year, because the models that look a month ahead need several months behind."""
LAG_DAYS = 90
"""So long before the real present the stream begins: at its ordinary pace it has more than a day to go from there."""
USUAL_PACE = 60.0
"""The setting at which about one event comes a second."""
WORLD = "simulation.world"
CONFIG = "simulation.config"
_CHUNK_ROWS = 50_000
_NEXT = "opening.next"


class Made(msgspec.Struct, kw_only=True, frozen=True):
    """What a world hangs on. `first_day` is the local day (since 1970) that is its day 0."""

    config: SimConfig
    seed: int
    first_day: int

    def world(self) -> World:
        return World.make(self.config, self.seed, first_day=self.first_day)

    @property
    def events_per_day(self) -> float:
        """As the history has them, on average."""
        return self.config.user_count * self.config.avg_events_per_user / self.config.history_days


def made_of(meta: Meta) -> Made:
    """What the shop's world is made of. Only a simulated shop has one."""
    stored = meta.get(WORLD)
    assert stored is not None, "open_telecom comes first"
    return msgspec.json.decode(stored, type=Made)


def wanted_config(meta: Meta) -> SimConfig:
    """What the next world shall be made of: what was asked for last, else what the present one is made of."""
    asked = meta.get(CONFIG)
    return made_of(meta).config if asked is None else msgspec.json.decode(asked, type=SimConfig)


def telecom_clock(meta: Meta, pace: float) -> ReplayClock:
    """The clock of the simulated shop, from where it stood; at USUAL_PACE about one event comes a second."""
    return ReplayClock(int(meta.get("clock.position") or 0), clock_speed(made_of(meta), pace))


def clock_speed(made: Made, pace: float) -> float:
    """Shop seconds a second, so that events come at `pace` / USUAL_PACE a second on average."""
    return pace / USUAL_PACE * 86_400 / made.events_per_day


def open_telecom(
    to: Targets, meta: Meta, clock: Clock, config: SimConfig = FIRST, *, seed: int = 1, report: Report = silent
) -> Opened:
    """Makes the simulated shop, or the rest of it: then `config` and `seed` are those that it was begun with. A shop
    that is open stays as it is."""
    if (done := as_opened(meta)) is not None:
        return done
    if meta.get(WORLD) is None:
        today = day_of(clock.wall(), ZoneInfo(ZONE))
        first = Made(config=config, seed=seed, first_day=today - LAG_DAYS - config.history_days)
        meta.set(WORLD, msgspec.json.encode(first).decode()).result()
    made = made_of(meta)
    days = made.config.history_days
    report(0, days, message="subscribers and products")
    world = made.world()
    give = RowGiver(to.vocabularies, clock)
    to.db.writer.run(lambda connection: _describe(connection, give, world))
    to.shops.put(Store(store_id=STORE_ID, name="Online shop", location="China", type="online")).result()
    demand = _store_history(to, world, int(meta.get(_NEXT) or 0), report)
    opens_at = world.starts(days)
    levels = [*_levels(world, demand)]
    opened = Opened(
        events=to.log.count(),
        withheld=0,
        users=made.config.user_count,
        items=made.config.product_count + made.config.app_count,
        opens_at=opens_at,
        shift_weeks=0,
    )

    def close(connection: Connection) -> None:
        fill_levels(connection, give, levels)
        mark_open(connection, opened)

    to.db.writer.run(close)
    report(days, days, message="open")
    return opened


def _describe(connection: Connection, give: RowGiver, world: World) -> None:
    """What the shop knows before its first event."""
    fill_items(connection, give, world.items())
    fill_users(connection, give, world.users())
    days = world.config.history_days
    facts = {
        "shop.kind": KIND,
        "shop.timezone": ZONE,
        "shop.currency": CURRENCY,
        "clock.position": str(world.starts(days)),
        "live.day": str(days),
        "live.done": "0",
        "live.released": "0",
    }
    for key, value in facts.items():
        set_in(connection, key, value)


def _store_history(to: Targets, world: World, start: int, report: Report) -> pl.DataFrame:
    """The days from `start` on, some at a time. Gives the orders of the last weeks: day, target_id, quantity."""
    import polars as pl

    days = world.config.history_days
    recent = days - stock_simulation.WINDOW_DAYS - stock_simulation.RUN_DAYS
    waiting: list[pl.DataFrame] = []
    ordered = []
    for day in range(min(start, max(recent, 0)), days):
        frame = world.day(day)
        if day >= recent:
            orders = frame.filter(pl.col("event_type") == "order")
            ordered.append(orders.select(pl.lit(day - recent).alias("day"), "target_id", "quantity"))
        if day < start:
            continue  # committed before; only its orders are wanted again
        waiting.append(frame)
        if sum(one.height for one in waiting) >= _CHUNK_ROWS or day == days - 1:
            _commit(to, pl.concat(waiting), day + 1)
            waiting = []
        report(day + 1, days, message="history")
    return pl.concat(ordered)


def _commit(to: Targets, lines: pl.DataFrame, next_day: int) -> None:
    rows = _rows(lines)

    def write(connection: Connection) -> None:
        to.log.insert_rows(connection, rows)
        set_in(connection, _NEXT, str(next_day))

    to.db.writer.run(write)


def _rows(lines: pl.DataFrame) -> list[Any]:
    """Events as bulk rows of the log."""
    import polars as pl

    text = pl.lit(None, dtype=pl.String)
    sold = pl.when(pl.col("event_type") == "order").then(pl.lit(STORE_ID))
    return lines.select(
        "event_id", "user_id", text.alias("anonymous_id"), "event_type", "target_kind", "target_id",
        sold.alias("store_id"), "time", "quantity", "unit_price", "value", "promotion", text.alias("context"),
    ).rows()  # fmt: skip


def _levels(world: World, ordered: pl.DataFrame) -> Iterator[StockLevel]:
    """Simulated levels of the products; apps are used, not stocked."""
    window = stock_simulation.WINDOW_DAYS + stock_simulation.RUN_DAYS
    ids = [item.item_id for item in world.items() if item.kind == "product"]
    place = {id: at for at, id in enumerate(ids)}
    demand = np.zeros((len(ids), window))
    item = np.array([place[id] for id in ordered["target_id"]], dtype=np.int64)
    np.add.at(demand, (item, ordered["day"].to_numpy()), ordered["quantity"].to_numpy())
    days = world.config.history_days
    yield from simulated_levels(ids, demand, world.first_day + days - window, world.starts(days))
