"""Attention along the edges of one relation, forward and backward, for torch. Edges lie by destination.

What each edge needs is made for a slice of edges at a time and made again in the backward pass: memory grows with nodes
and not with edges times width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from shopkeeper.profiles.graph.attention_torch import AttendOnCpu
from shopkeeper.profiles.graph.weights import LOGIT_LIMIT

_DENSE = 2
"""Edges of a node, on average, from which sparse products pay."""
_SLICE = 16_384
"""Edges of a step: what they gather stays in the processor's cache."""


@dataclass(frozen=True)
class TensorEdges:
    """`target` ascending, `source` and `bucket`, int64 (m,)."""

    target: torch.Tensor
    source: torch.Tensor
    bucket: torch.Tensor

    def __len__(self) -> int:
        return len(self.target)


def attend(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, weights: Any, edges: TensorEdges, heads: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Sums of exp(logit) * message, (n, d), and of exp(logit), (n, heads), over the edges into each destination.

    `query` (n, d), `key` and `value` (sources, d); of `weights` (RelationWeights of tensors) the tables of time.
    """
    dense = query.device.type == "cpu" and len(edges) >= _DENSE * len(query)
    way = AttendOnCpu if dense else AttendInSlices
    found: Any = way.apply(query, key, value, weights.key_time, weights.value_time, edges, heads)  # type: ignore[no-untyped-call]
    total, share = found
    return total, share


class AttendInSlices(torch.autograd.Function):
    """On any device."""

    @staticmethod
    def forward(
        ctx: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        key_time: torch.Tensor,
        value_time: torch.Tensor,
        edges: TensorEdges,
        heads: int,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        ctx.save_for_backward(query, key, value, key_time, value_time)
        ctx.edges, ctx.heads = edges, heads
        total = query.new_zeros(query.shape)
        share = query.new_zeros((len(query), heads))
        for at in _slices(len(edges)):
            target, source, bucket = edges.target[at], edges.source[at], edges.bucket[at]
            asked = query.index_select(0, target)
            heard = key.index_select(0, source).add_(key_time.index_select(0, bucket))
            attention = _logit(asked, heard, heads).clamp_(-LOGIT_LIMIT, LOGIT_LIMIT).exp_()
            told = value.index_select(0, source).add_(value_time.index_select(0, bucket))
            total.index_add_(0, target, _times(told, attention))
            share.index_add_(0, target, attention)
        return total, share

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> Any:
        query, key, value, key_time, value_time = ctx.saved_tensors
        heads, edges = ctx.heads, ctx.edges
        of_total, of_share = grads
        of = [torch.zeros_like(each) for each in (query, key, value, key_time, value_time)]
        of_query, of_key, of_value, of_key_time, of_value_time = of
        for at in _slices(len(edges)):
            target, source, bucket = edges.target[at], edges.source[at], edges.bucket[at]
            ages = torch.nn.functional.one_hot(bucket, len(key_time)).to(query.dtype).T
            asked = query.index_select(0, target)
            heard = key.index_select(0, source).add_(key_time.index_select(0, bucket))
            logit = _logit(asked, heard, heads)
            attention = logit.clamp(-LOGIT_LIMIT, LOGIT_LIMIT).exp_()
            told = value.index_select(0, source).add_(value_time.index_select(0, bucket))
            grad = of_total.index_select(0, target)
            of_logit = _logit(grad, told, heads).add_(of_share.index_select(0, target)).mul_(attention)
            of_logit.mul_(logit.abs() < LOGIT_LIMIT)
            of_told = _times(grad, attention)
            of_value.index_add_(0, source, of_told)
            of_value_time.addmm_(ages, of_told)
            of_query.index_add_(0, target, _times(heard, of_logit))
            of_heard = _times(asked, of_logit)
            of_key.index_add_(0, source, of_heard)
            of_key_time.addmm_(ages, of_heard)
        return (*of, None, None)


def _slices(m: int) -> list[slice]:
    return [slice(start, start + _SLICE) for start in range(0, m, _SLICE)]


def _logit(one: torch.Tensor, other: torch.Tensor, heads: int) -> torch.Tensor:
    """Inner products per head (m, heads)."""
    return (one * other).view(len(one), heads, -1).sum(-1)


def _times(rows: torch.Tensor, per_head: torch.Tensor) -> torch.Tensor:
    """Rows (m, d), in place, each head's part times its number."""
    rows.view(len(rows), per_head.shape[1], -1).mul_(per_head[:, :, None])
    return rows
