"""Where series come from inside a job: the shop's own log, or a file of `unique_id, ds, y` and what else is known."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.clock import StoppedClock, SystemClock
from shopkeeper.core.days import day_of
from shopkeeper.core.errors import Invalid, NotFound
from shopkeeper.core.protocols import Report
from shopkeeper.core.scopes import ALL, Scope
from shopkeeper.forecast.aggregating import Aggregation
from shopkeeper.forecast.covariates import CATEGORY, DISCOUNT, HOLIDAY, PROMOTION, STORE
from shopkeeper.forecast.panel.beside import Beside
from shopkeeper.forecast.panel.calendarbook import CalendarBook
from shopkeeper.forecast.panel.filecolumns import days_in, found_in, numbers_in, read_frame
from shopkeeper.forecast.panel.longrows import Gap, LongRows, series_of, step_of
from shopkeeper.forecast.panel.sales import SalesPanel
from shopkeeper.forecast.panel.weekly import weekly
from shopkeeper.forecast.series import SeriesSet
from shopkeeper.forecast.steps import DAY, Period, week

if TYPE_CHECKING:
    import polars as pl

_SLICE = 200_000
_NUMBERS = (PROMOTION, DISCOUNT, HOLIDAY, "temperature")
FILES = ("csv", "parquet", "file")
COUNTRY = "calendar.country"
"""The shop's fact that says of which country holidays are known."""
_Names = Annotated[list[str], msgspec.Meta(max_length=64)]


class Wanted(msgspec.Struct, kw_only=True):
    """What a source may say beside its kind and path.

    `period`: None is by day, of a file as its rows are apart; weeks begin on `week_starts` (0 Monday). Of files only:
    `covariates` names further columns of numbers, `known` those that are known ahead, `statics` columns of words;
    `gap` and `repeats` say what a missing and a repeated step mean; `by_store`: a series of each product and store.
    """

    period: Period | None = None
    week_starts: Annotated[int, msgspec.Meta(ge=0, le=6)] = 0
    aggregation: Aggregation = "sum"
    covariates: _Names = []
    known: _Names = []
    statics: _Names = []
    gap: Gap = "auto"
    repeats: Literal["sum", "refuse"] = "sum"
    by_store: bool = False


def read_series(
    source: Mapping[str, Any], sql_url: str, now: int, zone: str, report: Report, scope: Scope | str = ALL
) -> SeriesSet:
    """Products of a scope and what they come to, up to the last complete step. Raises Invalid without any sale, or for
    another kind; NotFound for an unknown product, store or category.
    """
    of = Scope.parse(scope) if isinstance(scope, str) else scope
    kind = source.get("kind", "shop")
    try:
        wanted = msgspec.convert({name: source[name] for name in Wanted.__struct_fields__ if name in source}, Wanted)
    except msgspec.ValidationError as error:
        raise Invalid(f"source: {error}", code="bad_source", field="source") from error
    if kind == "shop":
        return from_log(sql_url, now, zone, report, of, wanted)
    if kind in FILES:
        return from_file(Path(str(source.get("path", ""))), of, wanted, zone=zone, now=now)
    raise Invalid(f"forecasts learn from source 'shop', 'csv' or 'parquet', not {kind!r}", code="bad_source")


def from_log(
    sql_url: str, now: int, zone: str, report: Report, scope: Scope = ALL, wanted: Wanted | None = None
) -> SeriesSet:
    """Reads the whole log through the same panel that serves."""
    from shopkeeper.stores.calendar import CalendarStore
    from shopkeeper.stores.catalog import Catalog
    from shopkeeper.stores.day_facts import DayFactStore
    from shopkeeper.stores.events import EventLog
    from shopkeeper.stores.meta import Meta
    from shopkeeper.stores.sql import open_database
    from shopkeeper.stores.vocabulary import Vocabularies

    asked = wanted or Wanted()
    db = open_database(sql_url, read_only=True)
    try:
        known, clock = Vocabularies.load(db), StoppedClock(now)
        log, catalog = EventLog(db, known, clock), Catalog(db, known)
        calendar = CalendarBook(CalendarStore(db, clock).all, Meta(db).get(COUNTRY) or "")
        beside = Beside(known.stores, lambda: catalog.category, calendar, DayFactStore(db))
        panel = SalesPanel(ZoneInfo(zone), known.items, known.event_types, beside)
        after, last = 0, max(log.last_seq, 1)
        while len(batch := log.read(after, _SLICE)):
            panel.apply(batch)
            after = int(batch.seq[-1])
            report(min(after, last), last, message="reading sales")
    finally:
        db.close()
    if not len(panel):
        raise Invalid("the shop has no sales yet: import orders first", code="no_data")
    step = week(asked.week_starts) if asked.period == "week" else DAY
    series = panel.set(panel.last_complete_day(now), scope, step, asked.aggregation)
    if not series.y.any():
        raise Invalid(f"nothing was sold of {scope} yet: there is nothing to learn from", code="no_data")
    return series


def from_file(
    path: Path,
    scope: Scope = ALL,
    wanted: Wanted | None = None,
    *,
    zone: str = "UTC",
    now: int | None = None,
) -> SeriesSet:
    """Nixtla's names (`unique_id, ds, y`), AutoGluon's (`item_id, timestamp, target`) or a shop's own, in any case; see
    `filecolumns.NAMES` for what else is read. Rows behind the last `y` say what is planned.

    Raises Invalid for columns that are missing, values that are none, y below 0, and mixed zones. Days after today are
    left out and counted in `facts`; Invalid if they are most.
    """
    asked = wanted or Wanted()
    frame = read_frame(path)
    found = found_in(frame.columns, path.name)
    _check_named(asked, found, frame.columns, path.name)
    if not frame.height:
        raise Invalid(f"{path.name} has no rows: a series needs at least one day", code="no_data")
    day = days_in(frame[found["ds"]], zone, path.name)
    y = numbers_in(frame[found["y"]], "y", path.name)
    if (y < 0).any():
        row = int((y < 0).argmax())
        raise Invalid(
            f"{path.name}: y is {y[row]:g} in row {row + 1}; it must be finite and not negative: returns are no demand",
            code="bad_value",
            field="y",
        )
    ids = frame[found["unique_id"]].cast(_string())
    if ids.null_count():
        row = int(ids.is_null().arg_max() or 0) + 1
        raise Invalid(f"{path.name}: unique_id is missing in row {row}", code="bad_value", field="unique_id")
    facts: dict[str, Any] = {}
    today = day_of(max(SystemClock().wall(), now or 0), ZoneInfo(zone))
    y = _without_future(day, y, today, path.name, facts)
    rows, chosen = _rows(frame, found, asked, ids, day, y, scope, path.name, facts)
    step = DAY if asked.period == "day" else step_of(rows.day[np.isfinite(rows.y)])
    facts["ignored"] = _ignored(frame.columns, found, asked)
    series = series_of(
        rows, scope=scope, chosen=chosen, step=step, aggregation=asked.aggregation, gap=asked.gap, facts=facts
    )
    return weekly(series, week(asked.week_starts)) if asked.period == "week" and step.days == 1 else series


def fingerprint(series: SeriesSet) -> str:
    """SHA-256 of ids, first day and values, and of what is known beside them."""
    digest = hashlib.sha256("\n".join(series.ids).encode())
    digest.update(np.int64(series.first_day).tobytes())
    digest.update(np.ascontiguousarray(series.y).tobytes())
    if series.available is not None:
        digest.update(np.packbits(series.available).tobytes())
    if series.covariates is not None:
        for part in (series.covariates.shared, series.covariates.own):
            digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()


def _rows(
    frame: pl.DataFrame,
    found: Mapping[str, str],
    asked: Wanted,
    ids: pl.Series,
    day: NDArray[np.int32],
    y: NDArray[np.float64],
    scope: Scope,
    file: str,
    facts: dict[str, Any],
) -> tuple[LongRows, NDArray[np.bool_]]:
    """The rows of the scope's store, and which of the series are the scope's."""
    import polars as pl

    table = pl.DataFrame({"id": ids, "day": day, "y": y})
    store = frame[found["store"]].cast(pl.String) if "store" in found else None
    if store is not None:
        table = table.with_columns(store.alias("store"))
    facts["repeats"] = repeated = _repeats(table)
    if repeated and asked.repeats == "refuse":
        raise Invalid(f"{file}: {repeated} rows repeat a unique_id and ds; repeats=sum adds them up", code="repeats")
    kept = np.ones(frame.height, dtype=np.bool_)
    wanted_store = scope.id if scope.kind == "store" else scope.store
    if wanted_store is not None:
        if store is None or not (store == wanted_store).any():
            raise NotFound(f"{file} has no store {wanted_store[:128]!r}", code="unknown_store", field="scope")
        kept = (store == wanted_store).fill_null(False).to_numpy()
    part = frame.filter(pl.Series(kept))
    name = ids.filter(pl.Series(kept))
    if asked.by_store and store is not None:
        name = pl.select(pl.concat_str([name, store.filter(pl.Series(kept))], separator="@")).to_series()
    names = sorted(set(name.drop_nulls().to_list()))
    code = {one: row for row, one in enumerate(names)}
    place = np.fromiter((code[one] for one in name.to_list()), dtype=np.int64, count=len(name))
    first_row = np.full(len(names), -1)
    first_row[place[::-1]] = np.arange(len(place))[::-1]
    words = {CATEGORY: "category"} if "category" in found else {}
    columns = {STORE: found["store"]} if asked.by_store and store is not None else {}
    columns |= {one: found[field] for one, field in words.items()} | {one: one for one in asked.statics}
    texts = {one: part[column].cast(pl.String).gather(first_row).to_list() for one, column in columns.items()}
    numbers = {field: found[field] for field in _NUMBERS if field in found}
    further = (one for one in (*asked.covariates, *asked.known) if one not in found and one not in found.values())
    numbers |= {one: one for one in further}
    rows = LongRows(
        tuple(names),
        place,
        day[kept],
        y[kept],
        price=numbers_in(part[found["price"]], "price", file) if "price" in found else None,
        available=numbers_in(part[found["available"]], "available", file) if "available" in found else None,
        numbers={one: _numbers(part[column], one, file) for one, column in numbers.items()},
        words=texts,
        known=frozenset({field for field, column in found.items() if column in asked.known} | {*asked.known}),
    )
    return rows, _chosen(scope, names, ids.filter(pl.Series(kept)).gather(first_row).to_list(), texts, file)


def _repeats(table: pl.DataFrame) -> int:
    """Rows with a y beyond the first of their series (and store) and day."""
    import polars as pl

    told = table.filter(pl.col("y").is_finite())
    return told.height - told.drop("y").n_unique() if told.height else 0


def _numbers(column: pl.Series, name: str, file: str) -> NDArray[np.float64]:
    """Numbers; of holidays and promotions also their names, which mean 1."""
    import polars as pl

    if name in (HOLIDAY, PROMOTION) and column.dtype == pl.String:
        try:
            return numbers_in(column, name, file)
        except Invalid:
            said = column.str.strip_chars().str.to_lowercase()
            return (said.is_not_null() & ~said.is_in(["", "0", "no", "none", "false"])).cast(pl.Float64).to_numpy()
    return numbers_in(column, name, file)


def _chosen(
    scope: Scope, names: list[str], items: list[str], words: Mapping[str, list[str | None]], file: str
) -> NDArray[np.bool_]:
    if scope.kind in ("all", "store"):
        return np.ones(len(names), dtype=np.bool_)
    of = items if scope.kind == "product" else words.get(CATEGORY, [])
    chosen = np.array([one == scope.id for one in of] or np.zeros(len(names)), dtype=np.bool_)
    if not chosen.any():
        code = "unknown_item" if scope.kind == "product" else "unknown_category"
        raise NotFound(f"{file} has no {scope.kind} {str(scope.id)[:128]!r}", code=code, field="scope")
    return chosen


def _without_future(
    day: NDArray[np.int32], y: NDArray[np.float64], today: int, file: str, facts: dict[str, Any]
) -> NDArray[np.float64]:
    """`y`, not known of days after today."""
    ahead = (day > today) & np.isfinite(y)
    facts["future_rows"] = int(ahead.sum())
    if facts["future_rows"] * 2 > np.isfinite(y).sum():
        raise Invalid(f"{file}: {facts['future_rows']} rows lie after today; check ds", code="future_dates", field="ds")
    return np.where(ahead, np.nan, y)


def _check_named(asked: Wanted, found: Mapping[str, str], columns: list[str], file: str) -> None:
    """Further columns are named as the file does, those that are read anyway also by their field."""
    for field in ("covariates", "known", "statics"):
        for name in getattr(asked, field):
            if name not in columns and name not in found:
                raise Invalid(
                    f"{file} has no column {name[:64]!r}; it has {', '.join(columns)[:300]}",
                    code="unknown_column",
                    field=field,
                )


def _ignored(columns: list[str], found: Mapping[str, str], asked: Wanted) -> list[str]:
    used = {*found.values(), *asked.covariates, *asked.known, *asked.statics}
    return [name for name in columns if name not in used][:64]


def _string() -> Any:
    import polars as pl

    return pl.String
