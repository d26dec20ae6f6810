"""Who a user is, what the rules make of it, and who else is like that. Used on one thread, as the features are.

One user is always answered from the live state: exact to the last event. Sizes and members of segments come from a
snapshot that is at most `max_age_s` old when it is asked for, the bounds of the RFM scores from one of the last minute.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from concurrent.futures import Future
from typing import Any

from shopkeeper.core.clock import MINUTE, SECOND, Clock, rfc3339
from shopkeeper.core.errors import Invalid, NotFound
from shopkeeper.core.records import Explanation, Rule, Segment
from shopkeeper.explain.contributions import probability
from shopkeeper.features.state import FeatureState
from shopkeeper.profiles.conditions import Condition, compiled, fields_of
from shopkeeper.profiles.defaults import RULES, SEGMENTS
from shopkeeper.profiles.fields import DERIVED, schema_of
from shopkeeper.profiles.membership import UNKNOWN
from shopkeeper.profiles.people import People, Person
from shopkeeper.profiles.scoring import contributions, explanation
from shopkeeper.profiles.snapshot import Snapshot, take_snapshot
from shopkeeper.profiles.sources import One
from shopkeeper.profiles.table import ProfileTable
from shopkeeper.rules.parser import parse
from shopkeeper.rules.schema import Field, Schema
from shopkeeper.stores.paging import cursor_after, key_of
from shopkeeper.stores.rules import RuleStore
from shopkeeper.stores.segments import SegmentStore
from shopkeeper.stores.sql import Database

_SCALE_AGE = MINUTE
_SHOWN = ("days_since_event", "days_since_order", "tenure_days", *(field.name for field in DERIVED))


class ProfileService:
    """`extra_fields` are fields that rules may read before any user has such an attribute (a telecom's tariff)."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        features: FeatureState,
        *,
        extra_fields: Iterable[Field] = (),
        max_age_s: float = 5.0,
    ) -> None:
        self._clock = clock
        self._features = features
        self._people = People(db)
        self._extra = tuple(extra_fields)
        self._max_age = int(max_age_s * SECOND)
        self.rule_store = RuleStore(db, clock)
        self.segment_store = SegmentStore(db, clock)
        self._schema = schema_of([], self._extra)
        self._schema_of = -1
        self._rules: list[tuple[Rule, Condition]] = []
        self._segments: dict[str, tuple[Segment, Condition]] = {}
        self._compiled_for: tuple[int, int, int] | None = None
        self._snapshot: Snapshot | None = None

    def seed_defaults(self) -> None:
        """Adds the default rules and segments whose names are free. Returns when they are durable."""
        self.rule_store.add_missing(list(RULES), by="shop").result()
        self.segment_store.add_missing(list(SEGMENTS)).result()

    # -- one user --------------------------------------------------------------------------------------------

    def profile(self, user_id: str) -> dict[str, Any]:
        """`{user_id, profile: {user, event_counts, last_event_at}, attributes, scores, segments, windows}`.

        A user known from events only has a profile too. Raises NotFound.
        """
        person, table = self._look_up(user_id)
        now = table.source.now
        windows = self._features.user_windows(person.row, now)
        last = windows["recency"]["last_event"]
        return {
            "user_id": user_id,
            "profile": {
                "user": {**person.attributes, "user_id": user_id},
                "event_counts": windows["all"]["counts"],
                "last_event_at": None if last is None else rfc3339(last),
            },
            "attributes": {name: _plain(value) for name, value in table.row(frozenset(_SHOWN)).items()},
            "scores": self._scores(table),
            "segments": self._segments_of(table),
            "windows": windows,
        }

    def explain(self, user_id: str, k: int = 5) -> Explanation:
        """Raises NotFound."""
        _, table = self._look_up(user_id)
        return explanation(user_id, self._rules, table.row(fields_of(c for _, c in self._rules)), k)

    def segments_of(self, user_id: str) -> list[str]:
        """Names of the user's segments now, sorted. Raises NotFound."""
        return self._segments_of(self._look_up(user_id)[1])

    # -- rules -----------------------------------------------------------------------------------------------

    def schema(self) -> Schema:
        """The fields of today, attributes of all users included."""
        self._people.refresh()
        self._renew()
        return self._schema

    def rule_fields(self) -> list[dict[str, Any]]:
        """`[{name, type, unit, help, windows}]`, windows in hours."""
        fields = self.schema().fields.values()
        return [
            {"name": f.name, "type": f.type, "unit": f.unit, "help": f.help, "windows": list(f.windows)} for f in fields
        ]

    def rules(self) -> list[Rule]:
        self._renew()
        return [rule for rule, _ in self._rules]

    def rule(self, name: str, version: int | None = None) -> Rule:
        """Raises NotFound."""
        return self.rule_store.get(name, version)

    def problems(self) -> dict[str, str]:
        """Rules and segments that cannot run, and why: `rule NAME` or `segment NAME` -> reason."""
        self._renew()
        found = {f"rule {rule.name}": condition.problem for rule, condition in self._rules}
        found |= {f"segment {name}": condition.problem for name, (_, condition) in self._segments.items()}
        return {name: problem for name, problem in found.items() if problem is not None}

    def create_rule(
        self, name: str, condition: str, *, description: str = "", weight: float = 1.0, by: str = ""
    ) -> Future[Rule]:
        """Raises Invalid with "at N:" for a bad condition; a taken name is Invalid by the future."""
        parse(condition, self.schema())
        return self.rule_store.create(
            Rule(name=name, condition=condition, description=description, weight=weight), by=by
        )

    def update_rule(
        self,
        name: str,
        *,
        condition: str | None = None,
        description: str | None = None,
        weight: float | None = None,
        if_match: str | None = None,
        by: str = "",
    ) -> Future[Rule]:
        """None leaves as it is. Raises Invalid; NotFound and Stale come by the future."""
        if condition is not None:
            parse(condition, self.schema())
        return self.rule_store.update(
            name, condition=condition, description=description, weight=weight, if_match=if_match, by=by
        )

    def delete_rule(self, name: str, *, if_match: str | None = None, by: str = "") -> Future[Rule]:
        return self.rule_store.delete(name, if_match=if_match, by=by)

    # -- segments --------------------------------------------------------------------------------------------

    def segments(self) -> list[Segment]:
        """By name, with their sizes."""
        sizes = self._everybody().members.sizes()
        found = (segment for segment, _ in self._segments.values())
        return [_sized(segment, sizes.get(segment.name, 0)) for segment in found]

    def create_segment(self, name: str, condition: str, *, description: str = "") -> Future[Segment]:
        """Raises Invalid with "at N:"; a taken name is Conflict by the future."""
        parse(condition, self.schema())
        return self.segment_store.create(Segment(name=name, condition=condition, description=description))

    def segment_members(
        self, name: str, limit: int = 50, cursor: str | None = None
    ) -> tuple[list[dict[str, Any]], str | None, int]:
        """`([{user_id, entered_at}], next_cursor, total)`; entry is null when it was before this process's first look.

        Raises NotFound, and Invalid for a cursor that was not given out here.
        """
        members = self._everybody().members
        if name not in members.inside:
            raise NotFound(f"no segment {name!r}", code="unknown_segment")
        rows, ids = members.rows(name), self._people.ids()
        after = _row_of(key_of(cursor))
        page = [int(row) for row in rows[rows > after][: limit + 1]]
        entered = members.entered[name]
        items = [{"user_id": ids[row], "entered_at": _moment(int(entered[row]))} for row in page[:limit]]
        return items, cursor_after(str(page[limit - 1])) if len(page) > limit else None, len(rows)

    # -- inside ----------------------------------------------------------------------------------------------

    def _look_up(self, user_id: str) -> tuple[Person, ProfileTable]:
        person = self._people.find(user_id)
        now = self._clock.now()
        known = person is not None and not person.removed
        if person is None or not known or not (person.listed or self._features.past(person.row, now).last_time >= 0):
            raise NotFound(
                f"no user {user_id!r}: there is no record and no event; put a record or send an event first",
                code="unknown_user",
                field="user_id",
            )
        scale = self._kept_snapshot().scale
        return person, ProfileTable(self._schema, One(self._features, person.row, now), [person], scale)

    def _scores(self, table: ProfileTable) -> dict[str, Any]:
        parts = contributions(self._rules, table.row(fields_of(c for _, c in self._rules)))
        score = parts.total
        return {"final_score": score, "probability": probability(score), "f_rule": score, "rules": parts.by_name()}

    def _segments_of(self, table: ProfileTable) -> list[str]:
        row = table.row(fields_of(condition for _, condition in self._segments.values()))
        return [name for name, (_, condition) in self._segments.items() if condition.one(row)]

    def _renew(self) -> None:
        """Reads rules and segments again when they, or the fields that they read, have changed."""
        if self._schema_of != self._people.version:
            self._schema_of = self._people.version
            self._schema = schema_of((person.attributes for person in self._people.all()), self._extra)
        wanted = (self.rule_store.changes, self.segment_store.changes, self._schema_of)
        if self._compiled_for == wanted:
            return
        self._rules = [(rule, compiled(rule.condition, self._schema)) for rule in self.rule_store.all()]
        found = self.segment_store.all()
        self._segments = {segment.name: (segment, compiled(segment.condition, self._schema)) for segment in found}
        self._compiled_for = wanted

    def _kept_snapshot(self) -> Snapshot:
        """A snapshot for its scale, which moves slowly: at most a minute old."""
        self._renew()
        kept = self._snapshot
        fresh = kept is not None and self._clock.wall() - kept.taken < max(self._max_age, _SCALE_AGE)
        return kept if kept is not None and fresh else self._everybody()

    def _everybody(self) -> Snapshot:
        """A snapshot that is at most `max_age_s` old and knows every segment."""
        self._renew()
        kept, wall = self._snapshot, self._clock.wall()
        if (
            kept is not None
            and wall - kept.taken < self._max_age
            and kept.members.inside.keys() == self._segments.keys()
        ):
            return kept
        self._people.refresh()
        self._renew()
        conditions = {name: condition for name, (_, condition) in self._segments.items()}
        self._snapshot = take_snapshot(
            self._features, self._people, self._schema, conditions, now=self._clock.now(), wall=wall, before=kept
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
