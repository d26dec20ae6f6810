"""A shop with eight months of orders in which a habit tells who orders again, for tests of the fusion."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from profile_world import NOW, World

from shopkeeper.core.clock import DAY, moment
from shopkeeper.core.protocols import TrainingContext, silent
from shopkeeper.core.records import Event
from shopkeeper.profiles.fusion.past import ShopPast, read_past
from shopkeeper.stores.sql import sqlite_url

CUSTOMERS = 60
DAYS = 240


def history(seed: int = 1, customers: int = CUSTOMERS, days: int = DAYS) -> list[Event]:
    """Even customers order about every 20 days, odd ones once or twice in all; looks at items in between."""
    random = np.random.default_rng(seed)
    found: list[Event] = []
    for user in range(customers):
        gap = 20.0 if user % 2 == 0 else 150.0
        at = float(random.uniform(0, days))
        while at < days:
            item = f"I{2 * int(random.integers(0, 6)) + user % 2}"
            if random.random() < 0.5:
                found.append(_event(user, "view", max(at - 0.01, 0.0), item, days, len(found)))
            found.append(_event(user, "order", at, item, days, len(found)))
            at += float(random.exponential(gap)) + 1.0
    return found


def _event(user: int, kind: str, day: float, item: str, days: int, number: int) -> Event:
    time = NOW - int((days - day) * DAY)
    sold = {"quantity": 2.0, "unit_price": 5.0, "value": 10.0} if kind == "order" else {}
    return Event(
        event_id=f"{user}-{number}", event_type=kind, user_id=f"u{user}", item_id=item, time=moment(time), **sold
    )  # fmt: skip


def context(home: Path, now: int = NOW, seed: int = 3) -> TrainingContext:
    return TrainingContext(home, sqlite_url(home), {"kind": "shop"}, now, "Europe/London", seed, "fusion")


def past_of(home: Path, now: int = NOW) -> ShopPast:
    return read_past(context(home, now), silent)


def filled(world: World, events: list[Event] | None = None) -> World:
    world.profiles.seed_defaults()
    given = history() if events is None else events
    assert world.log.append(given).result().accepted == len(given)
    return world
