"""Nine quantiles that cannot cross, and what they are told they got wrong."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopkeeper.core.records import QUANTILES

torch = pytest.importorskip("torch")

from shopkeeper.forecast.neural.heads import Head, loss_of  # noqa: E402

LEVELS = torch.tensor(QUANTILES)


@given(st.integers(0, 2**31), st.floats(0.1, 50))
def test_whatever_a_net_says_the_levels_are_in_order_and_not_negative(seed, size):
    torch.manual_seed(seed)
    head = Head(6)
    said = head(torch.randn(3, 4, 6) * size, torch.randn(3, 4, 2)).detach().numpy()
    assert said.shape == (3, 4, 10)
    assert (said >= 0).all()
    assert (np.diff(said[..., :9], axis=-1) >= 0).all()


def test_at_first_it_says_the_usual():
    head = Head(6)
    usual = torch.log(torch.tensor([0.5, 1.0, 2.0]))[None, :, None]
    said = head(torch.zeros(1, 3, 6), usual)[0]
    np.testing.assert_allclose(said[:, [4, 9]].detach(), [[0.5, 0.5], [1, 1], [2, 2]], atol=1e-3)


def test_the_least_loss_is_that_of_the_true_quantiles_and_mean():
    random = np.random.default_rng(1)
    pieces = torch.from_numpy(random.poisson(3.0, (4000, 1)).astype(np.float32))
    counts, weight = torch.ones(4000, 1), torch.ones(4000)
    truth = np.concatenate([np.quantile(pieces.numpy(), QUANTILES), [pieces.mean()]])

    def loss(values):
        said = torch.from_numpy(np.tile(values, (4000, 1, 1)).astype(np.float32))
        return float(loss_of(said, pieces, counts, weight, LEVELS))

    best = loss(truth)
    assert np.isfinite(best)
    for column in range(10):
        for off in (-0.6, 0.6):
            moved = truth.copy()
            moved[column] = max(moved[column] + off, 0.01)
            if abs(moved[column] - truth[column]) > 0.1:
                assert loss(moved) > best


def test_what_does_not_count_has_no_pull():
    said = torch.rand(2, 3, 10, requires_grad=True)
    pieces = torch.tensor([[1.0, 2.0, 1e9], [1.0, 1.0, 1.0]])
    counts = torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    loss_of(said, pieces, counts, torch.ones(2), LEVELS).backward()
    assert said.grad[0, :2].abs().sum() > 0
    assert not said.grad[0, 2].any()
    assert not said.grad[1].any()
    assert loss_of(said.detach(), pieces, torch.zeros(2, 3), torch.ones(2), LEVELS) == 0
