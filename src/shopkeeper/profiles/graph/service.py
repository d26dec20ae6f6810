"""The live graph of a shop: follows the log, keeps the vectors of space `hgt` right, has them computed anew.

graph = GraphService(...)             # a follower; hooks itself to the job kind `embed`
await graph.start()                   # on the loop, when the followers have caught up: takes over what is on the disk
asyncio.create_task(graph.run())      # keeps the vectors right until it is cancelled
graph.save()                          # where the next start goes on
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import numpy as np

from shopkeeper.core.batch import EventBatch
from shopkeeper.core.clock import Clock, moment
from shopkeeper.core.records import Job
from shopkeeper.lifecycle.jobs import JobService
from shopkeeper.lifecycle.registry import Registry
from shopkeeper.lifecycle.serving import Serving
from shopkeeper.profiles.graph.adjacency import LiveGraph, Touched
from shopkeeper.profiles.graph.answers import Embedding, LoopState, Neighbor, SpaceFacts
from shopkeeper.profiles.graph.asking import Asking, Names
from shopkeeper.profiles.graph.changed import Changed
from shopkeeper.profiles.graph.drift import Detector, Watch
from shopkeeper.profiles.graph.embedder import Embedder
from shopkeeper.profiles.graph.inference import get_ready
from shopkeeper.profiles.graph.known import Known
from shopkeeper.profiles.graph.living import SPACE, LiveSpace
from shopkeeper.profiles.graph.loop import Loop
from shopkeeper.profiles.graph.pace import Pace
from shopkeeper.profiles.graph.schema import USER
from shopkeeper.profiles.graph.snapshot import Shelf, Space
from shopkeeper.profiles.graph.spaces import Spaces
from shopkeeper.profiles.graph.statistics import GraphStatistics
from shopkeeper.profiles.graph.weights import Floats
from shopkeeper.stores.catalog import Catalog
from shopkeeper.stores.consents import ConsentStore
from shopkeeper.stores.home import Home
from shopkeeper.stores.sql import Database
from shopkeeper.stores.vocabulary import Vocabularies

_PACE, _DETECTOR = Pace(), Detector()
_FEW = 1_000
_SUPPOSED = 1 << 60
"""Numbers of events that no log has."""


class GraphService:
    """Follower `graph`; `space` is the VectorSpace that recall and fusion read. Everything but `refresh`, `touch`,
    `touch_items` and `save` is used on the thread of the followers. `idle_s`: how often it looks around when no event
    comes."""

    name = "graph"

    def __init__(
        self,
        db: Database,
        clock: Clock,
        home: Home,
        *,
        vocabularies: Vocabularies,
        catalog: Catalog,
        consents: ConsentStore,
        jobs: JobService,
        registry: Registry,
        serving: Serving,
        data: str,
        pace: Pace = _PACE,
        detector: Detector = _DETECTOR,
        idle_s: float = 1.0,
    ) -> None:
        self._vocab = vocabularies
        self._catalog = catalog
        self._consents = consents
        self._serving = serving
        self._graph = LiveGraph(Names(vocabularies.event_types))
        self._asking = Asking(self._graph, vocabularies)
        known = Known(db, self._graph, lambda row: not self._graph.refused(row))
        shelf = Shelf(home.path / "spaces" / SPACE)
        self._embedder = Embedder(jobs, registry, serving, clock, shelf=shelf, data=data, offer=self._offer)
        self._spaces = Spaces(self._graph, known, shelf, clock, data=data, pace=pace)
        self._changed = Changed(self._graph, known, self._spaces, catalog, allows=self._allows, touch=self._touch)
        self._loop = Loop(
            self._spaces,
            Watch(detector, clock),
            clock,
            take_up=self._take_up,
            outdated=lambda: not self._spaces.changing and self._embedder.outdated(self._version()),
            embed=lambda why: self.refresh(requested_by=why),
            idle_s=idle_s,
        )
        self.space = LiveSpace(
            self._graph,
            lambda: self._spaces.living,
            lambda row: row in self._changed.described,
            self._allows,
        )

    # -- events

    def apply(self, batch: EventBatch) -> None:
        """Takes events into the graph; the vectors of both ends are marked, and computed by the loop."""
        self._grow()
        touched = self._graph.add(batch)
        self._spaces.seq = int(batch.seq[-1])
        self._loop.heard(len(batch))
        self._touch(touched)

    def _grow(self) -> None:
        first = self._graph.nodes[USER]
        n = len(self._vocab.users)
        self._graph.grow(n, self._catalog.kind, self._catalog.category, len(self._catalog))
        for row in self._refusing(first, n):
            self._graph.refuse(row)

    def _refusing(self, first: int, n: int) -> Iterable[int]:
        if n - first > _FEW:
            return [row for row in self._consents.refused("profiling") if first <= row < n]
        return [row for row in range(first, n) if not self._allows(row)]

    def _allows(self, row: int) -> bool:
        return self._consents.allows(row, "profiling")

    def _touch(self, touched: Touched, *, taken_back: bool = False) -> None:
        for living in self._spaces.both():
            living.engine.grow()
            living.engine.touch(touched, taken_back=taken_back)
        self._loop.wake()

    # -- asking

    def statistics(self) -> GraphStatistics:
        """Raises NotFound (code `no_graph`) while there is no edge."""
        return self._asking.statistics()

    def neighbors(self, node_type: str, id: str, *, relation: str | None = None, limit: int = 20) -> list[Neighbor]:
        """The newest first. Raises NotFound (node), Invalid (node type, relation)."""
        return self._asking.neighbors(node_type, id, relation=relation, limit=limit)

    def loop_state(self) -> LoopState:
        return self._loop.state()

    def facts(self) -> SpaceFacts | None:
        """None while no version is published, or its vectors have not been computed yet."""
        living = self._spaces.living
        if living is None:
            return None
        champion = self._serving.peek(SPACE)
        newer = champion is not None and champion.version.version != living.meta.version
        return SpaceFacts(
            name=SPACE,
            model=living.meta.model,
            version=living.version,
            dim=living.engine.model.dim,
            metric="inner_product",
            index="exact",
            count=living.counts(),
            built_at=moment(living.meta.built_at),
            reference=moment(living.meta.reference),
            seq=self._spaces.seq,
            pending=living.engine.pending,
            stale=newer or living.engine.urgent > 0 or len(self._changed) > 0,
        )

    def embedding(self, row: int) -> Embedding | None:
        """None for a user without a place in the space."""
        vector, living = self.space.user_vector(row), self._spaces.living
        if vector is None or living is None:
            return None
        return Embedding(
            version=living.version,
            vector=vector.tolist(),
            as_of=moment(living.as_of),
            pending=living.engine.waits(USER, row),
        )

    def vector_after(self, row: int, events: EventBatch) -> Floats | None:
        """The vector (dim,) that the user of a row would have after these events; nothing is kept. None for a user
        who would have no place in the space."""
        living = self._spaces.living
        if living is None or not 0 <= row < self._graph.nodes[USER] or self._graph.refused(row):
            return None
        self._grow()
        living.engine.grow()
        numbered = replace(events, seq=np.arange(_SUPPOSED, _SUPPOSED + len(events)))
        with self._graph.trial(numbered):
            if not self.space.has(row):
                return None
        return living.engine.after(row, numbered)

    def _version(self) -> int | None:
        return None if self._spaces.living is None else self._spaces.living.meta.version

    # -- doing

    def start_loop(self) -> bool:
        """The incremental loop goes on. False: it did already."""
        return self._loop.start()

    def stop_loop(self) -> bool:
        """It pauses: events are taken into the graph, vectors wait. False: it did already."""
        return self._loop.stop()

    def refresh(self, *, requested_by: str = "", ratio: float = 1.0, seed: int = 0, timed: bool = True) -> Job:
        """Queues the job `embed`: all vectors anew, of the champion of model `hgt`. With a scope (see `build.Scope`)
        they are a first draft, which the loop brings up to all edges.

        Raises Busy while one is under way, Conflict (code `no_model`) without a champion. From any thread but the
        writer's.
        """
        return self._embedder.submit(requested_by=requested_by, ratio=ratio, seed=seed, timed=timed)

    # -- what changes beside the events

    def merge(self, source: int, target: int) -> None:
        """Two rows are one person: the edges of the first are the second's."""
        self._grow()
        self._touch(self._graph.merge(source, target), taken_back=True)
        self.touch([source, target])

    def forget(self, row: int) -> None:
        """Erased: no edge and no vector of the row stays, here and on the disk."""
        if row >= self._graph.nodes[USER]:
            return
        self._changed.described.discard(row)
        self._spaces.clear(row)
        self._touch(self._graph.forget(row), taken_back=True)

    def touch(self, rows: Iterable[int]) -> None:
        """Records or consents of these users changed. From any thread."""
        self._changed.users(rows)
        self._loop.call(self._loop.wake)

    def touch_items(self, rows: Iterable[int]) -> None:
        """Records of these items changed. From any thread."""
        self._changed.items(rows)
        self._loop.call(self._loop.wake)

    def _take_up(self) -> bool:
        if not len(self._changed):
            return False
        self._grow()
        for living in self._spaces.both():
            living.engine.grow()
        return self._changed.take_up()

    # -- living

    async def start(self) -> None:
        """On the loop's thread, when the log has been read: takes over the vectors that were left on the disk."""
        self._loop.attach()
        self._grow()
        await self._changed.describe_all()
        await asyncio.to_thread(get_ready)
        found = await asyncio.to_thread(self._spaces.left, self._embedder.model)
        if found is not None:
            self._spaces.take_over(*found)

    async def run(self, *, begins: bool = True) -> None:
        """Keeps the vectors right until it is cancelled. `begins`: computations of all vectors, when they are due."""
        await self._loop.run(begins=begins)

    def save(self) -> None:
        """Writes the vectors as they are. From any thread, when nothing else runs any more."""
        self._loop.detach()
        if (space := self._spaces.snapshot()) is not None:
            self._spaces.write(space)

    def _offer(self, space: Space, model: Any) -> Future[None] | None:
        """From a thread of the jobs: a space was computed. The future is done when it serves; None: nobody is here."""
        done: Future[None] = Future()
        return done if self._loop.call(lambda: self._begin(space, model, done)) else None

    def _begin(self, space: Space, model: Any, done: Future[None]) -> None:
        self._grow()
        self._embedder.tried = None
        self._spaces.begin(space, model, done, at_once=not self._loop.running or not self._loop.alive)
        self._loop.wake()
