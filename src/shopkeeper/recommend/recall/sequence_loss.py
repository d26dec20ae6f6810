"""The loss of the sequence model: that of a softmax over all items, estimated with the few that were drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

_NEVER = -1e4
_ROUNDS = 50


def shares(counts: NDArray[np.int64], negatives: int) -> NDArray[np.float64]:
    """(n_items,) how probably each item is drawn in a step: it grows with the root of how often the item was taken,
    since the sum over all items is mostly made by what is taken often; `negatives` in sum, none above 1."""
    weight = np.sqrt(counts + 1.0)
    result: NDArray[np.float64] = np.minimum(1.0, weight * negatives / weight.sum())
    for _ in range(_ROUNDS):
        free = result < 1
        if not free.any() or result.sum() > negatives - 1e-6:
            break
        result[free] = np.minimum(1.0, weight[free] * (negatives - (~free).sum()) / weight[free].sum())
    return result


def loss_of(
    state: Tensor, right: Tensor, items: Tensor, bias: Tensor, drawing: NDArray[np.float64], random: np.random.Generator
) -> Tensor:
    """Mean over places of states (n, d) after which items `right` (n,) came. Which others are drawn is the same for all
    places; each stands for itself and those like it, so its share is raised by 1 / its probability."""
    if drawing.min() >= 1:
        whole: Tensor = functional.cross_entropy(state @ items.T + bias, right)
        return whole
    drawn = np.flatnonzero(random.random(len(drawing)) < drawing)
    place = np.full(len(drawing), -1)
    place[drawn] = np.arange(len(drawn))
    column = place[right.numpy()]
    row = np.flatnonzero(column >= 0)
    rows, raised = torch.from_numpy(drawn), torch.from_numpy(-np.log(drawing[drawn]).astype(np.float32))
    found: Tensor = _AmongDrawn.apply(  # type: ignore[no-untyped-call]
        state,
        functional.embedding(right, items),
        bias[right],
        functional.embedding(rows, items),
        bias[rows] + raised,
        (torch.from_numpy(row), torch.from_numpy(column[row])),
    )
    return found


class _AmongDrawn(torch.autograd.Function):
    """One exponential for each score, and the gradient from the same: half the time of what autograd makes of it."""

    @staticmethod
    def forward(
        ctx: Any,
        state: Tensor,
        own: Tensor,
        own_bias: Tensor,
        others: Tensor,
        others_bias: Tensor,
        same: tuple[Tensor, Tensor],
    ) -> Tensor:
        """(n, d), (n, d), (n,), (m, d), (m,); `same`: where one of the others is a place's own."""
        score = (state * own).sum(1) + own_bias
        share = torch.addmm(others_bias, state, others.T)
        share[same] = _NEVER
        # The own one alone would be the highest where nothing is drawn.
        top = torch.cat([share, score[:, None]], 1).amax(1)
        share.sub_(top[:, None]).exp_()
        own_share = (score - top).exp()
        total = share.sum(1) + own_share
        loss: Tensor = (total.log() + top - score).mean()
        many = len(score)
        share.mul_((1 / (many * total))[:, None])
        ctx.save_for_backward(share, (own_share / total - 1) / many, state, own, others)
        return loss

    @staticmethod
    def backward(ctx: Any, up: Tensor) -> tuple[Tensor | None, ...]:
        share, own_share, state, own, others = ctx.saved_tensors
        own_share = own_share * up
        to_state = torch.addmm(own * own_share[:, None], share, others)
        return to_state, state * own_share[:, None], own_share, (share.T @ state) * up, share.sum(0) * up, None
