"""What exposed users did, as sums in SQL: one line a unit, over its events since it was first answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, Float, and_, case, func, literal, select

from shopkeeper.stores import schema

_U, _E, _T = schema.experiment_units.c, schema.events.c, schema.experiment_events.c
Floats = NDArray[np.float64]
_LARGEST = float(np.finfo(np.float64).max)


@dataclass(frozen=True)
class Reward:
    """What an event of feedback is worth, in [-1, 1]: what its context notes as `reward`; else `fixed`; else its value,
    from 0 to `highest`, by `whole`, and what is out of that range nothing. As `recommend/rewards/signals.py` reckons
    it."""

    fixed: float | None
    whole: float = 1.0
    highest: float = _LARGEST


Worth: TypeAlias = float | str | Reward
"""What one event counts: a number, `money` (value, else quantity times price), `value` as it was told, or a reward."""
_NOTED: Final = "$.reward"


@dataclass(frozen=True)
class Window:
    """Which events count. `since` us: none that is older by its own time, as imports bring; `last_seq`: none after it,
    None: all; `before_us`: those of so long before the exposure instead of those since."""

    experiment_id: str
    phase: int
    since: int
    last_seq: int | None = None
    before_us: int = 0


@dataclass(frozen=True)
class Sums:
    """Of n units: rows of users, variants (n,), a column a term (n, terms), events since exposure (n,)."""

    rows: NDArray[np.int64]
    variant: NDArray[np.int64]
    values: Floats
    events: NDArray[np.int64]


def of_events(connection: Connection, window: Window, terms: Sequence[Mapping[int, Worth]]) -> Sums:
    """`terms`: what an event of each type row counts, see `Worth`."""
    if window.before_us:
        when = and_(_E.seq <= _U.exposed_seq, _E.time >= _U.exposed_at - window.before_us, _E.time <= _U.exposed_at)
    else:
        when = and_(_E.seq > _U.exposed_seq, _E.time >= window.since)
        if window.last_seq is not None:
            when = and_(when, _E.seq <= window.last_seq)
    mine = and_(_E.user_row == _U.user_row, when)
    joined = schema.experiment_units.outerjoin(schema.events, mine)
    sums = [func.coalesce(func.sum(_worth(term)), 0.0) for term in terms]
    return _read(connection, joined, window, sums, func.count(_E.seq))


def of_told(connection: Connection, window: Window, metric: str) -> Sums:
    """What was told of the units by name since they were exposed."""
    mine = and_(
        _T.experiment_id == _U.experiment_id,
        _T.metric == metric,
        _T.user_row == _U.user_row,
        _T.time >= _U.exposed_at,
    )
    joined = schema.experiment_units.outerjoin(schema.experiment_events, mine)
    return _read(connection, joined, window, [func.coalesce(func.sum(_T.value), 0.0)], func.count(_T.position))


def _read(
    connection: Connection, joined: Any, window: Window, sums: Sequence[ColumnElement[Any]], count: ColumnElement[Any]
) -> Sums:
    query = (
        select(_U.user_row, _U.variant, count, *sums)
        .select_from(joined)
        .where(_U.experiment_id == window.experiment_id, _U.phase == window.phase)
        .group_by(_U.user_row, _U.variant)
    )
    found = np.array([tuple(row) for row in connection.execute(query)], dtype=np.float64).reshape(-1, 3 + len(sums))
    whole = found[:, :3].astype(np.int64)
    return Sums(whole[:, 0], whole[:, 1], found[:, 3:], whole[:, 2])


def _worth(term: Mapping[int, Worth]) -> ColumnElement[Any]:
    if not term:
        return literal(0.0)
    money = func.coalesce(_E.value, _E.quantity * _E.unit_price, 0.0)
    words: dict[object, Any] = {"money": money, "value": func.coalesce(_E.value, 0.0)}
    counted = {row: _reward(one) if isinstance(one, Reward) else words.get(one, one) for row, one in term.items()}
    return case(*((_E.type_row == row, one) for row, one in counted.items()), else_=0.0)


def _reward(one: Reward) -> ColumnElement[Any]:
    noted = func.json_extract(_E.context, _NOTED, type_=Float)
    is_noted = func.json_type(_E.context, _NOTED).in_(("integer", "real", "true", "false"))
    by_value = case((_E.value.between(0.0, one.highest), _cut(_E.value / one.whole)), else_=0.0)
    # A number beyond all floats reads as infinite: it counts nothing.
    by_note = case((noted.between(-_LARGEST, _LARGEST), _cut(noted)), else_=0.0)
    return case((is_noted, by_note), else_=by_value if one.fixed is None else one.fixed)


def _cut(worth: ColumnElement[Any]) -> ColumnElement[Any]:
    return case((worth > 1.0, 1.0), (worth < -1.0, -1.0), else_=worth)
