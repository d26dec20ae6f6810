"""What the live graph answers: neighbours, the state of its loop, the facts of its space."""

from __future__ import annotations

from datetime import datetime

from shopkeeper.core.records import Record


class Neighbor(Record, kw_only=True):
    """`node` is an id, of type `type`; `relation` the edge type `a / rel / b` from the asked node to it; `weight` how
    many such edges are between the two; `time` that of the newest, null when it was always there."""

    node: str
    type: str
    relation: str
    weight: int
    time: datetime | None


class LoopState(Record, kw_only=True):
    """Of the incremental loop. Times are real time. A batch is a turn that took in events; `pending`: nodes that wait
    to be computed anew; `drift`: how far a sample of users was off when last looked at, see `drift.py`."""

    running: bool
    started_at: datetime | None
    stopped_at: datetime | None
    processed_batches: int
    processed_events: int
    last_batch_at: datetime | None
    pending: int
    drift: float | None


class SpaceFacts(Record, kw_only=True):
    """Of the space that serves. `count` vectors by node type; `built_at` (real time) and `reference` (shop time) of the
    last whole computation; `seq` the last event that the graph holds; `stale`: an event or a record waits to be taken
    in, or a newer version to be embedded."""

    name: str
    model: str
    version: str
    dim: int
    metric: str
    index: str
    count: dict[str, int]
    built_at: datetime
    reference: datetime
    seq: int
    pending: int
    stale: bool


class Embedding(Record, kw_only=True):
    """The newest vector of a user. `as_of` (real time): when vectors were last computed; `pending`: an event of the
    user's waits to be taken in."""

    version: str
    vector: list[float]
    as_of: datetime
    pending: bool
