"""Order lines from a table: who took what, what was known of both, and in which order.

    user_id, item_id, [at], [user_...], [item_...], [label]      a line each
    user_id, user_..., history, target_item_id                   what was taken before, and what came next
    user_..., item_..., label                                    no ids: an item is what is said of it

Columns that begin with `user_` or `item_` say something of either. A row whose label is 0 was shown and not taken: that
teaches nothing here, and the row is left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import Report
from shopkeeper.learning.tabular import numbers, texts
from shopkeeper.recommend.orders import Orders
from shopkeeper.recommend.recall.holdout import UserCase
from shopkeeper.recommend.recall.training import RecallData
from shopkeeper.recommend.recall.traits import readable
from shopkeeper.sources.tables import read_table

if TYPE_CHECKING:
    import polars as pl

HELD, MOST_CASES = 0.2, 2000
MOST_HISTORY = 500
"""Of a longer history only the newest are read."""
_SPLIT = re.compile(r"[,|;\s]+")
_USERS, _ITEMS, _HISTORIES = ("user_id",), ("target_item_id", "item_id"), ("history", "history_item_ids")


@dataclass(frozen=True)
class _Columns:
    """Names of the columns; None: the table has none."""

    user: str | None
    item: str | None
    history: str | None
    label: str | None
    time: str | None
    said_of_users: list[str]
    said_of_items: list[str]


def table_lines(
    source: Mapping[str, Any], zone: str, seed: int, report: Report
) -> tuple[RecallData, tuple[UserCase, ...], dict[str, Any]]:
    """(what to learn from, held-out cases, facts). Of a fifth of those who took more than one item, and of whom
    something else is known who took one, the last item is held out: drawn by `seed`, or, with a time column, of those
    who came last. Raises Invalid for a table that nothing can be learned from."""
    table = read_table(source, zone=zone, report=report)
    name = str(table.facts.get("name") or source.get("kind"))
    columns = _columns(table.frame, source, name)
    frame, left_out = _taken(table.frame, columns, name)
    if columns.time is not None:
        frame = frame.sort(columns.time, maintain_order=True)
    items, ids = _items(frame, columns)
    said_of_items = _said(frame, columns.said_of_items, source)
    histories = _histories(frame, columns)
    place = {one: at for at, one in enumerate(ids)}
    for history in histories:
        for one in history:
            place.setdefault(one, len(place))
    users, last_only = _users(frame, columns)
    user, item = list[int](), list[int]()
    for row, (whose, what) in enumerate(zip(users.tolist(), items.tolist(), strict=True)):
        before = [place[one] for one in histories[row]] if histories else []
        user += [whose] * (len(before) + 1)
        item += [*before, what]
    orders = Orders(
        np.array(user, dtype=np.int32),
        np.array(item, dtype=np.int32),
        np.arange(1, len(item) + 1, dtype=np.int64),  # their order is all that is known of their moments
        tuple(place),
    )
    whole = RecallData(
        orders,
        len(item) + 1,
        readable(_last_of(users, _said(frame, columns.said_of_users, source))),
        readable(_last_of(items, said_of_items)),
        last_only,
        columns.item is None,
    )
    train, cases = _apart(whole, seed, by_time=columns.time is not None)
    facts = {
        **table.facts,
        "rows": len(train.orders),
        "holdout_users": len(cases),
        "label": columns.label or "",
        "features": [*columns.said_of_users, *columns.said_of_items],
        "rows_left_out": left_out,
    }
    return train, cases, facts


def _columns(frame: pl.DataFrame, source: Mapping[str, Any], table: str) -> _Columns:
    for role in ("label", "time", "group"):
        if (named := source.get(role)) is not None and named not in frame.columns:
            raise _missing(f"column {named!r}", frame, table)
    there = frame.columns
    user = source.get("group") or next((one for one in _USERS if one in there), None)
    item = next((one for one in _ITEMS if one in there), None)
    history = next((one for one in _HISTORIES if one in there), None)
    label = source.get("label") or ("label" if "label" in there else None)
    special = {user, item, history, label, source.get("time"), *_USERS, *_ITEMS}
    wanted = source.get("features") or there
    if absent := [one for one in wanted if one not in there]:
        raise _missing(f"column {absent[0]!r}", frame, table)
    said = {side: [one for one in wanted if one.startswith(side) and one not in special] for side in ("user_", "item_")}
    if item is None and (not said["item_"] or history is not None):
        raise _missing("column item_id or target_item_id, nor item_... columns that tell items apart", frame, table)
    if user is None and history is None and not said["user_"]:
        raise _missing("column user_id or history, nor user_... columns that say who took an item", frame, table)
    return _Columns(user, item, history, label, source.get("time"), said["user_"], said["item_"])


def _missing(what: str, frame: pl.DataFrame, table: str) -> Invalid:
    return Invalid(f"{table} has no {what}; it has: {', '.join(frame.columns[:50])}", code="no_column", field="source")


def _taken(frame: pl.DataFrame, columns: _Columns, table: str) -> tuple[pl.DataFrame, int]:
    """The rows that were taken and say what, and how many others there are."""
    import polars as pl

    kept = np.ones(frame.height, dtype=np.bool_)
    if columns.label is not None:
        label = numbers(frame[columns.label])
        if np.isnan(label).any():
            raise Invalid(
                f"column {columns.label!r} of {table} must say in every row whether it was taken, 1 or 0",
                code="bad_label",
                field="label",
            )
        kept &= label > 0.5
    for name in (columns.item, columns.user, columns.time):
        if name is not None:
            kept &= ~frame[name].is_null().to_numpy()
    if not kept.any():
        raise Invalid(
            f"no row of {table} was taken: its {columns.label or 'item'} column says so of all", code="bad_label"
        )
    return frame.filter(pl.Series(kept)), int((~kept).sum())


def _items(frame: pl.DataFrame, columns: _Columns) -> tuple[NDArray[np.int64], list[str]]:
    """(n,) the item of each row, by its place in the ids."""
    if columns.item is not None:
        return _places(texts(frame[columns.item]).to_list())
    rows = frame.select(columns.said_of_items).rows()
    places, differing = _places(rows)
    return places, [f"item-{at + 1}" for at in range(len(differing))]


def _users(frame: pl.DataFrame, columns: _Columns) -> tuple[NDArray[np.int64], bool]:
    """((n,) the user of each row, whether only the newest item is to be foretold). With histories, rows are people of
    their own as soon as somebody has two: what one row holds as history another may hold as what came next."""
    alone = np.arange(frame.height)
    if columns.user is None:
        return alone, True
    places, people = _places(texts(frame[columns.user]).to_list())
    if columns.history is None or len(people) == frame.height:
        return places, False
    return alone, True


def _places(values: Sequence[Any]) -> tuple[NDArray[np.int64], list[Any]]:
    place: dict[Any, int] = {}
    found = np.array([place.setdefault(value, len(place)) for value in values], dtype=np.int64)
    return found, list(place)


def _histories(frame: pl.DataFrame, columns: _Columns) -> list[list[str]]:
    """Of each row the items before, oldest first: ids with a comma, a semicolon, `|` or a blank between, or a list."""
    if columns.history is None:
        return []
    found = []
    for text in texts(frame[columns.history]).to_list():
        parts = _SPLIT.split((text or "").strip().strip("[]"))
        found.append([clean for one in parts if (clean := one.strip("\"'"))][-MOST_HISTORY:])
    return found


def _said(frame: pl.DataFrame, names: Sequence[str], source: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Of each row; a column of `categorical` holds names, whatever it looks like."""
    import polars as pl

    named = set(source.get("categorical") or ())
    plain = [
        texts(frame[name]).alias(name)
        if name in named or not (frame[name].dtype.is_numeric() or frame[name].dtype == pl.Boolean)
        else frame[name]
        for name in names
    ]
    rows = pl.DataFrame(plain).rows(named=True) if plain else [{}] * frame.height
    return [{name: value for name, value in row.items() if value is not None} for row in rows]


def _last_of(places: NDArray[np.int64], said: Sequence[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """What the newest row says of each; those of which nothing is said are left out."""
    return {place: row for place, row in zip(places.tolist(), said, strict=True) if row}


def _apart(data: RecallData, seed: int, *, by_time: bool) -> tuple[RecallData, tuple[UserCase, ...]]:
    orders = data.orders
    order = np.lexsort((orders.time, orders.user))
    users, begin = np.unique(orders.user[order], return_index=True)
    parts = dict(zip(users.tolist(), np.split(order, begin[1:]), strict=True))
    can = np.array([user for user, lines in parts.items() if len(lines) > 1 or user in data.users], dtype=np.int64)
    n = min(max(int(len(can) * HELD), min(len(can), 1)), MOST_CASES, len(users) - 1)
    if n <= 0:
        return data, ()
    if by_time:
        chosen = can[np.argsort([orders.time[parts[user][-1]] for user in can.tolist()], kind="stable")[-n:]]
    else:
        chosen = np.random.default_rng(seed).choice(can, n, replace=False)
    kept, cases = np.ones(len(orders), dtype=np.bool_), []
    for user in sorted(chosen.tolist()):
        lines = parts[user]
        kept[lines if data.last_only else lines[-1:]] = False
        before = orders.item[lines[:-1]][::-1]
        _, newest = np.unique(before, return_index=True)
        known = before[np.sort(newest)]
        age = np.zeros(len(known))
        cases.append(UserCase(user, known, age, orders.item[lines[-1:]], data.users.get(user)))
    left = Orders(orders.user[kept], orders.item[kept], orders.time[kept], orders.item_ids)
    return RecallData(left, data.now, data.users, data.items, data.last_only, data.by_traits_only), tuple(cases)
