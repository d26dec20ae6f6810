"""Rows to learn from that are what rankers saw when they served: logged vectors, labelled by what users did then.

An item that was shown was taken when an event names the answer and the item, or when the user who was shown it did
something of these kinds with it within `WITHIN` of the slate.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.clock import DAY
from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import TrainingContext
from shopkeeper.learning.tabular import Schema
from shopkeeper.recommend.candidates import FUSED
from shopkeeper.recommend.made import slate_of
from shopkeeper.recommend.ranking.rows import Lists, RankRows
from shopkeeper.stores import served_vectors
from shopkeeper.stores.served_vectors import ServedVectors
from shopkeeper.stores.sql import Database, open_database
from shopkeeper.stores.vocabulary import Vocabularies

TAKEN = ("order", "cart", "click", "accept", "like", "save", "share")
WITHIN = DAY
HELD_OUT = 0.2
_BOUGHT = "pair_bought_before"


@dataclass(frozen=True)
class Labelled:
    """One slate that was shown, and whether each of its items was taken: `taken` bool (m,)."""

    served: ServedVectors
    taken: NDArray[np.bool_]


def labelled(db: Database, names: Vocabularies, *, now: int, model: str | None = None) -> list[Labelled]:
    """Slates whose time to be reacted to is over, `made_at` + WITHIN <= now, in order of time."""
    with db.read() as connection:
        slates = [one for one in served_vectors.read(connection, model=model) if one.made_at + WITHIN <= now]
        if not slates:
            return []
        rows = [row for row in map(names.event_types.row, TAKEN) if row is not None]
        reactions = list(served_vectors.reactions(connection, rows, slates[0].made_at, slates[-1].made_at + WITHIN))
    by_answer: dict[str, set[int]] = defaultdict(set)
    by_user: dict[tuple[int, int], list[int]] = defaultdict(list)
    for one in reactions:
        if one.request_id is not None:
            by_answer[slate_of(one.request_id)].add(one.item_row)
        if one.user_row is not None:
            by_user[one.user_row, one.item_row].append(one.time)
    return [_label(one, by_answer.get(one.slate_id, set()), by_user) for one in slates]


def _label(one: ServedVectors, named: set[int], by_user: dict[tuple[int, int], list[int]]) -> Labelled:
    def taken(item: int) -> bool:
        if item in named:
            return True
        times = by_user.get((one.user_row, item), ()) if one.user_row is not None else ()
        return any(one.made_at < time <= one.made_at + WITHIN for time in times)

    return Labelled(one, np.array([taken(item) for item in one.items.tolist()], dtype=np.bool_))


def served_rows(context: TrainingContext, model: str | None = None) -> tuple[RankRows, RankRows]:
    """(rows to learn from, rows of the newest fifth of the slates). Raises Invalid when there is too little.

    Slates of the newest set of columns only: others were seen by another ranker's eyes.
    """
    db = open_database(context.sql_url, read_only=True)
    try:
        found = labelled(db, Vocabularies.load(db), now=context.now, model=model)
    finally:
        db.close()
    columns = found[-1].served.names if found else []
    found = [one for one in found if one.served.names == columns]
    cut = len(found) - max(1, int(len(found) * HELD_OUT))
    train, held = found[:cut], found[cut:]
    if not any(one.taken.any() for one in train) or not any(one.taken.any() for one in held):
        raise Invalid(
            f"too little was logged to learn from: {len(found)} slates, of which some items must have been taken, in "
            "the newest fifth too; raise SHOPKEEPER_SERVED_SHARE, or learn from the shop's log (source kind shop)",
            code="no_data",
        )
    return joined_rows(train, columns), joined_rows(held, columns)


def joined_rows(slates: list[Labelled], columns: list[str]) -> RankRows:
    """All items of slates that were seen by these columns, slate by slate."""
    values = np.concatenate([one.served.values for one in slates])
    label = np.concatenate([one.taken for one in slates]).astype(np.float32)
    sizes = [len(one.taken) for one in slates]
    place = np.concatenate([-np.arange(size, dtype=np.float32) for size in sizes])
    unseen = values[:, columns.index(_BOUGHT)] == 0 if _BOUGHT in columns else np.ones(len(values), dtype=np.bool_)
    number = np.repeat(np.arange(len(slates)), sizes)
    taken = np.bincount(number, weights=label, minlength=len(slates)).astype(np.int64)
    new = np.bincount(number, weights=label * unseen, minlength=len(slates)).astype(np.int64)
    lists = Lists(
        number=number,
        fused=values[:, columns.index(FUSED)] if FUSED in columns else place,
        unseen=unseen,
        wanted=np.repeat(taken, sizes),
        wanted_unseen=np.repeat(new, sizes),
    )
    return RankRows(
        schema=Schema.of_numbers(columns), values=values, label=label, weight=np.ones_like(label), lists=lists
    )
