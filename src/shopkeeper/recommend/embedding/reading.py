"""Where sequences, texts and edges come from: the shop's own log, or a table (`sources/tables`)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import select

from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import Report, TrainingContext
from shopkeeper.learning.tabular import texts
from shopkeeper.recommend.embedding.sequences import Sequences
from shopkeeper.recommend.orders import Orders
from shopkeeper.recommend.wording import words
from shopkeeper.sources.tables import Table, read_table
from shopkeeper.stores import schema
from shopkeeper.stores.sql import open_database

if TYPE_CHECKING:
    import polars as pl

MOST_WORDS = 10_000
"""Of one text; what stands after them is not read."""
_BETWEEN = re.compile(r"[\s,;|]+")


@dataclass(frozen=True)
class ItemText:
    """What is said of an item: its words, in their order."""

    item_id: str
    words: tuple[str, ...]


def is_shop(context: TrainingContext) -> bool:
    return bool(context.source.get("kind", "shop") == "shop")


def read_columns(context: TrainingContext, wanted: Sequence[str], report: Report) -> Table:
    """A table that has the wanted columns. Raises Invalid (`no_column`) with those that there are."""
    table = read_table(context.source, zone=context.zone, report=report)
    for name in wanted:
        if name not in table.frame.columns:
            have = ", ".join(table.frame.columns[:50])
            what = table.facts.get("name", "the table")
            raise Invalid(f"{what} has no column {name!r}; it has: {have}", code="no_column", field="source")
    return table


def sequences_of_orders(orders: Orders, *, baskets: bool) -> Sequences:
    """What each user bought, in order of time, or (`baskets`) what was bought at one moment."""
    order = np.argsort(orders.user, kind="stable")
    user, item, time = orders.user[order], orders.item[order], orders.time[order]
    begins = np.flatnonzero(np.r_[True, (np.diff(user) != 0) | (baskets & (np.diff(time) != 0))])
    bounds = np.append(begins, len(item)).astype(np.int64) if len(item) else np.zeros(1, dtype=np.int64)
    return Sequences(item, bounds, time, orders.item_ids)


def sequences_of_table(frame: pl.DataFrame, column: str, user: str | None, time: str | None) -> Sequences:
    """A row's ids in their order; with `user` the rows of one user are joined, in the order of `time` or of the table.

    Rows without a sequence (or a user, or a time) are left out. Raises Invalid (`bad_sequence`).
    """
    named = [name for name in (column, user) if name is not None]
    frame = frame.with_columns(texts(frame[each]).alias(each) for each in named)
    frame = frame.drop_nulls([*named, *([time] if time is not None else [])])
    if time is not None:
        frame = frame.sort(time, maintain_order=True)
    given = [split(text, column) for text in frame[column].to_list()]
    if user is None:
        return Sequences.of(given)
    joined: dict[str, list[str]] = {}
    for name, ids in zip(frame[user].to_list(), given, strict=True):
        joined.setdefault(name, []).extend(ids)
    return Sequences.of(joined.values())


def split(text: str, column: str) -> list[str]:
    """`["a", "b"]`, or ids with spaces, commas, semicolons or bars between. Raises Invalid for a broken list."""
    if not text.lstrip().startswith("["):
        return [part for part in _BETWEEN.split(text) if part]
    try:
        found = json.loads(text)
    except ValueError as error:
        raise Invalid(f"{column} holds {text[:60]!r}, which is no list: {error}", code="bad_sequence") from error
    if any(isinstance(each, list | dict | bool) or each is None for each in found):
        raise Invalid(f"{column} must hold lists of ids, not {text[:60]!r}", code="bad_sequence")
    return [str(each) for each in found]


def words_of(text: str) -> list[str]:
    """Of any language (`wording.words`); of Chinese pairs of characters. The first MOST_WORDS."""
    return list(islice(words(text), MOST_WORDS))


def texts_of_table(frame: pl.DataFrame, column: str) -> list[list[str]]:
    return [words_of(text) for text in texts(frame[column]).drop_nulls().to_list()]


def texts_of_shop(context: TrainingContext) -> list[ItemText]:
    """Name, category and description of every item for sale. Raises Invalid (`no_data`) without any."""
    columns = schema.items.c
    db = open_database(context.sql_url, read_only=True)
    try:
        with db.read() as connection:
            wanted = select(columns.item_id, columns.name, columns.category, columns.attributes)
            rows = connection.execute(wanted.order_by(columns.row)).all()
    finally:
        db.close()
    found = [ItemText(row.item_id, tuple(words_of(said_of(row.name, row.category, row.attributes)))) for row in rows]
    if not any(len(each.words) > 1 for each in found):
        raise Invalid("no item of the shop has a name of two words to learn from", code="no_data")
    return found


def said_of(name: Any, category: Any, attributes: Any) -> str:
    """The text of an item: name, category, and every attribute that is a text."""
    more = [each for each in attributes.values() if isinstance(each, str)] if isinstance(attributes, Mapping) else []
    return " ".join(str(each) for each in (name, category, *more) if each)
