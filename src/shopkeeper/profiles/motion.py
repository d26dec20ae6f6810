"""When a profile's fields change by the clock alone, so that segments know when to look at a user again."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.clock import DAY
from shopkeeper.profiles.behaviour import STEPPING
from shopkeeper.profiles.fields import DAY_HOURS
from shopkeeper.profiles.lifecycle import ACTIVE_DAYS, COOLING_DAYS, LOST_DAYS, NEW_DAYS
from shopkeeper.profiles.rfm import moments
from shopkeeper.profiles.sources import Many
from shopkeeper.profiles.table import ProfileTable
from shopkeeper.rules.horizon import AGAIN, NEVER, Motion, Times
from shopkeeper.rules.schema import Schema
from shopkeeper.rules.vectors import Numbers

GROWING = ("days_since_event", "days_since_order", "tenure_days")
_STEPPING = ("lifecycle", *STEPPING)
_A_DAY = Motion(slope=1.0 / DAY)


def movable(schema: Schema) -> frozenset[str]:
    """Names of the fields that change without an event, windows included."""
    return frozenset((*schema.windows, *GROWING, *_STEPPING))


def motions(table: ProfileTable, source: Many, names: Iterable[str], again: Times = AGAIN) -> dict[str, Motion]:
    """How each movable field among `names` moves for the users of the table. `again` as in `compile_horizon`: a risk,
    which moves by the hour, is not looked at more often than that while the clock is far behind."""
    return {name: _motion(table, source, name, again) for name in names}


def _motion(table: ProfileTable, source: Many, name: str, again: Times) -> Motion:
    if name in GROWING:
        return _A_DAY
    if name == "lifecycle":
        return Motion(until=_next_stage(table))
    if name in STEPPING:
        until = table.behaviour.until(name)
        late = np.asarray(again) > AGAIN
        return Motion(until=np.maximum(until, np.where(late & (name == "churn_risk"), source.now + again, 0)))
    base, hours = table.schema.windows[name]
    return Motion(until=source.next_change(base, hours / DAY_HOURS))


def _next_stage(table: ProfileTable) -> NDArray[np.int64]:
    """The next moment (n,) at which one of the bounds of `lifecycle.py` is passed."""
    now = np.asarray(table.source.now)
    last, first = (moments(table.number(name), table.source.now) for name in ("days_since_order", "tenure_days"))
    usual = np.nan_to_num(table.number("days_between_orders"), nan=0.0)
    bounds: list[Numbers] = [
        first + NEW_DAYS * DAY,
        last + LOST_DAYS * DAY,
        last + np.maximum(ACTIVE_DAYS, 1.5 * usual) * DAY,
        last + np.maximum(COOLING_DAYS, 3.0 * usual) * DAY,
    ]
    until = np.full(len(last), NEVER, dtype=np.int64)
    for bound in bounds:
        for passed in (np.floor(bound) + 1, np.floor(bound) + 2):  # the second, where days were rounded up
            ahead = passed > now
            until[ahead] = np.minimum(until[ahead], passed[ahead].astype(np.int64))
    return until
