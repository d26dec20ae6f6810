import numpy as np
import pytest
import torch
from net_checks import same
from scipy.interpolate import BSpline

from shopkeeper.forecast.neural.splines import REACH, GaussEdges, GaussExperts, SplineEdges, gauss_basis, spline_basis


@pytest.mark.parametrize("grid", [1, 2, 5, 8, 32])
def test_the_basis_is_that_of_cubic_b_splines(grid: int) -> None:
    edges = SplineEdges(1, 1, grid)
    x = np.linspace(-REACH, REACH, 201)
    knots = -REACH + edges.step * np.arange(-3, grid + 4)
    wanted = BSpline.design_matrix(np.clip(x, -REACH, REACH - 1e-9), knots, 3).toarray()
    for quick in (False, True):
        found = spline_basis(torch.tensor(x), edges.centres.double(), edges.step, quick=quick).numpy()
        assert found.shape == (201, grid + 3)
        np.testing.assert_allclose(found, wanted, atol=1e-6)
        np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-6)


def test_single_precision_is_precise_to_the_edge_of_the_grid() -> None:
    edges = SplineEdges(1, 1, 32)
    x = torch.linspace(-REACH, REACH, 1_001)
    wanted = spline_basis(x.double(), edges.centres.double(), edges.step)
    same(spline_basis(x, edges.centres, edges.step).double(), wanted, atol=2e-5, rtol=0)


def test_the_gradient_made_along_with_the_basis_is_that_of_autograd() -> None:
    edges = SplineEdges(1, 1, 6)
    x, pull = (torch.rand(50, 3) * 2 - 1).mul_(REACH), torch.randn(50, 3, 9)
    slopes = []
    for quick in (False, True):
        given = x.clone().requires_grad_()
        (spline_basis(given, edges.centres, edges.step, quick=quick) * pull).sum().backward()
        assert given.grad is not None
        slopes.append(given.grad)
    same(slopes[1], slopes[0])


@pytest.mark.parametrize("learning", [True, False])
def test_a_layer_says_the_same_while_it_learns_and_when_it_serves(learning: bool) -> None:
    torch.manual_seed(0)
    edges, x = SplineEdges(5, 4), 3 * torch.randn(6, 2, 5)
    other = edges.train(learning)(x)
    same(edges.eval()(x), other)
    assert other.shape == (6, 2, 4)


def test_inputs_far_beyond_the_grid_stay_finite_and_flat() -> None:
    edges = SplineEdges(1, 1)
    far = spline_basis(REACH * torch.tanh(torch.tensor([1e6, -1e6]) / REACH), edges.centres, edges.step)
    assert torch.isfinite(far).all()
    same(far.sum(dim=1), torch.ones(2))


def test_an_edge_can_be_any_smooth_function() -> None:
    edges = SplineEdges(1, 1)
    x = torch.linspace(-8, 8, 400)[:, None]
    wanted = torch.sin(3 * REACH * torch.tanh(x / REACH))
    basis = spline_basis(REACH * torch.tanh(x[:, 0] / REACH), edges.centres, edges.step)
    with torch.no_grad():
        edges.base.weight.zero_()
        edges.base.bias.zero_()
        edges.weight.copy_(torch.linalg.lstsq(basis, wanted).solution)
    same(edges(x).detach(), wanted, atol=0.02, rtol=0)


def test_gaussians_peak_at_their_centres() -> None:
    centres = torch.linspace(-2, 2, 5)
    found = gauss_basis(centres, centres, 1.0)
    same(found.diagonal(), torch.ones(5))
    assert (found <= 1).all()


def test_experts_hear_only_their_own_input() -> None:
    torch.manual_seed(2)
    experts = GaussExperts(3, 4, 5).eval()
    x = torch.randn(6, 3, 4)
    changed = x.clone()
    changed[:, 1] += 1
    before, after = experts(x), experts(changed)
    assert before.shape == (6, 3, 5)
    same(before[:, [0, 2]], after[:, [0, 2]])
    assert (before[:, 1] != after[:, 1]).any()


def test_one_expert_is_a_layer_of_gaussian_edges() -> None:
    torch.manual_seed(3)
    experts, edges = GaussExperts(1, 4, 5), GaussEdges(4, 5)
    with torch.no_grad():
        edges.weight.copy_(experts.weight[0])
        edges.base.weight.copy_(experts.base[0].T)
        edges.base.bias.zero_()
    x = torch.randn(6, 4)
    same(experts(x[:, None])[:, 0], edges(x))
