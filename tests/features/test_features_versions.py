from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest

from shopkeeper.core.changes import Change, Changes
from shopkeeper.core.clock import StoppedClock
from shopkeeper.core.errors import Conflict, Invalid, NotFound
from shopkeeper.features.registry import registered, standard
from shopkeeper.features.vector import FeatureSet
from shopkeeper.features.versions import Exported, FeatureVersions, active_names
from shopkeeper.stores.sql import Database, open_database, sqlite_url


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(sqlite_url(tmp_path))
    yield opened
    opened.close()


def book(db: Database, **more: Any) -> FeatureVersions:
    return FeatureVersions(db, StoppedClock(1_700_000_000_000_000), **more)


def test_the_first_version_is_what_is_shipped_and_seeding_twice_changes_nothing(db: Database, tmp_path: Path) -> None:
    versions = book(db)
    assert versions.active is None
    for _ in range(2):
        book(db).seed()
    active = book(db).active
    assert active is not None
    assert (active.version, active.active, active.names) == (1, True, tuple(standard()))
    assert book(db).page() == ([active], None, 1)
    assert active_names(sqlite_url(tmp_path)) == tuple(standard())


def test_a_version_may_hold_crosses_which_are_products(db: Database) -> None:
    made = book(db).create("hours", ["context_hour*user_events_24h", "context_hour"], by="me")
    assert made.names == ("context_hour*user_events_24h", "context_hour")
    assert (made.version, made.active, made.created_by) == (1, False, "me")


@pytest.mark.parametrize(
    ("names", "code"),
    [
        (["nonsense"], "unknown_feature"),
        (["context_hour*nonsense"], "unknown_feature"),
        (["context_hour*"], "unknown_feature"),
        (["context_hour", "context_hour"], "invalid"),
        ([], "invalid"),
        ([f"{a}*{b}" for a in list(registered())[:8] for b in list(registered())[:8]], "too_many_crosses"),
    ],
)
def test_a_set_that_cannot_be_is_refused(db: Database, names: list[str], code: str) -> None:
    with pytest.raises(Invalid) as error:
        book(db).create("", names)
    assert (error.value.code, error.value.field) == (code, "features")
    assert book(db).page()[2] == 0


def test_fifty_crosses_are_allowed_and_one_more_is_not() -> None:
    names = [f"{a}*{b}" for a in list(registered())[:8] for b in list(registered())[:8]]
    assert len(FeatureSet(names[:50]).names) == 50
    with pytest.raises(Invalid):
        FeatureSet(names[:51])


def test_activation_rollback_and_who_hears_of_it(db: Database) -> None:
    changes = Changes()
    heard: list[Change] = []
    changes.subscribe(heard.append)
    versions = book(db, changes=changes)
    versions.seed()
    with pytest.raises(Conflict) as error:
        versions.rollback()
    assert error.value.code == "no_previous"
    second = versions.create("fewer", ["context_hour"])
    assert heard == []
    assert versions.activate(second.version, by="me").active
    assert heard == [Change("features")]
    assert versions.active is not None
    assert versions.active.version == book(db).active.version == 2  # type: ignore[union-attr]
    assert versions.rollback().version == 1
    assert versions.rollback().version == 2
    with pytest.raises(NotFound):
        versions.activate(9)


def test_what_a_model_in_use_reads_must_be_in_it(db: Database) -> None:
    needs = {"home_ranker:3": ["context_hour", "recall_again"]}
    versions = book(db, needs=lambda: needs)
    without = versions.create("", ["user_events_1h"]).version
    with_it = versions.create("", ["user_events_1h", "context_hour"]).version
    told = versions.validate(without)
    assert (told.valid, told.problems) == (
        False,
        ["model home_ranker:3 reads context_hour, which is missing in it"],
    )
    with pytest.raises(Conflict) as error:
        versions.activate(without)
    assert error.value.code == "needed"
    assert versions.validate(with_it).valid
    versions.activate(with_it)
    needs["other:1"] = ["context_hour*user_events_1h"]
    assert not versions.validate(with_it).valid


def test_a_version_of_other_code_is_kept_and_not_activated(db: Database, tmp_path: Path) -> None:
    versions = book(db)
    document = versions.export(versions.create("", ["context_hour"]).version)
    newer = msgspec.structs.replace(document.features[0], version=7)
    made = versions.take(Exported(format=document.format, features=[newer]))
    assert versions.validate(made.version).problems == ["feature context_hour is version 1 here, 7 was expected"]
    with pytest.raises(Conflict) as error:
        versions.activate(made.version)
    assert error.value.code == "invalid_version"


def test_comparing_says_what_came_went_and_changed(db: Database) -> None:
    versions = book(db)
    a = versions.create("", ["context_hour", "user_events_1h"])
    other = msgspec.structs.replace(a.features[0], default=5.0)
    more = versions.create("", ["user_events_24h"]).features[0]
    b = versions.take(Exported(format="shopkeeper.features/1", features=[other, more]))
    told = versions.compare(a.version, b.version)
    assert (told.added, told.removed) == (["user_events_24h"], ["user_events_1h"])
    assert [(one["name"], one["a"]["default"], one["b"]["default"]) for one in told.changed] == [
        ("context_hour", 0.0, 5.0)
    ]
    assert versions.compare(a.version, a.version).changed == []


def test_a_document_goes_to_another_shop_and_back(db: Database, tmp_path: Path) -> None:
    versions = book(db)
    made = versions.create("for others", ["context_hour", "context_hour*context_weekend"])
    document = msgspec.json.decode(msgspec.json.encode(versions.export(made.version)), type=Exported)
    with pytest.raises(Conflict) as error:
        versions.take(document)
    assert error.value.code == "exists"
    (tmp_path / "other").mkdir()
    other = open_database(sqlite_url(tmp_path / "other"))
    try:
        taken = book(other).take(document)
        assert (taken.version, taken.fingerprint, taken.features) == (made.version, made.fingerprint, made.features)
    finally:
        other.close()
    tampered = msgspec.structs.replace(document, version=0, features=document.features[:1])
    with pytest.raises(Invalid) as refused:
        versions.take(tampered)
    assert refused.value.field == "fingerprint"
    with pytest.raises(Invalid):
        versions.take(msgspec.structs.replace(document, format="other/1"))


def test_pages_are_newest_first(db: Database) -> None:
    versions = book(db)
    for number in range(5):
        versions.create(str(number), ["context_hour"])
    first, before, total = versions.page(limit=2)
    assert ([one.version for one in first], before, total) == ([5, 4], 4, 5)
    rest, before, _ = versions.page(limit=9, before=before)
    assert ([one.version for one in rest], before) == ([3, 2, 1], None)


def test_of_two_activations_at_once_the_later_one_counts_here_as_in_sql(db: Database) -> None:
    versions = book(db)
    versions.seed()
    numbers = [versions.create(str(n), ["context_hour"]).version for n in range(8)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(versions.activate, numbers))
    assert versions.active == book(db).active
