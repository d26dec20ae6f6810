"""Attention and its gradients against torch's own, edge by edge, and against finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from graph_random import random_graph
from hypothesis import given, settings
from hypothesis import strategies as st

from shopkeeper.profiles.graph import attention
from shopkeeper.profiles.graph.attention import Arcs
from shopkeeper.profiles.graph.attention_torch import arcs_of, attended, in_torch
from shopkeeper.profiles.graph.blocks import Block, whole
from shopkeeper.profiles.graph.hetero import BUCKETS
from shopkeeper.profiles.graph.sampler import Sampler
from shopkeeper.profiles.graph.weights import LOGIT_LIMIT

HEADS, D = 2, 6


def drawn(seed: int, n: int, sources: int, m: int, scale: float = 1.0) -> tuple[Arcs, list[torch.Tensor]]:
    rng = np.random.default_rng(seed)
    block = Block(
        np.sort(rng.integers(0, n, m)).astype(np.int32),
        rng.integers(0, sources, m).astype(np.int32),
        rng.integers(0, BUCKETS, m).astype(np.int8),
    )
    shapes = [(n, D), (sources, D), (BUCKETS, D), (sources, D), (BUCKETS, D)]
    tensors = [torch.from_numpy(scale * rng.standard_normal(shape)).requires_grad_() for shape in shapes]
    return Arcs.of(block), tensors


def both(arcs: Arcs, tensors: list[torch.Tensor]) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """The two sums and all gradients of something that reads both, by each of the two ways."""
    found = []
    for way in (attended, in_torch):
        total, share = way(arcs, HEADS, *tensors)
        loss = (total / (share.repeat_interleave(D // HEADS, 1) + 1)).sin().sum() + share.log1p().sum()
        found.append([total, share, *torch.autograd.grad(loss, tensors)])
    return found[0], found[1]


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    n=st.integers(1, 9),
    sources=st.integers(1, 7),
    m=st.integers(0, 60),
    chunk=st.sampled_from([1, 7, 8192]),
)
def test_sums_and_gradients_are_those_of_torch(seed, n, sources, m, chunk):
    arcs, tensors = drawn(seed, n, sources, m)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attention, "_CHUNK", chunk)
        ours, theirs = both(arcs, tensors)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-9, atol=1e-9)


def test_gradients_are_those_of_finite_differences():
    arcs, tensors = drawn(1, 4, 3, 20, scale=0.5)
    assert torch.autograd.gradcheck(lambda *given: attended(arcs, HEADS, *given), tensors)


def test_a_logit_that_is_cut_is_flat():
    arcs, tensors = drawn(2, 5, 4, 40, scale=8.0)
    logit = attention.dots(arcs, HEADS, *(tensors[at].detach().numpy() for at in (0, 1, 2)))
    assert (np.abs(logit) > LOGIT_LIMIT).any(), "this test wants logits beyond the limit"
    assert (np.abs(logit) < LOGIT_LIMIT).any()
    for mine, other in zip(*both(arcs, tensors), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-9, atol=1e-9)


def test_in_float32_it_is_close_over_many_edges():
    arcs, tensors = drawn(3, 50, 40, 30_000, scale=0.5)
    exact, _ = both(arcs, tensors)
    rough, _ = both(arcs, [each.detach().float().requires_grad_() for each in tensors])
    for mine, other in zip(rough, exact, strict=True):
        assert mine.dtype == torch.float32
        torch.testing.assert_close(mine.double(), other, rtol=2e-4, atol=2e-4)


def test_layers_with_the_same_edges_share_them():
    graph = random_graph(1)
    one, two = arcs_of(whole(graph, 60, 2))
    assert all(one[relation] is two[relation] for relation in one)
    seeds = {"user": np.arange(3, dtype=np.int32)}
    blocks = Sampler(graph, [3, 3]).sample(seeds, 60, np.random.default_rng(0))
    for number, layer in enumerate(arcs_of(blocks)):
        assert layer.keys() == blocks.layer(number).keys()
        for relation, arcs in layer.items():
            assert arcs.some[arcs.target].tolist() == blocks.layer(number)[relation].target.tolist()
