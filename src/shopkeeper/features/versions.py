"""Versions of the set of features: which ones, in which version of each, with which default.

Trainings of rankers that name no features take those of the version that counts. A version is never changed: another
one is made, activated, and rolled back when it does not do well.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

import msgspec

from shopkeeper.core.changes import Change, Changes
from shopkeeper.core.clock import Clock, StoppedClock, moment
from shopkeeper.core.errors import Conflict, Invalid, NotFound
from shopkeeper.core.records import Record
from shopkeeper.features.registry import feature, registered, standard
from shopkeeper.features.vector import FeatureSet
from shopkeeper.stores import feature_versions as table
from shopkeeper.stores.sql import Database, open_database

FORMAT = "shopkeeper.features/1"
MOST = 500
HIGHEST = 1_000_000
"""Number that a version may bring along: those that are made after it go on from there."""
_LONGEST = 2000
Needs = Callable[[], Mapping[str, Sequence[str]]]
"""Names of the columns that each model in use reads, by `model:version`."""


class VersionedFeature(Record, kw_only=True):
    """A feature as a version knows it. `default` stands for a value that is missing."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=140)]
    version: Annotated[int, msgspec.Meta(ge=1)] = 1
    default: float = 0.0


class FeatureVersion(Record, kw_only=True):
    """`fingerprint`: SHA-256 over features, versions and defaults; equal ones mean the same."""

    version: int
    description: str
    features: list[VersionedFeature]
    active: bool
    fingerprint: str
    created_at: datetime
    created_by: str

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(one.name for one in self.features)

    @property
    def defaults(self) -> dict[str, float]:
        return {one.name: one.default for one in self.features}


class Difference(Record, kw_only=True):
    """From version `a` to `b`. `changed`: features of both whose version or default differs."""

    a: int
    b: int
    added: list[str]
    removed: list[str]
    changed: list[dict[str, Any]]


class Validity(Record, kw_only=True):
    """`problems` keep a version from being activated."""

    version: int
    valid: bool
    problems: list[str]


class Exported(Record, kw_only=True):
    """A version as a document that another shop can import; `version` 0: the next number there."""

    format: str
    description: Annotated[str, msgspec.Meta(max_length=_LONGEST)] = ""
    features: Annotated[list[VersionedFeature], msgspec.Meta(min_length=1, max_length=MOST)]
    fingerprint: str = ""
    version: Annotated[int, msgspec.Meta(ge=0, le=HIGHEST)] = 0


class FeatureVersions:
    """May be used on any thread. `needs` says what the models in use read."""

    def __init__(self, db: Database, clock: Clock, *, needs: Needs = dict, changes: Changes | None = None) -> None:
        self._db = db
        self._clock = clock
        self._needs = needs
        self._changes = changes
        self._active: FeatureVersion | None = None

    def seed(self) -> None:
        """The first version, active: what this program ranks by when nobody chose otherwise."""
        if self.active is None:
            self._activate(self.create("as shipped", by="shopkeeper"), "shopkeeper")

    @property
    def active(self) -> FeatureVersion | None:
        """The version that counts."""
        found = self._active
        if found is None:
            with self._db.read() as connection:
                number = table.active(connection)
                found = None if number is None else _told(table.get(connection, number), number)
            if self._active is None:  # else one was activated meanwhile
                self._active = found
        return found

    def page(self, *, limit: int = 50, before: int | None = None) -> tuple[list[FeatureVersion], int | None, int]:
        """Newest first: (versions, the number before which the next page begins, total)."""
        with self._db.read() as connection:
            found, after, total = table.page(connection, limit=limit, before=before)
            number = table.active(connection)
        return [_told(one, number) for one in found], after, total

    def get(self, version: int) -> FeatureVersion:
        """Raises NotFound."""
        with self._db.read() as connection:
            return _told(table.get(connection, version), table.active(connection))

    def create(self, description: str, names: Sequence[str] | None = None, *, by: str = "") -> FeatureVersion:
        """A version of the features as they are now; None: the standard ones. Not active. Raises Invalid."""
        wanted = list(standard()) if names is None else list(names)
        return self._add(description, [_present(name) for name in wanted], number=None, by=by)

    def compare(self, a: int, b: int) -> Difference:
        """Raises NotFound."""
        one, other = ({each.name: each for each in self.get(number).features} for number in (a, b))
        changed = [
            {"name": name, "a": msgspec.to_builtins(one[name]), "b": msgspec.to_builtins(other[name])}
            for name in one
            if name in other and one[name] != other[name]
        ]
        return Difference(
            a=a, b=b, added=[n for n in other if n not in one], removed=[n for n in one if n not in other],
            changed=changed,
        )  # fmt: skip

    def validate(self, version: int) -> Validity:
        """Whether the code still has what it names, and whether it has what the models in use read. Raises NotFound."""
        problems = _outdated(found := self.get(version)) + self._lacking(found)
        return Validity(version=version, valid=not problems, problems=problems)

    def activate(self, version: int, *, by: str = "") -> FeatureVersion:
        """Counts from now on. Raises NotFound; Conflict `invalid_version`, or `needed` when a model in use reads a
        feature that is missing in it."""
        found = self.get(version)
        if outdated := _outdated(found):
            raise Conflict(
                f"version {version} cannot be activated: {outdated[0]}; make a new version of today's features",
                code="invalid_version",
            )
        if lacking := self._lacking(found):
            raise Conflict(
                f"version {version} cannot be activated: {lacking[0]}; add the feature in a new version, or put "
                "another version of the model into use first",
                code="needed",
            )
        active = self._activate(found, by)
        if self._changes is not None:
            self._changes.tell(Change("features"))
        return active

    def rollback(self, *, by: str = "") -> FeatureVersion:
        """The version that counted before counts again. Raises Conflict `no_previous`, and as `activate` does."""
        with self._db.read() as connection:
            number = table.previous(connection)
        if number is None:
            raise Conflict("there is no version that was active before; activate one by its number", code="no_previous")
        return self.activate(number, by=by)

    def export(self, version: int) -> Exported:
        """Raises NotFound."""
        found = self.get(version)
        return Exported(
            format=FORMAT,
            version=version,
            description=found.description,
            features=found.features,
            fingerprint=found.fingerprint,
        )

    def take(self, given: Exported, *, by: str = "") -> FeatureVersion:
        """A version from a document, under its own number where that is free. Raises Invalid; Conflict `exists`."""
        if given.format != FORMAT:
            raise Invalid(f"format {given.format[:60]!r}, expected {FORMAT!r}", field="format")
        if given.fingerprint and given.fingerprint != fingerprint(given.features):
            raise Invalid(
                "the fingerprint does not fit the features: the document was changed; export it again, or leave the "
                "fingerprint out",
                code="fingerprint",
                field="fingerprint",
            )
        return self._add(given.description, given.features, number=given.version or None, by=by)

    def _add(
        self, description: str, features: Sequence[VersionedFeature], *, number: int | None, by: str
    ) -> FeatureVersion:
        _check(description, features)
        body = {"features": msgspec.to_builtins(list(features)), "fingerprint": fingerprint(features)}
        now = self._clock.wall()
        made = self._db.writer.submit(
            lambda connection: table.add(connection, body, description, number=number, now=now, by=by)
        ).result()
        return _told(made, None)

    def _activate(self, wanted: FeatureVersion, by: str) -> FeatureVersion:
        now = self._clock.wall()
        active = msgspec.structs.replace(wanted, active=True)

        def activated(_: None) -> None:
            """In the order of the transactions: of two at once the later one counts here as it does in SQL."""
            self._active = active

        done = self._db.writer.submit(
            lambda connection: table.activate(connection, active.version, now=now, by=by), after=activated
        )
        done.result()
        return active

    def _lacking(self, found: FeatureVersion) -> list[str]:
        """What models in use read and the version does not have; columns that are no features are others' business."""
        mine, known = set(found.names), registered()
        return [
            f"model {model} reads {name}, which is missing in it"
            for model, names in self._needs().items()
            for name in names
            if (name in known or "*" in name) and name not in mine
        ]


def active_names(sql_url: str) -> tuple[str, ...]:
    """Names of the version that counts, read from a database that another process writes; empty: none counts.

    One that the code does not fit any more is passed over: then the standard features are meant.
    """
    db = open_database(sql_url, read_only=True)
    try:
        found = FeatureVersions(db, StoppedClock(0)).active
    finally:
        db.close()
    return () if found is None or _outdated(found) else found.names


def fingerprint(features: Sequence[VersionedFeature]) -> str:
    """SHA-256, in the order given: the order is that of a vector."""
    told = [[one.name, one.version, one.default] for one in features]
    return hashlib.sha256(msgspec.json.encode(told)).hexdigest()


def _check(description: str, features: Sequence[VersionedFeature]) -> None:
    if len(description) > _LONGEST:
        raise Invalid(f"a description of at most {_LONGEST} characters was expected", field="description")
    if not 1 <= len(features) <= MOST:
        raise Invalid(f"{len(features)} features, expected 1 to {MOST}", field="features")
    names = [one.name for one in features]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise Invalid(f"feature {twice!r} is named twice", field="features")
    for one in features:
        if not math.isfinite(one.default):
            raise Invalid(f"the default of {one.name[:80]!r} is not a finite number", field="features")
    try:
        FeatureSet(names)
    except NotFound as error:
        raise Invalid(error.message, code=error.code, field="features") from error


def _present(name: str) -> VersionedFeature:
    try:
        found = feature(name)
    except NotFound as error:
        raise Invalid(error.message, code=error.code, field="features") from error
    return VersionedFeature(name=found.name, version=found.version, default=found.default)


def _outdated(found: FeatureVersion) -> list[str]:
    problems = []
    for one in found.features:
        try:
            present = feature(one.name)
        except (NotFound, Invalid):
            problems.append(f"feature {one.name} is not installed")
            continue
        if present.version != one.version:
            problems.append(f"feature {one.name} is version {present.version} here, {one.version} was expected")
    return problems


def _told(kept: table.Kept, active: int | None) -> FeatureVersion:
    return FeatureVersion(
        version=kept.version,
        description=kept.description,
        features=msgspec.convert(kept.body["features"], list[VersionedFeature]),
        active=kept.version == active,
        fingerprint=kept.body["fingerprint"],
        created_at=moment(kept.created_at),
        created_by=kept.created_by,
    )
