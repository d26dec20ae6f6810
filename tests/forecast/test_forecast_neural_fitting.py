"""The loop of a net: its curve, its best state, its end; and what happens when it runs away or is stopped."""

import math

import numpy as np
import pytest
from neural_shop import fit

from shopkeeper.checks.forecast import HORIZON, small_shop
from shopkeeper.core.errors import Cancelled, Invalid, Unavailable
from shopkeeper.forecast.algorithms.nhits import Nhits
from shopkeeper.forecast.neural.trainer import NEEDS_TORCH

torch = pytest.importorskip("torch")


class Told:
    """What a report was told."""

    def __init__(self, stop_at=math.inf):
        self.epochs, self.calls, self.messages, self._stop = [], 0, set(), stop_at

    def __call__(self, step, of, metrics=None, *, message="", epoch=False):
        self.calls += 1
        self.messages.add(message)
        assert 0 <= step <= of
        if epoch:
            self.epochs.append((step, of, dict(metrics)))
        if self.calls >= self._stop:
            raise Cancelled("the job was asked to stop")


def test_every_pass_is_told_and_kept_and_the_best_one_serves():
    told = Told()
    model = fit(small_shop(), told, epochs=6, patience=6)
    assert [epoch.epoch for epoch in model.curve] == [1, 2, 3, 4, 5, 6]
    assert [(step, of) for step, of, _ in told.epochs] == [(number, 6) for number in range(1, 7)]
    for epoch, (_, _, metrics) in zip(model.curve, told.epochs, strict=True):
        assert metrics == {"loss": epoch.loss, "val_loss": epoch.val_loss, "learning_rate": epoch.learning_rate}
        assert epoch.seconds > 0
    tested = [epoch.val_loss for epoch in model.curve]
    assert model.about.best_epoch == 1 + int(np.argmin(tested))
    assert min(tested) < tested[0]
    rates = [epoch.learning_rate for epoch in model.curve]
    assert rates[-1] < max(rates)
    assert told.calls > 6


def test_it_ends_when_nothing_is_gained_and_says_what_it_was_with_nothing_learned():
    model = fit(small_shop(), epochs=30, patience=2, learning_rate=1e-9)
    assert len(model.curve) < 30
    assert len(model.curve) - model.about.best_epoch == 2


def test_minutes_end_it_within_a_pass():
    model = fit(small_shop(), epochs=500, patience=500, minutes=0.005)
    assert 1 <= len(model.curve) < 500


def test_a_step_too_long_diverges_once_more_and_is_then_given_up():
    told = Told()
    with pytest.raises(Invalid, match=r"diverged twice.*lower learning_rate") as caught:
        fit(small_shop(), told, epochs=40, learning_rate=1e6)
    assert caught.value.code == "diverged"
    assert any("once more from the best state" in message for message in told.messages)


class Stumbling(Nhits):
    """Its weights are no numbers any more at a certain step."""

    at = 15

    def net(self, sizes):
        net, steps = super().net(sizes), iter(range(10**9))

        def stumble(module, _given):
            if module.training and next(steps) == self.at:
                with torch.no_grad():
                    module.head.out.weight.fill_(math.nan)

        net.register_forward_pre_hook(stumble)
        return net


def test_one_stumble_is_recovered_from_the_best_state():
    told = Told()
    params = Nhits.Params(**{**Nhits.brief, "epochs": 6, "horizon": 14, "windows": 2})
    model = Stumbling(params, 1).fit(small_shop(), told)
    assert [epoch.epoch for epoch in model.curve] == [1, 2, 3, 4, 5, 6]
    assert all(math.isfinite(epoch.loss) and math.isfinite(epoch.val_loss) for epoch in model.curve)
    assert np.isfinite(model.forecast(small_shop(), HORIZON).mean).all()
    assert any("once more" in message for message in told.messages)


@pytest.mark.parametrize("finish", [0, 2])
def test_it_can_be_stopped_at_every_step(finish):
    whole = Told()
    fit(small_shop(), whole, finish=finish, epochs=1, steps=3)
    for stop in (2, whole.calls):
        told = Told(stop)
        with pytest.raises(Cancelled):
            fit(small_shop(), told, finish=finish, epochs=1, steps=3)
        assert told.calls == stop


def test_the_newest_days_are_learned_last_without_a_loss_of_the_seed():
    model = fit(small_shop(), finish=2)
    again = fit(small_shop(), finish=2)
    plain = fit(small_shop())
    for name, weights in model.weights.items():
        np.testing.assert_array_equal(weights, again.weights[name])
    assert not np.array_equal(model.weights["head.out.bias"], plain.weights["head.out.bias"])
    assert [epoch.val_loss for epoch in model.curve] == [epoch.val_loss for epoch in plain.curve]


def test_the_callers_random_numbers_are_left_alone():
    torch.manual_seed(3)
    before = torch.rand(1)
    torch.manual_seed(3)
    fit(small_shop())
    assert torch.equal(torch.rand(1), before)


def test_nothing_sold_is_nothing_to_learn_from():
    series = small_shop().select(np.array([0]))
    with pytest.raises(Invalid, match="nothing to learn from") as caught:
        fit(series)
    assert caught.value.code == "no_data"


def test_without_torch_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    with pytest.raises(Unavailable, match=r"pip install 'shopkeeper\[deep\]'") as caught:
        fit(small_shop())
    assert (caught.value.code, caught.value.message) == ("not_installed", NEEDS_TORCH)
