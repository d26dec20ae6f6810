"""All parts of one shop, and what they do when it opens, closes, or changes over to other data."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, suppress
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from shopkeeper.bootstrap.acting import open_visits
from shopkeeper.bootstrap.changeover import Changeover
from shopkeeper.bootstrap.describing import UserRecords
from shopkeeper.bootstrap.experimenting import experimenting, trying
from shopkeeper.bootstrap.featuring import feature_versions
from shopkeeper.bootstrap.first_models import FIRST_MODELS, NIGHTLY, FirstModel
from shopkeeper.bootstrap.forecasting import ForecastThreads
from shopkeeper.bootstrap.furnishing import Stores, clock_of, furnished, pins_of, stream_of
from shopkeeper.bootstrap.graphing import live_graph
from shopkeeper.bootstrap.learning import online_learning, tuned_rewards
from shopkeeper.bootstrap.panelling import keep_country, sales_panel
from shopkeeper.bootstrap.shaping import shaped
from shopkeeper.bootstrap.suggesting import suggesting
from shopkeeper.bootstrap.telling import Telling, forgets_with
from shopkeeper.core.changes import Changes
from shopkeeper.core.clock import Clock
from shopkeeper.core.errors import Busy, Conflict
from shopkeeper.core.protocols import silent
from shopkeeper.core.records import Job
from shopkeeper.core.turnstile import Turnstile
from shopkeeper.features.state import FeatureState
from shopkeeper.forecast.answering.predictions import PredictionBook
from shopkeeper.forecast.answering.service import ForecastService
from shopkeeper.lifecycle.attempt import Limits
from shopkeeper.lifecycle.catalogue import Catalogue
from shopkeeper.lifecycle.evaluations import Evaluations
from shopkeeper.lifecycle.exchange import Exchange
from shopkeeper.lifecycle.gradual import Gradual
from shopkeeper.lifecycle.jobs import JobService
from shopkeeper.lifecycle.lanes import LaneLimits
from shopkeeper.lifecycle.pinning import pin
from shopkeeper.lifecycle.predicting import Predictor
from shopkeeper.lifecycle.publishing import Publishing
from shopkeeper.lifecycle.registry import Registry
from shopkeeper.lifecycle.releasing import Releases
from shopkeeper.lifecycle.removal import Removal
from shopkeeper.lifecycle.retention import Keep, Retention
from shopkeeper.lifecycle.schedule import Schedules
from shopkeeper.lifecycle.serving import Serving
from shopkeeper.lifecycle.sourcing import SourceAccess
from shopkeeper.lifecycle.stacking import Stacks
from shopkeeper.lifecycle.traffic import Traffic
from shopkeeper.operations.controller import Controller
from shopkeeper.operations.destinations import Destinations
from shopkeeper.operations.erasure import Erasure
from shopkeeper.operations.exporting import Exporting
from shopkeeper.operations.identities import Identities
from shopkeeper.operations.imports import Imports
from shopkeeper.operations.intake import Intake
from shopkeeper.operations.refit import Refit
from shopkeeper.operations.refresh import Refresh
from shopkeeper.operations.regeneration import Regeneration
from shopkeeper.operations.scheduled import works
from shopkeeper.operations.uploads import Uploads
from shopkeeper.operations.webhooks import Messenger
from shopkeeper.operations.whatif import WhatIf
from shopkeeper.profiles.defaults import RETAIL
from shopkeeper.profiles.fusion.past import CONSENT_DEFAULT
from shopkeeper.profiles.graph.build import Scope
from shopkeeper.profiles.personal import Personal
from shopkeeper.profiles.segments import Segments
from shopkeeper.profiles.service import ProfileService
from shopkeeper.profiles.telecom_defaults import TELECOM
from shopkeeper.recommend.explore.evaluations import PolicyEvaluations
from shopkeeper.recommend.qlearning.book import AgentBook
from shopkeeper.settings import Settings
from shopkeeper.sources.sample import write_sample
from shopkeeper.stores.archives import ArchiveLimits
from shopkeeper.stores.artifacts import ArtifactStore
from shopkeeper.stores.consents import ConsentStore
from shopkeeper.stores.following import Following
from shopkeeper.stores.home import Home
from shopkeeper.stores.identities import IdentityStore
from shopkeeper.stores.meta import Meta
from shopkeeper.stores.preferences import PreferenceStore
from shopkeeper.stores.sql import Database
from shopkeeper.stores.webhooks import WebhookStore

_DEFAULTS = {"telecom": TELECOM}
LIGHT_JOBS = ("release", "upload", "refresh", "regenerate", "embed", "evaluate_agent")
"""Kinds that wait most of their time, or that others wait for: one job of each runs beside the trainings."""
PLANNED_JOBS = ("release", "refresh")
"""Kinds that last as long as their own plan says, or as the jobs that they begin."""


class Shop:
    """All parts of one opened shop. Derived state belongs to the thread that called `start`."""

    def __init__(
        self, settings: Settings, home: Home, db: Database, meta: Meta, clock: Clock | None, held: ExitStack
    ) -> None:
        """`clock` None: the one that goes with this kind of shop. `held` and `db` are closed when the shop stops."""
        self.settings, self.home, self._given_clock, self._held = settings, home, clock, held
        self.turnstile = Turnstile()
        self.changeover = Changeover(
            self.turnstile,
            wait=lambda job_id, patience_s: self.jobs.wait(job_id, patience_s),
            reopen=self._begin_anew,
            drain_s=settings.drain_s,
        )
        self._assemble(db, meta)

    def _assemble(self, db: Database, meta: Meta) -> None:
        """Makes every part anew: nothing is left of what an earlier database held."""
        settings, home = self.settings, self.home
        clock = self._given_clock or clock_of(meta, settings)
        self.db, self.meta, self.clock = db, meta, clock
        self.kind = meta.get("shop.kind") or "empty"
        self.zone = meta.get("shop.timezone") or settings.timezone
        self.currency = meta.get("shop.currency") or settings.currency
        self.started_at: int | None = None
        self.unpinned: list[str] = []  # what MODEL_VERSION asks for and cannot have

        stores = Stores(db, clock)
        self.vocab, self.log, self.catalog = stores.vocab, stores.log, stores.catalog
        self.users, self.items, self.shops, self.stock = stores.users, stores.items, stores.shops, stores.stock

        self.changes = Changes()
        zone = ZoneInfo(self.zone)
        self.features = FeatureState(zone, self.vocab.event_types, slots=settings.feature_slots)
        self.calendar, self.day_facts = stores.calendar, stores.day_facts
        self.panel = sales_panel(settings, stores, zone)

        self.registry = Registry(db, ArtifactStore(home.artifacts), clock)
        self.feature_versions = feature_versions(db, clock, self.registry, self.changes)
        self.serving = Serving(self.registry)
        self.traffic = Traffic(db, self.registry, self.serving, clock)
        telling = Telling(self.changes, self.registry, self.stock.on_hand)
        lanes = LaneLimits(settings.predict_queue_rows, deadline_s=settings.predict_deadline_ms / 1000)
        tries = trying(db, clock, stores, lambda row: self.consents.allows(row, "personalization"))
        self.predictor = Predictor(self.serving, self.traffic, lanes, tries.models)
        limits = Limits(settings.job_time_limit_s, settings.job_memory_limit_mb, settings.job_threads)
        self.jobs = JobService(
            db,
            home,
            clock,
            limits=limits,
            workers=settings.job_workers,
            light=LIGHT_JOBS,
            planned=PLANNED_JOBS,
            zone=lambda: self.zone,
            environment={"CUDA_VISIBLE_DEVICES": ""} if settings.device == "cpu" else {},
        )
        self.agents = AgentBook(db, home, clock, self.jobs)
        self.gradual = Gradual(self.jobs, db, self.registry, self.traffic)
        archives = ArchiveLimits(compressed=settings.upload_limit)
        self.exchange = Exchange(self.registry, home.artifacts, clock, limits=archives)
        self.publishing = Publishing(self.jobs, self.registry, self.exchange, settings.object_store)
        self.sources = SourceAccess(
            folder=home.path / "sources" if settings.api_key else None,
            hosts=settings.allowed_hosts(),
            connections=settings.connection,
        )
        self.releases = Releases(self.jobs, self.registry, sources=self.sources, publisher=self.publishing)
        self.online = online_learning(
            db,
            clock,
            stores,
            registry=self.registry,
            releases=self.releases,
            gradual=self.gradual,
            jobs=self.jobs,
        )
        self.tuned_rewards = partial(tuned_rewards, stores)
        self.evaluations = Evaluations(self.jobs, self.registry, self.sources)
        self.policy_evaluations = PolicyEvaluations(self.jobs, self.registry, self.sources)
        self.stacks = Stacks(self.jobs, self.registry, self.traffic, self.sources)
        self.catalogue = Catalogue(self.registry, self.jobs)
        self.uploads = Uploads(self.registry, self.exchange)
        self.removal = Removal(self.registry, self.serving)
        keep = Keep(settings.keep_versions, settings.keep_days)
        self.retention = Retention(db, home, clock, self.jobs, self.registry, self.removal, keep)
        refresh = Refresh(self.jobs, self.registry, self.releases, clock, embed=self._embed, afresh=telling.everything)
        kinds = works(self.jobs, self.releases, self.publishing, self.retention, refresh)
        self.schedules = Schedules(db, clock, kinds, zone=zone, last_seq=self.log.count)
        self.imports = Imports(stores.targets, home, clock, self.zone, upload_limit=settings.upload_limit)
        self.imports.hook_into(self.jobs)

        self.consents = ConsentStore(db, self.vocab, clock, default=settings.consent_default)
        self.profiles = ProfileService(
            db,
            clock,
            self.features,
            self.vocab.users,
            consents=self.consents,
            catalog=self.catalog,
            models=self.serving,
            defaults=_DEFAULTS.get(self.kind, RETAIL),
        )
        tracker = self.profiles.tracker
        self.segments = Segments(self.profiles.segmentbook, tracker, self.vocab.users, clock, consents=self.consents)
        self.graph = live_graph(
            settings,
            db,
            clock,
            home,
            meta,
            stores=stores,
            consents=self.consents,
            jobs=self.jobs,
            registry=self.registry,
            serving=self.serving,
        )
        visits = open_visits(stores, self.features)
        self.following = Following(self.log, [self.features, self.panel, tracker, self.graph, visits, telling])
        known = IdentityStore(db, self.vocab, clock, self.log, self.consents)
        self.identities = Identities(known, self.following, self.features)
        self.identities.subscribe(tracker.moved)
        self.identities.subscribe(self.graph.merge)
        self.users.subscribe(tracker.touch)
        self.users.subscribe(self.graph.touch)
        self.consents.subscribe(self.graph.touch)
        self.catalog.subscribe(self.graph.touch_items)
        self.changes.subscribe(forgets_with(self.profiles.explaining.clear))
        self.refit = Refit(self.profiles.rulebook, self.registry, self.releases)
        self.preferences = PreferenceStore(db, self.vocab, clock)
        self.personal = Personal(
            db,
            clock,
            profiles=self.profiles,
            features=self.features,
            users=self.users,
            ids=self.vocab.users,
            preferences=self.preferences,
            consents=self.consents,
            log=self.log,
            shelf=self.catalog,
            embedded=self._embedded,
        )
        self.erasure = Erasure(
            db,
            clock,
            self.jobs,
            meta,
            self.vocab,
            log=self.log,
            following=self.following,
            features=self.features,
            profiles=self.profiles,
            consents=self.consents,
        )
        self.erasure.subscribe(tracker.forget)
        self.erasure.subscribe(self.graph.forget)
        self.exporting = Exporting(db, home, self.vocab, clock)
        self.shaped = shaped(
            db,
            clock,
            self.changes,
            features=self.features,
            catalog=self.catalog,
            items=self.vocab.items,
            stock=self.stock,
            panel=self.panel,
            registry=self.registry,
            preferences=self.preferences,
            space=self.graph.space,
            agents=self.agents,
        )
        self.shaped.follow(self.identities, self.erasure)
        self.experimenting = experimenting(
            db,
            clock,
            tries,
            stores=stores,
            registry=self.registry,
            traffic=self.traffic,
            shaped=self.shaped,
            changes=self.changes,
            identities=self.identities,
            erasure=self.erasure,
        )
        self.experiments = self.experimenting.book
        records = UserRecords(self.profiles.people)
        self.users.subscribe(records.touch)
        self.suggesting = suggesting(
            settings,
            db,
            clock,
            meta,
            stores=stores,
            changes=self.changes,
            features=self.features,
            versions=self.feature_versions,
            serving=self.serving,
            consents=self.consents,
            shaped=self.shaped,
            space=self.graph.space,
            erasure=self.erasure,
            tries=tries,
            records=records,
            agents=self.agents,
            visits=visits,
        )
        made = self.suggesting
        self.recommend, self.slates, self.ahead, self.slatelog = made.recommend, made.slates, made.ahead, made.slatelog
        self.shared_features = made.shared_features
        # Last of all that listen: whoever is told that something changed finds it changed.
        telling.hear(
            users=[self.users, self.consents, self.preferences],
            items=self.catalog,
            stock=self.stock,
            rules=self.profiles.rulebook,
            identities=self.identities,
            erasure=self.erasure,
        )
        self.what_if = WhatIf(
            db,
            clock,
            self.vocab,
            features=self.features,
            catalog=self.catalog,
            profiles=self.profiles,
            recommend=self.recommend,
            graph=self.graph,
        )
        self.forecast = ForecastService(self.panel, clock, self.serving)
        self.forecasting = ForecastThreads(settings.forecast_threads)
        self.predictions = PredictionBook(db, home.predictions, clock)
        destinations = Destinations(settings.webhook_servers(), loopback=settings.api_key is None)
        self.webhooks = WebhookStore(db, clock, shop=meta.get("shop.id") or "", check_url=destinations.check)
        self.messenger = Messenger(
            db,
            self.webhooks,
            clock,
            destinations,
            allows=self._may_be_told_of,
            keep_days=settings.keep_days,
        )
        tracker.tell(self.webhooks.announce, self.messenger.wake)
        self.regeneration = Regeneration(meta, self.jobs, change=self.changeover.begin)
        self.live = stream_of(settings, clock, stores, meta)
        self.operations = Controller(
            clock,
            self.jobs,
            self.releases,
            intake=Intake(self.live, self.log, self.following, self.vocab, clock),
            graph=self.graph,
            refresh=refresh,
        )
        self._streaming: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._growing: asyncio.Task[None] | None = None

    def prepare(self) -> None:
        """What a shop begins with, and what a process that is gone has left undone."""
        meta = self.meta
        agreed = "yes" if self.settings.consent_default else "no"
        if meta.get(CONSENT_DEFAULT) != agreed:
            meta.set(CONSENT_DEFAULT, agreed).result()
        keep_country(meta, self.settings.holidays_country)
        if meta.get("profiles.seeded") is None:
            self.profiles.seed_defaults()
            meta.set("profiles.seeded", "1").result()
        if meta.get("schedules.seeded") is None:
            self.schedules.seed(NIGHTLY)
            meta.set("schedules.seeded", "1").result()
        self.feature_versions.seed()
        self.imports.recover()
        self.erasure.recover()

    def first_models(self) -> tuple[FirstModel, ...]:
        """What this shop trains by itself; while it has sold nothing, only what learns from the sample table."""
        return tuple(one for one in FIRST_MODELS if one.sample or self.log.last_seq)

    def train_first(self, one: FirstModel, *, requested_by: str, evaluate: bool = True) -> Job:
        """Queues its training; `evaluate` false: without the gate. Raises Busy when it is queued or running already."""
        source = {"kind": "file", "path": str(write_sample(self.home.path / "sources"))} if one.sample else None
        return self.releases.train(
            one.model, one.algorithm, params=one.params, source=source, evaluate=evaluate, requested_by=requested_by
        )

    async def start(self, *, schedules: bool = True) -> None:
        """Reads the log, loads the champions, then follows, works and streams. Call it on the loop.

        `schedules` false: for a visit of a moment, that should not begin what it will not see the end of. When it
        fails the shop is stopped: the home is free again.
        """
        if self.started_at is not None:
            raise Conflict("this shop is started already")
        self.started_at, self._scheduling = self.clock.wall(), schedules
        try:
            await self._start(schedules)
        except BaseException:
            await self.stop()
            raise

    async def _start(self, schedules: bool) -> None:
        loop = asyncio.get_running_loop()
        for each in (self.changeover, self.changes, self.following):
            each.attach(loop)
        self.operations.start()
        self.suggesting.start()
        self.experimenting.start()
        await asyncio.to_thread(self.traffic.load)
        self.unpinned = await asyncio.to_thread(pin, self.registry, pins_of(self.settings))
        await asyncio.to_thread(self.serving.sync)
        await asyncio.to_thread(self.traffic.warm)
        await asyncio.to_thread(self.shaped.load)
        await asyncio.to_thread(self.experiments.load)
        await asyncio.to_thread(self.predictions.sweep)
        await asyncio.to_thread(self.agents.keeper.sweep)
        self.profiles.tracker.load()
        self.profiles.rulebook.compiled()  # ten thousand take a second, which no request should wait for
        self._watching = asyncio.create_task(self.profiles.tracker.run(), name="segments")
        await self.graph.start()
        await self.suggesting.warm()
        self._growing = asyncio.create_task(self.graph.run(begins=schedules), name="graph")
        await asyncio.to_thread(self.jobs.start)
        if schedules:
            self.schedules.start()
            self.refit.start()
            self.messenger.start()
            self.online.start()
            self.experimenting.keeper.start()
            self.suggesting.exploration.learn()
            self.suggesting.acting.learn()
        if self.live is not None:
            self._streaming = asyncio.create_task(self.live.run(), name="live stream")
        if schedules:
            await asyncio.to_thread(self._learn_again)

    async def stop(self) -> None:
        """Ends stream, jobs and followers, finishes the writes, and gives the home back. A second call does nothing."""
        await self.changeover.end()
        await self._halt()
        await asyncio.to_thread(self.db.close)
        await asyncio.to_thread(self._held.close)

    async def _halt(self) -> None:
        """Everything stands still; the database is open still and the home held."""
        tasks = [task for task in (self._streaming, self._watching, self._growing) if task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self.refit.stop()
        await self.operations.stop()
        await self.online.stop()
        await asyncio.to_thread(self.schedules.stop)
        await asyncio.to_thread(self.jobs.stop)
        await asyncio.to_thread(self.agents.keeper.close)
        await asyncio.to_thread(self.messenger.stop)
        await asyncio.to_thread(self.experimenting.keeper.stop)
        self.following.detach()
        self.forecasting.close()
        await self.suggesting.stop()
        await self.experimenting.stop()
        self.changes.detach()
        if self._watching is not None:
            await asyncio.to_thread(self.profiles.tracker.save)
        if self._growing is not None:
            await asyncio.to_thread(self.graph.save)

    async def _begin_anew(self) -> None:
        await self._halt()
        await asyncio.to_thread(self._reopen)
        await self.start(schedules=self._scheduling)

    def _reopen(self) -> None:
        self.db.close()
        with ExitStack() as begun:
            db, meta = furnished(self.settings, self.home, begun, None, silent)
            self._assemble(db, meta)
            self.prepare()
            begun.pop_all()

    def _learn_again(self) -> None:
        """What the shop had learned of the data that it has no more."""
        wanted = self.regeneration.to_learn()
        for one in self.first_models():
            if one.model in wanted:
                with suppress(Busy):
                    self.train_first(one, requested_by="regenerate")
        if wanted:
            self.regeneration.begun()

    def _embedded(self, row: int) -> dict[str, Any] | None:
        """The vector of a user in the graph and how fresh it is; without one, whose item vectors make the user's."""
        graph = self.graph.embedding(row)
        if graph is not None:
            model, _, number = graph.version.rpartition("/")
            return {"space": model, "version": int(number), "as_of": graph.as_of, "pending": graph.pending}
        fusion = self.serving.peek("fusion")
        return None if fusion is None else {"space": fusion.version.model, "version": fusion.version.version}

    def _may_be_told_of(self, row: int) -> bool:
        """Nobody who refuses marketing. For a merged user it is the other who says so, and an erased one is nobody."""
        users = self.vocab.users
        present = users.row(users.id(row))
        return present is not None and self.consents.allows(present, "marketing")

    def _embed(self, scope: Scope, by: str) -> Job:
        """All vectors anew."""
        return self.graph.refresh(requested_by=by, ratio=scope.ratio, seed=scope.seed, timed=scope.timed)
