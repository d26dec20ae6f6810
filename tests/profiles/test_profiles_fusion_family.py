"""The family: measured beside the rules alone, judged, and trained without what is not installed in words."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fusion_world import context, filled
from profile_world import World

from shopkeeper.core.errors import Unavailable
from shopkeeper.core.protocols import Labelled, TrainingData, silent
from shopkeeper.profiles.fusion.algorithm import Fusion
from shopkeeper.profiles.fusion.blocks import Block
from shopkeeper.profiles.fusion.family import FusionFamily, _naive
from shopkeeper.profiles.fusion.fitting import logistic
from shopkeeper.profiles.fusion.measures import spearman
from shopkeeper.profiles.fusion.model import FusionModel, sigmoid
from shopkeeper.quality.classification import auc, average_precision, brier

FAMILY = FusionFamily()
PARAMS = Fusion.Params(sample_size=2000, epochs=5, learning_rate=0.003)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrainingData]:
    home = tmp_path_factory.mktemp("family")
    world = filled(World(home))
    yield FAMILY.data(context(home), PARAMS, silent)
    world.close()


@pytest.fixture(scope="module")
def model(data: TrainingData) -> FusionModel:
    return Fusion(PARAMS, 3).fit(data.train, silent)


def test_it_is_measured_beside_the_rules_alone(data: TrainingData, model: FusionModel) -> None:
    measures = FAMILY.evaluate(model, data.holdout)
    block = data.holdout.block
    said, true = (np.array(values) for values in FAMILY.told_and_true(model, data.holdout))
    assert isinstance(FAMILY, Labelled)
    assert measures["auc"] == auc(true, said)
    assert measures["brier"] == brier(true, said)
    assert measures["naive_auc"] == auc(true, block.facts.score)
    assert measures["auc"] > 0.7 > measures["naive_auc"], "the habit is in the activity, not in the default rules"
    assert measures["base_rate"] == block.ordered.mean()
    assert measures["spend_mae"] < measures["naive_spend_mae"]
    assert measures["spend_spearman"] > 0.3
    assert FAMILY.judge(measures, None).verdict == "PROMOTE"


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({"auc": 0.5}, "REJECT"),
        ({"brier": 0.9}, "REJECT"),
        ({"naive_auc": 1.1}, "HOLD"),
        ({"naive_brier": 0.0}, "HOLD"),
        ({}, "PROMOTE"),
    ],
)
def test_the_gate_asks_for_the_champion_and_for_the_rules(
    data: TrainingData, model: FusionModel, change: dict[str, float], verdict: str
) -> None:
    champion = FAMILY.evaluate(model, data.holdout)
    assert FAMILY.judge({**champion, **change}, champion).verdict == verdict


@pytest.mark.parametrize("size", [1e-3, 1e3])
def test_the_size_of_the_weights_is_the_shops_choice(data: TrainingData, size: float) -> None:
    """The baseline is as strong with weights in the thousands, and the model learns what they are worth."""
    rows, held = data.train, data.holdout

    def sized(block: Block) -> Block:
        return replace(block, facts=replace(block.facts, score=block.facts.score * size))

    check, last = sized(rows.validation), sized(held.block)
    naive = _naive(check, last)
    for name in ("naive_auc", "naive_brier", "naive_log_loss"):
        assert naive[name] == pytest.approx(held.naive[name]), name
    many = replace(rows, training=[sized(block) for block in rows.training], validation=check)
    measures = FAMILY.evaluate(Fusion(PARAMS, 3).fit(many, silent), replace(held, block=last, naive=naive))
    usual = FAMILY.evaluate(Fusion(PARAMS, 3).fit(rows, silent), held)
    assert measures["log_loss"] < 1.05 * usual["log_loss"]


def test_expected_spend_adds_up_on_the_block_of_the_calibration(data: TrainingData, model: FusionModel) -> None:
    from shopkeeper.profiles.fusion.inputs import frame_of

    check = data.train.validation
    fused = model.fuse(check.facts.inputs(frame_of(model, data.train.items)))
    assert fused.spend.sum() == pytest.approx(check.spend.sum())
    assert fused.probability.mean() == pytest.approx(check.ordered.mean(), abs=0.01)


def test_a_shuffled_outcome_cannot_be_learned(data: TrainingData) -> None:
    """The measure does not come from a leak: with outcomes drawn by lot it is that of a coin."""
    random = np.random.default_rng(5)
    blocks = [replace(one, ordered=random.permutation(one.ordered)) for one in data.train.training]
    check = replace(data.train.validation, ordered=random.permutation(data.train.validation.ordered))
    made = Fusion(PARAMS, 3).fit(replace(data.train, training=blocks, validation=check), silent)
    held = data.holdout.block
    lots = [random.permutation(held.ordered) for _ in range(50)]
    said = made.fuse(data.holdout.inputs(made)).probability
    assert np.mean([auc(lot, said) for lot in lots]) == pytest.approx(0.5, abs=0.05)


def test_the_golden_customers_are_nobody(data: TrainingData, model: FusionModel) -> None:
    """They are made of quantiles and of what sells: an erased person cannot live on in them."""
    assert set(data.golden) == {"activity_names", "users"}
    assert all(set(user) == {"score", "rules", "activity", "items"} for user in data.golden["users"])
    said = FAMILY.probe(model, data.golden)
    assert len(said) == 3 * len(data.golden["users"])
    assert np.isfinite(said).all()


def test_without_torch_it_is_told_what_to_install(data: TrainingData, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)  # what an import of a missing module does
    with pytest.raises(Unavailable, match=r"shopkeeper\[deep\]"):
        Fusion(PARAMS, 3).fit(data.train, silent)


def test_serving_does_not_need_torch(model: FusionModel, data: TrainingData, tmp_path: Path) -> None:
    import subprocess

    model.save(tmp_path)
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from pathlib import Path\n"
        "from shopkeeper.profiles.fusion.model import FusionModel\n"
        f"model = FusionModel.load(Path({str(tmp_path)!r}))\n"
        "print(float(model.fuse(model.baseline).score[0]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) == pytest.approx(float(model.fuse(model.baseline).score[0]))
    del data


def test_logistic_regression_finds_the_weights_that_made_the_labels() -> None:
    random = np.random.default_rng(2)
    x = random.normal(size=(100_000, 2))
    label = (random.random(len(x)) < sigmoid(x @ np.array([1.0, -2.0]) + 0.5)).astype(np.float64)
    np.testing.assert_allclose(logistic(x, label, 1.0), [1.0, -2.0, 0.5], atol=0.05)


@pytest.mark.parametrize(
    ("label", "score", "expected"),
    [
        ([1, 0, 1, 0], [4, 3, 2, 1], (1 + 2 / 3) / 2),
        ([1, 0, 1, 0], [1, 1, 1, 1], 0.5),
        ([0, 0, 1], [3, 2, 1], 1 / 3),
    ],
)
def test_average_precision(label: Any, score: Any, expected: float) -> None:
    assert average_precision(np.array(label, float), np.array(score, float)) == pytest.approx(expected)
    assert np.isnan(average_precision(np.zeros(3), np.ones(3)))


def test_rank_correlation_shares_the_ranks_of_ties() -> None:
    from scipy.stats import spearmanr

    random = np.random.default_rng(3)
    one, other = random.integers(0, 5, 200).astype(float), random.integers(0, 5, 200).astype(float)
    assert spearman(one, other) == pytest.approx(spearmanr(one, other).statistic)
    assert spearman(one, np.ones(200)) == 0.0
