"""Every SQL table, once. Migrations bring a home to this; tests compare the two.

Times are microseconds since 1970 UTC. JSON columns hold what no query filters on. Rows (`row`) are the int32 ids that
arrays use; they are given out here and never reused.
"""

from __future__ import annotations

from shopkeeper.stores.schema.base import metadata
from shopkeeper.stores.schema.learning import (
    agent_steps,
    agent_verdicts,
    agent_visits,
    agents,
    explored,
    explorers,
    online_learned,
    online_learners,
)
from shopkeeper.stores.schema.log import event_types, events, imports, withheld
from shopkeeper.stores.schema.membership import deliveries, rules, segment_spans, segments, webhooks
from shopkeeper.stores.schema.people import audit, consents, identities, merges, preferences
from shopkeeper.stores.schema.registry import aliases, models, traffic, versions
from shopkeeper.stores.schema.shop import items, meta, shops, stock_levels, users
from shopkeeper.stores.schema.stock import calendar, day_facts, predictions
from shopkeeper.stores.schema.suggesting import feature_activations, feature_versions, scenarios, served_vectors, slates
from shopkeeper.stores.schema.trials import experiment_events, experiment_units, experiments
from shopkeeper.stores.schema.work import job_events, jobs, leases, schedules

__all__ = [
    "agent_steps",
    "agent_verdicts",
    "agent_visits",
    "agents",
    "aliases",
    "audit",
    "calendar",
    "consents",
    "day_facts",
    "deliveries",
    "event_types",
    "events",
    "experiment_events",
    "experiment_units",
    "experiments",
    "explored",
    "explorers",
    "feature_activations",
    "feature_versions",
    "identities",
    "imports",
    "items",
    "job_events",
    "jobs",
    "leases",
    "merges",
    "meta",
    "metadata",
    "models",
    "online_learned",
    "online_learners",
    "predictions",
    "preferences",
    "rules",
    "scenarios",
    "schedules",
    "segment_spans",
    "segments",
    "served_vectors",
    "shops",
    "slates",
    "stock_levels",
    "traffic",
    "users",
    "versions",
    "webhooks",
    "withheld",
]
