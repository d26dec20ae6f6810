"""Kept forecasts: a file each, a row each, and what happens when one of the two is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from panel_shop import at, busy_panel
from test_forecast_service import Models

from shopkeeper.core.clock import StoppedClock
from shopkeeper.core.errors import Invalid, NotFound, Unavailable
from shopkeeper.core.scopes import ALL, Scope
from shopkeeper.forecast.answering.predictions import PredictionBook
from shopkeeper.forecast.answering.service import Answer, ForecastService
from shopkeeper.stores import predictions as table
from shopkeeper.stores.sql import Database, open_database, sqlite_url

NOW = at(119, hour=15)


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(sqlite_url(tmp_path))
    yield opened
    opened.close()


@pytest.fixture
def book(db: Database, tmp_path: Path) -> PredictionBook:
    return PredictionBook(db, tmp_path / "predictions", StoppedClock(NOW))


def answer(scope: Scope = Scope("product", "P3"), horizon: int = 5) -> Answer:  # noqa: B008  it is frozen
    service = ForecastService(busy_panel(119), StoppedClock(NOW), Models())
    return service.said(service.ask(scope, horizon, 10))


def test_what_is_kept_is_found_as_it_was(book: PredictionBook) -> None:
    kept = book.keep(answer(), by="anna")
    found = book.find(kept.prediction_id)
    assert found == kept
    assert (found.item_id, found.created_by, len(found.forecast), len(found.history)) == ("P3", "anna", 5, 10)
    assert found.about == Scope("product", "P3")
    assert book.keep(answer(ALL)).about == ALL


@pytest.mark.parametrize("harm", ["gone", "changed", "no json", "a folder"])
def test_a_lost_file_is_made_again_from_its_row(book: PredictionBook, tmp_path: Path, harm: str) -> None:
    kept = book.keep(answer())
    file = tmp_path / "predictions" / f"{kept.prediction_id}.json"
    whole = file.read_bytes()
    file.unlink()
    if harm == "changed":
        file.write_bytes(whole.replace(b"P3", b"P4"))
    elif harm == "no json":
        file.write_bytes(b"{")
    elif harm == "a folder":
        file.mkdir()
    found = book.find(kept.prediction_id)
    assert (found.repaired, found.item_id, found.history) == (True, "P3", [])
    for told, was in zip(found.forecast, kept.forecast, strict=True):
        assert told.ds == was.ds
        assert told.mean == pytest.approx(was.mean, abs=1e-3)
        assert list(told.quantiles.values()) == pytest.approx(list(was.quantiles.values()), abs=1e-3)
    if harm != "a folder":
        book.mend(found)
        assert book.find(kept.prediction_id) == found


def test_what_the_disk_refuses_is_not_kept(db: Database, tmp_path: Path) -> None:
    (tmp_path / "predictions").write_text("in the way")
    book = PredictionBook(db, tmp_path / "predictions", StoppedClock(NOW))
    with pytest.raises(Unavailable, match="cannot be kept") as told:
        book.keep(answer())
    assert told.value.code == "disk"
    assert book.list()[2] == 0


def test_what_the_database_refuses_leaves_no_file(book: PredictionBook, db: Database, tmp_path: Path) -> None:
    db.writer.run(lambda connection: connection.exec_driver_sql("DROP TABLE predictions"))
    with pytest.raises(Unavailable):
        book.keep(answer())
    assert list((tmp_path / "predictions").iterdir()) == []


def test_removing_takes_row_and_file(book: PredictionBook, tmp_path: Path) -> None:
    kept = book.keep(answer())
    book.remove(kept.prediction_id)
    assert list((tmp_path / "predictions").iterdir()) == []
    for again in (book.find, book.remove):
        with pytest.raises(NotFound) as told:
            again(kept.prediction_id)
        assert told.value.code == "unknown_prediction"


def test_a_start_finishes_what_was_cut_short(book: PredictionBook, db: Database, tmp_path: Path) -> None:
    stays, goes = book.keep(answer()), book.keep(answer())
    folder = tmp_path / "predictions"
    (folder / "01STRAY.json").write_text("{}")  # killed between file and row
    (folder / ".half.json.01X").write_text("{")  # killed while writing
    db.writer.run(lambda connection: table.mark_removed(connection, goes.prediction_id, now=1))  # killed while removing
    assert book.sweep() == 2
    assert [path.name for path in folder.iterdir()] == [f"{stays.prediction_id}.json"]
    assert [row.prediction_id for row in book.list()[0]] == [stays.prediction_id]
    with db.read() as connection:
        assert table.files(connection) == ({}, {f"{stays.prediction_id}.json"})


def test_pages_are_newest_first_and_by_product(book: PredictionBook) -> None:
    ids = [book.keep(answer(Scope("product", name))).prediction_id for name in ("P1", "P2", "P1")]
    ids.sort(reverse=True)
    first, cursor, total = book.list(limit=2)
    assert ([row.prediction_id for row in first], total) == (ids[:2], 3)
    rest, end, _ = book.list(limit=2, cursor=cursor)
    assert ([row.prediction_id for row in rest], end) == (ids[2:], None)
    assert {row.item_id for row in book.list(item_id="P1")[0]} == {"P1"}
    assert book.list(item_id="P1")[2] == 2
    assert book.list(store_id="online")[2] == 0
    with pytest.raises(Invalid):
        book.list(cursor="%%%")
