"""The mixture in torch: what a row is to each task is a blend of experts of its own.

    row -> inputs -> E experts (n, E, d) -> for each task a softmax over the experts -> its tower -> one number

References: Ma, Zhao, Yi, Chen, Hong, Chi, "Modeling task relationships in multi-task learning with multi-gate
mixture-of-experts", KDD 2018.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from shopkeeper.recommend.multitask.heads import Head
from shopkeeper.recommend.multitask.inputs import Inputs

_FARTHEST = 5.0


@dataclass(frozen=True)
class Plan:
    experts: int
    expert_layers: tuple[int, ...]
    tower_layers: tuple[int, ...]
    embedding: int
    dropout: float


class Reading(nn.Module):
    """Rows (n, f) as `Inputs` reads them -> (n, width)."""

    numeric: Tensor
    mean: Tensor
    scale: Tensor
    owner: Tensor
    low: Tensor
    span: Tensor
    codes: Tensor
    sizes: Tensor
    begins: Tensor

    def __init__(self, inputs: Inputs, embedding: int) -> None:
        super().__init__()
        for name in ("numeric", "mean", "scale", "owner", "low", "span", "codes", "sizes"):
            self.register_buffer(name, torch.from_numpy(getattr(inputs, name)))
        begins = torch.from_numpy(inputs.sizes).cumsum(0) - torch.from_numpy(inputs.sizes)
        self.register_buffer("begins", begins)
        self.has_numbers, self.has_spans = bool(len(inputs.numeric)), bool(len(inputs.owner))
        self.has_codes = bool(len(inputs.codes))
        self.words = nn.Embedding(max(int(inputs.sizes.sum()), 1), embedding)
        nn.init.normal_(self.words.weight, std=0.05)

    def forward(self, rows: Tensor) -> Tensor:
        parts = list[Tensor]()
        if self.has_numbers:
            numbers = rows[:, self.numeric]
            gone = torch.isnan(numbers)
            filled = torch.where(gone, self.mean.expand_as(numbers), numbers)
            there = 1.0 - gone.to(rows.dtype)
            parts += [((filled - self.mean) / self.scale).clamp(-_FARTHEST, _FARTHEST), 1.0 - there]
            if self.has_spans:
                spans = ((filled[:, self.owner] - self.low) / self.span).clamp(0.0, 1.0)
                parts.append(spans * there[:, self.owner])
        if self.has_codes:
            codes = rows[:, self.codes].to(torch.int64).clamp(min=0)
            codes = torch.minimum(codes, self.sizes - 1) + self.begins
            parts.append(self.words(codes).flatten(1))
        return torch.cat(parts, dim=1)


class Bank(nn.Module):
    """A layer for each of `many` members side by side: (many, n, inputs) -> (many, n, outputs)."""

    def __init__(self, many: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(many, inputs, outputs) * (2.0 / inputs) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(many, 1, outputs))

    def forward(self, x: Tensor) -> Tensor:
        return torch.matmul(x, self.weight) + self.bias


class Net(nn.Module):
    def __init__(self, plan: Plan, inputs: Inputs, heads: Sequence[Head]) -> None:
        super().__init__()
        self.plan, self.tasks = plan, len(heads)
        self.reading = Reading(inputs, plan.embedding)
        width, first = inputs.width(plan.embedding), plan.expert_layers[0]
        self.entry = nn.Linear(width, plan.experts * first)
        nn.init.kaiming_normal_(self.entry.weight, nonlinearity="relu")
        self.gates = nn.Linear(width, self.tasks * plan.experts)
        nn.init.normal_(self.gates.weight, std=0.01)
        self.experts = _stack(plan.experts, plan.expert_layers)
        self.towers = _stack(self.tasks, (plan.expert_layers[-1], *plan.tower_layers))
        self.last = Bank(self.tasks, plan.tower_layers[-1], 1)
        with torch.no_grad():
            self.last.weight.mul_(0.3)
            self.last.bias.copy_(torch.tensor([_start(head) for head in heads]).view(-1, 1, 1))
        self.leave_out = nn.Dropout(plan.dropout)

    def forward(self, rows: Tensor) -> Tensor:
        """(n, f), NaN where missing -> (n, t): the logit of a chance, the logarithm of an amount over its mean, or how
        many spreads a signed one lies above it."""
        x = self.reading(rows)
        many = self.plan.experts
        hidden = functional.relu(self.entry(x)).view(-1, many, self.plan.expert_layers[0]).transpose(0, 1)
        for layer in self.experts:
            hidden = functional.relu(layer(self.leave_out(hidden)))
        share = self.gates(x).view(-1, self.tasks, many).softmax(dim=2)
        told = torch.matmul(share, hidden.transpose(0, 1)).transpose(0, 1)
        for layer in self.towers:
            told = functional.relu(layer(self.leave_out(told)))
        result: Tensor = self.last(told).squeeze(2).transpose(0, 1)
        return result


class Answer(nn.Module):
    """What the net says in the units of the tasks: chances, and amounts at most as large as any that was learned."""

    chance: Tensor
    amount: Tensor
    mean: Tensor
    scale: Tensor
    most: Tensor
    top: Tensor

    def __init__(self, net: Net, heads: Sequence[Head]) -> None:
        super().__init__()
        self.net = net
        for name, law in (("chance", "chance"), ("amount", "amount")):
            self.register_buffer(name, torch.tensor([head.law == law for head in heads]))
        for name in ("mean", "scale", "most"):
            self.register_buffer(name, torch.tensor([getattr(head, name) for head in heads]))
        top = [float(torch.log(torch.tensor(head.most / head.mean))) if head.law == "amount" else 0.0 for head in heads]
        self.register_buffer("top", torch.tensor(top))

    def forward(self, rows: Tensor) -> Tensor:
        said = self.net(rows)
        amount = self.mean * torch.exp(torch.minimum(said, self.top.expand_as(said)))
        signed = self.mean + self.scale * said
        result: Tensor = torch.where(self.chance, torch.sigmoid(said), torch.where(self.amount, amount, signed))
        return result


def losses(said: Tensor, wanted: Tensor, weight: Tensor, heads: Sequence[Head]) -> Tensor:
    """(t,) each task's loss in units of its naive one, over the rows that know it. `said`, `wanted` (n, t), `weight`
    (n,); cross entropy for a chance, the deviance of Poisson for an amount (its mean is met whatever its spread), half
    the squared distance for a signed one."""
    found = []
    for at, head in enumerate(heads):
        known = torch.isfinite(wanted[:, at])
        y, z = torch.where(known, wanted[:, at], torch.zeros_like(wanted[:, at])), said[:, at]
        if head.law == "chance":
            loss = functional.binary_cross_entropy_with_logits(z, y, reduction="none")
        elif head.law == "amount":
            share = y / head.mean
            loss = torch.exp(z.clamp(max=20.0)) - share * z - share + torch.xlogy(share, share)
        else:
            loss = ((y - head.mean) / head.scale - z).square()
        counts = weight * known
        found.append((loss * counts).sum() / counts.sum().clamp(min=1e-9) / head.naive)
    return torch.stack(found)


def graph_of(answer: Answer, columns: int) -> bytes:
    """Rows (n, columns) -> answers (n, t) as an ONNX graph."""
    written = BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            answer.eval(),
            (torch.zeros(2, columns),),
            written,  # type: ignore[arg-type]  # takes a file too
            dynamo=False,
            opset_version=17,
            input_names=["rows"],
            output_names=["answers"],
            dynamic_axes={"rows": {0: "n"}, "answers": {0: "n"}},
        )
    return written.getvalue()


def _stack(many: int, layers: Sequence[int]) -> nn.ModuleList:
    return nn.ModuleList(Bank(many, *pair) for pair in pairwise(layers))


def _start(head: Head) -> float:
    """What is said before anything was learned: the mean."""
    if head.law != "chance":
        return 0.0
    return float(torch.logit(torch.tensor(head.mean), eps=1e-6))
