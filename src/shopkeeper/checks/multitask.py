"""Checks for every algorithm of several tasks. A shop's own passes them as the built-in ones do: `for check in CHECKS`.

Each check is given a trainer class and makes its own rows: who, what, a price with gaps; whether it was clicked, and
for how much money.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from typing import Any, cast

import msgspec
import numpy as np

from shopkeeper.checks.artifacts import differing_in_threads, saved_and_loaded
from shopkeeper.checks.brief import brief_params
from shopkeeper.core.errors import Cancelled, Invalid
from shopkeeper.core.protocols import RowScorer, Trainer, silent
from shopkeeper.learning.tabular import Column, Schema
from shopkeeper.lifecycle.outputs import check_outputs
from shopkeeper.quality.classification import auc, logloss
from shopkeeper.recommend.multitask.model import MultitaskModel
from shopkeeper.recommend.multitask.params import MultitaskParams
from shopkeeper.recommend.multitask.rows import TaskRows
from shopkeeper.recommend.multitask.tasks import Task
from shopkeeper.recommend.ranking.rows import RankRows

TASKS = (Task(name="ctr", column="click", kind="binary"), Task(name="gmv", column="gmv", kind="amount"))
_USERS, _ITEMS = 12, 8
_UNIT = 1000.0


def small_rows(n: int = 2000, seed: int = 5) -> TaskRows:
    """Some users and some items click more; an order is worth the price, in hundreds and thousands, and mostly 0."""
    random = np.random.default_rng(seed)
    user, item = random.integers(0, _USERS, n), random.integers(0, _ITEMS, n)
    price = random.lognormal(size=n)
    chance = 1 / (1 + np.exp(-(3.0 * (user % 3) + 1.5 * (item % 2) - 3.5)))
    click = random.random(n) < chance
    gmv = click * (random.random(n) < 0.5) * price * _UNIT
    told = np.where(random.random(n) < 0.1, np.nan, price)
    values = np.column_stack([user, item, told]).astype(np.float32)
    labels = np.column_stack([click, gmv]).astype(np.float32)
    rows = RankRows(_schema(), values, labels[:, 0], np.ones(n, dtype=np.float32), by_time=False)
    return TaskRows(TASKS, rows, labels)


def _schema() -> Schema:
    def codes(letter: str, many: int) -> Column:
        known = {f"{letter}{at}": at for at in range(many)}
        return Column(name=f"{letter}_id", categories=known, other=many, missing=many)

    return Schema((codes("user", _USERS), codes("item", _ITEMS), Column(name="price", default=None)))


def golden_of(rows: TaskRows) -> Any:
    """A user and an item of each kind, strangers and gaps among them."""
    del rows
    return {
        "rows": [
            {"user_id": "user1", "item_id": "item1", "price": 2.5},
            {"user_id": "user2", "item_id": "item0", "price": None},
            {"user_id": "nobody", "item_id": "nothing", "price": 1e9},
            {},
        ]
    }


def states_its_facts(trainer: type[Trainer]) -> None:
    """The class says what it is; its parameters extend the family's, each with a default and help."""
    assert trainer.family == "multitask"
    assert trainer.description
    assert issubclass(trainer.Params, MultitaskParams)
    trainer.Params()
    fields = msgspec.json.schema(trainer.Params)["$defs"][trainer.Params.__name__]["properties"]
    assert all("default" in field and field.get("description") for field in fields.values()), fields


def learns_every_task(trainer: type[Trainer]) -> None:
    """On rows that it never saw each task beats its naive baseline: the rate of a chance, the mean of an amount."""
    later = small_rows(seed=6)
    said = fitted(trainer).answers(later.rows.values)
    click, gmv = later.labels[:, 0], later.labels[:, 1]
    assert auc(click, said[:, 0]) > 0.75
    assert logloss(click, said[:, 0]) < logloss(click, np.full(len(later), click.mean()))
    assert np.mean((said[:, 1] - gmv) ** 2) < np.mean((gmv.mean() - gmv) ** 2)


def answers_in_the_units_of_the_tasks(trainer: type[Trainer]) -> None:
    """A chance lies between 0 and 1; an amount is never below 0, and its mean is about that of what came."""
    later = small_rows(seed=6)
    said = fitted(trainer).answers(later.rows.values)
    assert said.shape == (len(later), 2)
    assert ((said[:, 0] >= 0) & (said[:, 0] <= 1)).all()
    assert (said[:, 1] >= 0).all()
    assert 0.6 < said[:, 1].mean() / later.labels[:, 1].mean() < 1.6
    assert fitted(trainer).answers(later.rows.values[:0]).shape == (0, 2)


def a_task_in_other_units_is_learned_alike(trainer: type[Trainer]) -> None:
    """Money in millionths changes no other task: losses are balanced, not added up as they come."""
    rows = small_rows()
    small = replace(rows, labels=rows.labels * np.array([1, 1e-6], dtype=np.float32))
    asked = small_rows(300, seed=6).rows.values
    one, other = fitted(trainer).answers(asked), _fit(trainer, small).answers(asked)
    assert float(np.abs(one[:, 0] - other[:, 0]).mean()) < 0.05
    assert 0.7 < one[:, 1].mean() / (1e6 * other[:, 1].mean()) < 1.4


def names_its_outputs(trainer: type[Trainer]) -> None:
    """One object a row with a finite number for each task, missing features and strangers included."""
    assert isinstance(fitted(trainer), RowScorer)
    model = fitted(trainer)
    rows = golden_of(small_rows(30))["rows"]
    outputs = model.score_rows(rows)
    assert check_outputs("model", model, outputs, len(rows)) == "object"
    assert list(outputs[0]) == ["ctr", "gmv"]
    assert model.score_rows([]) == []
    matrix = model.answers(model.schema.encode(rows, told=False))
    np.testing.assert_allclose([list(one.values()) for one in outputs], matrix, rtol=1e-5)


def knows_strangers_as_it_says(trainer: type[Trainer]) -> None:
    """Whoever says that it knows new users and new items has an answer for them that is not the same for all rows."""
    model = fitted(trainer)
    strangers = [
        {"user_id": "nobody", "item_id": "item1", "price": 1.0},
        {"user_id": "nobody", "item_id": "item0", "price": 1.0},
        {"user_id": "user2", "item_id": "nothing", "price": 1.0},
        {"user_id": "user0", "item_id": "nothing", "price": 1.0},
    ]
    told = [answer["ctr"] for answer in model.score_rows(strangers)]
    if trainer.knows_new_users:
        assert told[0] != told[1]
    if trainer.knows_new_items:
        assert told[2] > told[3]


def refuses_what_is_not_a_number(trainer: type[Trainer]) -> None:
    """Text, NaN and lists are Invalid, and the message names the feature."""
    model = fitted(trainer)
    refused: tuple[Any, ...] = ("many", float("nan"), [1.0], {})
    for value in refused:
        assert "price" in _refusal(partial(model.score_rows, [{"price": value}])), f"{value!r} was scored"


def refuses_a_task_that_says_nothing(trainer: type[Trainer]) -> None:
    """One class only, one amount only, or no known label: Invalid, and the message names the task."""
    rows = small_rows(200)
    for at, value in ((0, 1.0), (0, np.nan), (1, 5.0)):
        labels = rows.labels.copy()
        labels[:, at] = value
        assert TASKS[at].name in _refusal(partial(_fit, trainer, replace(rows, labels=labels)))
    one = TaskRows(TASKS, rows.rows.take(slice(0, 1)), rows.labels[:1])
    assert _refusal(partial(_fit, trainer, one))


def learns_from_what_is_known(trainer: type[Trainer]) -> None:
    """A label that is missing says nothing: the task is learned from the other rows, and the others from all."""
    rows = small_rows()
    labels = rows.labels.copy()
    labels[::2, 1] = np.nan
    later = small_rows(seed=6)
    said = _fit(trainer, replace(rows, labels=labels)).answers(later.rows.values)
    assert np.isfinite(said).all()
    assert auc(later.labels[:, 0], said[:, 0]) > 0.75
    assert 0.5 < said[:, 1].mean() / later.labels[:, 1].mean() < 2


def noise_is_told_as_noise(trainer: type[Trainer]) -> None:
    """Labels that nothing explains: chances stay about the rate, and nothing is far off the naive baseline."""
    rows = small_rows()
    order = np.random.default_rng(3).permutation(len(rows))
    model = _fit(trainer, replace(rows, labels=rows.labels[order]))
    later = small_rows(seed=6)
    said = model.answers(later.rows.values)[:, 0]
    rate = np.full(len(later), later.labels[:, 0].mean())
    shuffled = later.labels[np.random.default_rng(4).permutation(len(later)), 0]
    assert logloss(shuffled, said) < 1.1 * logloss(shuffled, rate)


def can_be_stopped(trainer: type[Trainer]) -> None:
    """It reports its passes, and what a report raises comes out."""

    def stop(*_: Any, **__: Any) -> None:
        raise Cancelled("stop")

    try:
        trainer(brief_params(trainer), 11).fit(small_rows(200), stop)
    except Cancelled:
        return
    raise AssertionError("it never reported")


def loads_what_it_saved(trainer: type[Trainer]) -> None:
    """The same answers after save and load, from plain data files."""
    model = fitted(trainer)
    again = cast(MultitaskModel, saved_and_loaded(model))
    assert again.output_names == model.output_names
    _same(model, again)


def same_seed_same_model(trainer: type[Trainer]) -> None:
    """Two fits with one seed give the same answers."""
    _same(fitted(trainer), _fit(trainer, small_rows()))


def answers_many_threads(trainer: type[Trainer]) -> None:
    """Answering at the same time from several threads gives what one thread gives."""
    model = fitted(trainer)
    assert not differing_in_threads(model.answers, [small_rows(200, seed).rows.values for seed in range(16)])


CHECKS: tuple[Callable[[type[Trainer]], None], ...] = (
    states_its_facts,
    learns_every_task,
    answers_in_the_units_of_the_tasks,
    a_task_in_other_units_is_learned_alike,
    names_its_outputs,
    knows_strangers_as_it_says,
    refuses_what_is_not_a_number,
    refuses_a_task_that_says_nothing,
    learns_from_what_is_known,
    noise_is_told_as_noise,
    can_be_stopped,
    loads_what_it_saved,
    same_seed_same_model,
    answers_many_threads,
)


@cache
def fitted(trainer: type[Trainer]) -> Any:
    """Trained once for all checks of a process."""
    return _fit(trainer, small_rows())


def _fit(trainer: type[Trainer], rows: TaskRows) -> Any:
    return trainer(brief_params(trainer), 11).fit(rows, silent)


def _refusal(ask: Callable[[], Any]) -> str:
    try:
        ask()
    except Invalid as error:
        return error.message
    return ""


def _same(one: MultitaskModel, other: MultitaskModel) -> None:
    assert one.feature_names == other.feature_names
    rows = small_rows(100, seed=9).rows.values
    np.testing.assert_allclose(one.answers(rows), other.answers(rows), rtol=1e-6)
