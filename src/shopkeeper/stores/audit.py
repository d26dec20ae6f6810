"""The audit: who touched whose data, and what it was before and after. Rows are added in the transaction of the change.

What `before` and `after` hold is data of that person: erasing the person strips them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import Connection, insert

from shopkeeper.stores import schema


class Actor(NamedTuple):
    """Who asked for a change, and in which request."""

    who: str = ""
    request_id: str | None = None


def note(
    connection: Connection,
    actor: Actor,
    what: str,
    *,
    time: int,
    user_row: int | None = None,
    before: Any = None,
    after: Any = None,
) -> None:
    """Adds one row: `what` is a stable name (`consent`, `profile`, `preferences`, `erase`), `time` wall time in us."""
    row = {
        "time": time,
        "who": actor.who[:128],
        "what": what,
        "user_row": user_row,
        "before": before,
        "after": after,
        "request_id": actor.request_id,
    }
    connection.execute(insert(schema.audit), [row])
