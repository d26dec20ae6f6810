"""Checks for every churn algorithm. A shop's own passes them as the built-in one does: `for check in CHECKS`.

Each check is given a trainer class and makes its own customers: some order until today, the others left some time ago.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import cast

import msgspec
import numpy as np

from shopkeeper.checks.artifacts import differing_in_threads, saved_and_loaded
from shopkeeper.core.protocols import Trainer, silent
from shopkeeper.profiles.churn.customers import Customers
from shopkeeper.profiles.churn.family import ChurnFamily, Later
from shopkeeper.profiles.churn.model import ChurnModel

LEAVING = 0.1
"""After each order a customer leaves with this chance."""


def small_customers(n: int = 800, days: float = 300.0, seed: int = 5) -> Customers:
    """Orders at rates around one in 20 days, seen for up to `days`."""
    return _simulated(n, days, 0.0, seed)[0]


def small_later(n: int = 800, days: float = 300.0, more: float = 90.0, seed: int = 5) -> Later:
    """The same customers at a cutoff and `more` days after it."""
    before, after = _simulated(n, days, more, seed)
    return Later(before, after)


def states_its_facts(trainer: type[Trainer]) -> None:
    """The class says what it is; every parameter has a default and help."""
    assert trainer.family == "churn"
    assert trainer.description
    trainer.Params()
    fields = msgspec.json.schema(trainer.Params)["$defs"][trainer.Params.__name__]["properties"]
    assert all("default" in field and field.get("description") for field in fields.values()), fields


def gives_probabilities(trainer: type[Trainer]) -> None:
    """One number between 0 and 1 for each customer, none for none; also for who never came again, or only today."""
    model, edges = fitted(trainer), np.array([0.0, 0.0, 1.0, 400.0, 1e5])
    said = model.risk(
        Customers(edges, np.array([0.0, 0.0, 1e-6, 3000.0, 3000.0]), np.array([0.0, 4e4, 4e4, 3000.0, 1e5]))
    )
    assert said.shape == (5,)
    assert ((said >= 0) & (said <= 1)).all(), said
    assert model.risk(_nobody()).shape == (0,)


def grows_while_nothing_comes(trainer: type[Trainer]) -> None:
    """The longer the last order is ago, the higher the risk."""
    model, away = fitted(trainer), np.linspace(0, 2000, 50)
    said = model.risk(Customers(np.full(50, 6.0), np.full(50, 120.0), 120.0 + away))
    assert (np.diff(said) >= -1e-12).all(), said
    assert said[-1] > said[0] + 0.1


def frequent_customers_are_missed_sooner(trainer: type[Trainer]) -> None:
    """After the same silence, who used to come often is more likely to have left."""
    model = fitted(trainer)
    rare, often = model.risk(Customers(np.array([2.0, 20.0]), np.full(2, 200.0), np.full(2, 300.0)))
    assert often > rare


def learns(trainer: type[Trainer]) -> None:
    """Later orders are more likely under it than at one rate for all, and its risk tells who comes again."""
    metrics = ChurnFamily().evaluate(fitted(trainer), small_later(seed=6))
    assert metrics["log_likelihood"] > metrics["naive_log_likelihood"], metrics
    assert metrics["auc"] > 0.7, metrics


def loads_what_it_saved(trainer: type[Trainer]) -> None:
    """The same answers after save and load, from plain data files."""
    model = fitted(trainer)
    _same(model, cast(ChurnModel, saved_and_loaded(model)))


def same_seed_same_model(trainer: type[Trainer]) -> None:
    """Two fits with one seed give the same answers."""
    _same(fitted(trainer), _fit(trainer))


def survives_a_tiny_shop(trainer: type[Trainer]) -> None:
    """One customer with one order is enough to fit, and to answer with finite numbers."""
    one = Customers(np.zeros(1), np.zeros(1), np.ones(1))
    model = cast(ChurnModel, trainer(trainer.Params(), 1).fit(one, silent))
    assert np.isfinite(model.risk(small_customers(50))).all()
    assert np.isfinite(model.log_likelihood(small_customers(50))).all()


def answers_many_threads(trainer: type[Trainer]) -> None:
    """Asked from several threads at the same time it says what it says to one."""
    model = fitted(trainer)
    assert not differing_in_threads(model.risk, [small_customers(100, seed=seed) for seed in range(16)])


CHECKS: tuple[Callable[[type[Trainer]], None], ...] = (
    states_its_facts,
    gives_probabilities,
    grows_while_nothing_comes,
    frequent_customers_are_missed_sooner,
    learns,
    loads_what_it_saved,
    same_seed_same_model,
    survives_a_tiny_shop,
    answers_many_threads,
)


def _fit(trainer: type[Trainer]) -> ChurnModel:
    return cast(ChurnModel, trainer(trainer.Params(), 11).fit(small_customers(), silent))


fitted = cache(_fit)
"""Checks that only ask a model share one: no check changes it."""


def _nobody() -> Customers:
    return Customers(np.empty(0), np.empty(0), np.empty(0))


def _same(one: ChurnModel, other: ChurnModel) -> None:
    customers = small_customers(100, seed=9)
    np.testing.assert_allclose(one.risk(customers), other.risk(customers), rtol=1e-9)
    np.testing.assert_allclose(one.log_likelihood(customers), other.log_likelihood(customers), rtol=1e-9)


def _simulated(n: int, days: float, more: float, seed: int) -> tuple[Customers, Customers]:
    """The customers at the cutoff, and `more` days later."""
    random = np.random.default_rng(seed)
    ages = random.uniform(days / 3, days, n)
    seen = [_times(random, age + more) for age in ages.tolist()]
    return tuple(_summed(seen, ages + later) for later in (0.0, more))  # type: ignore[return-value]


def _times(random: np.random.Generator, until: float) -> list[float]:
    """Days from the first order to each further one."""
    rate, at, times = random.gamma(2.0, 1 / 40.0), 0.0, list[float]()
    while random.random() > LEAVING and (at := at + random.exponential(1 / rate)) < until:
        times.append(at)
    return times


def _summed(seen: list[list[float]], ages: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Customers:
    known = [[time for time in times if time < age] for times, age in zip(seen, ages.tolist(), strict=True)]
    repeats = np.array([len(times) for times in known], dtype=np.float64)
    return Customers(repeats, np.array([times[-1] if times else 0.0 for times in known]), ages)
