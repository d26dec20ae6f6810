"""Everybody as of a moment: the scale of the RFM scores, and who belongs to which segment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from shopkeeper.features.state import FeatureState
from shopkeeper.profiles.conditions import Condition
from shopkeeper.profiles.membership import Membership, membership
from shopkeeper.profiles.people import People
from shopkeeper.profiles.rfm import RfmScale, moments
from shopkeeper.profiles.sources import Many
from shopkeeper.profiles.table import ProfileTable
from shopkeeper.rules.schema import Schema


@dataclass(frozen=True)
class Snapshot:
    """`customers` is how many users count: listed ones and those with events; `taken` real time (us)."""

    taken: int
    scale: RfmScale
    members: Membership
    customers: int


def take_snapshot(
    state: FeatureState,
    people: People,
    schema: Schema,
    segments: Mapping[str, Condition],
    *,
    now: int,
    wall: int,
    before: Snapshot | None = None,
) -> Snapshot:
    everybody = people.all()
    n = max(state.n_users, everybody[-1].row + 1 if everybody else 0)
    by_row = dict.fromkeys(range(n)) | {person.row: person for person in everybody}
    table = ProfileTable(schema, Many.everybody(state, now, n), [by_row[row] for row in range(n)])
    count = people.members(n, table.number("total_events") > 0)
    orders = np.where(count, table.number("orders"), 0.0)
    table.scale = RfmScale.of(moments(table.number("days_since_order"), now), orders, table.number("net_spend"))
    members = membership(segments, table.columns(), count, now, None if before is None else before.members)
    return Snapshot(wall, table.scale, members, int(np.count_nonzero(count)))
