"""How many events of some types fell into neighbouring spans of time. Works inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from sqlalchemy import Connection, case, func, select

from shopkeeper.stores.schema import event_types, events


def counts(connection: Connection, types: Sequence[str], bounds: Sequence[int]) -> list[dict[str, int]]:
    """For each span [bounds[i], bounds[i+1]) the events of each type. Times are microseconds; one pass over the log."""
    time = events.c.time
    spans = [func.sum(case(((time >= start) & (time < end), 1), else_=0)) for start, end in pairwise(bounds)]
    query = (
        select(event_types.c.name, *spans)
        .join(events, events.c.type_row == event_types.c.row)
        .where(event_types.c.name.in_(types), time >= bounds[0], time < bounds[-1])
        .group_by(event_types.c.name)
    )
    found = {row[0]: row[1:] for row in connection.execute(query)}
    return [{name: int(found[name][at]) if name in found else 0 for name in types} for at in range(len(spans))]
