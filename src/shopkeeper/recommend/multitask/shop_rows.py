"""Rows from the shop's own log: candidates as of each past visit, what the user then did with them, and the money.

A visit is a run of events with items, with pauses under twelve hours. Of each candidate is known, as the log has it,

    click   something of the kinds of TAKEN or a view happened with it in the visit
    order   it was ordered in the visit
    gmv     the money of these orders, 0 where there was none

Features and candidates are those of rankers (`ranking/asof.py`): of what happens at or after the first moment of a
visit a row holds its labels and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.batch import EventBatch
from shopkeeper.core.clock import DAY
from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import Report
from shopkeeper.features.vector import FeatureSet
from shopkeeper.learning.tabular import Schema
from shopkeeper.recommend.candidates import COLUMNS
from shopkeeper.recommend.multitask.params import MultitaskParams
from shopkeeper.recommend.multitask.rows import TaskRows
from shopkeeper.recommend.multitask.tasks import FROM_SHOP, Task, check_labels, read_tasks
from shopkeeper.recommend.orders import Orders
from shopkeeper.recommend.ranking.asof import MOST_HELD_VISITS, Answered, Split, answers, split_of
from shopkeeper.recommend.ranking.rows import Lists, RankRows
from shopkeeper.recommend.ranking.served_rows import TAKEN
from shopkeeper.recommend.ranking.visits import sample, visits
from shopkeeper.recommend.shoplog import ShopLog

KINDS = {"click": "binary", "order": "binary", "gmv": "amount"}
"""What the log knows of a candidate, and of what kind it is."""
_SEEN = ("view", *TAKEN)
_WITHIN = DAY


@dataclass(frozen=True)
class _Money:
    """Order lines sorted by user and time, all (n,)."""

    user: NDArray[np.int32]
    time: NDArray[np.int64]
    item: NDArray[np.int32]
    money: NDArray[np.float64]

    @classmethod
    def of(cls, events: EventBatch, order_type: int) -> _Money:
        where = np.flatnonzero((events.type == order_type) & (events.item >= 0))
        where = where[np.lexsort((events.time[where], events.user[where]))]
        value = events.value[where]
        value = np.where(np.isfinite(value), value, events.quantity[where] * events.unit_price[where])
        return cls(events.user[where], events.time[where], events.item[where], np.maximum(np.nan_to_num(value), 0.0))

    def spent(self, user: int, start: int, items: NDArray[np.int32]) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        """(k,) whether each item was ordered within a day of `start`, and for how much."""
        own = slice(*np.searchsorted(self.user, [user, user + 1]).tolist())
        within = slice(*(own.start + np.searchsorted(self.time[own], [start, start + _WITHIN])).tolist())
        places, line = np.nonzero(items[:, None] == self.item[within][None, :])
        money = np.bincount(places, weights=self.money[within][line], minlength=len(items))
        ordered = np.zeros(len(items), dtype=np.bool_)
        ordered[places] = True
        return ordered, money.astype(np.float32)


def shop_rows(
    shop: ShopLog, zone: ZoneInfo, params: MultitaskParams, seed: int, report: Report
) -> tuple[TaskRows, TaskRows, Split]:
    """(rows to learn from, untouched rows of the last days). Raises Invalid for tasks that the log does not know, and
    when there are no visits to learn from."""
    tasks = _tasks(params)
    orders, met = shop.orders(), _interactions(shop)
    split = split_of(orders, params)
    learned = sample(visits(met, split.start, split.cutoff), params.max_visits, seed)
    held = sample(visits(met, split.cutoff, split.end), MOST_HELD_VISITS, seed)
    if not learned or not held:
        raise Invalid(
            f"too little happened to learn from: visits are needed before and within the last {params.holdout_days} "
            "days; import more history or lower holdout_days",
            code="no_data",
        )
    order_type = shop.types.row("order")
    assert order_type is not None  # there are orders
    features, money = FeatureSet(params.features or None), _Money.of(shop.events, order_type)
    schema = Schema.of_numbers((*features.names, *COLUMNS), (*features.defaults, *[0.0] * len(COLUMNS)))
    random = np.random.default_rng(seed)
    parts: list[_Part] = []
    many = len(learned) + len(held)
    for done, answered in enumerate(answers(shop, orders, [*learned, *held], features, zone)):
        negatives = params.negatives if done < len(learned) else len(answered.label)
        parts.append(_part(answered, money, tasks, negatives, random))
        if done % 50 == 0:
            report(done, many, message="replaying the log")
    train, rest = _joined(parts[: len(learned)], schema, tasks), _joined(parts[len(learned) :], schema, tasks)
    if params.normalize:
        scaled = schema.with_scaling(train.rows.values)
        train, rest = (_joined(some, scaled, tasks) for some in (parts[: len(learned)], parts[len(learned) :]))
    check_labels(tasks, train.labels, train.rows.weight, "to learn from")
    return train, rest, split


def _tasks(params: MultitaskParams) -> tuple[Task, ...]:
    asked = read_tasks(params.tasks or FROM_SHOP)
    for task in asked:
        if task.column not in KINDS:
            raise Invalid(
                f"the shop's own log knows nothing of {task.column!r}; of an item that was proposed it knows "
                f"{', '.join(KINDS)}. Learn other tasks from a table",
                code="bad_task",
                field="tasks",
            )
        if task.kind not in (None, KINDS[task.column]):
            raise Invalid(f"{task.column} is of kind {KINDS[task.column]}", code="bad_task", field="tasks")
    return read_tasks(f"{task.name}={task.column}:{KINDS[task.column]}" for task in asked)


def _interactions(shop: ShopLog) -> Orders:
    """What users did with items, in order of time, in the form of order lines."""
    events = shop.events
    types = [row for row in map(shop.types.row, _SEEN) if row is not None]
    where = np.flatnonzero(np.isin(events.type, types) & (events.user >= 0) & (events.item >= 0))
    where = where[np.argsort(events.time[where], kind="stable")]
    return Orders(events.user[where], events.item[where], events.time[where], shop.item_ids)


@dataclass(frozen=True)
class _Part:
    """Rows of one visit that are kept, `weight` of those that were not taken, and how many were taken at all."""

    answered: Answered
    places: NDArray[np.int64]
    labels: NDArray[np.float32]
    weight: NDArray[np.float32]


def _part(
    answered: Answered, money: _Money, tasks: Sequence[Task], negatives: int, random: np.random.Generator
) -> _Part:
    """All that was met and at most `negatives` of the rest, each standing for as many as were left out."""
    label = answered.label
    rest = np.flatnonzero(label == 0)
    share = 1.0
    if len(rest) > negatives:
        share = len(rest) / negatives
        rest = random.choice(rest, negatives, replace=False)
    places = np.sort(np.concatenate([np.flatnonzero(label > 0), rest]))
    ordered, spent = money.spent(answered.visit.user, answered.visit.time, answered.items[places])
    met = label[places]
    known = {"click": met, "order": ordered * met, "gmv": spent * met}
    labels = np.column_stack([known[task.column] for task in tasks]).astype(np.float32)
    return _Part(answered, places, labels, np.where(met > 0, 1.0, share).astype(np.float32))


def _joined(parts: Sequence[_Part], schema: Schema, tasks: tuple[Task, ...]) -> TaskRows:
    sizes = [len(part.places) for part in parts]
    labels = np.concatenate([part.labels for part in parts])
    lists = Lists(
        number=np.repeat(np.arange(len(parts)), sizes),
        fused=np.concatenate([part.answered.fused[part.places] for part in parts]),
        unseen=np.concatenate([part.answered.unseen[part.places] for part in parts]).astype(np.bool_),
        wanted=np.repeat([len(part.answered.visit.items) for part in parts], sizes),
        wanted_unseen=np.repeat([part.answered.wanted_unseen for part in parts], sizes),
    )
    rows = RankRows(
        schema=schema,
        values=np.concatenate([part.answered.values[part.places] for part in parts]),
        label=labels[:, 0],
        weight=np.concatenate([part.weight for part in parts]),
        lists=lists,
    )
    return TaskRows(tasks, rows, labels)
