"""The ensemble: its weights, its leaderboard, and that it answers whoever fails."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shopkeeper.checks.forecast import HORIZON, small_shop
from shopkeeper.core.errors import Cancelled, Invalid, NotFound, Unavailable
from shopkeeper.core.protocols import silent
from shopkeeper.forecast.algorithms.auto import Auto, AutoModel
from shopkeeper.forecast.algorithms.theta import Theta, ThetaModel
from shopkeeper.forecast.algorithms.tsb import Tsb, TsbModel
from shopkeeper.forecast.outlook import Outlook


def fitted(days: int = 200, **params: Any) -> AutoModel:
    return Auto(Auto.Params(**{"preset": "fast", **params}), 1).fit(small_shop().until(days), silent)


@pytest.fixture(scope="module")
def model() -> AutoModel:
    return fitted()


def broken(*_: object) -> Any:
    raise RuntimeError("out of order")


def finite(said: Outlook) -> bool:
    return bool(np.isfinite(said.mean).all() and np.isfinite(said.quantiles).all())


def test_weights_add_up_for_products_and_for_totals(model: AutoModel) -> None:
    assert model.weights.sum() == pytest.approx(1.0)
    assert model.sums.sum() == pytest.approx(1.0)
    assert set(model.members) <= {"seasonal_naive", "theta", "tsb"}


def test_the_leaderboard_has_everybody_best_first(model: AutoModel) -> None:
    names = [row["model"] for row in model.board]
    assert set(names) == {"seasonal_naive", "theta", "tsb", "auto"}
    losses = [row["pinball"] for row in model.board]
    assert losses == sorted(losses)
    assert names[0] == "auto"  # on the windows on which it was put together nobody is better
    assert all({"wape", "mase", "total_pinball"} <= set(row) for row in model.board)
    assert all({"weight", "total_weight", "seconds"} <= set(row) for row in model.board if row["model"] != "auto")


def test_the_leaderboard_is_told_while_it_trains() -> None:
    told: list[str] = []

    def report(step: int, of: int, *_: object, message: str = "", **__: object) -> None:
        assert 0 <= step <= of
        told.append(message)

    Auto(Auto.Params(preset="fast"), 1).fit(small_shop(), report)
    assert any(line.startswith("model theta, wape") for line in told)


def test_what_it_saved_it_loads_with_its_leaderboard(model: AutoModel, tmp_path: Path) -> None:
    model.save(tmp_path)
    again = AutoModel.load(tmp_path)
    assert again.board == model.board
    np.testing.assert_array_equal(again.weights, model.weights)
    assert {path.parent.name for path in tmp_path.glob("members/*/calibration.npz")} == set(model.members)


def test_a_member_that_raises_is_told_and_the_rest_answer(model: AutoModel, monkeypatch: pytest.MonkeyPatch) -> None:
    series = small_shop()
    assert model.forecast(series, HORIZON).note is None
    half = fitted_with(model, "theta")
    monkeypatch.setattr(ThetaModel, "forecast", broken)
    said = half.forecast(series, HORIZON)
    assert said.note == "without theta: RuntimeError: out of order"
    assert finite(said)


def test_when_everybody_fails_seasonal_naive_answers(model: AutoModel, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = AutoModel(fitted(members=["tsb"]).members, np.ones(1), np.ones(1), model._calibration)
    monkeypatch.setattr(TsbModel, "forecast", broken)
    said = alone.forecast(small_shop(), HORIZON)
    assert finite(said)
    assert said.mean[-1].sum() > 0
    assert said.note == "without tsb: RuntimeError: out of order"


def test_a_member_that_cannot_learn_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Theta, "fit", broken)
    model = fitted()
    assert "theta" not in model.members
    assert model.absent == {"theta": "RuntimeError: out of order"}
    assert "without theta" in (model.forecast(small_shop(), HORIZON).note or "")


def test_when_nobody_can_learn_it_is_seasonal_naive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Theta, "fit", broken)
    monkeypatch.setattr(Tsb, "fit", broken)
    model = fitted(members=["theta", "tsb"])
    assert list(model.members) == ["seasonal_naive"]
    assert finite(model.forecast(small_shop(), HORIZON))


def test_a_cancelled_training_is_not_a_member_that_failed() -> None:
    def report(*_: object, **__: object) -> None:
        raise Cancelled("stop")

    with pytest.raises(Cancelled):
        Auto(Auto.Params(preset="fast"), 1).fit(small_shop(), report)


def test_members_are_named_from_the_registry() -> None:
    model = fitted(members=["tsb"])
    assert list(model.members) == ["tsb"]
    with pytest.raises(NotFound, match="no algorithm 'oracle'"):
        fitted(members=["oracle"])
    for wrong in ("auto", "kmeans"):
        with pytest.raises(Invalid, match="cannot be a member"):
            fitted(members=[wrong])


def test_a_short_history_weighs_all_alike() -> None:
    model = fitted(days=40)
    np.testing.assert_allclose(model.weights, 1 / 3)
    assert finite(model.forecast(small_shop().until(40), HORIZON))


def test_a_member_whose_files_are_gone_is_absent(model: AutoModel, tmp_path: Path) -> None:
    both = AutoModel({"theta": fitted(members=["theta"]).members["theta"], **fitted(members=["tsb"]).members},
                     np.ones(2) / 2, np.ones(2) / 2, model._calibration)  # fmt: skip
    both.save(tmp_path)
    shutil.rmtree(tmp_path / "members" / "theta")
    said = AutoModel.load(tmp_path).forecast(small_shop(), HORIZON)
    assert said.note is not None
    assert said.note.startswith("without theta: model.json cannot be read")
    shutil.rmtree(tmp_path / "members" / "tsb")
    with pytest.raises(Unavailable, match="no member of the ensemble can be loaded"):
        AutoModel.load(tmp_path)


def fitted_with(model: AutoModel, name: str) -> AutoModel:
    """The same with half of the weight on one member and half on seasonal naive."""
    members = {one: fitted(members=[one]).members[one] for one in ("seasonal_naive", name)}
    return AutoModel(members, np.ones(2) / 2, np.ones(2) / 2, model._calibration)
