"""Churn: the parameters that made the data are found again, and a training from the log measures what came later."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from profile_world import NOW, World

from shopkeeper import plugins
from shopkeeper.checks.coverage import every_check
from shopkeeper.core.clock import DAY, moment
from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import TrainingContext, silent
from shopkeeper.core.records import Event
from shopkeeper.profiles.churn.bgnbd import BgNbd, BgNbdTrainer
from shopkeeper.profiles.churn.customers import Customers
from shopkeeper.profiles.churn.family import ChurnFamily
from shopkeeper.profiles.histories import Histories
from shopkeeper.stores.consents import ConsentStore
from shopkeeper.stores.sql import sqlite_url

TRUE = {"r": 0.6, "alpha": 12.0, "a": 0.8, "b": 2.5}
OURS = [name for name in plugins.names("algorithm") if plugins.algorithm(name).family == "churn"]


@pytest.mark.parametrize("check", [c for name in OURS for c in every_check("algorithm", name)], ids=str)
def test_every_churn_algorithm_passes(check) -> None:
    check()


def simulated(n: int, first_may_be_last: bool, seed: int) -> Customers:
    """Customers who live as the model says, seen for 100 to 400 days."""
    random = np.random.default_rng(seed)
    rows = []
    for age in random.uniform(100, 400, n).tolist():
        rate, leaves = random.gamma(TRUE["r"], 1 / TRUE["alpha"]), random.beta(TRUE["a"], TRUE["b"])
        repeats, last, at = 0, 0.0, 0.0
        alive = not (first_may_be_last and random.random() < leaves)
        while alive and (at := at + random.exponential(1 / rate)) < age:
            repeats, last, alive = repeats + 1, at, random.random() >= leaves
        rows.append((repeats, last, age))
    return Customers(*np.array(rows, dtype=np.float64).T)


@pytest.mark.parametrize("first_may_be_last", [False, True])
def test_known_parameters_are_recovered(first_may_be_last: bool) -> None:
    customers = simulated(12_000, first_may_be_last, seed=4)
    trainer = BgNbdTrainer(BgNbdTrainer.Params(first_may_be_last=first_may_be_last), 1)
    found = trainer.fit(customers, silent)
    assert found.r == pytest.approx(TRUE["r"], rel=0.08)
    assert found.alpha == pytest.approx(TRUE["alpha"], rel=0.12)
    assert found.a / (found.a + found.b) == pytest.approx(TRUE["a"] / (TRUE["a"] + TRUE["b"]), rel=0.08)
    truth = BgNbd(**TRUE, first_may_be_last=first_may_be_last)
    assert found.log_likelihood(customers).sum() >= truth.log_likelihood(customers).sum()
    np.testing.assert_allclose(found.risk(customers), truth.risk(customers), atol=0.06)


def test_the_risk_is_the_published_formula() -> None:
    """1 / (1 + a / (b + x - 1) ((alpha + T) / (alpha + t)) ^ (r + x)) is alive; the parameters are those of CDNOW."""
    model = BgNbd(0.243, 4.414, 0.793, 2.426, first_may_be_last=False)
    x, t, age = 2.0, 30.43, 38.86
    alive = 1 / (1 + 0.793 / (2.426 + x - 1) * ((4.414 + age) / (4.414 + t)) ** (0.243 + x))
    assert model.risk(Customers(*np.array([[x], [t], [age]])))[0] == pytest.approx(1 - alive, rel=1e-12)
    assert model.risk(Customers(np.zeros(1), np.zeros(1), np.full(1, 400.0)))[0] == 0.0
    one = BgNbd(0.243, 4.414, 0.793, 2.426).risk(Customers(np.zeros(1), np.zeros(1), np.full(1, 400.0)))
    assert 0.2 < one[0] < 1


def test_many_customers_are_drawn_from_and_none_are_refused() -> None:
    customers = simulated(3000, True, seed=5)
    trainer = BgNbdTrainer(BgNbdTrainer.Params(max_customers=500), 3)
    assert trainer.fit(customers, silent) == trainer.fit(customers, silent)
    with pytest.raises(Invalid, match="nobody has ordered"):
        trainer.fit(customers.take(np.empty(0, dtype=np.int64)), silent)


def context(home: Path, **source: str) -> TrainingContext:
    return TrainingContext(home, sqlite_url(home), source, NOW, "Europe/London", 1, "churn")


@pytest.fixture
def lively(world: World) -> World:
    """60 customers; every third left half a year ago."""
    random = np.random.default_rng(2)
    events = []
    for user in range(60):
        days = np.cumsum(random.exponential(12, 40))
        gone = 180 if user % 3 == 0 else 0
        events += [(f"u{user}", day) for day in days.tolist() if gone < day < 360]
    told = [
        Event(user_id=user, event_type="order", item_id="mug", time=moment(NOW - int(day * DAY)), quantity=1, value=5.0)
        for user, day in events
    ]
    for start in range(0, len(told), 500):
        assert world.log.append(told[start : start + 500]).result().accepted
    return world


def test_a_training_learns_before_the_cutoff_and_measures_after_it(lively: World, tmp_path: Path) -> None:
    family, params = ChurnFamily(), BgNbdTrainer.Params()
    data = family.data(context(tmp_path), params, silent)
    assert len(data.train) == len(data.holdout.after)
    assert (data.holdout.after.repeats >= data.train.repeats).all()
    np.testing.assert_allclose(data.holdout.days, 90, atol=0.3)  # a quarter of not quite a year, in whole hours
    assert data.facts["customers"] == len(data.train) <= 60
    model = BgNbdTrainer(params, 1).fit(data.train, silent)
    metrics = family.evaluate(model, data.holdout)
    assert metrics["log_likelihood"] > metrics["naive_log_likelihood"]
    assert metrics["auc"] > 0.7
    assert family.judge(metrics, None).verdict == "PROMOTE"
    worse = {**metrics, "perplexity": metrics["perplexity"] * 1.02}
    assert family.judge(worse, metrics).verdict == "REJECT"
    assert family.judge({**metrics, "auc": metrics["auc"] * 0.9}, metrics).verdict == "REJECT"
    everybody = {**metrics, "auc": float("nan")}
    assert family.judge(everybody, metrics).verdict == family.judge(metrics, everybody).verdict == "PROMOTE"
    assert family.judge({**metrics, "perplexity": metrics["naive_perplexity"] * 2}, None).verdict == "HOLD"


def test_who_refuses_profiling_is_not_learned_from(lively: World, tmp_path: Path) -> None:
    everybody = ChurnFamily().data(context(tmp_path), None, silent)
    ConsentStore(lively.db, lively.vocabularies, lively.clock).change("u1", {"profiling": False}).result()
    without = ChurnFamily().data(context(tmp_path), None, silent)
    assert len(without.train) == len(without.holdout.after) == len(everybody.train) - 1


def test_what_is_after_the_cutoff_does_not_change_what_is_learned_before_it(lively: World, tmp_path: Path) -> None:
    histories = Histories.read(context(tmp_path), silent)
    before = histories.at(NOW - 100 * DAY)
    for user in range(60):
        lively.order(f"u{user}", 1)
    again = Histories.read(context(tmp_path), silent).at(NOW - 100 * DAY)
    assert again.number("orders").tolist() == before.number("orders").tolist()


def test_a_shop_without_orders_or_with_another_source_is_told_why(world: World, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="no events yet"):
        ChurnFamily().data(context(tmp_path), None, silent)
    world.event("ada", "view", 3)
    with pytest.raises(Invalid, match="nobody had ordered"):
        ChurnFamily().data(context(tmp_path), None, silent)
    with pytest.raises(Invalid, match="not from source kind 'file'"):
        ChurnFamily().data(context(tmp_path, kind="file"), None, silent)
