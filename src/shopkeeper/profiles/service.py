"""Who a user is, what the rules make of it, and who else is like that. Used on one thread, as the features are.

One user is always answered from the live state: exact to the last event. Only the bounds of the RFM scores, which are
taken over everybody, may be a minute old.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from shopkeeper.core.clock import Clock, rfc3339
from shopkeeper.core.errors import NotFound, Refused
from shopkeeper.core.language import Lang
from shopkeeper.core.protocols import Models
from shopkeeper.core.records import Explanation
from shopkeeper.features.state import FeatureState
from shopkeeper.profiles.conditions import compiled, fields_of
from shopkeeper.profiles.defaults import RETAIL, Defaults
from shopkeeper.profiles.explaining import Asked, Explaining
from shopkeeper.profiles.fields import BEHAVIOUR, DERIVED, STANDARD, ProfileSchema
from shopkeeper.profiles.fusing import Fuser
from shopkeeper.profiles.ladder import Level
from shopkeeper.profiles.live_schema import LiveSchema
from shopkeeper.profiles.people import People, Person, customers_among
from shopkeeper.profiles.preferences import learned, recent
from shopkeeper.profiles.preview import STEP, Few, Previewing
from shopkeeper.profiles.rfm import RfmScale
from shopkeeper.profiles.rulebook import RuleBook
from shopkeeper.profiles.scores import Scores
from shopkeeper.profiles.segmentbook import SegmentBook
from shopkeeper.profiles.sources import Many, One
from shopkeeper.profiles.strategies import suggestions
from shopkeeper.profiles.supposing import Standing, Suppose
from shopkeeper.profiles.surroundings import Shelf, Surroundings
from shopkeeper.profiles.table import ProfileTable
from shopkeeper.profiles.tracker import SegmentTracker
from shopkeeper.rules.parser import parse
from shopkeeper.rules.schema import Schema
from shopkeeper.stores.consents import ConsentStore
from shopkeeper.stores.sql import Database
from shopkeeper.stores.vocabulary import UserVocabulary

_SHOWN = ("days_since_event", "days_since_order", "tenure_days", *(field.name for field in (*DERIVED, *BEHAVIOUR)))


class ProfileService:
    """`defaults` is what a shop of this kind begins with, and which fields its rules may read from the beginning on."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        features: FeatureState,
        users: UserVocabulary,
        *,
        consents: ConsentStore | None = None,
        catalog: Shelf | None = None,
        models: Models | None = None,
        defaults: Defaults = RETAIL,
    ) -> None:
        self._clock = clock
        self._features = features
        self._consents = consents
        self._defaults = defaults
        self._otherwise = defaults.otherwise
        self.people = People(db)
        self._catalog = catalog
        self._models = models
        self.schema = LiveSchema(self.people, defaults.fields, Surroundings(features, catalog, models))
        self.rulebook = RuleBook(db, clock, self.schema)
        self.fuser = Fuser(models, catalog)
        self._scores = Scores(features, self.rulebook, self.fuser)
        self.explaining = Explaining(features, self.rulebook, catalog, self.fuser.current)
        self.segmentbook = SegmentBook(db, clock, self.schema)
        self.tracker = SegmentTracker(
            db, clock, features, users, self.people, self.schema, self.segmentbook, consents=consents
        )
        if consents is not None:
            consents.subscribe(self.tracker.touch)

    def seed_defaults(self) -> None:
        """Adds the default rules and segments whose names are free. Returns when they are durable."""
        self.rulebook.seed([*self._defaults.rules, *self._defaults.strategies])
        self.segmentbook.seed(self._defaults.segments)

    def forget(self, rows: Iterable[int]) -> None:
        """These people were erased: neither their records nor what was said of them is kept in memory."""
        rows = list(rows)
        self.people.forget(rows)
        self.explaining.forget(rows)

    def computed(self) -> frozenset[str]:
        """Names of the fields that are worked out: an attribute of such a name would be read by nobody."""
        return frozenset(field.name for field in STANDARD)

    # -- one user --------------------------------------------------------------------------------------------

    def profile(self, user_id: str) -> dict[str, Any]:
        """`{user_id, profile: {user, event_counts, last_event_at}, attributes, scores, segments, windows, preferences,
        recent, consent}`: preferences see `preferences.learned`, recent the last 20 events, newest first.

        A user known from events only has a profile too; the id of one that was merged gets the other's. Who refuses
        profiling has record and consent, no scores (None), and nothing that is worked out. Raises NotFound.
        """
        person, table = self._look_up(user_id)
        now = int(table.source.now)
        windows = self._features.user_windows(person.row, now)
        last = windows["recency"]["last_event"]
        private = self._refuses(person.row)
        return {
            "user_id": person.user_id,
            "profile": {
                "user": {**person.attributes, "user_id": person.user_id},
                "event_counts": windows["all"]["counts"],
                "last_event_at": None if last is None else rfc3339(last),
            },
            "attributes": {} if private else {n: _plain(value) for n, value in table.row(frozenset(_SHOWN)).items()},
            "scores": None if private else self._scores.of(person.row, table),
            "segments": [] if private else self.tracker.of(person.row),
            "windows": {} if private else windows,
            "preferences": None if private else learned(self._features, self._catalog, person.row, now),
            "recent": [] if private else recent(self._features, self._catalog, person.row),
            "consent": None if self._consents is None else self._consents.of(person.row),
        }

    def explain(self, user_id: str, k: int = 5, level: Level = "groups", lang: Lang = "en") -> Explanation:
        """The answer at once, on this thread. Raises as `ask`, and Unavailable for an audit without shap."""
        asked = self.ask(user_id, k, level, lang)
        answer = asked.answer()
        self.explaining.keep(asked, answer)
        return answer

    def ask(self, user_id: str, k: int = 5, level: Level = "groups", lang: Lang = "en") -> Asked:
        """Why the user scores so: what is given back may be answered on any thread. Give the answer to
        `explaining.keep`. Raises NotFound, and Refused for a user who does not agree to profiling."""
        person, table = self._agreed(user_id)
        return self.explaining.ask(person, table, k, level, lang)

    def segments_of(self, user_id: str) -> list[str]:
        """Names of the user's segments now, sorted; none for who refuses profiling. Raises NotFound."""
        person, _ = self._look_up(user_id)
        return [] if self._refuses(person.row) else self.tracker.of(person.row)

    def suggestions(self, user_id: str) -> list[str]:
        """What the strategies suggest to do for a user; for one who refused a profile or what is personal, the same as
        when none matches. Raises NotFound."""
        person, table = self._look_up(user_id)
        consents = self._consents
        if consents is not None and not (
            consents.allows(person.row, "profiling") and consents.allows(person.row, "personalization")
        ):
            return [self._otherwise]
        strategies = self.rulebook.strategies()
        return suggestions(strategies, table.row(fields_of(c for _, c in strategies)), self._otherwise)

    # -- what if ---------------------------------------------------------------------------------------------

    def standing(self, user_id: str) -> Standing:
        """Scores and segments of a user now. Raises NotFound, and Refused for who does not agree to profiling."""
        person, table = self._agreed(user_id)
        return Standing(self._scores.of(person.row, table), self.tracker.of(person.row))

    def supposed(self, user_id: str, features: FeatureState, shelf: Shelf) -> Standing:
        """The same in another state: a fork of the features with more events of this user, and the items that it
        names. Nothing is kept. Raises as `standing`."""
        person, table = self._agreed(user_id)
        schema = self.schema.current()
        assert isinstance(schema, ProfileSchema)
        fuser = self.fuser if shelf is self._catalog else Fuser(self._models, shelf)
        suppose = Suppose(schema, self.segmentbook.compiled(), self._scores, self.tracker.scale, self._consents)
        return suppose.standing(person, features, shelf, fuser, int(table.source.now), self._clock.wall())

    def preview(self, condition: str, *, weight: float = 0.0, name: str | None = None) -> Previewing:
        """What a condition would do among all customers; `name` is the rule that it would replace, if there is one.

        Raises Invalid with "at N:".
        """
        schema = self.schema.refresh()
        parse(condition, schema)
        replaced = None if name is None else self.rulebook.find(name)
        everybody = self._everybody(schema, self.tracker.bounds())
        return Previewing(everybody, compiled(condition, schema), weight, replaced, self.people.at)

    # -- inside ----------------------------------------------------------------------------------------------

    def _everybody(self, schema: Schema, scale: RfmScale) -> Iterator[Few]:
        now, n = self._clock.now(), max(self._features.n_users, self.people.n)
        for start in range(0, n, STEP):
            rows = np.arange(start, min(start + STEP, n))
            people = [self.people.at(row) for row in rows.tolist()]
            table = ProfileTable(schema, Many.some(self._features, rows, now), people, scale)
            yield table, customers_among(people, table.number("total_events") > 0, self._consents)

    def _look_up(self, user_id: str) -> tuple[Person, ProfileTable]:
        person = self.people.find(user_id)
        now = self._clock.now()
        known = person is not None and not person.removed
        if person is None or not known or not (person.listed or self._features.past(person.row, now).last_time >= 0):
            raise NotFound(
                f"no user {user_id!r}: there is no record and no event; put a record or send an event first",
                code="unknown_user",
                field="user_id",
            )
        scale = self.tracker.bounds()
        return person, ProfileTable(self.schema.current(), One(self._features, person.row, now), [person], scale)

    def _agreed(self, user_id: str) -> tuple[Person, ProfileTable]:
        person, table = self._look_up(user_id)
        if self._refuses(person.row):
            raise Refused(
                f"user {user_id!r} does not agree to profiling: there is no score to explain; it can be scored after "
                f"consent to profiling",
                code="no_consent",
            )
        return person, table

    def _refuses(self, row: int) -> bool:
        return self._consents is not None and not self._consents.allows(row, "profiling")


def _plain(value: Any) -> Any:
    """For JSON: a missing number is null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
