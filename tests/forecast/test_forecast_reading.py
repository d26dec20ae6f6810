from pathlib import Path

import numpy as np
import polars as pl
import pytest
from panel_shop import LONDON, at

from shopkeeper.core.clock import StoppedClock, moment
from shopkeeper.core.days import day_of
from shopkeeper.core.errors import Invalid, NotFound, Unavailable
from shopkeeper.core.protocols import TrainingContext, silent
from shopkeeper.core.records import CalendarEntry, Event, Item
from shopkeeper.forecast.family import ForecastFamily
from shopkeeper.forecast.panel.reading import COUNTRY, from_file, read_series
from shopkeeper.forecast.series import SeriesSet
from shopkeeper.stores.calendar import CalendarStore
from shopkeeper.stores.catalog import Catalog
from shopkeeper.stores.day_facts import ALL, OUT_OF_STOCK, DayFact, DayFactStore
from shopkeeper.stores.events import EventLog
from shopkeeper.stores.items import ItemStore
from shopkeeper.stores.meta import Meta
from shopkeeper.stores.sql import open_database, sqlite_url
from shopkeeper.stores.vocabulary import Vocabularies


def test_names_of_other_forecasters_are_read(tmp_path: Path) -> None:
    path = tmp_path / "sales.csv"
    path.write_text("item_id,timestamp,target\nb,2024-01-02,3\na,2024-01-01,1\na,2024-01-03,2\na,2024-01-03,2\n")
    series = from_file(path)
    assert series.ids == ("a", "b", "__total__")
    assert series.y.tolist() == [[1, 0, 4], [0, 3, 0], [1, 3, 4]]
    pl.read_csv(path, try_parse_dates=True).write_parquet(tmp_path / "sales.parquet")
    assert from_file(tmp_path / "sales.parquet").y.tolist() == series.y.tolist()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n", "no usable unique_id, ds, y"),
        ("unique_id,ds,y\na,2024-01-01,-1\n", "not negative"),
        ("unique_id,ds,y\n", "no rows"),
        ("unique_id,ds,y\na,soon,1\n", "no usable"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(Invalid, match=said):
        from_file(path)


def test_other_sources_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="not 'web'"):
        read_series({"kind": "web"}, "", 0, "UTC", silent)
    with pytest.raises(Invalid, match="no file"):
        read_series({"kind": "csv", "path": str(tmp_path / "ghost.csv")}, "", 0, "UTC", silent)


def context(home: Path, now: int) -> TrainingContext:
    return TrainingContext(
        home=home, sql_url=sqlite_url(home), source={"kind": "shop"}, now=now, zone=LONDON.key, seed=1, model="m"
    )


def test_training_rows_come_from_the_log(tmp_path: Path) -> None:
    db, now = open_database(sqlite_url(tmp_path)), at(60)
    try:
        log = EventLog(db, Vocabularies.load(db), StoppedClock(now))
        rows = [
            Event(
                event_type="order",
                item_id=item,
                time=moment(at(day)),
                quantity=2.0,
                unit_price=1.5,
                event_id=item + str(day),
            )
            for day in range(61)
            for item in ("apple", "pear")
        ]
        assert log.append(rows).result().accepted == 122
        data = ForecastFamily().data(context(tmp_path, now), None, silent)
    finally:
        db.close()
    assert Item(item_id="apple", name="apple").item_id in data.train.ids
    assert data.holdout.series.days == 60  # today is not over yet
    assert data.holdout.series.y[-1].tolist() == [4.0] * 60
    assert data.facts["rows"] == 180


def test_a_shop_without_sales_is_told_what_to_do(tmp_path: Path) -> None:
    open_database(sqlite_url(tmp_path)).close()
    with pytest.raises(Invalid, match="import orders first"):
        ForecastFamily().data(context(tmp_path, at(0)), None, silent)


def test_a_job_reads_the_scope_and_what_the_shop_knows_beside_its_sales(tmp_path: Path) -> None:
    pytest.importorskip("holidays")
    db, now, clock = open_database(sqlite_url(tmp_path)), at(60), StoppedClock(at(60))
    try:
        names = Vocabularies.load(db)
        log = EventLog(db, names, clock)
        items = ItemStore(db, names, clock, Catalog(db, names))
        items.put_many([Item(item_id=id, name=id, category=kind) for id, kind in (("a", "x"), ("b", "x"), ("c", "y"))])
        rows = [
            Event(
                event_type="order",
                item_id=item,
                store_id=store,
                time=moment(at(day)),
                quantity=1.0,
                event_id=f"{day}{item}",
            )
            for day in range(60)
            for item, store in (("a", "S1"), ("b", "S2"), ("c", "S2"))
        ]
        assert log.append(rows).result().accepted == 180
        holiday = CalendarEntry(kind="holiday", name="Ours", from_="2024-06-05", to="2024-06-05")
        CalendarStore(db, clock).add(holiday).result()
        row, first = names.items.row("a"), day_of(at(0), LONDON)
        assert row is not None
        facts = [DayFact(ALL, row, first + 3, OUT_OF_STOCK, 1.0), DayFact(ALL, ALL, first, "temperature", 21.0)]
        DayFactStore(db).put_many(facts).result()
        Meta(db).set(COUNTRY, "GB").result()
    finally:
        db.close()

    def read(scope: str, **source: object) -> SeriesSet:
        return read_series({"kind": "shop", **source}, sqlite_url(tmp_path), now, LONDON.key, silent, scope)

    one = read("product:a")
    assert (one.ids, one.days) == (("a",), 60)
    assert one.available is not None
    assert np.flatnonzero(~one.available[0]).tolist() == [3]
    assert one.covariates is not None
    shared = one.covariates.of_shared("temperature")
    assert shared is not None
    assert shared[0] == 21.0
    holidays = one.covariates.of_shared("holiday")
    assert holidays is not None
    assert holidays[2] == 1.0
    assert read("category:x").ids == ("a", "b", "__category:x__")
    assert read("store:S2").ids == ("b", "c", "__store:S2__")
    assert read("all", aggregation="mean").y[-1].tolist() == [1.0] * 60
    weeks = read("product:a", period="week")
    assert weeks.y[0].tolist() == [7.0] * 8  # the day that says nothing is made up for
    for scope, code in (
        ("product:ghost", "unknown_item"),
        ("store:ghost", "unknown_store"),
        ("category:z", "unknown_category"),
    ):
        with pytest.raises(NotFound) as told:
            read(scope)
        assert told.value.code == code


def test_a_database_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no shop"):
        read_series({"kind": "shop"}, sqlite_url(tmp_path), at(0), LONDON.key, silent)
    (tmp_path / "shop.db").write_bytes(b"not a database, but long enough to look at" * 50)
    with pytest.raises(Unavailable):
        read_series({"kind": "shop"}, sqlite_url(tmp_path), at(0), LONDON.key, silent)
