"""FTRL beside a weight-by-weight reading of the paper; rates, detectors, and a learner that goes on where it was."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shopkeeper.checks.ranking import small_rows, table_rows
from shopkeeper.core.errors import Invalid, Unavailable
from shopkeeper.core.learning import Detector, OnlineSettings, Schedule
from shopkeeper.core.protocols import silent
from shopkeeper.quality.classification import auc, logloss
from shopkeeper.recommend.online.algorithm import FtrlTrainer
from shopkeeper.recommend.online.drift import Adwin, PageHinkley, detector
from shopkeeper.recommend.online.ftrl import Active, Ftrl, Step
from shopkeeper.recommend.online.learner import OnlineLearner, Outcomes
from shopkeeper.recommend.online.ranker import FtrlRanker
from shopkeeper.recommend.online.rates import share

STEP = Step(alpha=0.2, beta=1.0, l1=0.3, l2=0.5)


def rows(n: int = 60, seed: int = 2) -> tuple[Active, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    active = Active(random.normal(size=(n, 3)).astype(np.float32), random.integers(0, 5, (n, 2)).astype(np.int32))
    return active, random.integers(0, 2, n).astype(float), random.uniform(0.5, 2.0, n)


def by_the_paper(active: Active, label: np.ndarray, weight: np.ndarray, step: Step, width: int) -> list[float]:
    """Algorithm 1 of McMahan et al. 2013 in plain numbers, one row at a time; the weights that come out."""
    z, n = [0.0] * width, [0.0] * width

    def weigh(at: int) -> float:
        if abs(z[at]) <= step.l1:
            return 0.0
        sign = math.copysign(1.0, z[at])
        return -(z[at] - sign * step.l1) / ((step.beta + math.sqrt(n[at])) / step.alpha + step.l2)

    for numbers, places, y, v in zip(active.numbers.tolist(), active.places.tolist(), label, weight, strict=True):
        x = dict(enumerate(numbers))
        for place in places:
            x[3 + place] = x.get(3 + place, 0.0) + 1.0
        x[width - 1] = 1.0
        p = 1 / (1 + math.exp(-sum(value * weigh(at) for at, value in x.items())))
        for at, value in x.items():
            g, w = (p - y) * v * value, weigh(at)
            sigma = (math.sqrt(n[at] + g * g) - math.sqrt(n[at])) / step.alpha
            z[at] += g - sigma * w
            n[at] += g * g
    return [weigh(at) for at in range(width)]


@pytest.mark.parametrize("l1", [0.0, 0.3, 2.5])
def test_batches_of_one_are_the_algorithm_of_the_paper(l1: float) -> None:
    step = Step(alpha=0.2, beta=1.0, l1=l1, l2=0.5)
    active, label, weight = rows()
    active.places[:, 1] = 4 - active.places[:, 0] % 2  # never the same place twice in a row
    active.places[:, 0] %= 3
    ftrl = Ftrl(3 + 5 + 1, step)
    for at in range(len(active)):
        one = slice(at, at + 1)
        ftrl.learn(active.take(one), label[one], weight[one])
    np.testing.assert_allclose(ftrl.weights, by_the_paper(active, label, weight, step, 9), atol=1e-9)
    assert (ftrl.weights == 0).any() == (l1 > 1), "a large l1 keeps some weights at nothing"


def test_another_pace_changes_no_weight() -> None:
    active, label, weight = rows()
    ftrl = Ftrl(9, STEP)
    ftrl.learn(active, label, weight)
    before, n = ftrl.weights.copy(), ftrl.n.copy()
    ftrl.paced(Step(alpha=0.01, beta=1.0, l1=0.3, l2=0.5), forget=0.1)
    np.testing.assert_allclose(ftrl.weights, before, atol=1e-12)
    np.testing.assert_allclose(ftrl.n, 0.1 * n)


def test_after_forgetting_steps_are_longer() -> None:
    active, label, weight = rows(500)
    steady, forgetful = Ftrl(9, STEP), Ftrl(9, STEP)
    for each in (steady, forgetful):
        each.learn(active, label, weight)
    forgetful.paced(STEP, forget=0.01)
    moved = []
    for each in (steady, forgetful):
        before = each.weights.copy()
        each.learn(active.take(slice(0, 10)), 1.0 - label[:10], weight[:10])
        moved.append(np.abs(each.weights - before).sum())
    assert moved[1] > 2 * moved[0]


# -- the model


def fitted(**params: Any) -> FtrlRanker:
    return FtrlTrainer(FtrlTrainer.Params(**params), 1).fit(small_rows(), silent)


def test_parts_of_a_range_let_a_line_bend() -> None:
    random = np.random.default_rng(3)
    values = random.uniform(-3, 3, (4000, 4)).astype(np.float32)
    label = (random.random(4000) < np.where(np.abs(values[:, 0]) < 1.5, 0.8, 0.1)).astype(np.float32)
    data = small_rows(4000).take(slice(None))
    bent = type(data)(data.schema, values, label, data.weight)
    said = [FtrlTrainer(FtrlTrainer.Params(parts=parts), 1).fit(bent, silent).score(values) for parts in (1, 16)]
    assert auc(label, said[0]) < 0.6
    assert auc(label, said[1]) > 0.8


def test_what_each_feature_adds_is_exact() -> None:
    model = FtrlTrainer(FtrlTrainer.Params(), 1).fit(table_rows(), silent)
    values = table_rows(50, seed=9).values
    added, base = model.added(values)
    logits = base + added.sum(axis=1)
    np.testing.assert_allclose(1 / (1 + np.exp(-logits)), model.score(values), rtol=1e-5)
    assert added.shape == (50, 2)


def test_importance_names_what_tells_something() -> None:
    told = fitted().importance()
    assert next(iter(told)) == "strong"
    assert "constant" not in told


def test_a_training_goes_on_from_a_version() -> None:
    trainer = FtrlTrainer(FtrlTrainer.Params(), 1)
    begun = fitted()
    trainer.continue_from(begun)
    again = trainer.fit(small_rows(seed=8), silent)
    assert again.updates > begun.updates
    later = small_rows(seed=6)
    assert logloss(later.label, again.score(later.values)) < logloss(later.label, begun.score(later.values)) + 0.002
    with pytest.raises(Invalid, match="other features"):
        trainer.fit(table_rows(), silent)
    with pytest.raises(Invalid, match="ftrl only"):
        trainer.continue_from(object())


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_one_label_teaches_nothing(value: float) -> None:
    data = small_rows(100)
    data.label[:] = value
    with pytest.raises(Invalid, match="only the label"):
        FtrlTrainer(FtrlTrainer.Params(), 1).fit(data, silent)
    with pytest.raises(Invalid, match="no rows"):
        FtrlTrainer(FtrlTrainer.Params(), 1).fit(data.take(slice(0, 0)), silent)


def test_weights_of_another_schema_are_refused(tmp_path: Path) -> None:
    fitted().save(tmp_path)
    with np.load(tmp_path / "ftrl.npz") as stored:
        np.savez(tmp_path / "ftrl.npz", z=stored["z"][1:], n=stored["n"][1:], edges=stored["edges"])
    with pytest.raises(Invalid, match="do not fit"):
        FtrlRanker.load(tmp_path)


# -- rates and detectors


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", [1.0, 1.0, 1.0, 1.0]), ("inverse_sqrt", [1.0, 0.7071, 0.5, 0.3015]),
        ("step", [1.0, 0.5, 0.125, 0.1]), ("cosine", [1.0, 0.1, 0.1, 0.1]),
    ],
)  # fmt: skip
def test_schedules(schedule: Schedule, expected: list[float]) -> None:
    found = [share(schedule, updates, 100, 0.1) for updates in (0, 100, 300, 1000)]
    assert found == pytest.approx(expected, abs=1e-4)
    assert share("cosine", 50, 100, 0.1) == pytest.approx(0.55)
    assert share("step", 10**9, 1, 0.0) >= 0.0


def losses(mean: float, n: int, seed: int) -> list[float]:
    """As log-loss over its largest: most small, some large."""
    random = np.random.default_rng(seed)
    return np.clip(random.exponential(mean, n), 0, 1).tolist()


@pytest.mark.parametrize("name", ["adwin", "page_hinkley"])
def test_a_detector_speaks_after_a_change_and_not_before(name: Detector) -> None:
    found = detector(name)
    assert found is not None
    assert not any(found.update(one) for one in losses(0.1, 5000, 1))
    spoken = [at for at, one in enumerate(losses(0.2, 3000, 2)) if found.update(one)]
    assert spoken
    assert spoken[0] < 1500
    assert spoken[-1] < 1500, "the new is the usual by then"


@pytest.mark.parametrize("seed", range(5))
def test_false_alarms_are_rare(seed: int) -> None:
    for found in (Adwin(), PageHinkley()):
        assert sum(found.update(one) for one in losses(0.15, 6000, 10 + seed)) <= 1


def test_adwin_is_not_told_of_what_gets_better_but_forgets_the_worse() -> None:
    found = Adwin()
    for one in losses(0.3, 3000, 3):
        found.update(one)
    assert not any(found.update(one) for one in losses(0.1, 3000, 4))
    assert found.mean == pytest.approx(0.1, abs=0.02)
    assert found.seen < 3200


def test_adwin_holds_a_window_in_few_numbers() -> None:
    found, told = Adwin(), losses(0.2, 20_000, 5)
    for one in told:
        found.update(one)
    assert found.seen == 20_000
    assert found.mean == pytest.approx(np.mean(told))
    assert sum(map(len, found.sums)) < 90


# -- the learner


def outcomes(n: int, seed: int = 4, *, turned: bool = False) -> Outcomes:
    found = small_rows(n, seed)
    label = small_rows(n, seed).label
    if turned:
        chance = 1.0 / (1.0 + np.exp(1.0 + 2.0 * found.values[:, 0]))
        label = (np.random.default_rng(seed).random(n) < chance).astype(np.float32)
    return Outcomes(found.values, label, found.weight, (np.arange(n) // 10 % 30).astype(np.int32))


def learner(**settings: Any) -> OnlineLearner:
    return OnlineLearner(fitted(), OnlineSettings(**settings))


def test_an_update_comes_with_every_hundred_outcomes_however_they_arrive() -> None:
    whole, pieces, told = learner(), learner(), outcomes(1034)
    whole.take(told)
    for start in range(0, 1034, 37):
        pieces.take(told.take(slice(start, start + 37)))
    assert whole.counts == pieces.counts
    assert (whole.counts["updates"], whole.counts["examples"], whole.counts["pending"]) == (10, 1034, 34)
    assert len(whole.newest) == 1000
    np.testing.assert_array_equal(whole.ranker().score(told.values), pieces.ranker().score(told.values))


def test_it_answers_before_it_learns() -> None:
    one = learner()
    told = outcomes(100)
    np.testing.assert_allclose(one.take(told), fitted().score(told.values), rtol=1e-5)
    assert one.log_loss == pytest.approx(logloss(told.label, fitted().score(told.values)), abs=1e-5)
    assert np.abs(one.ranker().score(told.values) - fitted().score(told.values)).max() > 1e-4


@pytest.mark.parametrize("cut", [0, 137, 1099, 1700])
def test_a_restored_learner_goes_on_as_if_nothing_had_been(cut: int) -> None:
    settings = OnlineSettings(schedule="cosine", period=7)
    whole = OnlineLearner(fitted(), settings)
    told = outcomes(1000).then(outcomes(1500, 6, turned=True))
    whole.take(told)
    first = OnlineLearner(fitted(), settings)
    first.take(told.take(slice(0, cut)))
    again = OnlineLearner.restore(first.state(), settings)
    again.take(told.take(slice(cut, None)))
    assert again.counts == whole.counts
    assert again.counts["drifts"] >= 1
    assert again.state() == whole.state()


def test_when_the_world_turns_it_follows_sooner_than_without_a_detector() -> None:
    later, found = outcomes(2500, 6, turned=True), {}
    for drift in ("adwin", "none"):
        one = learner(drift=drift, rate=0.02)
        one.take(outcomes(3000, 5))
        one.take(later)
        found[drift] = logloss(later.label, one.ranker().score(later.values))
        assert (one.drift is None) == (drift == "none")
    assert found["adwin"] < found["none"] - 0.01


def test_one_change_is_one_drift_however_often_a_detector_speaks() -> None:
    one = learner(rate=0.001, forget=1.0)  # it can hardly follow
    one.take(outcomes(3000, 5))
    one.take(outcomes(900, 6, turned=True))
    assert one.counts["drifts"] == 1


def test_a_drift_begins_the_schedule_anew() -> None:
    one = learner(schedule="step", period=5, rate=0.04, every=50)
    one.take(outcomes(3000, 5))
    assert one.rate == pytest.approx(0.04 * 0.1)
    one.take(outcomes(600, 6, turned=True), at=7)
    assert one.counts["drifts"] >= 1
    assert one.drifted_at == 7
    assert one.rate > 0.04 * 0.1


def test_of_erased_people_nothing_is_kept() -> None:
    one = learner()
    one.take(outcomes(1050))
    assert one.forget({3, 4})
    assert not one.users & {3, 4}
    assert one.counts["pending"] <= 50
    assert not one.forget({3, 4})
    one.take(outcomes(200, 9))
    assert one.counts["updates"] == 12


def test_other_settings_keep_what_was_learned() -> None:
    one, told = learner(), outcomes(500)
    one.take(told)
    before = one.ranker().score(told.values)
    one.pace(OnlineSettings(rate=1e-4, drift="page_hinkley"))
    np.testing.assert_allclose(one.ranker().score(told.values), before, rtol=1e-5)
    one.take(outcomes(500, 6))
    assert one.rate == pytest.approx(1e-4)
    assert one.drift is not None
    assert one.drift.detector == "page_hinkley"


def test_what_is_no_state_is_refused() -> None:
    for content in (b"", b"nonsense", learner().state()[:-9]):
        with pytest.raises(Unavailable, match="cannot be read"):
            OnlineLearner.restore(content, OnlineSettings())
