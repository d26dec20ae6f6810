"""Who a user is, what the rules make of it, and who else is like that. Used on one thread, as the features are.

One user is always answered from the live state: exact to the last event. Sizes and members of segments come from a
snapshot that is at most `max_age_s` old when it is asked for, the bounds of the RFM scores from one of the last minute.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from shopkeeper.core.clock import MINUTE, SECOND, Clock, rfc3339
from shopkeeper.core.errors import Invalid, NotFound, Refused
from shopkeeper.core.records import Explanation, Segment
from shopkeeper.explain.contributions import probability
from shopkeeper.features.state import FeatureState
from shopkeeper.profiles.conditions import compiled, fields_of
from shopkeeper.profiles.defaults import OTHERWISE, RULES, SEGMENTS, STRATEGIES
from shopkeeper.profiles.fields import DERIVED
from shopkeeper.profiles.live_schema import LiveSchema
from shopkeeper.profiles.membership import UNKNOWN
from shopkeeper.profiles.people import People, Person
from shopkeeper.profiles.preferences import learned, recent
from shopkeeper.profiles.preview import Work, preview
from shopkeeper.profiles.rulebook import RuleBook
from shopkeeper.profiles.scoring import contributions, explanation
from shopkeeper.profiles.segmentbook import SegmentBook
from shopkeeper.profiles.snapshot import Snapshot, take_snapshot
from shopkeeper.profiles.sources import Many, One
from shopkeeper.profiles.strategies import suggestions
from shopkeeper.profiles.surroundings import Models, Shelf, Surroundings
from shopkeeper.profiles.table import ProfileTable
from shopkeeper.rules.parser import parse
from shopkeeper.rules.schema import Field
from shopkeeper.stores.consents import ConsentStore
from shopkeeper.stores.paging import cursor_after, key_of
from shopkeeper.stores.sql import Database

_SCALE_AGE = MINUTE
_SHOWN = ("days_since_event", "days_since_order", "tenure_days", *(field.name for field in DERIVED))


class ProfileService:
    """`extra_fields` are fields that rules may read before any user has such an attribute (a telecom's tariff).

    `otherwise` is what to do for a user to whom no strategy applies.
    """

    def __init__(
        self,
        db: Database,
        clock: Clock,
        features: FeatureState,
        *,
        consents: ConsentStore | None = None,
        catalog: Shelf | None = None,
        models: Models | None = None,
        extra_fields: Iterable[Field] = (),
        otherwise: str = OTHERWISE,
        max_age_s: float = 5.0,
    ) -> None:
        self._clock = clock
        self._features = features
        self._consents = consents
        self._otherwise = otherwise
        self.people = People(db)
        self._catalog = catalog
        self.schema = LiveSchema(self.people, extra_fields, Surroundings(features, catalog, models))
        self.rulebook = RuleBook(db, clock, self.schema)
        self.segmentbook = SegmentBook(db, clock, self.schema)
        self._max_age = int(max_age_s * SECOND)
        self._snapshot: Snapshot | None = None

    def seed_defaults(self) -> None:
        """Adds the default rules and segments whose names are free. Returns when they are durable."""
        self.rulebook.seed([*RULES, *STRATEGIES])
        self.segmentbook.seed(SEGMENTS)

    def computed(self) -> frozenset[str]:
        """Names of the fields that are worked out and shown beside the attributes."""
        return frozenset(_SHOWN)

    # -- one user --------------------------------------------------------------------------------------------

    def profile(self, user_id: str) -> dict[str, Any]:
        """`{user_id, profile: {user, event_counts, last_event_at}, attributes, scores, segments, windows, preferences,
        recent, consent}`: preferences see `preferences.learned`, recent the last 20 events, newest first.

        A user known from events only has a profile too. Who refuses profiling has record and consent, no scores (None),
        and nothing that is worked out. Raises NotFound.
        """
        person, table = self._look_up(user_id)
        now = int(table.source.now)
        windows = self._features.user_windows(person.row, now)
        last = windows["recency"]["last_event"]
        private = self._refuses(person.row)
        return {
            "user_id": user_id,
            "profile": {
                "user": {**person.attributes, "user_id": user_id},
                "event_counts": windows["all"]["counts"],
                "last_event_at": None if last is None else rfc3339(last),
            },
            "attributes": {} if private else {n: _plain(value) for n, value in table.row(frozenset(_SHOWN)).items()},
            "scores": None if private else self._scores(table),
            "segments": [] if private else self._segments_of(table),
            "windows": {} if private else windows,
            "preferences": None if private else learned(self._features, self._catalog, person.row, now),
            "recent": [] if private else recent(self._features, self._catalog, person.row),
            "consent": None if self._consents is None else self._consents.of(person.row),
        }

    def explain(self, user_id: str, k: int = 5) -> Explanation:
        """Raises NotFound, and Refused for a user who does not agree to profiling."""
        person, table = self._look_up(user_id)
        if self._refuses(person.row):
            raise Refused(
                f"user {user_id!r} does not agree to profiling: there is no score to explain; it can be scored after "
                f"consent to profiling",
                code="no_consent",
            )
        rules = self.rulebook.compiled()
        return explanation(user_id, rules, table.row(fields_of(c for _, c in rules)), k)

    def segments_of(self, user_id: str) -> list[str]:
        """Names of the user's segments now, sorted; none for who refuses profiling. Raises NotFound."""
        person, table = self._look_up(user_id)
        return [] if self._refuses(person.row) else self._segments_of(table)

    def suggestions(self, user_id: str) -> list[str]:
        """What the strategies suggest to do for a user; to one who wants no profile or nothing personal, what they
        suggest to everybody else. Raises NotFound."""
        person, table = self._look_up(user_id)
        consents = self._consents
        if consents is not None and not (
            consents.allows(person.row, "profiling") and consents.allows(person.row, "personalization")
        ):
            return [self._otherwise]
        strategies = self.rulebook.strategies()
        return suggestions(strategies, table.row(fields_of(c for _, c in strategies)), self._otherwise)

    # -- what if ---------------------------------------------------------------------------------------------

    def preview(self, condition: str, *, weight: float = 0.0, name: str | None = None) -> Work:
        """What a condition would do among all customers; `name` is the rule that it would replace, if there is one.

        The work that is given back may run on any thread. Raises Invalid with "at N:".
        """
        schema = self.schema.refresh()
        parse(condition, schema)
        scale = self._kept_snapshot().scale
        people = self.people.all()
        n = max(self._features.n_users, people[-1].row + 1 if people else 0)
        by_row = dict.fromkeys(range(n)) | {person.row: person for person in people}
        everybody = Many.everybody(self._features, self._clock.now(), n)
        table = ProfileTable(schema, everybody, [by_row[row] for row in range(n)], scale)
        customers = self.people.members(n, table.number("total_events") > 0)
        if self._consents is not None:
            customers &= self._consents.mask("profiling", n)
        replaced = None if name is None else self.rulebook.find(name)
        return preview(table, customers, compiled(condition, schema), weight, replaced)

    # -- segments --------------------------------------------------------------------------------------------

    def segments(self) -> list[Segment]:
        """By name, with their sizes."""
        sizes = self._everybody().members.sizes()
        found = (segment for segment, _ in self.segmentbook.compiled().values())
        return [_sized(segment, sizes.get(segment.name, 0)) for segment in found]

    def segment_members(
        self, name: str, limit: int = 50, cursor: str | None = None
    ) -> tuple[list[dict[str, Any]], str | None, int]:
        """`([{user_id, entered_at}], next_cursor, total)`; entry is null when it was before this process's first look.

        Raises NotFound, and Invalid for a cursor that was not given out here.
        """
        members = self._everybody().members
        if name not in members.inside:
            raise NotFound(f"no segment {name!r}", code="unknown_segment")
        rows, ids = members.rows(name), self.people.ids()
        after = _row_of(key_of(cursor))
        page = [int(row) for row in rows[rows > after][: limit + 1]]
        entered = members.entered[name]
        items = [{"user_id": ids[row], "entered_at": _moment(int(entered[row]))} for row in page[:limit]]
        return items, cursor_after(str(page[limit - 1])) if len(page) > limit else None, len(rows)

    # -- inside ----------------------------------------------------------------------------------------------

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
        scale = self._kept_snapshot().scale
        return person, ProfileTable(self.schema.current(), One(self._features, person.row, now), [person], scale)

    def _refuses(self, row: int) -> bool:
        return self._consents is not None and not self._consents.allows(row, "profiling")

    def _scores(self, table: ProfileTable) -> dict[str, Any]:
        rules = self.rulebook.compiled()
        parts = contributions(rules, table.row(fields_of(c for _, c in rules)))
        score = parts.total
        return {"final_score": score, "probability": probability(score), "f_rule": score, "rules": parts.by_name()}

    def _segments_of(self, table: ProfileTable) -> list[str]:
        segments = self.segmentbook.compiled()
        row = table.row(fields_of(condition for _, condition in segments.values()))
        return [name for name, (_, condition) in segments.items() if condition.one(row)]

    def _kept_snapshot(self) -> Snapshot:
        """A snapshot for its scale, which moves slowly: at most a minute old."""
        kept = self._snapshot
        fresh = kept is not None and self._clock.wall() - kept.taken < max(self._max_age, _SCALE_AGE)
        return kept if kept is not None and fresh else self._everybody()

    def _everybody(self) -> Snapshot:
        """A snapshot that is at most `max_age_s` old and knows every segment."""
        kept, wall = self._snapshot, self._clock.wall()
        if (
            kept is not None
            and wall - kept.taken < self._max_age
            and kept.members.inside.keys() == self.segmentbook.compiled().keys()
        ):
            return kept
        self.people.refresh()
        conditions = {name: condition for name, (_, condition) in self.segmentbook.compiled().items()}
        self._snapshot = take_snapshot(
            self._features,
            self.people,
            self.schema.current(),
            conditions,
            now=self._clock.now(),
            wall=wall,
            before=kept,
        )
        return self._snapshot


def _plain(value: Any) -> Any:
    """For JSON: a missing number is null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _sized(segment: Segment, size: int) -> Segment:
    return Segment(
        name=segment.name,
        condition=segment.condition,
        description=segment.description,
        version=segment.version,
        size=size,
        updated_at=segment.updated_at,
    )


def _row_of(key: str | None) -> int:
    if key is not None and not key.isdecimal():
        raise Invalid("cursor was not given out by this list; begin without one", field="cursor")
    return -1 if key is None else int(key)


def _moment(us: int) -> str | None:
    return None if us == UNKNOWN else rfc3339(us)
