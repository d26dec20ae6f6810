"""Checks for every ranking algorithm. A shop's own passes them as the built-in ones do: `for check in CHECKS`.

Each check is given a trainer class and makes its own rows: four features, two of which tell something.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, cast

import msgspec
import numpy as np

from shopkeeper.checks.artifacts import differing_in_threads, saved_and_loaded
from shopkeeper.checks.brief import brief_params
from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import RowScorer, Trainer, silent
from shopkeeper.learning.tabular import Column, Schema
from shopkeeper.quality.classification import auc, logloss
from shopkeeper.recommend.ranking.model import Ranker, schema_of
from shopkeeper.recommend.ranking.params import RankingParams
from shopkeeper.recommend.ranking.rows import RankRows

NAMES = ("strong", "weak", "noise", "constant")
_USERS, _ITEMS = 40, 25


def small_rows(n: int = 3000, seed: int = 5) -> RankRows:
    """A third of the rows are 1; `strong` and `weak` say which, by a logistic law."""
    random = np.random.default_rng(seed)
    values = random.normal(size=(n, 4)).astype(np.float32)
    values[:, 3] = 1.0
    chance = 1.0 / (1.0 + np.exp(1.0 - 2.0 * values[:, 0] - 0.5 * values[:, 1]))
    label = (random.random(n) < chance).astype(np.float32)
    return RankRows(Schema.of_numbers(NAMES), values, label, np.ones(n, dtype=np.float32))


def table_rows(n: int = 1000, seed: int = 5) -> RankRows:
    """As a table gives them: `town` is a text, `price` is missing in a fifth of the rows."""
    random = np.random.default_rng(seed)
    town = random.integers(0, 3, n)
    price = np.where(random.random(n) < 0.2, np.nan, random.normal(size=n)).astype(np.float32)
    label = (random.random(n) < np.array([0.2, 0.5, 0.8])[town]).astype(np.float32)
    codes = {"Hull": 0, "York": 1, "Leeds": 3}
    columns = (Column(name="town", categories=codes, other=2, missing=2), Column(name="price", default=None))
    values = np.column_stack([np.array([0, 1, 3], dtype=np.float32)[town], price])
    return RankRows(Schema(columns), values, label, np.ones(n, dtype=np.float32), by_time=False)


def named_rows(n: int = 3000, seed: int = 5) -> RankRows:
    """Rows that say whose they are and of what: `user` and `item` have their liking and quality, `price` counts for
    all. A few rows are of users and items that are too rare to have a code of their own."""
    random = np.random.default_rng(seed)
    codes = np.column_stack([random.integers(0, size + 1, n) for size in (_USERS, _ITEMS)])
    codes = np.where(random.random((n, 2)) < 0.9, codes, [_USERS, _ITEMS])
    liking, quality = (np.random.default_rng(size).normal(size=size + 1) for size in (_USERS, _ITEMS))
    price = random.normal(size=n)
    chance = 1.0 / (1.0 + np.exp(2.0 * price - liking[codes[:, 0]] - quality[codes[:, 1]]))
    columns = [
        Column(name=name, categories={f"{name}{at}": at for at in range(size)}, other=size, missing=size)
        for name, size in (("user", _USERS), ("item", _ITEMS))
    ]
    values = np.column_stack([codes, price]).astype(np.float32)
    label = (random.random(n) < chance).astype(np.float32)
    schema = Schema((*columns, Column(name="price", default=0.0)))
    return RankRows(schema, values, label, np.ones(n, dtype=np.float32))


def states_its_facts(trainer: type[Trainer]) -> None:
    """The class says what it is; its parameters extend the family's, each with a default and help."""
    assert trainer.family == "ranking"
    assert trainer.description
    assert issubclass(trainer.Params, RankingParams)
    trainer.Params()
    fields = msgspec.json.schema(trainer.Params)["$defs"][trainer.Params.__name__]["properties"]
    assert all("default" in field and field.get("description") for field in fields.values()), fields


def learns(trainer: type[Trainer]) -> None:
    """On rows that it never saw it orders better than chance and beats the base rate's log-loss."""
    later = small_rows(seed=6)
    said = fitted(trainer).score(later.values)
    assert auc(later.label, said) > 0.8
    assert logloss(later.label, said) < logloss(later.label, np.full(len(later), later.label.mean()))


def gives_probabilities(trainer: type[Trainer]) -> None:
    """One number between 0 and 1 for each row, none for no rows."""
    said = fitted(trainer).score(small_rows(50).values)
    assert said.shape == (50,)
    assert ((said >= 0) & (said <= 1)).all()
    assert fitted(trainer).score(np.empty((0, 4), dtype=np.float32)).shape == (0,)


def scores_named_rows(trainer: type[Trainer]) -> None:
    """The same as a matrix in the order of its names; unknown names are ignored, missing ones take the default."""
    model = fitted(trainer)
    assert isinstance(model, RowScorer)
    rows = small_rows(5)
    named = [dict(zip(reversed(NAMES), map(float, reversed(row)), strict=True)) for row in rows.values]
    np.testing.assert_allclose(model.score_rows(named), model.score(rows.values), rtol=1e-5)
    default = dict(zip(model.feature_names, map(float, model.defaults), strict=True))
    assert model.score_rows([{"other": 1.0}]) == model.score_rows([default])
    assert model.score_rows([]) == []


def refuses_what_is_not_a_number(trainer: type[Trainer]) -> None:
    """Text, NaN and lists are Invalid, and the message names the feature."""
    model = fitted(trainer)
    refused: tuple[Any, ...] = ("many", float("nan"), [1.0], {})
    for value in refused:
        assert "strong" in _refusal(model, {"strong": value}), f"{value!r} was scored"


def takes_categories_and_gaps(trainer: type[Trainer]) -> None:
    """Rows of a table: codes for texts, NaN for numbers that are missing. Answers stay probabilities, never seen texts
    and gaps included, and are the same after save and load."""
    model = cast(Ranker, trainer(brief_params(trainer), 11).fit(table_rows(), silent))
    schema = schema_of(model)
    asked = schema.encode([{"town": "York", "price": 1.0}, {"town": "Nowhere"}, {"town": None, "price": None}])
    said = model.score(asked)
    assert said.shape == (3,)
    assert ((said >= 0) & (said <= 1)).all()
    np.testing.assert_allclose(cast(Ranker, saved_and_loaded(model)).score(asked), said, rtol=1e-6)


def knows_what_it_never_saw(trainer: type[Trainer]) -> None:
    """Of users and items that it says it knows: rows that name only new ones are still told apart by what else they
    say, and better than by the base rate."""
    if not (trainer.knows_new_users or trainer.knows_new_items):
        return
    rows, later = named_rows(), named_rows(seed=6)
    model = cast(Ranker, trainer(brief_params(trainer), 11).fit(rows, silent))
    asked = later.values.copy()
    for at, knows in enumerate((trainer.knows_new_users, trainer.knows_new_items)):
        if knows:
            asked[:, at] = rows.schema.columns[at].other
    said = model.score(asked)
    assert auc(later.label, said) > 0.65
    assert logloss(later.label, said) < logloss(later.label, np.full(len(later), rows.label.mean()))


def loads_what_it_saved(trainer: type[Trainer]) -> None:
    """The same answers after save and load, from plain data files."""
    model = fitted(trainer)
    _same(model, cast(Ranker, saved_and_loaded(model)))


def same_seed_same_model(trainer: type[Trainer]) -> None:
    """Two fits with one seed give the same answers."""
    _same(fitted(trainer), _fit(trainer))


def answers_many_threads(trainer: type[Trainer]) -> None:
    """Scoring at the same time from several threads gives what one thread gives."""
    model = fitted(trainer)
    assert not differing_in_threads(model.score, [small_rows(200, seed).values for seed in range(16)])


CHECKS: tuple[Callable[[type[Trainer]], None], ...] = (
    states_its_facts,
    learns,
    gives_probabilities,
    scores_named_rows,
    refuses_what_is_not_a_number,
    takes_categories_and_gaps,
    knows_what_it_never_saw,
    loads_what_it_saved,
    same_seed_same_model,
    answers_many_threads,
)


def _fit(trainer: type[Trainer]) -> Ranker:
    return cast(Ranker, trainer(brief_params(trainer), 11).fit(small_rows(), silent))


fitted = cache(_fit)
"""Checks that only ask a model share one: no check changes it."""


def _refusal(model: Ranker, row: dict[str, Any]) -> str:
    try:
        model.score_rows([row])
    except Invalid as error:
        return error.message
    return ""


def _same(one: Ranker, other: Ranker) -> None:
    assert one.feature_names == other.feature_names
    np.testing.assert_array_equal(one.defaults, other.defaults)
    rows = small_rows(100, seed=9).values
    np.testing.assert_allclose(one.score(rows), other.score(rows), rtol=1e-6)
