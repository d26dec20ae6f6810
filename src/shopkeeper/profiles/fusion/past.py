"""The shop's past as a training sees it: the log in order of time, the people, and the rules of today."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.batch import EventBatch
from shopkeeper.core.clock import StoppedClock
from shopkeeper.core.errors import Conflict
from shopkeeper.core.protocols import Report, TrainingContext
from shopkeeper.core.records import Rule
from shopkeeper.features.state import FeatureState
from shopkeeper.profiles.conditions import Condition
from shopkeeper.profiles.live_schema import LiveSchema
from shopkeeper.profiles.people import People, Person
from shopkeeper.profiles.rulebook import RuleBook
from shopkeeper.profiles.surroundings import Surroundings
from shopkeeper.rules.schema import Schema
from shopkeeper.stores.catalog import Catalog
from shopkeeper.stores.consents import ConsentStore
from shopkeeper.stores.meta import Meta
from shopkeeper.stores.sql import Database, open_database
from shopkeeper.stores.vocabulary import Vocabularies, Vocabulary
from shopkeeper.stores.whole_log import fingerprint, read_log

CONSENT_DEFAULT = "consent.default"
"""Where the shop leaves word for its trainings what counts for users who were never asked: `yes` or `no`."""


@dataclass(frozen=True)
class ShopPast:
    """`events` up to the context's `now` in order of time. Rules and attributes are those of today: a shop keeps no
    history of attributes. `refused` are the rows of users who do not agree to be profiled: nothing is learned of them.

    `state` is empty: whoever replays the events fills it, once. Fields that another model gives (churn risk, cluster)
    are missing, as the models of today know what came later.
    """

    events: EventBatch
    items: Vocabulary
    types: Vocabulary
    people: People
    state: FeatureState
    schema: Schema
    rules: Sequence[tuple[Rule, Condition]]
    refused: frozenset[int]

    def person(self, row: int) -> Person | None:
        """The record of a row; None for an anonymous visitor."""
        return self._by_row.get(row)

    def are(self, event_type: str) -> NDArray[np.bool_]:
        """Which events are of a type, bool (events,)."""
        row = self.types.row(event_type)
        found: NDArray[np.bool_] = self.events.type == (-1 if row is None else row)
        return found

    @cached_property
    def _by_row(self) -> dict[int, Person]:
        return {person.row: person for person in self.people.all()}

    def fingerprint(self) -> str:
        """SHA-256 over events and rules."""
        return hashlib.sha256((fingerprint(self.events) + signature(self.rules)).encode()).hexdigest()


def signature(rules: Sequence[tuple[Rule, Condition]]) -> str:
    """A short name of what the rules say; those of weight 0 say nothing, and a description is none of it."""
    said = "\n".join(f"{rule.name}\t{rule.weight!r}\t{rule.condition}" for rule, _ in rules if rule.weight)
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def read_past(context: TrainingContext, report: Report) -> ShopPast:
    """Reads log, people and rules, read-only. Raises Conflict when there are no events."""
    log = read_log(context, report)
    if not len(log.events):
        raise Conflict("the shop has no events yet: import orders first, then train", code="needs_data")
    names = log.names
    db = open_database(context.sql_url, read_only=True)
    try:
        people = People(db)
        state = FeatureState(ZoneInfo(context.zone), names.event_types)
        schema = LiveSchema(people, surroundings=Surroundings(state, Catalog(db, names)))
        fields = schema.refresh()
        refused = refused_of(db, names, context.now)
        rules = RuleBook(db, StoppedClock(context.now), schema).compiled()
    finally:
        db.close()
    return ShopPast(log.events, names.items, names.event_types, people, state, fields, rules, refused)


def refused_of(db: Database, names: Vocabularies, now: int) -> frozenset[int]:
    """Rows of who does not agree to be profiled: nobody may learn from them."""
    given = Meta(db).get(CONSENT_DEFAULT) != "no"
    return ConsentStore(db, names, StoppedClock(now), default=given).refused("profiling")
