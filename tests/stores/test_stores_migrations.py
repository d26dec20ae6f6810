from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import event, text
from sqlalchemy.exc import OperationalError

from shopkeeper.core.clock import SystemClock
from shopkeeper.core.errors import Conflict, Invalid, NotFound, Unavailable
from shopkeeper.stores import migrate
from shopkeeper.stores.events import EventLog
from shopkeeper.stores.schema import metadata
from shopkeeper.stores.sql import make_engine, open_database, sqlite_url
from shopkeeper.stores.vocabulary import Vocabularies

# What a shop may hold at each revision: an upgrade keeps it. A new revision adds its own line.
CONTENTS = {
    "0001": (
        "INSERT INTO users VALUES (0, 'user', 'u', '{}', 1, 5, 5)",
        "INSERT INTO items VALUES (0, 'i', 'Lamp', 'product', NULL, 2.5, 1, '{}', 5, 5)",
        "INSERT INTO event_types VALUES (0, 'click')",
        "INSERT INTO events (seq, event_id, user_row, type_row, target_kind, item_row, time, received_at)"
        " VALUES (1, 'e', 0, 0, 'product', 0, 7, 8)",
    ),
}
CONTENTS["0002"] = (
    *CONTENTS["0001"],
    "INSERT INTO traffic VALUES (1, 'm', 'all', 'split', '{}', 5, 'anna', 'a first try')",
    "INSERT INTO schedules VALUES"
    " ('nightly', '0 2 * * *', 'train', '{}', NULL, 1, 0, 0, '{}', 9, NULL, NULL, 1, 5, '')",
)
CONTENTS["0003"] = (
    *CONTENTS["0002"],
    "INSERT INTO segment_spans VALUES (1, 's', 0, 5, NULL)",
    "INSERT INTO webhooks VALUES ('w', 'https://example.com', '[]', NULL, NULL, 5, 5, '')",
    "INSERT INTO deliveries VALUES ('d', 'w', 'segment.entered', 0, '{}', 'pending', 0, 5, NULL, NULL, 5, NULL)",
    "INSERT INTO identities VALUES ('a', NULL, 0, 5)",
    "INSERT INTO consents VALUES (0, 1, 1, 0, 5, '')",
    "INSERT INTO preferences VALUES (0, '{}', 5)",
    "INSERT INTO audit VALUES (1, 5, 'anna', 'profile.put', 0, NULL, '{}', NULL)",
)
CONTENTS["0004"] = (
    *CONTENTS["0003"],
    "INSERT INTO scenarios VALUES (1, 'home', 2, '{}', 5, 'anna')",
    "INSERT INTO feature_versions VALUES (1, 'the first', '{}', 5, 'anna')",
    "INSERT INTO feature_activations VALUES (1, 1, 5, 'anna')",
    "INSERT INTO slates VALUES ('s', 0, NULL, 'home', 1, 5, 1, 0, '[]', '{}')",
    "INSERT INTO served_vectors VALUES ('s', 0, 5, 'm', 1, '[]', x'00', x'00')",
)
CONTENTS["0005"] = (
    *CONTENTS["0004"],
    "INSERT INTO predictions VALUES"
    " ('p', 'm', 'all', 1, 'naive', 'i', NULL, NULL, 17000, 7, 'day', 5, 'anna', 'p.json', 'x', 9, x'00', NULL)",
    "INSERT INTO calendar VALUES ('c', 'promotion', 'Spring', 17000, 17006, '[\"i\"]', NULL, 0.2, 5, 'anna')",
    "INSERT INTO day_facts VALUES (-1, 0, 17000, 'out_of_stock', 1.0)",
)
CONTENTS["0006"] = (
    *CONTENTS["0005"],
    "INSERT INTO experiments VALUES"
    " ('e', 'a try', 'default', 'scenario:home', 'draft', 1, '{}', '{}', 5, 'anna', 5, 'anna')",
    "INSERT INTO experiment_units VALUES ('e', 1, 0, 1, 5, 1, 0)",
    "INSERT INTO experiment_events VALUES (1, 'e', 0, 'calls', 1.0, 5)",
)

CONTENTS["0007"] = (
    *CONTENTS["0006"],
    "INSERT INTO explored VALUES"
    " (1, 's', 0, NULL, 5, 5, 1, 'home', 1, 'k', 'ucb1', 0, x'00', x'00', x'00', x'00', '{}', NULL, NULL)",
    "INSERT INTO explorers VALUES ('home', 'k', 'ucb1', '{}', 1, 1, 1, x'00', 5)",
    "INSERT INTO leases VALUES ('exploring', 'a', 5)",
)
CONTENTS["0008"] = (
    *CONTENTS["0007"],
    "INSERT INTO agents VALUES ('a', '{}', 'a.npz', 'x', '{}', 5, 'anna', 5)",
    "INSERT INTO agent_steps VALUES ('a', 1, '{}')",
)
CONTENTS["0009"] = (
    *CONTENTS["0008"],
    "INSERT INTO online_learners VALUES ('m', '{}', x'00', 1, '{}', 5, 'anna')",
    "INSERT INTO online_learned VALUES ('m', 's', 0)",
)

CONTENTS["0010"] = (
    *CONTENTS["0009"],
    "INSERT INTO agent_visits VALUES"
    " (1, 's', 's', 0, 0, NULL, 5, 5, 1, 'home', 1, 'a', 'k', '[]', 0, 1, 0.9, x'00', NULL)",
    "INSERT INTO agent_verdicts VALUES ('a', 'home', 'k', 'HOLD', '{}', 5)",
)


def make_home(folder: Path, revision: str) -> str:
    """The URL of a shop as a program of that revision left it."""
    url = sqlite_url(folder)
    engine = make_engine(url)
    migrate.upgrade(engine, to=revision)
    with engine.begin() as connection:
        for statement in CONTENTS[revision]:
            connection.execute(text(statement))
    engine.dispose()
    return url


def test_the_revisions_are_those_that_alembic_sees() -> None:
    script = ScriptDirectory(str(migrate.FOLDER))
    assert [revision.revision for revision in script.walk_revisions()][::-1] == migrate.revisions()
    assert script.get_heads() == [migrate.revisions()[-1]]
    assert list(CONTENTS) == migrate.revisions()


@pytest.mark.parametrize("revision", migrate.revisions())
def test_a_home_of_each_earlier_schema_is_upgraded(revision: str, tmp_path: Path) -> None:
    db = open_database(make_home(tmp_path, revision))
    with db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
        assert migrate.current(connection) == migrate.revisions()[-1]
        assert connection.execute(text("PRAGMA foreign_key_check")).all() == []
    log = EventLog(db, Vocabularies.load(db), SystemClock())
    assert [(event.event_id, event.user_id, event.item_id) for event in log.recent()] == [("e", "u", "i")]
    db.close()


def test_a_database_from_the_future_is_left_alone(tmp_path: Path) -> None:
    url = make_home(tmp_path, migrate.revisions()[-1])
    engine = make_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    for read_only in (False, True):
        with pytest.raises(Conflict, match="newer"):
            open_database(url, read_only=read_only)


def test_reading_makes_no_shop_and_no_schema(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        open_database(sqlite_url(tmp_path), read_only=True)
    assert list(tmp_path.iterdir()) == []
    with make_engine(sqlite_url(tmp_path)).begin() as connection:
        connection.execute(text("CREATE TABLE other (x)"))
    with pytest.raises(Unavailable, match="schema is empty"):
        open_database(sqlite_url(tmp_path), read_only=True)


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "shop.db").write_bytes(b"not a database, but long enough to look at" * 50)
    with pytest.raises(Unavailable, match="not a database"):
        open_database(sqlite_url(tmp_path))


def test_other_engines_are_refused_for_now() -> None:
    with pytest.raises(Invalid, match="sqlite"):
        open_database("postgresql://shop@localhost/shop")


def test_two_programs_that_open_a_new_home_at_once_both_find_it_whole(tmp_path: Path) -> None:
    program = (
        "import sys; from shopkeeper.stores.sql import open_database; db = open_database(sys.argv[1]);"
        "print(db.writer.run(lambda c: c.exec_driver_sql('SELECT count(*) FROM events').scalar())); db.close()"
    )
    url = sqlite_url(tmp_path)
    both = [subprocess.Popen([sys.executable, "-c", program, url], stdout=subprocess.PIPE) for _ in range(2)]
    assert [process.communicate(timeout=120)[0].strip() for process in both] == [b"0", b"0"]


@pytest.mark.parametrize("steps", [200, 1_000])
def test_an_upgrade_that_ends_half_way_leaves_the_old_schema(tmp_path: Path, steps: int) -> None:
    engine = make_engine(sqlite_url(tmp_path))
    left = iter(range(steps))

    @event.listens_for(engine, "connect")
    def interrupt(connection: sqlite3.Connection, _: object) -> None:
        connection.set_progress_handler(lambda: next(left, None) is None, 1)

    with pytest.raises(OperationalError, match="interrupted"):
        migrate.upgrade(engine, tmp_path / "shop.db")
    engine.dispose()
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == []
    open_database(sqlite_url(tmp_path)).close()
