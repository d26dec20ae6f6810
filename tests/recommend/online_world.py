"""A shop's tables with a model of ftrl, slates whose ranking was logged, and what became of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from shopkeeper.checks.ranking import NAMES, small_rows
from shopkeeper.core.clock import DAY, HOUR, SECOND, StoppedClock, moment
from shopkeeper.core.ids import ulid
from shopkeeper.core.learning import OnlineSettings
from shopkeeper.core.protocols import silent
from shopkeeper.core.records import Event, Gate, Version
from shopkeeper.lifecycle.gradual import Gradual
from shopkeeper.lifecycle.jobs import JobService
from shopkeeper.lifecycle.loading import write_golden
from shopkeeper.lifecycle.registry import Registry
from shopkeeper.lifecycle.releasing import Releases
from shopkeeper.lifecycle.serving import Serving
from shopkeeper.lifecycle.traffic import Traffic
from shopkeeper.lifecycle.versions import Candidate
from shopkeeper.recommend.online.algorithm import FtrlTrainer
from shopkeeper.recommend.online.service import Online
from shopkeeper.stores import served_vectors
from shopkeeper.stores.artifacts import ArtifactStore, seal
from shopkeeper.stores.events import EventLog
from shopkeeper.stores.home import Home
from shopkeeper.stores.served_vectors import ServedVectors
from shopkeeper.stores.sql import open_database
from shopkeeper.stores.vocabulary import Vocabularies

NOW = 20_000 * DAY
MODEL = "home_online"
PEOPLE, ITEMS, PLACES = 20, 30, 5
WINDOW_S = 600.0


class Process:
    """What one process of the shop has: its own connections, vocabulary and learners."""

    def __init__(self, home: Path, clock: StoppedClock) -> None:
        self.home = Home(home).make()
        self.clock = clock
        self.db = open_database(self.home.sql_url)
        self.vocab = Vocabularies.load(self.db)
        self.log = EventLog(self.db, self.vocab, clock)
        self.registry = Registry(self.db, ArtifactStore(self.home.artifacts), clock)
        self.jobs = JobService(self.db, self.home, clock)
        self.releases = Releases(self.jobs, self.registry)
        traffic = Traffic(self.db, self.registry, Serving(self.registry), clock)
        self.gradual = Gradual(self.jobs, self.db, self.registry, traffic)
        self.online = Online(
            self.db, self.vocab, clock, self.registry, self.releases, gradual=self.gradual, job=self.jobs.get
        )

    def close(self) -> None:
        self.db.close()


class World:
    def __init__(self, home: Path) -> None:
        self.folder = home
        self.clock = StoppedClock(NOW)
        self.random = np.random.default_rng(3)
        self.now = self.process()
        people = [Event(event_type="view", user_id=f"u{at}", item_id=f"i{at % ITEMS}") for at in range(PEOPLE)]
        items = [Event(event_type="view", user_id="u0", item_id=f"i{at}") for at in range(ITEMS)]
        self.now.log.append([*people, *items]).result()
        self.clock.advance(HOUR)

    def process(self) -> Process:
        return Process(self.folder, self.clock)

    def version(self, algorithm: str = "ftrl", *, promote: bool = True) -> Version:
        made = FtrlTrainer(FtrlTrainer.Params(), 1).fit(small_rows(600), silent)
        folder = self.folder / f"made-{ulid()}"
        folder.mkdir()
        made.save(folder)
        golden = small_rows(5).golden()
        write_golden(folder, {"rows": golden}, made.score_rows(golden))
        candidate = Candidate(
            model=MODEL, scope="all", family="ranking", algorithm=algorithm, files=[], feature_names=list(NAMES),
            gate=Gate(verdict="PROMOTE", reasons=["as the test wants it"]),
        )  # fmt: skip
        candidate.files = seal(folder, msgspec.to_builtins(candidate))
        version = self.now.registry.register(folder, candidate, by="anna")
        if promote:
            self.now.registry.promote(MODEL, version.version)
        return version

    def slate(self, *, take: tuple[int, ...] = (), user: int | None = None, logged: bool = True) -> str:
        """A slate now, of items that it takes the places `take` of ten seconds later. Its id."""
        slate_id = ulid(self.clock.now() // 1000)
        values = self.random.normal(size=(PLACES, len(NAMES))).astype(np.float32)
        rows = self.random.choice(ITEMS, PLACES, replace=False).astype(np.int32)
        user = int(self.random.integers(PEOPLE)) if user is None else user
        row = self.now.vocab.users.row(f"u{user}")
        if logged:
            served = ServedVectors(
                slate_id=slate_id, user_row=row, made_at=self.clock.now(), model="home_ranker", model_version=1,
                names=list(NAMES), item_rows=rows.tobytes(), vectors=values.tobytes(),
            )  # fmt: skip
            self.now.db.writer.run(lambda connection: served_vectors.add(connection, [served]))
        for place in take:
            self.says("click", user, int(rows[place]), slate_id, after_s=10.0 + place)
        return slate_id

    def says(self, kind: str, user: int, item: int, slate_id: str | None, after_s: float = 10.0, **more: Any) -> None:
        context = {**more.pop("context", {}), **({} if slate_id is None else {"request_id": slate_id})}
        event = Event(
            event_type=kind, user_id=f"u{user}", item_id=self.now.vocab.items.id(item),
            time=moment(self.clock.now() + round(after_s * SECOND)), context=context, **more,
        )  # fmt: skip
        self.clock.advance(round(after_s * SECOND))
        done = self.now.log.append([event]).result()
        self.clock.advance(-round(after_s * SECOND))
        assert not done.rejected, done.rejected

    def day(self, slates: int = 60) -> None:
        """Slates twenty seconds apart, half of them with something taken; then their time is over."""
        for at in range(slates):
            self.slate(take=(int(self.random.integers(PLACES)),) if at % 2 else ())
            self.clock.advance(20 * SECOND)
        self.clock.advance(round(WINDOW_S * SECOND))

    def begin(self, **settings: Any) -> None:
        self.now.online.put(MODEL, OnlineSettings(**{"window_s": WINDOW_S, "every": 20, **settings}), by="anna")
