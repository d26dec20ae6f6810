from pathlib import Path

import polars as pl
import pytest
from panel_shop import LONDON, at

from shopkeeper.core.clock import StoppedClock, moment
from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import TrainingContext, silent
from shopkeeper.core.records import Event, Item
from shopkeeper.forecast.family import ForecastFamily
from shopkeeper.forecast.reading import from_file, read_series
from shopkeeper.stores.events import EventLog
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
