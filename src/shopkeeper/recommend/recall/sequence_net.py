"""How the sequence model learns: the same layers in torch, and one pass after another over the users' sequences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from shopkeeper.core.protocols import Report

Items = NDArray[np.int64]
_BLOCK_ITEMS = 16
"""Sequences are put together with others of about their length, so that little of a step is padding."""
_NEVER = -1e4


@dataclass(frozen=True)
class Plan:
    width: int
    blocks: int
    heads: int
    length: int
    dropout: float
    epochs: int
    tokens: int
    negatives: int
    learning_rate: float


class Block(nn.Module):
    def __init__(self, plan: Plan) -> None:
        super().__init__()
        d = plan.width
        self.heads, self.dropout = plan.heads, plan.dropout
        self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.qkv, self.out = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.up, self.down = nn.Linear(d, 2 * d), nn.Linear(2 * d, d)

    def forward(self, x: Tensor) -> Tensor:
        many, length, d = x.shape
        parts = self.qkv(self.norm1(x)).view(many, length, 3, self.heads, d // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        heard = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        heard = self.out(heard.transpose(1, 2).reshape(many, length, d))
        x = x + functional.dropout(heard, self.dropout, self.training)
        inner = functional.gelu(self.up(self.norm2(x)), approximate="tanh")
        return x + functional.dropout(self.down(inner), self.dropout, self.training)


class Net(nn.Module):
    """Padding stands behind a sequence, where the causal attention of what counts never looks."""

    def __init__(self, plan: Plan, n_items: int) -> None:
        super().__init__()
        d = plan.width
        self.scale, self.dropout = d**0.5 / 2, plan.dropout
        self.items = nn.Parameter(torch.randn(n_items, d) * 0.7 * d**-0.5)
        self.places = nn.Parameter(torch.randn(plan.length, d) * 0.02)
        self.bias = nn.Parameter(torch.zeros(n_items))
        self.blocks = nn.ModuleList(Block(plan) for _ in range(plan.blocks))
        self.norm = nn.LayerNorm(d)

    def forward(self, rows: Tensor) -> Tensor:
        """State (many, length, d) after each place of item rows (many, length)."""
        x = functional.embedding(rows, self.items) * self.scale + self.places[: rows.shape[1]]
        x = functional.dropout(x, self.dropout, self.training)
        for block in self.blocks:
            x = block(x)
        result: Tensor = self.norm(x)
        return result

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """As `SequenceModel` reads them."""
        found = {"items": self.items, "places": self.places, "bias": self.bias, "norm": _pair(self.norm)}
        for at, block in enumerate(self.blocks):
            for name in ("norm1", "norm2"):
                found[f"{at}.{name}"] = _pair(getattr(block, name))
            for name in ("qkv", "out", "up", "down"):
                layer = getattr(block, name)
                found[f"{at}.{name}"], found[f"{at}.{name}_b"] = layer.weight.T, layer.bias
        return {name: np.ascontiguousarray(each.detach().numpy()) for name, each in found.items()}


def train(
    sequences: Sequence[Items],
    moments: Sequence[NDArray[np.int64]],
    n_items: int,
    plan: Plan,
    seed: int,
    report: Report,
) -> dict[str, NDArray[np.float32]]:
    """The arrays of a trained net. Each sequence is oldest first; what happened at one `moment` has no order, so each
    pass draws one. The loss is that of a softmax over all items, estimated with the same drawn items for all places of
    a step: they stand for all others, so their share is raised by n_items / negatives.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        random = np.random.default_rng(seed)
        net = Net(plan, n_items)
        with torch.no_grad():
            net.bias.copy_(torch.from_numpy(_popularity(sequences, n_items)))
        adam = torch.optim.AdamW(net.parameters(), lr=plan.learning_rate, betas=(0.9, 0.98), weight_decay=0.0)
        steps = max(len(_batches(sequences, plan, random)) * plan.epochs, 1)
        step = 0
        for epoch in range(plan.epochs):
            total, places = 0.0, 0
            for rows, wanted in _steps(sequences, moments, plan, random):
                for group in adam.param_groups:
                    group["lr"] = plan.learning_rate * _pace(step, steps)
                loss = _loss(net, rows, wanted, n_items, plan.negatives, random)
                adam.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(net.parameters(), 1.0)
                adam.step()
                step += 1
                count = int((wanted >= 0).sum())
                total, places = total + float(loss.detach()) * count, places + count
            told = {"loss": total / max(places, 1)}
            report(epoch + 1, plan.epochs, told, message="learning sequences", epoch=True)
        return net.arrays()


def _loss(net: Net, rows: Tensor, wanted: Tensor, n_items: int, negatives: int, random: np.random.Generator) -> Tensor:
    counts = wanted >= 0
    state, right = net(rows)[counts], wanted[counts]
    if negatives >= n_items:
        return functional.cross_entropy(state @ net.items.T + net.bias, right)
    drawn = torch.from_numpy(random.choice(n_items, negatives, replace=False))
    raised = float(np.log((n_items - 1) / negatives))
    others = state @ functional.embedding(drawn, net.items).T + (net.bias[drawn] + raised)
    others = others.masked_fill(drawn[None, :] == right[:, None], _NEVER)
    own = (state * functional.embedding(right, net.items)).sum(1) + net.bias[right]
    loss: Tensor = (torch.logaddexp(torch.logsumexp(others, 1), own) - own).mean()
    return loss


def _steps(
    sequences: Sequence[Items], moments: Sequence[NDArray[np.int64]], plan: Plan, random: np.random.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """(item rows, the item after each or -1), int64 (many, at most length)."""
    for users in _batches(sequences, plan, random):
        windows = [_window(sequences[user], moments[user], plan.length, random) for user in users]
        longest = max(len(each) for each in windows) - 1
        rows = np.zeros((len(users), longest), dtype=np.int64)
        wanted = np.full((len(users), longest), -1, dtype=np.int64)
        for at, each in enumerate(windows):
            rows[at, : len(each) - 1] = each[:-1]
            wanted[at, : len(each) - 1] = each[1:]
        yield torch.from_numpy(rows), torch.from_numpy(wanted)


def _window(sequence: Items, moment: NDArray[np.int64], length: int, random: np.random.Generator) -> Items:
    """At most length + 1 items: the last, or every other time any. What one moment holds is put in a drawn order."""
    begin = max(len(sequence) - length - 1, 0)
    if begin and random.random() < 0.5:
        begin = int(random.integers(begin + 1))
    cut = slice(begin, begin + length + 1)
    order = np.lexsort((random.random(len(sequence[cut])), moment[cut]))
    return sequence[cut][order]


def _batches(sequences: Sequence[Items], plan: Plan, random: np.random.Generator) -> list[list[int]]:
    """Users by step: about `tokens` places in each, padding included."""
    size = np.minimum([len(each) - 1 for each in sequences], plan.length)
    batches, current = list[list[int]](), list[int]()
    for user in np.argsort(size + random.uniform(-_BLOCK_ITEMS, _BLOCK_ITEMS, len(size)) / 2).tolist():
        longest = max(int(size[each]) for each in [*current, user])
        if current and longest * (len(current) + 1) > plan.tokens:
            batches.append(current)
            current = []
        current.append(user)
    if current:
        batches.append(current)
    return [batches[at] for at in random.permutation(len(batches))]


def _pace(step: int, steps: int) -> float:
    """Share of the learning rate: up within the first steps, then down along a cosine."""
    up = min(1.0, (step + 1) / min(200, max(steps // 10, 1)))
    return float(up * (0.02 + 0.49 * (1 + np.cos(np.pi * step / steps))))


def _popularity(sequences: Sequence[Items], n_items: int) -> NDArray[np.float32]:
    """Where the bias begins: half the logarithm of how often an item comes, over the average."""
    count = np.bincount(np.concatenate([*sequences, np.empty(0, dtype=np.int64)]).astype(np.int64), minlength=n_items)
    result: NDArray[np.float32] = (0.5 * np.log((count + 1) * n_items / (count + 1).sum())).astype(np.float32)
    return result


def _pair(norm: nn.LayerNorm) -> Tensor:
    return torch.stack([norm.weight, norm.bias])
