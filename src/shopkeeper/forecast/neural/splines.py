"""Layers whose edges are functions: cubic splines or Gaussians on a fixed grid, one product of matrices a layer.

References: Liu and others, "KAN: Kolmogorov-Arnold networks", 2024 (arXiv 2404.19756). That all edges of a layer share
their basis, so that a layer is one product, is Blealtan's reformulation (efficient-kan); Gaussians in place of splines
are Li's, "Kolmogorov-Arnold networks are radial basis function networks", 2024 (arXiv 2405.06721).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

REACH = 2.0
"""Splines lie on -2 .. 2: inputs are pressed into it, so that no grid has to follow them."""


class SplineEdges(nn.Module):
    """(..., inputs) to (..., outputs): each edge is w silu(x) and a cubic spline over `grid` equal pieces."""

    def __init__(self, inputs: int, outputs: int, grid: int = 8) -> None:
        super().__init__()
        self.base = nn.Linear(inputs, outputs)
        self.weight = nn.Parameter(torch.randn(inputs * (grid + 3), outputs) * (0.3 / inputs**0.5))
        self.step = 2 * REACH / grid
        self.register_buffer("centres", -REACH + self.step * torch.arange(-1.0, grid + 2), persistent=False)
        self.centres: Tensor

    def forward(self, x: Tensor) -> Tensor:
        basis = spline_basis(REACH * torch.tanh(x / REACH), self.centres, self.step, quick=self.training)
        curved: Tensor = self.base(functional.silu(x)) + basis.flatten(-2) @ self.weight
        return curved


class GaussEdges(nn.Module):
    """(..., inputs) to (..., outputs): each edge is w silu(x) and a sum of `centres` Gaussians of the normed input."""

    def __init__(self, inputs: int, outputs: int, centres: int = 8) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(inputs)
        self.base = nn.Linear(inputs, outputs)
        self.weight = nn.Parameter(torch.randn(inputs * centres, outputs) * (0.3 / inputs**0.5))
        self.centres, self.step = _spread(self, centres)

    def forward(self, x: Tensor) -> Tensor:
        curved: Tensor = (
            self.base(functional.silu(x)) + gauss_basis(self.norm(x), self.centres, self.step).flatten(-2) @ self.weight
        )
        return curved


class GaussExperts(nn.Module):
    """The same for several experts at once: (b, experts, inputs) to (b, experts, outputs), each with its own edges."""

    def __init__(self, experts: int, inputs: int, outputs: int, centres: int = 8) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(inputs)
        self.base = nn.Parameter(torch.randn(experts, inputs, outputs) / inputs**0.5)
        self.shift = nn.Parameter(torch.zeros(experts, 1, outputs))
        self.weight = nn.Parameter(torch.randn(experts, inputs * centres, outputs) * (0.3 / inputs**0.5))
        self.centres, self.step = _spread(self, centres)

    def forward(self, x: Tensor) -> Tensor:
        basis = gauss_basis(self.norm(x), self.centres, self.step).flatten(-2)
        by_expert = functional.silu(x).transpose(0, 1) @ self.base + basis.transpose(0, 1) @ self.weight + self.shift
        return by_expert.transpose(0, 1)


def spline_basis(x: Tensor, centres: Tensor, step: float, *, quick: bool = False) -> Tensor:
    """(..., j) values of the cubic B-splines whose middles are `centres`, `step` apart. `quick`: with a gradient made
    along with them, for training; an export has to see the plain sums."""
    if quick:
        made: Tensor = _Cubic.apply(x, centres, step)  # type: ignore[no-untyped-call]
        return made
    far = (x.unsqueeze(-1) - centres).abs() / step
    outer, inner = functional.relu(2.0 - far), functional.relu(1.0 - far)
    return (outer * outer * outer - 4.0 * inner * inner * inner) / 6.0


def gauss_basis(x: Tensor, centres: Tensor, step: float) -> Tensor:
    """(..., j) values of Gaussians around `centres`."""
    far = (x.unsqueeze(-1) - centres) / step
    return torch.exp(-far * far)


def _spread(layer: nn.Module, centres: int) -> tuple[Tensor, float]:
    layer.register_buffer("centres", torch.linspace(-REACH, REACH, centres), persistent=False)
    return layer.get_buffer("centres"), 2 * REACH / (centres - 1)


class _Cubic(torch.autograd.Function):
    """Keeps the slopes only: of ten arrays of this size that autograd would keep, one."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, centres: Tensor, step: float) -> Tensor:
        off = (x.unsqueeze(-1) - centres).div_(step)
        far = off.abs()
        outer, inner = (2.0 - far).relu_(), (1.0 - far).relu_()
        outer2, inner2 = outer * outer, inner * inner
        ctx.save_for_backward(off.sign_().mul_(2.0 * inner2 - 0.5 * outer2).div_(step))
        return outer2.mul_(outer).sub_(inner2.mul_(inner).mul_(4.0)).div_(6.0)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        (slope,) = ctx.saved_tensors
        return (grads[0] * slope).sum(-1), None, None
