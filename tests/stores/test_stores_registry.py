"""Aliases are a record: the present is its newest row, and the past stays readable."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shopkeeper.core.clock import moment
from shopkeeper.core.errors import Conflict, NotFound
from shopkeeper.core.ids import ulid
from shopkeeper.core.records import FileEntry, Gate
from shopkeeper.stores import registry as table

MANIFEST = {
    "files": [{"name": "a.json", "sha256": "0" * 64, "bytes": 3}],
    "feature_names": ["x", "y"],
    "params": {"depth": 3},
    "data": {"rows": 10},
    "code_version": "0.1.0",
}


def add(db, model="m", scope="all", *, algorithm="xgb", job_id=None, gate=None):
    def write(connection):
        table.add_model(connection, model, scope, "ranking", now=5)
        number = table.next_version(connection, model, scope)
        table.add_version(
            connection,
            model,
            scope,
            number,
            algorithm=algorithm,
            manifest=MANIFEST,
            metrics={"auc": 0.7, "broken": None},
            gate=gate,
            now=7,
            by="anna",
            job_id=job_id,
        )
        return number

    return db.writer.run(write)


def point(db, alias, version, now, model="m", scope="all"):
    db.writer.run(lambda c: table.point(c, model, scope, alias, version, now=now, by="anna", reason="why"))


def test_a_version_comes_back_as_it_was_stored(db):
    gate = Gate(verdict="HOLD", reasons=["a", "b"])
    assert add(db, gate=gate, job_id="J") == 1
    with db.read() as connection:
        version = table.version(connection, "m", "all", 1)
        assert table.version_of_job(connection, "J") == version
        assert table.version_of_job(connection, "K") is None
    assert version.files == [FileEntry(name="a.json", sha256="0" * 64, bytes=3)]
    assert (version.feature_names, version.params, version.data) == (["x", "y"], {"depth": 3}, {"rows": 10})
    assert (version.gate, version.metrics, version.status) == (gate, {"auc": 0.7, "broken": None}, "ready")
    assert (version.created_at, version.created_by, version.job_id) == (moment(7), "anna", "J")


def test_numbers_count_within_name_and_scope(db):
    given = [add(db), add(db), add(db, scope="store:1"), add(db, model="n")]
    assert given == [1, 2, 1, 1]
    with db.read() as connection:
        infos = table.all_models(connection)
    assert [(m.name, m.scope, m.versions, m.task) for m in infos] == [
        ("m", "all", 2, "ranking"),
        ("m", "store:1", 1, "ranking"),
        ("n", "all", 1, "ranking"),
    ]


def test_one_number_is_given_once(db):
    add(db)
    with pytest.raises(Conflict):
        db.writer.run(
            lambda c: table.add_version(
                c, "m", "all", 1, algorithm="x", manifest={}, metrics={}, gate=None, now=1, by="", job_id=None
            )
        )


def test_the_shown_algorithm_is_the_champions_or_the_newest(db):
    add(db, algorithm="old")
    add(db, algorithm="new")
    with db.read() as connection:
        assert table.model(connection, "m", "all").algorithm == "new"
    point(db, "champion", 1, 10)
    with db.read() as connection:
        assert table.model(connection, "m", "all").algorithm == "old"
        assert table.version(connection, "m", "all", 1).aliases == ["champion"]


def test_unknown_models_and_versions(db):
    add(db)
    with db.read() as connection:
        with pytest.raises(NotFound, match="no model 'x'"):
            table.model(connection, "x", "all")
        with pytest.raises(NotFound, match="scope"):
            table.model(connection, "m", "store:9")
        with pytest.raises(NotFound, match="no version 2"):
            table.version(connection, "m", "all", 2)


def test_status_is_the_one_thing_that_changes(db):
    add(db)
    db.writer.run(lambda c: table.set_status(c, "m", "all", 1, "broken"))
    with db.read() as connection:
        assert table.version(connection, "m", "all", 1).status == "broken"


moves = st.tuples(st.sampled_from(["champion", "candidate", "previous"]), st.none() | st.integers(1, 9))


@given(record=st.lists(moves, max_size=15))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_present_and_past_follow_from_the_record(db, record):
    name = f"m{ulid().lower()}"
    for time, (alias, version) in enumerate(record):
        point(db, alias, version, time, model=name)
    with db.read() as connection:
        expected = {alias: version for alias, version in dict(record).items() if version is not None}
        assert table.current(connection, name, "all") == expected
        for until in range(len(record)):
            found = table.history(connection, name, "all", alias="champion", until=until)
            past = [version for alias, version in record[: until + 1] if alias == "champion"]
            assert [change.version for change in found] == past[::-1]
        assert len(table.history(connection, name, "all")) == len(record)
