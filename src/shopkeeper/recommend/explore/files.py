"""Rounds from a table: a row for each draw, with its arm, its chance, and what it brought."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import Report
from shopkeeper.learning.checking import fingerprint
from shopkeeper.learning.tabular import numbers, texts
from shopkeeper.recommend.explore.params import PolicyParams
from shopkeeper.recommend.explore.rows import Floats, PolicyRows
from shopkeeper.sources.tables import read_table

if TYPE_CHECKING:
    import polars as pl

ARM = ("arm", "action", "item_id")
PROPENSITY = ("propensity", "propensity_score", "pscore")
REWARD = ("reward", "click")
SLOT = ("slot", "position")
MOST_WORDS = 20


def table_rounds(
    source: Mapping[str, Any], zone: str, params: PolicyParams, report: Report
) -> tuple[PolicyRows, dict[str, Any]]:
    """(rounds, facts). `label` of the source is the reward, `time` orders the rounds, `group` says which belong
    together, `features` are the context, of which `categorical` and texts are told apart by value. Every arm of the
    table could be drawn in every round.

    Raises NotFound without the table; Invalid (`no_column`, `bad_data`, and as `PolicyRows.check`).
    """
    table = read_table(source, zone=zone, report=report)
    name = str(table.facts.get("name") or source.get("kind"))
    frame = _in_order(table.frame, source.get("time"), name)
    arm = _column(frame, params.arm_column, ARM, name, "arm_column")
    chance = _column(frame, params.propensity_column, PROPENSITY, name, "propensity_column")
    reward = _column(frame, str(source.get("label") or ""), REWARD, name, "label")
    slot = _column(frame, params.slot_column, SLOT, name, "slot_column", needed=bool(params.slot_column))
    group = _column(frame, str(source.get("group") or ""), (), name, "group", needed=bool(source.get("group")))
    arm_ids, place = _coded(frame[_known(arm)], name)
    context, names = _context(frame, source.get("features") or (), source.get("categorical") or (), name)
    n = frame.height
    rows = PolicyRows(
        arm_ids=arm_ids,
        arm=place.astype(np.int32),
        reward=_numbers(frame[_known(reward)], name),
        propensity=_numbers(frame[_known(chance)], name),
        slot=np.zeros(n, dtype=np.int32) if slot is None else _coded_slots(frame[slot], name),
        cluster=np.arange(n) if group is None else _coded(frame[group], name)[1],
        time=_times(frame, source.get("time")),
        context=context,
        context_names=names,
    )
    used = [one for one in (arm, chance, reward, slot, group, source.get("time")) if one]
    used += list(dict.fromkeys(source.get("features") or ()))
    told = {"arm": arm, "propensity": chance, "label": reward, "slot": slot, "context": list(names)}
    left = [column for column in frame.columns if column not in used]
    facts = {**table.facts, **told, "columns_left_out": left}
    return rows.check(), {**facts, "content": fingerprint(frame.select(list(dict.fromkeys(used))))}


def _in_order(frame: pl.DataFrame, time: Any, table: str) -> pl.DataFrame:
    if time is None:
        return frame
    if time not in frame.columns:
        raise _lacks(frame, str(time), table, "time")
    if gone := frame[time].null_count():
        raise Invalid(f"{time} is missing in {gone:,} rows of {table}: they have no place in time", field="time")
    return frame.sort(time, maintain_order=True)


def _column(
    frame: pl.DataFrame, asked: str, usual: Sequence[str], table: str, field: str, *, needed: bool = True
) -> str | None:
    """As asked, else the first of the usual names that is there. Raises Invalid (`no_column`)."""
    found = next((name for name in ([asked] if asked else usual) if name in frame.columns), None)
    if found is None and needed:
        raise _lacks(frame, asked or " or ".join(usual), table, field)
    return found


def _lacks(frame: pl.DataFrame, name: str, table: str, field: str) -> Invalid:
    there = ", ".join(frame.columns[:50])
    return Invalid(f"{table} has no column {name}; it has: {there}", code="no_column", field=field)


def _known(name: str | None) -> str:
    assert name is not None
    return name


def _coded(column: pl.Series, table: str) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """(its different values as texts in order of appearance, the place of each row's). Raises Invalid (`bad_data`)."""
    if gone := column.null_count():
        raise Invalid(f"{column.name} is missing in {gone:,} rows of {table}", code="bad_data", field=column.name)
    place: dict[str, int] = {}
    codes = np.array([place.setdefault(each, len(place)) for each in texts(column).to_list()], dtype=np.int64)
    return tuple(place), codes


def _coded_slots(column: pl.Series, table: str) -> NDArray[np.int32]:
    """Places on the page: the different values in their order, 0 first."""
    values = _numbers(column, table)
    _, at = np.unique(values, return_inverse=True)
    return at.astype(np.int32)


def _numbers(column: pl.Series, table: str) -> Floats:
    """(n,) Raises Invalid (`bad_data`) where a row has none."""
    import polars as pl

    found: Floats = column.cast(pl.Float64, strict=False).to_numpy().astype(np.float64)
    bad = ~np.isfinite(found)
    if bad.any():
        raise Invalid(
            f"column {column.name!r} of {table} must be a finite number in every row; {int(bad.sum()):,} rows hold "
            f"others, the first is row {int(bad.argmax()) + 1}: {column[int(bad.argmax())]!r}",
            code="bad_data",
            field=column.name,
        )
    return found


def _times(frame: pl.DataFrame, time: Any) -> NDArray[np.int64]:
    """Microseconds where the column is one of times; else the number of the row."""
    import polars as pl

    if time is None:
        return np.arange(frame.height, dtype=np.int64)
    column = frame[time]
    if column.dtype.is_temporal():
        found: NDArray[np.int64] = column.cast(pl.Datetime("us")).cast(pl.Int64).to_numpy()
        return found
    return np.arange(frame.height, dtype=np.int64)


def _context(
    frame: pl.DataFrame, features: Sequence[str], categorical: Sequence[str], table: str
) -> tuple[Floats | None, tuple[str, ...]]:
    """(n, d) with the bias first, and names; numbers standardised, of a text a column for each of its most frequent
    values. None without features."""
    if not features:
        return None, ()
    columns, names = [np.ones(frame.height)], ["bias"]
    for name in dict.fromkeys(features):
        if name not in frame.columns:
            raise _lacks(frame, name, table, "features")
        if frame[name].dtype.is_numeric() and name not in categorical:
            columns.append(_standardised(numbers(frame[name]).astype(np.float64)))
            names.append(name)
            continue
        said = texts(frame[name]).fill_null("").to_numpy()
        values, count = np.unique(said.astype(str), return_counts=True)
        for value in values[np.argsort(-count, kind="stable")][:MOST_WORDS].tolist():
            columns.append((said == value).astype(np.float64))
            names.append(f"{name}={value}")
    return np.column_stack(columns), tuple(names)


def _standardised(values: Floats) -> Floats:
    there = np.isfinite(values)
    if not there.any():
        return np.zeros(len(values))
    spread = float(values[there].std()) or 1.0
    found: Floats = np.where(there, (values - float(values[there].mean())) / spread, 0.0)
    return found
