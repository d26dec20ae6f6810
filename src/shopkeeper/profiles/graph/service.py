"""The live graph of a shop: follows the log, keeps the vectors of space `hgt` right, has them computed anew.

graph = GraphService(...)             # a follower; hooks itself to the job kind `embed`
await graph.start()                   # on the loop, when the followers have caught up: takes over what is on the disk
asyncio.create_task(graph.run())      # keeps the vectors right until it is cancelled
graph.save()                          # where the next start goes on
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from datetime import datetime
from typing import Any, overload

import numpy as np

from shopkeeper.core.batch import EventBatch
from shopkeeper.core.clock import Clock, moment
from shopkeeper.core.errors import Busy, Conflict, Invalid, NotFound, ShopkeeperError
from shopkeeper.core.records import Job
from shopkeeper.lifecycle.jobs import JobService
from shopkeeper.lifecycle.registry import Registry
from shopkeeper.lifecycle.serving import Serving
from shopkeeper.profiles.graph.adjacency import LiveGraph, Touched
from shopkeeper.profiles.graph.answers import Embedding, LoopState, Neighbor, SpaceFacts
from shopkeeper.profiles.graph.drift import Detector, drift
from shopkeeper.profiles.graph.embedder import Embedder
from shopkeeper.profiles.graph.incremental import Incremental
from shopkeeper.profiles.graph.known import Known
from shopkeeper.profiles.graph.living import SPACE, LiveSpace, Living
from shopkeeper.profiles.graph.neighbors import neighbors
from shopkeeper.profiles.graph.pace import Pace
from shopkeeper.profiles.graph.schema import USER, Relation
from shopkeeper.profiles.graph.snapshot import Shelf, Space, placed
from shopkeeper.profiles.graph.statistics import GraphStatistics
from shopkeeper.profiles.graph.weights import Floats
from shopkeeper.stores.catalog import Catalog
from shopkeeper.stores.consents import ConsentStore
from shopkeeper.stores.home import Home
from shopkeeper.stores.sql import Database
from shopkeeper.stores.vocabulary import Vocabularies, Vocabulary

_LOGGER = logging.getLogger(__name__)
_TURN_S = 0.005
"""Seconds that a turn of the loop may take, a step more at most."""
_CATCH_UP_S = 30.0
"""After so long a new space serves although some of what came meanwhile is not taken in."""
_AGAIN_S = 600.0
"""After so long what failed is tried again."""
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
        self._clock = clock
        self._vocab = vocabularies
        self._catalog = catalog
        self._consents = consents
        self._serving = serving
        self._data = data
        self._pace, self._detector, self._idle_s = pace, detector, idle_s
        self._graph = LiveGraph(_Names(vocabularies.event_types))
        self._known = Known(db, self._graph, lambda row: not self._graph.refused(row))
        self._described: set[int] = set()
        self._shelf = Shelf(home.path / "spaces" / SPACE)
        self._living: Living | None = None
        self._next: tuple[Living, Future[None], float] | None = None
        self.space = LiveSpace(self._graph, lambda: self._living, self._described.__contains__)
        self._embedder = Embedder(jobs, registry, serving, clock, shelf=self._shelf, data=data, offer=self._offer)

        self._lock = threading.Lock()
        self._touched: set[int] = set()
        self._touched_items: set[int] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake = asyncio.Event()
        self._running = True
        self._alive = self._begins = False
        self._started_at: int | None = None
        self._stopped_at: int | None = None
        self._batches = self._events = 0
        self._waiting_events = self._since_look = 0
        self._last_batch_at: int | None = None
        self._looked_at = clock.wall()
        self._drift: float | None = None
        self._seq = 0
        self._dirty_disk = False
        self._tried: tuple[int, float] | None = None

    # -- events

    def apply(self, batch: EventBatch) -> None:
        """Takes events into the graph; the vectors of both ends are marked, and computed by the loop."""
        self._grow()
        touched = self._graph.add(batch)
        self._seq = int(batch.seq[-1])
        self._waiting_events += len(batch)
        self._since_look += len(batch)
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
        return [row for row in range(first, n) if not self._consents.allows(row, "profiling")]

    def _touch(self, touched: Touched, *, taken_back: bool = False) -> None:
        for living in self._both():
            living.engine.grow()
            living.engine.touch(touched, taken_back=taken_back)
        self._wake.set()

    def _both(self) -> list[Living]:
        found = [] if self._living is None else [self._living]
        return found if self._next is None else [*found, self._next[0]]

    # -- asking

    def statistics(self) -> GraphStatistics:
        """Raises NotFound (code `no_graph`) while there is no edge."""
        if not len(self._graph):
            raise NotFound("the shop has no graph yet: no event has joined a user and an item", code="no_graph")
        return self._graph.statistics()

    def neighbors(self, node_type: str, id: str, *, relation: str | None = None, limit: int = 20) -> list[Neighbor]:
        """The newest first. Raises NotFound (node), Invalid (node type, relation)."""
        chosen = None if relation is None else Relation.read(relation)
        node = self._node(node_type, id)
        found = neighbors(self._graph, node_type, node, relation=chosen, limit=limit)
        return [
            Neighbor(node=self._id(end, at), type=end, relation=str(along), weight=weight, time=when)
            for end, at, along, weight, when in found
        ]

    def _node(self, node_type: str, id: str) -> int:
        if node_type not in self._graph.nodes:
            known = ", ".join(self._graph.nodes)
            raise Invalid(f"there are no nodes of type {node_type!r}, only {known}", field="node_type")
        key: int | str | None = id
        if node_type == USER:
            key = self._vocab.users.row(id)
        elif node_type in self._graph.item_types:
            key = self._vocab.items.row(id)
        place = None if key is None else self._graph.place(node_type, key)
        if place is None:
            raise NotFound(f"no {node_type} {id!r} in the graph", code="unknown_node", field="id")
        return place

    def _id(self, node_type: str, node: int) -> str:
        if node_type == USER:
            return self._vocab.users.id(node)
        if node_type in self._graph.item_types:
            return self._vocab.items.id(int(self._graph.item_rows(node_type)[node]))
        return list(self._graph.categories)[node]

    def loop_state(self) -> LoopState:
        return LoopState(
            running=self._running and self._loop is not None,
            started_at=_moment(self._started_at),
            stopped_at=_moment(self._stopped_at),
            processed_batches=self._batches,
            processed_events=self._events,
            last_batch_at=_moment(self._last_batch_at),
            pending=0 if self._living is None else self._living.engine.pending,
            drift=self._drift,
        )

    def facts(self) -> SpaceFacts | None:
        """None while no version is published, or its vectors have not been computed yet."""
        living = self._living
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
            seq=self._seq,
            pending=living.engine.pending,
            stale=newer or living.engine.urgent > 0 or bool(self._touched or self._touched_items),
        )

    def embedding(self, row: int) -> Embedding | None:
        """None for a user without a place in the space."""
        vector, living = self.space.user_vector(row), self._living
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
        living = self._living
        if living is None or not 0 <= row < self._graph.nodes[USER] or self._graph.refused(row):
            return None
        self._grow()
        living.engine.grow()
        numbered = replace(events, seq=np.arange(_SUPPOSED, _SUPPOSED + len(events)))
        with self._graph.trial(numbered):
            if not self.space.has(row):
                return None
        return living.engine.after(row, numbered)

    # -- doing

    def start_loop(self) -> bool:
        """The incremental loop goes on. False: it did already."""
        if self._running:
            return False
        self._running, self._started_at = True, self._clock.wall()
        self._wake.set()
        return True

    def stop_loop(self) -> bool:
        """It pauses: events are taken into the graph, vectors wait. False: it did already."""
        if not self._running:
            return False
        self._running, self._stopped_at = False, self._clock.wall()
        return True

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
        self._take_up()

    def forget(self, row: int) -> None:
        """Erased: no edge and no vector of the row stays, here and on the disk."""
        if row >= self._graph.nodes[USER]:
            return
        self._touch(self._graph.forget(row), taken_back=True)
        self._described.discard(row)
        for living in self._both():
            living.engine.clear(row)
        self._dirty_disk = True

    def touch(self, rows: Iterable[int]) -> None:
        """Records or consents of these users changed. From any thread."""
        with self._lock:
            self._touched.update(rows)
        self._call(self._wake.set)

    def touch_items(self, rows: Iterable[int]) -> None:
        """Records of these items changed. From any thread."""
        with self._lock:
            self._touched_items.update(rows)
        self._call(self._wake.set)

    def _take_up(self) -> None:
        """Consents, records, categories that changed."""
        with self._lock:
            users, self._touched = self._touched, set()
            items, self._touched_items = self._touched_items, set()
        if not users and not items:
            return
        self._grow()
        rows = [row for row in sorted(users) if 0 <= row < self._graph.nodes[USER]]
        for row in rows:
            allowed = self._consents.allows(row, "profiling")
            if allowed == self._graph.refused(row):
                touched = self._graph.allow(row) if allowed else self._graph.refuse(row)
                self._touch(touched, taken_back=not allowed)
        try:
            described = self._known.people(rows)
            self._described.difference_update(rows)
            self._described.update(row for row, attributes in described.items() if attributes)
            moved = self._graph.move([row for row in items if row < len(self._catalog)], self._catalog.category)
            self._touch(moved, taken_back=True)
            for living in self._both():
                living.engine.reread(USER, np.array(rows, dtype=np.int64))
                for row in items:
                    kind, place = self._graph.node_of(row)
                    living.engine.reread(kind, np.array([place], dtype=np.int64))
        except ShopkeeperError:  # the database does not answer: the next turn asks again
            self.touch(users)
            self.touch_items(items)
            raise

    # -- the loop

    async def start(self) -> None:
        """On the loop's thread, when the log has been read: takes over the vectors that were left on the disk."""
        self._loop = asyncio.get_running_loop()
        self._started_at = self._clock.wall()
        self._grow()
        people = self._known.people(range(self._graph.nodes[USER]))
        self._described.update(row for row, attributes in people.items() if attributes)
        self._waiting_events = self._since_look = 0
        found = await asyncio.to_thread(self._left)
        if found is not None:
            self._living = self._brought_to_life(*found)
            self._dirty_disk = True  # an erasure may have been cut off before the files were written anew

    def _left(self) -> tuple[Space, Any] | None:
        space = self._shelf.newest(self._data)
        if space is None:
            return None
        try:
            return space, self._embedder.model(space.meta)
        except ShopkeeperError as error:
            _LOGGER.error("the vectors of %s v%d do not serve: %s", SPACE, space.meta.version, error.message)
            return None

    async def run(self, *, begins: bool = True) -> None:
        """Keeps the vectors right until it is cancelled. `begins`: computations of all vectors, when they are due."""
        self._alive, self._begins = True, begins
        try:
            await self._live()
        finally:
            self._alive = False
            if self._next is not None:  # who waits for it should not wait for nobody
                self._switch()

    async def _live(self) -> None:
        while True:
            try:
                more = self._turn()
            except ShopkeeperError as error:  # the database does not answer: the next turn tries again
                _LOGGER.error("the vectors of the graph stand still: %s", error.message)
                more = False
            except Exception:  # an edge: whatever one node does must not end the loop
                _LOGGER.exception("the vectors of the graph stand still")
                more = False
            if more:
                await asyncio.sleep(0)
                continue
            await self._look_around()
            self._wake.clear()
            try:
                await asyncio.wait_for(self._wake.wait(), self._idle_s)
            except TimeoutError:
                continue

    def _turn(self) -> bool:
        """A few milliseconds of work. False: nothing waits."""
        if not self._running:
            return self._bring_up()  # who has asked for a new space waits for it
        self._take_up()
        living, until, worked = self._living, time.monotonic() + _TURN_S, False
        if living is not None:
            while time.monotonic() < until and living.engine.step():
                worked = True
            if worked:
                living.as_of = self._clock.wall()
        if self._waiting_events:
            self._batches += 1
            self._events += self._waiting_events
            self._waiting_events = 0
            self._last_batch_at = self._clock.wall()
        return self._bring_up() or worked

    def _bring_up(self) -> bool:
        """A step of the space that is to serve next; it serves when nothing of it waits any more."""
        if self._next is None:
            return False
        living, _, until = self._next
        if time.monotonic() < until and living.engine.step():
            return True
        self._switch()
        return True

    def _switch(self) -> None:
        """The next space serves from now on."""
        assert self._next is not None
        self._living, done, _ = self._next
        self._next, self._drift = None, None
        self._living.as_of = self._clock.wall()
        if not done.done():
            done.set_result(None)

    async def _look_around(self) -> None:
        """Nothing waits: is there a newer version, has the space drifted, is something to be written?"""
        try:
            if self._dirty_disk and self._living is not None:
                self._dirty_disk = False
                await asyncio.to_thread(self._write, self._living.snapshot(self._graph, self._seq))
            if not self._running or not self._begins:
                return
            due = self._drifted()
            if due or self._outdated():
                await asyncio.to_thread(self._embed, "drift" if due else "release")
        except Exception:  # an edge: a full disk, a queue that is full; the next look tries again
            _LOGGER.exception("the graph's space is not looked after")

    def _drifted(self) -> bool:
        living, wall = self._living, self._clock.wall()
        detector = self._detector
        if living is None or not self._since_look:
            return False
        if self._since_look < detector.events and wall - self._looked_at < detector.every:
            return False
        self._since_look, self._looked_at = 0, wall
        self._drift = drift(living.engine, self._clock.now(), detector.sample, seed=self._seq)
        return self._drift > detector.most

    def _outdated(self) -> bool:
        """The champion is another version than the one that serves, and was not tried a moment ago."""
        champion = self._serving.peek(SPACE)
        if champion is None or self._next is not None:
            return False
        number = champion.version.version
        if self._living is not None and self._living.meta.version == number:
            return False
        if self._tried is not None and self._tried[0] == number and time.monotonic() < self._tried[1]:
            return False
        self._tried = number, time.monotonic() + _AGAIN_S
        return True

    def _embed(self, why: str) -> None:
        try:
            self.refresh(requested_by=why)
        except (Busy, Conflict):
            return

    # -- a new space

    def _offer(self, space: Space, model: Any) -> Future[None] | None:
        """From a thread of the jobs: a space was computed. The future is done when it serves; None: nobody is here."""
        done: Future[None] = Future()
        return done if self._call(lambda: self._begin(space, model, done)) else None

    def _begin(self, space: Space, model: Any, done: Future[None]) -> None:
        try:
            self._grow()
            living = self._brought_to_life(space, model)
        except Exception as error:  # noqa: BLE001  an edge: who waits for it is told
            done.set_exception(error)
            return
        if self._next is not None and not self._next[1].done():
            self._next[1].set_result(None)  # overtaken
        self._tried = None
        self._next = living, done, time.monotonic() + _CATCH_UP_S
        if self._living is None or not self._running or not self._alive:
            self._switch()
        self._wake.set()

    def _brought_to_life(self, space: Space, model: Any) -> Living:
        kept = placed(self._graph, space)
        engine = Incremental(model, self._graph, self._known, space.meta.reference, self._pace, kept)
        return Living(engine, space.meta, self._clock.wall())

    def save(self) -> None:
        """Writes the vectors as they are. From any thread, when nothing else runs any more."""
        self._loop = None
        if self._living is not None:
            self._write(self._living.snapshot(self._graph, self._seq))

    def _write(self, space: Space) -> None:
        """What cannot be written is told: the next start computes from what is there."""
        try:
            self._shelf.save(space)
        except OSError as error:
            self._dirty_disk = True
            _LOGGER.error("the graph's vectors cannot be written: %s", error)

    def _call(self, act: Callable[[], None]) -> bool:
        loop = self._loop
        if loop is None or loop.is_closed():
            return False
        loop.call_soon_threadsafe(act)
        return True


class _Names(Sequence[str]):
    """The names of event types by row, as they come."""

    def __init__(self, types: Vocabulary) -> None:
        self._types = types

    def __len__(self) -> int:
        return len(self._types)

    @overload
    def __getitem__(self, at: int) -> str: ...

    @overload
    def __getitem__(self, at: slice) -> Sequence[str]: ...

    def __getitem__(self, at: int | slice) -> str | Sequence[str]:
        if isinstance(at, slice):
            return [self._types.id(row) for row in range(len(self))[at]]
        return self._types.id(at)


def _moment(at: int | None) -> datetime | None:
    return None if at is None else moment(at)
