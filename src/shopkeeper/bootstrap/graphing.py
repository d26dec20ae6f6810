"""The graph of a shop's people and items, whose vectors follow the events."""

from __future__ import annotations

from shopkeeper.bootstrap.furnishing import GRAPH_DATA, Stores
from shopkeeper.core.clock import SECOND, Clock
from shopkeeper.lifecycle.jobs import JobService
from shopkeeper.lifecycle.registry import Registry
from shopkeeper.lifecycle.serving import Serving
from shopkeeper.profiles.graph.drift import Detector
from shopkeeper.profiles.graph.pace import Pace
from shopkeeper.profiles.graph.service import GraphService
from shopkeeper.settings import Settings
from shopkeeper.stores.consents import ConsentStore
from shopkeeper.stores.home import Home
from shopkeeper.stores.meta import Meta
from shopkeeper.stores.sql import Database


def live_graph(
    settings: Settings,
    db: Database,
    clock: Clock,
    home: Home,
    meta: Meta,
    *,
    stores: Stores,
    consents: ConsentStore,
    jobs: JobService,
    registry: Registry,
    serving: Serving,
) -> GraphService:
    return GraphService(
        db,
        clock,
        home,
        vocabularies=stores.vocab,
        catalog=stores.catalog,
        consents=consents,
        jobs=jobs,
        registry=registry,
        serving=serving,
        data=meta.get(GRAPH_DATA) or "",
        pace=Pace(events=settings.graph_events, top=settings.graph_top, epsilon=settings.graph_epsilon),
        detector=Detector(
            every=settings.graph_drift_s * SECOND, events=settings.graph_drift_events, most=settings.graph_drift
        ),
        idle_s=settings.graph_idle_s,
    )
