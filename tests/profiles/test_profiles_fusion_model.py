"""The fused score itself: its form, its bounds, and its files."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from fused_players import model_of

from shopkeeper.core.errors import Invalid
from shopkeeper.profiles.fusion.activity import ACTIVITY
from shopkeeper.profiles.fusion.calibration import calibration
from shopkeeper.profiles.fusion.inputs import frame_of
from shopkeeper.profiles.fusion.model import SUMMARY, FusionInputs, FusionModel, sigmoid
from shopkeeper.stores.vocabulary import Vocabulary


def inputs_of(n: int, dims: int = 6, seed: int = 0) -> FusionInputs:
    random = np.random.default_rng(seed)
    return FusionInputs(
        score=random.normal(size=n),
        rules=random.normal(size=(n, len(SUMMARY))),
        embedding=random.normal(size=(n, dims)).astype(np.float32),
        activity=random.normal(size=(n, len(ACTIVITY))).astype(np.float32),
        seen=np.arange(n, dtype=np.float32),
    )


@pytest.mark.parametrize("n", [0, 1, 2, 64, 65])
def test_every_output_has_one_number_a_customer(n: int) -> None:
    """Also where n is the width of something else: nothing is broadcast against anything."""
    model = model_of(1)
    fused = model.fuse(inputs_of(n))
    for field in fields(fused):
        assert getattr(fused, field.name).shape == (n,)
        assert getattr(fused, field.name).dtype == np.float64


def test_the_score_is_what_is_written_down() -> None:
    model, inputs = model_of(2), inputs_of(5)
    fused = model.fuse(inputs)
    for at in range(5):
        x = np.concatenate([inputs.rules[at], inputs.embedding[at], inputs.activity[at]])
        hidden = np.maximum(x @ model.net.hidden + model.net.hidden_bias, 0)
        open_ = 1 / (1 + np.exp(-(hidden @ model.net.out + model.net.out_bias)))
        gate = 1 - (1 - open_) * inputs.seen[at] / (inputs.seen[at] + model.kappa)
        rule = model.alpha * inputs.score[at] + model.beta
        learned = inputs.embedding[at] @ model.w_embedding + inputs.activity[at] @ model.w_activity + model.bias
        score = gate * rule + (1 - gate) * learned
        assert fused.gate[at] == pytest.approx(gate)
        assert fused.score[at] == pytest.approx(score)
        assert fused.probability[at] == pytest.approx(1 / (1 + np.exp(-score)))
    assert fused.gate[0] == 1.0, "a customer without an event"
    assert fused.score[0] == fused.f_rule[0]


def test_calibrating_is_an_affine_step_of_the_score() -> None:
    model, inputs = model_of(3), inputs_of(20)
    moved = model.calibrated(0.7, -0.4).fuse(inputs)
    np.testing.assert_allclose(moved.score, 0.7 * model.fuse(inputs).score - 0.4)
    np.testing.assert_array_equal(moved.gate, model.fuse(inputs).gate)


def test_a_calibration_finds_the_slope_and_the_shift_that_made_the_labels() -> None:
    random = np.random.default_rng(1)
    logits = random.normal(size=200_000) * 2
    label = (random.random(len(logits)) < sigmoid(0.5 * logits + 1.0)).astype(np.float64)
    slope, shift = calibration(logits, label)
    assert slope == pytest.approx(0.5, abs=0.02)
    assert shift == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("label", [np.zeros(30), np.ones(30), np.tile([1.0, 0.0], 15)])
def test_a_calibration_of_next_to_nothing_is_finite_and_keeps_the_order(label: np.ndarray) -> None:
    slope, shift = calibration(np.linspace(-50, 50, 30), label)
    assert np.isfinite([slope, shift]).all()
    assert slope > 0


def test_weights_beyond_measure_give_finite_answers() -> None:
    model, inputs = model_of(4), inputs_of(4)
    fused = model.fuse(replace(inputs, score=np.array([1e6, -1e6, 1e300, -1e300])))
    assert np.isfinite(fused.probability).all()
    assert np.isfinite(fused.spend).all()


def test_inputs_of_another_model_are_refused() -> None:
    with pytest.raises(Invalid, match="gather them for this version"):
        model_of(5).fuse(inputs_of(3, dims=7))
    with pytest.raises(Invalid, match="other activity numbers"):
        frame_of(model_of(5, names=("one", "two")), Vocabulary())


def test_files_that_do_not_fit_together_are_refused(tmp_path: Path) -> None:
    model = model_of(6)
    model.save(tmp_path)
    loaded = FusionModel.load(tmp_path)
    np.testing.assert_array_equal(loaded.fuse(inputs_of(9)).score, model.fuse(inputs_of(9)).score)
    facts = json.loads((tmp_path / "facts.json").read_text())
    for change in ({"item_ids": ["a"]}, {"activity_names": ["one"]}):
        (tmp_path / "facts.json").write_text(json.dumps({**facts, **change}))
        with pytest.raises(Invalid, match="do not fit together"):
            FusionModel.load(tmp_path)
    del facts["kappa"]
    (tmp_path / "facts.json").write_text(json.dumps(facts))
    with pytest.raises(Invalid, match="not whole"):
        FusionModel.load(tmp_path)
