"""One person's whole profile, to be read and to be corrected: record, preferences, what they did lately."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, select

from shopkeeper.core.clock import Clock, moment
from shopkeeper.core.records import StoredEvent, User, UserProfile
from shopkeeper.features.state import FeatureState
from shopkeeper.profiles.preferences import learned
from shopkeeper.profiles.service import ProfileService
from shopkeeper.profiles.surroundings import Shelf
from shopkeeper.stores import audit, schema
from shopkeeper.stores.attributes import check_attributes
from shopkeeper.stores.audit import Actor
from shopkeeper.stores.consents import ConsentStore
from shopkeeper.stores.etags import check_tag
from shopkeeper.stores.events import EventLog
from shopkeeper.stores.preferences import PreferenceStore, merged, stated_in
from shopkeeper.stores.sql import Database
from shopkeeper.stores.users import UserStore
from shopkeeper.stores.vocabulary import Vocabulary

HISTORY = 50
READ_ONLY = ("behavior_history", "last_updated", "embedding")
_C = schema.users.c


class Changes(msgspec.Struct, kw_only=True):
    """What may be changed: attributes of the record and stated preferences, key by key; a null takes a key away."""

    features: dict[str, Any] = msgspec.field(default_factory=dict)
    preferences: dict[str, Any] = msgspec.field(default_factory=dict)


class Written(NamedTuple):
    """`ignored` are features that are worked out and cannot be set."""

    created: bool
    ignored: list[str]
    tag: str


class Personal:
    """Reading belongs to the thread of the features. `embedded` says which vector the user of a row has, if any."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        *,
        profiles: ProfileService,
        features: FeatureState,
        users: UserStore,
        ids: Vocabulary,
        preferences: PreferenceStore,
        consents: ConsentStore,
        log: EventLog,
        shelf: Shelf,
        embedded: Callable[[int], dict[str, Any] | None],
    ) -> None:
        self._db = db
        self._clock = clock
        self._profiles = profiles
        self._features = features
        self._users = users
        self._ids = ids
        self._preferences = preferences
        self._consents = consents
        self._log = log
        self._shelf = shelf
        self._embedded = embedded

    def read(self, user_id: str) -> tuple[UserProfile, str]:
        """The profile and its tag. Who refuses profiling has what was said only: nothing learned, no history.

        Raises NotFound.
        """
        found = self._profiles.profile(user_id)
        row = self._ids.row(user_id)
        assert row is not None
        stated = self._preferences.of(row)
        open_ = self._consents.allows(row, "profiling")
        events = self._log.recent(user_id=user_id, limit=HISTORY) if open_ else []
        attributes = {name: value for name, value in found["profile"]["user"].items() if name != "user_id"}
        with self._db.read() as connection:
            record, tag = _state(connection, row)
        times = [time for time in (record, stated.updated_at, events[0].time if events else None) if time is not None]
        profile = UserProfile(
            user_id=user_id,
            features={**_numbers(found["attributes"]), **attributes},
            preferences={"stated": stated.fields, "learned": self._learned(row) if open_ else None},
            behavior_history=[_told(event) for event in events],
            last_updated=max(times, default=None),
            embedding=self._embedded(row) if open_ else None,
        )
        return profile, tag

    def write(self, user_id: str, changes: Changes, if_match: str | None, actor: Actor) -> Future[Written]:
        """Merges into what is stored, in one transaction with its audit; makes the user when there is none.

        Invalid and Stale come by the future.
        """
        computed = self._profiles.computed()
        wanted = _stated(changes.preferences)

        def write(connection: Connection) -> Written:
            row = self._ids.staged_row(user_id)
            before = {} if row is None else _attributes(connection, row)
            check_tag(if_match, None if row is None else _state(connection, row)[1], f"the profile of {user_id!r}")
            ignored = sorted(name for name in changes.features if name in computed and name not in before)
            given = {name: value for name, value in changes.features.items() if name not in ignored}
            attributes = merged(before, given)
            check_attributes(attributes)
            created = self._users.put_in(connection, [User(user_id=user_id, attributes=attributes)]).created
            row = self._ids.staged_row(user_id)
            assert row is not None
            said = stated_in(connection, row).fields
            after = self._preferences.merge_in(connection, row, wanted, noted=False).fields if wanted else said
            audit.note(
                connection,
                actor,
                "profile",
                time=self._clock.wall(),
                user_row=row,
                before={"features": _of(before, given), "preferences": _of(said, wanted)},
                after={"features": _of(attributes, given), "preferences": _of(after, wanted)},
            )
            return Written(bool(created), ignored, _state(connection, row)[1])

        return self._db.writer.submit(write, after=lambda _: self._users.tell([user_id]))

    def _learned(self, row: int) -> dict[str, Any]:
        return learned(self._features, self._shelf, row, self._clock.now())


def _state(connection: Connection, row: int) -> tuple[datetime | None, str]:
    """When the record was changed last (None: events made it), and the tag of record and preferences together."""
    listed, record = connection.execute(select(_C.listed, _C.updated_at).where(_C.row == row)).one()
    said = schema.preferences.c
    stated = connection.scalar(select(said.updated_at).where(said.user_row == row)) or 0
    return moment(record) if listed else None, f'"{record if listed else 0:x}.{stated:x}"'


def _attributes(connection: Connection, row: int) -> dict[str, Any]:
    """Of the record; none without one."""
    found: dict[str, Any] | None = connection.scalar(select(_C.attributes).where(_C.row == row, _C.listed))
    return found or {}


def _stated(preferences: Mapping[str, Any]) -> dict[str, Any]:
    """A client may send back the shape that it was shown: `{stated, learned}` means what is in `stated`."""
    inner = preferences.get("stated")
    if isinstance(inner, dict) and preferences.keys() <= {"stated", "learned"}:
        return inner
    return dict(preferences)


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    return {name: value for name, value in values.items() if isinstance(value, int | float)}


def _of(values: Mapping[str, Any], keys: Mapping[str, Any]) -> dict[str, Any]:
    """What stands there now under the keys that were touched."""
    return {key: values[key] for key in keys if key in values}


def _told(event: StoredEvent) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.to_builtins(event)
    return told
