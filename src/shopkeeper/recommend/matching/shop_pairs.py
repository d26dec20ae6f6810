"""Pairs from the shop: what was looked for, and what was then taken; and the names of items with words left out.

A search is an event with a text in `context.query`; the items that the same user (or visitor) then looks at, puts into
the cart or buys within half an hour, before the next search, are what was meant. Names make up for searches that a shop
does not have yet: of a name some words are kept, as somebody types them who wants that item.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import select

from shopkeeper.core.clock import MINUTE
from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import Report, TrainingContext
from shopkeeper.recommend.matching.pairs import Columns, Pairs, Side, distinct
from shopkeeper.recommend.matching.params import MatchingParams
from shopkeeper.recommend.matching.text import tokens
from shopkeeper.stores import schema
from shopkeeper.stores.sql import open_database

QUERY = Columns(texts=("query",))
DOC = Columns(texts=("name", "category", "description"))
SPAN = 30 * MINUTE
_LONGEST_QUERY = 200
_MOST_SAID = 2000
DRAWN = 3
"""Names cut short, of each item, at most."""
_SHORT = 3
"""Letters of a word that nobody gets wrong."""
_FEWEST_ITEMS = 5


def shop_pairs(context: TrainingContext, params: MatchingParams, report: Report) -> tuple[Pairs, dict[str, Any]]:
    """(all pairs, facts). Raises Invalid (`no_data`) for a shop with fewer than five named items."""
    report(0, 3, message="reading the items")
    shelf = _shelf(context)
    if len(shelf.ids) < _FEWEST_ITEMS:
        raise Invalid(
            f"the shop has {len(shelf.ids)} items with a name, at least {_FEWEST_ITEMS} are needed", code="no_data"
        )
    report(1, 3, message="reading searches")
    searched = list(_searches(context, shelf.place))
    random = np.random.default_rng(context.seed)
    if len(searched) > params.max_queries:
        searched = [searched[at] for at in np.sort(random.choice(len(searched), params.max_queries, replace=False))]
    report(2, 3, message="drawing words of names")
    drawn = list(_cut_names(shelf, params.max_queries - len(searched), random))
    asked = [*searched, *drawn]
    queries, of_query = distinct(Side(tuple(text for text, _ in asked), np.zeros((len(asked), 0), dtype=np.float32)))
    docs = Side(tuple(shelf.said), np.zeros((len(shelf.said), 0), dtype=np.float32))
    of_doc = np.array([item for _, item in asked], dtype=np.int64)
    label = np.ones(len(asked), dtype=np.float32)
    pairs = Pairs(QUERY, DOC, queries, docs, of_query, of_doc, label, tuple(shelf.ids))
    return pairs, {"rows": len(pairs), "documents": len(docs), "searches": len(searched), "names": len(drawn)}


def described(name: str, category: str | None, attributes: Mapping[str, Any]) -> dict[str, str]:
    """An item as the columns of a document."""
    said = " ".join(value for value in attributes.values() if isinstance(value, str))
    return {"name": name, "category": category or "", "description": said[:_MOST_SAID]}


@dataclass(frozen=True)
class _Shelf:
    """Items with a name: their ids, names, and all that is said of them; `place` of each row of the shop."""

    ids: list[str]
    names: list[str]
    said: list[str]
    place: dict[int, int]


def _shelf(context: TrainingContext) -> _Shelf:
    c = schema.items.c
    db = open_database(context.sql_url, read_only=True)
    try:
        with db.read() as connection:
            rows = connection.execute(
                select(c.row, c.item_id, c.name, c.category, c.attributes).where(c.kind == "product").order_by(c.row)
            ).all()
    finally:
        db.close()
    named = [row for row in rows if row.name]
    dicts = [described(row.name, row.category, row.attributes or {}) for row in named]
    return _Shelf(
        [row.item_id for row in named],
        [row.name for row in named],
        list(DOC.read(dicts).texts),
        {row.row: at for at, row in enumerate(named)},
    )


def _searches(context: TrainingContext, place: Mapping[int, int]) -> Iterator[tuple[str, int]]:
    """(query, item) of every search that something came of."""
    c = schema.events.c
    asked: dict[Any, tuple[str, int]] = {}
    chosen = select(c.user_row, c.anonymous_id, c.item_row, c.time, c.context).where(c.time <= context.now)
    db = open_database(context.sql_url, read_only=True)
    try:
        with db.read() as connection:
            for row in connection.execute(chosen.order_by(c.time, c.seq)).yield_per(10_000):
                who = row.user_row if row.user_row is not None else row.anonymous_id
                if who is None:
                    continue
                text = (row.context or {}).get("query")
                if isinstance(text, str) and text.strip():
                    asked[who] = text.strip()[:_LONGEST_QUERY], row.time
                found = asked.get(who)
                if found is not None and row.item_row in place and row.time - found[1] <= SPAN:
                    yield found[0], place[row.item_row]
    finally:
        db.close()


def _cut_names(shelf: _Shelf, most: int, random: np.random.Generator) -> Iterator[tuple[str, int]]:
    left = most
    for _ in range(DRAWN):
        for item in random.permutation(len(shelf.names)).tolist():
            if left > 0 and (typed := as_typed(shelf.names[item], random)):
                left -= 1
                yield typed, item


def as_typed(name: str, random: np.random.Generator) -> str:
    """Some words of a name in their order, of one word its beginning; every third time with a letter gone, doubled or
    changed for its neighbour. Empty for a name without words."""
    words = [word.lower() for word in tokens(name)]
    if len(words) == 1:
        words = [words[0][: max(len(words[0]) - int(random.integers(0, 3)), 2)]]
    elif words:
        kept = np.sort(random.choice(len(words), int(random.integers(1, len(words))), replace=False))
        words = [words[at] for at in kept]
    long = [at for at, word in enumerate(words) if len(word) > _SHORT]
    if long and random.random() < 1 / 3:
        at = long[int(random.integers(len(long)))]
        words[at] = _mistyped(words[at], int(random.integers(1, len(words[at]) - 1)), int(random.integers(3)))
    return " ".join(words)


def _mistyped(word: str, at: int, how: int) -> str:
    letters = word[at + 1] + word[at], word[at] * 2 + word[at + 1], word[at + 1]
    return word[:at] + letters[how] + word[at + 2 :]
