"""The live graph of a shop: follows the log, keeps the vectors of space `hgt` right, has them computed anew.

Everything but `refresh` is used on the thread of the followers.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from shopkeeper.core.batch import EventBatch
from shopkeeper.core.errors import Unavailable
from shopkeeper.core.protocols import VectorSpace
from shopkeeper.core.records import Job, Record
from shopkeeper.profiles.graph.statistics import GraphStatistics
from shopkeeper.profiles.graph.weights import Floats

SPACE = "hgt"


class Neighbor(Record, kw_only=True):
    """`node` is an id, of type `type`; `relation` the edge type `a / rel / b` by which the asked node hears it; `time`
    null for an edge that was always there. `weight`: edges of that relation between the two."""

    node: str
    type: str
    relation: str
    weight: int
    time: datetime | None


class LoopState(Record, kw_only=True):
    """Of the incremental loop. Times are real time. `pending`: vectors that wait to be computed anew."""

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
    last whole computation; `seq` the event up to which all is right when nothing is pending; `stale`: an event, a
    record or a newer version waits."""

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
    """The newest vector of a user. `as_of` (real time): when it was computed; `pending`: an event waits to be taken in."""

    version: str
    vector: list[float]
    as_of: datetime
    pending: bool


class GraphService:
    """Follower `graph`; `space` is the VectorSpace that recall and fusion read."""

    name = "graph"
    space: VectorSpace

    def apply(self, batch: EventBatch) -> None:
        """Takes events into the graph; the vectors of both ends are marked and computed by the loop."""
        raise _unbuilt()

    # -- asking

    def statistics(self) -> GraphStatistics:
        """Raises NotFound (code `no_graph`) while no event has made an edge."""
        raise _unbuilt()

    def neighbors(self, node_type: str, id: str, *, relation: str | None = None, limit: int = 20) -> list[Neighbor]:
        """The newest first. Raises NotFound (node), Invalid (node type, relation)."""
        raise _unbuilt()

    def loop_state(self) -> LoopState:
        raise _unbuilt()

    def facts(self) -> SpaceFacts | None:
        """None while no version is published, or its vectors have not been computed yet."""
        raise _unbuilt()

    def embedding(self, row: int) -> Embedding | None:
        """None for a user without a place in the space."""
        raise _unbuilt()

    def vector_after(self, row: int, events: EventBatch) -> Floats | None:
        """The vector (dim,) that the user of a row would have after these events; nothing is kept."""
        raise _unbuilt()

    # -- doing

    def start_loop(self) -> bool:
        """The incremental loop goes on. False: it did already."""
        raise _unbuilt()

    def stop_loop(self) -> bool:
        """It pauses: events are taken into the graph, vectors wait. False: it did already."""
        raise _unbuilt()

    def refresh(self, *, requested_by: str = "", **params: Any) -> Job:
        """Queues the job `embed`: all vectors anew, of the champion of model `hgt`. Raises Busy (code `busy`, with the
        job), Conflict (code `no_model`) without a champion. From any thread but the writer's."""
        raise _unbuilt()

    # -- what changes beside the events

    def merge(self, source: int, target: int) -> None:
        """Two rows are one person: the edges of the first are the second's."""
        raise _unbuilt()

    def forget(self, row: int) -> None:
        """Erased: no edge and no vector of the row stays."""
        raise _unbuilt()

    def touch(self, rows: list[int]) -> None:
        """Records or consents of these users changed. From any thread."""
        raise _unbuilt()


def _unbuilt() -> Unavailable:
    return Unavailable("the graph is not followed yet", code="no_graph")
