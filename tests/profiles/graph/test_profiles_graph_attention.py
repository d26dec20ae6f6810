"""Attention and its gradients against torch's own, edge by edge, and against finite differences."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from shopkeeper.profiles.graph import attention
from shopkeeper.profiles.graph.attending import AttendInSlices, TensorEdges, attend
from shopkeeper.profiles.graph.attention import Arcs
from shopkeeper.profiles.graph.attention_torch import AttendOnCpu
from shopkeeper.profiles.graph.hetero import BUCKETS
from shopkeeper.profiles.graph.weights import LOGIT_LIMIT

HEADS, D = 2, 6


def drawn(seed: int, n: int, sources: int, m: int, scale: float = 1.0) -> tuple[TensorEdges, list[torch.Tensor]]:
    rng = np.random.default_rng(seed)
    columns = np.sort(rng.integers(0, n, m)), rng.integers(0, sources, m), rng.integers(0, BUCKETS, m)
    shapes = [(n, D), (sources, D), (sources, D), (BUCKETS, D), (BUCKETS, D)]
    tensors = [torch.from_numpy(scale * rng.standard_normal(shape)).requires_grad_() for shape in shapes]
    return TensorEdges(*(torch.from_numpy(column) for column in columns)), tensors


def plain(query, key, value, key_time, value_time, edges, heads):
    """By the formula, edge by edge, with torch's own gradients."""
    split = (len(edges), heads, query.shape[1] // heads)
    logit = (query[edges.target] * (key[edges.source] + key_time[edges.bucket])).reshape(split).sum(-1)
    weight = logit.clamp(-LOGIT_LIMIT, LOGIT_LIMIT).exp()
    message = ((value[edges.source] + value_time[edges.bucket]).reshape(split) * weight[:, :, None]).flatten(1)
    total = torch.zeros_like(query).index_add(0, edges.target, message)
    return total, query.new_zeros((len(query), heads)).index_add(0, edges.target, weight)


def read(way, edges: TensorEdges, tensors: list[torch.Tensor]) -> list[torch.Tensor]:
    """The two sums, and all gradients of something that reads both."""
    total, share = way(*tensors, edges, HEADS)
    loss = (total / (share.repeat_interleave(D // HEADS, 1) + 1)).sin().sum() + share.log1p().sum()
    return [total, share, *torch.autograd.grad(loss, tensors)]


WAYS = [pytest.param(AttendOnCpu.apply, id="cpu"), pytest.param(AttendInSlices.apply, id="any-device")]


@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    n=st.integers(1, 9),
    sources=st.integers(1, 7),
    m=st.integers(0, 60),
    chunk=st.sampled_from([1, 7, 8192]),
)
def test_sums_and_gradients_are_those_of_the_formula(way, seed, n, sources, m, chunk):
    edges, tensors = drawn(seed, n, sources, m)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attention, "_CHUNK", chunk)
        ours = read(way, edges, tensors)
    for mine, other in zip(ours, read(plain, edges, tensors), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-9, atol=1e-9)


def test_a_layer_takes_the_way_of_its_device():
    edges, (query, key, value, key_time, value_time) = drawn(5, 4, 3, 12)
    times = SimpleNamespace(key_time=key_time, value_time=value_time)
    total, _ = attend(query, key, value, times, edges, HEADS)
    assert type(total.grad_fn).__name__ == "AttendOnCpuBackward"
    there = [each.detach().to("meta") for each in (query, key, value, key_time, value_time)]
    elsewhere = TensorEdges(*(each.to("meta") for each in (edges.target, edges.source, edges.bucket)))
    total, share = attend(*there[:3], SimpleNamespace(key_time=there[3], value_time=there[4]), elsewhere, HEADS)
    assert total.device.type == share.device.type == "meta"


def test_gradients_are_those_of_finite_differences():
    edges, tensors = drawn(1, 4, 3, 20, scale=0.5)
    assert torch.autograd.gradcheck(lambda *given: AttendOnCpu.apply(*given, edges, HEADS), tensors)


@pytest.mark.parametrize("way", WAYS)
def test_a_logit_that_is_cut_is_flat(way):
    edges, tensors = drawn(2, 5, 4, 40, scale=8.0)
    query, key, _, key_time, _ = (each.detach().numpy() for each in tensors)
    arcs = Arcs.of(edges.target.numpy(), edges.source.numpy(), edges.bucket.numpy(), 5)
    logit = attention.dots(arcs, HEADS, query, key, key_time)
    assert (np.abs(logit) > LOGIT_LIMIT).any(), "this test wants logits beyond the limit"
    assert (np.abs(logit) < LOGIT_LIMIT).any()
    for mine, other in zip(read(way, edges, tensors), read(plain, edges, tensors), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("n", [50, 20_000], ids=["many-edges-into-each", "few-edges-into-each"])
def test_in_float32_it_is_close_over_many_edges(n):
    edges, tensors = drawn(3, n, 40, 30_000, scale=0.5)
    rough = read(AttendOnCpu.apply, edges, [each.detach().float().requires_grad_() for each in tensors])
    for mine, other in zip(rough, read(plain, edges, tensors), strict=True):
        assert mine.dtype == torch.float32
        torch.testing.assert_close(mine.double(), other, rtol=2e-4, atol=2e-4)


def test_the_same_edges_can_be_used_into_more_nodes():
    edges, tensors = drawn(4, 3, 3, 12)
    read(AttendOnCpu.apply, edges, tensors)
    tensors[0] = torch.randn(8, D, dtype=torch.float64, requires_grad=True)
    for mine, other in zip(read(AttendOnCpu.apply, edges, tensors), read(plain, edges, tensors), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-9, atol=1e-9)
