"""Checks for every algorithm of clusters. A shop's own passes them as the built-in one does: `for check in CHECKS`.

Each check is given a trainer class and makes its own customers: three kinds that differ in what and when they buy.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper.checks.artifacts import differing_in_threads, saved_and_loaded
from shopkeeper.core.protocols import Trainer, silent
from shopkeeper.profiles.clusters.family import ClusterFamily
from shopkeeper.profiles.clusters.habits import AMOUNTS, HABITS
from shopkeeper.profiles.clusters.model import ClusterModel
from shopkeeper.rules.vectors import Numbers

_AMOUNTS = np.array([[2, 20, 1, 2, 0, 60, 1], [30, 40, 2, 40, 0.02, 9, 1.2], [6, 900, 60, 8, 0.1, 30, 3]])
_SHARES = np.array([[0.2, 0.3, 0.5, 0.6], [0.6, 0.3, 0.1, 0.1], [0.4, 0.5, 0.1, 0.05]])


def small_habits(n: int = 300, seed: int = 5) -> tuple[Numbers, NDArray[np.int64]]:
    """Habits (n, h) of customers, and their kind (n,) 0 to 2. A tenth never came back: no days between orders."""
    random = np.random.default_rng(seed)
    kind = random.integers(0, 3, n)
    amounts = _AMOUNTS[kind] * np.exp(random.normal(0, 0.15, (n, AMOUNTS)))
    shares = np.clip(_SHARES[kind] + random.normal(0, 0.03, (n, len(HABITS) - AMOUNTS)), 0, 1)
    rows = np.hstack([amounts, shares])
    rows[random.random(n) < 0.1, HABITS.index("days_between_orders")] = np.nan
    return rows, kind


def states_its_facts(trainer: type[Trainer]) -> None:
    """The class says what it is; every parameter has a default and help."""
    assert trainer.family == "clusters"
    assert trainer.description
    trainer.Params()
    fields = msgspec.json.schema(trainer.Params)["$defs"][trainer.Params.__name__]["properties"]
    assert all("default" in field and field.get("description") for field in fields.values()), fields


def finds_the_kinds(trainer: type[Trainer]) -> None:
    """Nearly all customers of one cluster are of one kind; new ones are put where they belong."""
    rows, kind = small_habits(seed=6)
    label = fitted(trainer).assign(rows)
    right = sum(np.bincount(kind[label == cluster]).max() for cluster in np.unique(label))
    assert right >= 0.95 * len(rows), f"{right} of {len(rows)}"


def names_differ_and_say_something(trainer: type[Trainer]) -> None:
    """A name for each cluster, all different, none empty."""
    model = fitted(trainer)
    assert len(set(model.names)) == len(model.names) >= 2
    assert all(name.strip() for name in model.names), model.names


def everybody_has_a_cluster(trainer: type[Trainer]) -> None:
    """Places in `names`, also of customers of whom everything is missing or extreme, and of nobody."""
    model = fitted(trainer)
    rows = np.array([[np.nan] * len(HABITS), [1e15] * len(HABITS), [0.0] * len(HABITS)])
    label = model.assign(rows)
    assert label.shape == (3,)
    assert ((label >= 0) & (label < len(model.names))).all()
    assert model.assign(np.empty((0, len(HABITS)))).shape == (0,)


def alone_as_among_many(trainer: type[Trainer]) -> None:
    """A customer has the same cluster when asked for alone."""
    model, (rows, _) = fitted(trainer), small_habits(100, seed=7)
    together = model.assign(rows).tolist()
    assert together == [int(model.assign(rows[place : place + 1])[0]) for place in range(len(rows))]


def learns(trainer: type[Trainer]) -> None:
    """Customers who were held out lie better than in groups by the number of orders alone."""
    metrics = ClusterFamily().evaluate(fitted(trainer), small_habits(seed=6)[0])
    assert metrics["silhouette"] > max(metrics["naive_silhouette"], 0.2), metrics


def loads_what_it_saved(trainer: type[Trainer]) -> None:
    """The same clusters and names after save and load, from plain data files."""
    model = fitted(trainer)
    _same(model, cast(ClusterModel, saved_and_loaded(model)))


def same_seed_same_model(trainer: type[Trainer]) -> None:
    """Two fits with one seed give the same clusters and names."""
    _same(fitted(trainer), _fit(trainer))


def answers_many_threads(trainer: type[Trainer]) -> None:
    """Asked from several threads at the same time it says what it says to one."""
    model = fitted(trainer)
    assert not differing_in_threads(model.assign, [small_habits(100, seed)[0] for seed in range(16)])


CHECKS: tuple[Callable[[type[Trainer]], None], ...] = (
    states_its_facts,
    finds_the_kinds,
    names_differ_and_say_something,
    everybody_has_a_cluster,
    alone_as_among_many,
    learns,
    loads_what_it_saved,
    same_seed_same_model,
    answers_many_threads,
)


def _fit(trainer: type[Trainer]) -> ClusterModel:
    return cast(ClusterModel, trainer(trainer.Params(), 11).fit(small_habits()[0], silent))


fitted = cache(_fit)
"""Checks that only ask a model share one: no check changes it."""


def _same(one: ClusterModel, other: ClusterModel) -> None:
    rows, _ = small_habits(100, seed=9)
    assert one.names == other.names
    np.testing.assert_array_equal(one.assign(rows), other.assign(rows))
