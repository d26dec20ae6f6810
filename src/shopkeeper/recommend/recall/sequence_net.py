"""How the sequence model learns: the same layers in torch, and one pass after another over the users' sequences."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from shopkeeper.core.protocols import Report
from shopkeeper.recommend.recall.sequence_adam import Adam
from shopkeeper.recommend.recall.sequence_loss import loss_of, shares
from shopkeeper.recommend.recall.sequence_start import counts, item_vectors, popularity

Items = NDArray[np.int64]
_BLOCK_ITEMS = 16
"""Sequences are put together with others of about their length, so that little of a step is padding."""


@dataclass(frozen=True)
class Plan:
    width: int
    blocks: int
    heads: int
    length: int
    dropout: float
    epochs: int
    minutes: float
    tokens: int
    negatives: int
    learning_rate: float


class LeaveOut(nn.Module):
    """Dropout by bytes: a byte a number takes a fifth of the time of torch's own draw. The share is one of 256 steps.
    The same for all layers, which have no order of their own to draw in."""

    def __init__(self, share: float, seed: int) -> None:
        super().__init__()
        self._least = round(share * 256)
        self._random = np.random.Generator(np.random.SFC64(seed))

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not self._least:
            return x
        drawn = np.frombuffer(self._random.bytes(x.numel()), dtype=np.uint8).reshape(x.shape)
        return x * torch.from_numpy(drawn >= self._least).to(x.dtype).mul_(256 / (256 - self._least))


class Block(nn.Module):
    def __init__(self, plan: Plan, leave_out: LeaveOut) -> None:
        super().__init__()
        d = plan.width
        self.heads, self.leave_out = plan.heads, leave_out
        self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.qkv, self.out = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.up, self.down = nn.Linear(d, 2 * d), nn.Linear(2 * d, d)

    def forward(self, x: Tensor) -> Tensor:
        many, length, d = x.shape
        parts = self.qkv(self.norm1(x)).view(many, length, 3, self.heads, d // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        heard = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        heard = self.out(heard.transpose(1, 2).reshape(many, length, d))
        x = x + self.leave_out(heard)
        inner = functional.gelu(self.up(self.norm2(x)), approximate="tanh")
        result: Tensor = x + self.leave_out(self.down(inner))
        return result


class Net(nn.Module):
    """Padding stands behind a sequence, where the causal attention of what counts never looks."""

    def __init__(self, plan: Plan, n_items: int, seed: int = 0) -> None:
        super().__init__()
        d = plan.width
        self.scale, self.leave_out = d**0.5 / 2, LeaveOut(plan.dropout, seed)
        self.items = nn.Parameter(torch.zeros(n_items, d))
        self.places = nn.Parameter(torch.randn(plan.length, d) * 0.02)
        self.bias = nn.Parameter(torch.zeros(n_items))
        self.blocks = nn.ModuleList(Block(plan, self.leave_out) for _ in range(plan.blocks))
        self.norm = nn.LayerNorm(d)

    def forward(self, rows: Tensor) -> Tensor:
        """State (many, length, d) after each place of item rows (many, length)."""
        x = functional.embedding(rows, self.items) * self.scale + self.places[: rows.shape[1]]
        x = self.leave_out(x)
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
    pass draws one. `plan.minutes` are those of the wall; a training that they end is not repeatable to the bit."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        random = np.random.default_rng(seed)
        net = Net(plan, n_items, seed)
        with torch.no_grad():
            net.items.copy_(torch.from_numpy(item_vectors(sequences, n_items, plan.width, random)))
            net.bias.copy_(torch.from_numpy(popularity(sequences, n_items)))
        drawing = shares(counts(sequences, n_items), plan.negatives)
        adam = Adam(net.parameters())
        steps = max(len(_batches(sequences, plan, random)) * plan.epochs, 1)
        step, began = 0, time.monotonic()
        for epoch in range(plan.epochs):
            total, places = 0.0, 0
            for rows, wanted in _steps(sequences, moments, plan, random):
                late = (time.monotonic() - began) / 60 / plan.minutes
                if late >= 1:
                    break
                counting = wanted >= 0
                loss = loss_of(net(rows)[counting], wanted[counting], net.items, net.bias, drawing, random)
                loss.backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(net.parameters(), 1.0)
                adam.step(plan.learning_rate * pace(step, steps, late))
                step += 1
                count = int(counting.sum())
                total, places = total + float(loss.detach()) * count, places + count
            if sequences and not places:
                report(epoch, plan.epochs, message=f"learning sequences ended after {plan.minutes:g} minutes")
                break
            told = {"loss": total / max(places, 1)}
            report(epoch + 1, plan.epochs, told, message="learning sequences", epoch=True)
        return net.arrays()


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


def pace(step: int, steps: int, late: float) -> float:
    """Share of the learning rate: up within the first steps, then down along a cosine of what is gone of the passes or
    of the time (`late`), whichever ends first: what is cut short has come to rest, too. Time counts once a tenth
    of it is gone: two fits with time enough are the same to the bit."""
    late = late if late > 0.1 else 0.0
    up = min(1.0, (step + 1) / min(200, max(steps // 10, 1)))
    gone = min(max(step / steps, late), 1.0)
    return float(up * (0.02 + 0.49 * (1 + np.cos(np.pi * gone))))


def _pair(norm: nn.LayerNorm) -> Tensor:
    return torch.stack([norm.weight, norm.bias])
