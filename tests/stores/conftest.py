"""The stores on each engine. Another engine joins the contract suites by adding its name and URL here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ready_database import ready
from shopkeeper.core.clock import DAY, StoppedClock
from shopkeeper.stores.catalog import Catalog
from shopkeeper.stores.events import EventLog
from shopkeeper.stores.sql import Database, open_database, sqlite_url
from shopkeeper.stores.vocabulary import Vocabularies

ENGINES = ("sqlite",)
NOW = 20_000 * DAY


@pytest.fixture(params=ENGINES)
def engine_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return {"sqlite": sqlite_url(ready(tmp_path))}[request.param]


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock(NOW)


@pytest.fixture
def db(engine_url: str) -> Iterator[Database]:
    database = open_database(engine_url)
    yield database
    database.close()


@pytest.fixture
def vocabularies(db: Database) -> Vocabularies:
    return Vocabularies.load(db)


@pytest.fixture
def catalog(db: Database, vocabularies: Vocabularies) -> Catalog:
    return Catalog(db, vocabularies)


@pytest.fixture
def log(db: Database, vocabularies: Vocabularies, clock: StoppedClock) -> EventLog:
    return EventLog(db, vocabularies, clock)
