"""The towers as they learn, in torch. What serves does the same in numpy (`model.towered`).

A tower: the weighed sum of the vectors of a text's features (`table`, shared by both sides, so that what stands in both
texts draws them together before anything is learned), numbers beside it, then two layers and a straight way past them.
Neither a ReLU nor dropout stands at its end. How words agree is given, and the towers learn what that leaves open.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from torch import Tensor, nn
from torch.nn import functional

from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import Report
from shopkeeper.learning.one_thread import one_thread
from shopkeeper.recommend.matching.drawing import Batch, Drawing
from shopkeeper.recommend.matching.lexical import MEASURES
from shopkeeper.recommend.matching.model import Arrays, Ready
from shopkeeper.recommend.matching.text import Floats
from shopkeeper.recommend.recall.sequence_adam import Adam

Grade = Callable[[Arrays, float], float]
Words = Callable[[NDArray[Any], NDArray[Any]], Floats]
"""(query rows, document rows) -> (pairs, measures)."""
_DIVERGED = "the training diverged: its loss is no number; lower learning_rate"
_EPS = 1e-6
_NEVER = -1e4
_LABELLED = 2.0
"""What the loss of labelled pairs counts beside that of the softmax."""


@dataclass(frozen=True)
class Plan:
    wide: int
    narrow: int
    dimensions: int
    shared: bool
    dropout: float
    temperature: float
    epochs: int
    patience: int
    minutes: float
    learning_rate: float


class Tower(nn.Module):
    def __init__(self, numbers: int, plan: Plan) -> None:
        super().__init__()
        wide, narrow, out = plan.wide, plan.narrow, plan.dimensions
        self.gain = nn.Parameter(torch.tensor(math.sqrt(wide)))
        self.numbers = nn.Parameter(torch.randn(numbers, wide) / math.sqrt(max(numbers, 1)))
        self.first_bias = nn.Parameter(torch.zeros(wide))
        self.second = nn.Parameter(torch.randn(wide, narrow) * math.sqrt(2 / wide))
        self.second_bias = nn.Parameter(torch.zeros(narrow))
        self.out = nn.Parameter(torch.randn(narrow, out) * math.sqrt(0.1 / narrow))
        self.out_bias = nn.Parameter(torch.zeros(out))
        self.past = nn.Parameter(torch.empty(wide, out))
        nn.init.orthogonal_(self.past)
        self._dropout = plan.dropout

    def forward(self, summed: Tensor, numbers: Tensor) -> Tensor:
        """(b, wide), (b, numbers) -> (b, d) of length 1."""
        first = summed * self.gain
        if numbers.shape[1]:
            first = first + numbers @ self.numbers
        hidden = functional.dropout(functional.relu(first + self.first_bias), self._dropout, self.training)
        hidden = functional.relu(hidden @ self.second + self.second_bias)
        out = hidden @ self.out + self.out_bias + first @ self.past
        vectors: Tensor = out / out.norm(dim=1, keepdim=True).clamp_min(_EPS)
        return vectors


class Net(nn.Module):
    def __init__(self, buckets: int, query_numbers: int, doc_numbers: int, plan: Plan) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(buckets, plan.wide) / math.sqrt(plan.wide))
        self.query = Tower(query_numbers, plan)
        self.doc = self.query if plan.shared else Tower(doc_numbers, plan)
        if not plan.shared:
            with torch.no_grad():  # both sides begin alike: like texts lie near each other from the first step on
                self.doc.past.copy_(self.query.past)
        self.scale = nn.Parameter(torch.tensor(2.0))
        self.offset = nn.Parameter(torch.tensor(0.0))
        self.word_weights = nn.Parameter(torch.zeros(len(MEASURES)), requires_grad=False)

    def arrays(self) -> Arrays:
        """By the names that `model.towered` reads; float32, the table as float16."""
        found: Arrays = {"table": _numpy(self.table).astype(np.float16)}
        for side, tower in (("query", self.query), ("doc", self.doc)):
            if side == "query" or self.doc is not self.query:
                found |= {f"{side}_{name}": _numpy(value) for name, value in tower.named_parameters()}
        return found | {name: _numpy(getattr(self, name)) for name in ("scale", "offset", "word_weights")}


def learn(
    sides: tuple[Ready, Ready],
    drawing: Drawing,
    words: Words | None,
    begin: Floats,
    plan: Plan,
    seed: int,
    grade: Grade,
    report: Report,
) -> tuple[Arrays, int]:
    """(arrays of the best pass, its number; 0: what it began with). `grade` tells how good a state is (also by the
    pass's loss), the higher the better; `begin`: offset and weights of the words alone. Raises
    Invalid (`diverged`), Cancelled.
    """
    queries, docs = sides
    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = Net(queries.bags.shape[1], queries.numbers.shape[1], docs.numbers.shape[1], plan)
        with torch.no_grad():
            net.offset.fill_(float(begin[0]))
            net.word_weights.copy_(torch.from_numpy(begin[1:]))
        rest = [value for name, value in net.named_parameters() if name != "table" and value.requires_grad]
        adam, rows = Adam(rest), _RowAdagrad(net.table)
        best, best_epoch, waited = net.arrays(), 0, 0
        best_grade = grade(best, math.inf)
        steps = max(plan.epochs * drawing.steps, 1)
        began, step = time.monotonic(), 0
        for epoch in range(plan.epochs):
            net.train()
            total, told = 0.0, 0
            for batch in drawing.batches():
                late = (time.monotonic() - began) / 60 / plan.minutes
                loss = _loss(net, queries, docs, batch, words, plan)
                value = float(loss.detach())
                if not math.isfinite(value):
                    raise Invalid(_DIVERGED, code="diverged")
                loss.backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(rest, 1.0)
                pace = _pace(step, steps, late)
                adam.step(plan.learning_rate * pace)
                rows.step(20 * plan.learning_rate * pace)
                step, total, told = step + 1, total + value, told + 1
                if late >= 1:
                    break
            net.eval()
            arrays = net.arrays()
            if not all(np.isfinite(value).all() for value in arrays.values()):
                raise Invalid(_DIVERGED, code="diverged")
            mean = total / max(told, 1)
            found = grade(arrays, mean)
            waited += 1
            if found > best_grade:
                best, best_grade, best_epoch, waited = arrays, found, epoch + 1, 0
            report(epoch + 1, plan.epochs, {"loss": mean, "grade": found}, message="learning to match", epoch=True)
            if waited >= plan.patience or (time.monotonic() - began) / 60 >= plan.minutes:
                break
    return best, best_epoch


def _loss(net: Net, queries: Ready, docs: Ready, batch: Batch, words: Words | None, plan: Plan) -> Tensor:
    """Softmax over the documents of the batch, what is often right counting less by its frequency (logQ); logistic loss
    of pairs that are labelled; and where a query has wrong documents of its own, softmax over these."""
    left = net.query(_summed(net, queries.bags, batch.queries, plan.dropout), _rows(queries.numbers, batch.queries))
    right = net.doc(_summed(net, docs.bags, batch.docs, plan.dropout), _rows(docs.numbers, batch.docs))
    one, other = torch.from_numpy(batch.pair_query), torch.from_numpy(batch.pair_doc)
    rights = len(batch.masked)
    cosine = left[one[:rights]] @ right.T / plan.temperature - torch.from_numpy(batch.often)
    loss = functional.cross_entropy(cosine.masked_fill(torch.from_numpy(batch.masked), _NEVER), other[:rights])
    logits = (left[one] * right[other]).sum(1) * net.scale + net.offset
    if words is not None:
        said = words(batch.queries[batch.pair_query], batch.docs[batch.pair_doc])
        logits = logits + torch.from_numpy(said) @ net.word_weights
    weight = torch.from_numpy(batch.weight)
    each = functional.binary_cross_entropy_with_logits(logits, torch.from_numpy(batch.label), reduction="none")
    loss = loss + _LABELLED * (each * weight).sum() / weight.sum()
    if len(batch.lists):
        lists = torch.from_numpy(batch.lists)
        among = torch.where(lists >= 0, logits[lists.clamp_min(0)], torch.tensor(_NEVER))
        loss = loss + functional.cross_entropy(among, torch.zeros(len(lists), dtype=torch.int64))
    return loss


def _summed(net: Net, bags: csr_matrix, rows: NDArray[np.int64], dropout: float) -> Tensor:
    """(b, wide); while learning some features are left out."""
    some = bags[rows]
    weight = torch.from_numpy(some.data)
    if net.training and dropout:
        weight = functional.dropout(weight, dropout)
    summed: Tensor = functional.embedding_bag(
        torch.from_numpy(some.indices.astype(np.int64)),
        net.table,
        torch.from_numpy(some.indptr[:-1].astype(np.int64)),
        mode="sum",
        per_sample_weights=weight,
        sparse=True,
    )
    return summed


def _rows(values: Floats, rows: NDArray[np.int64]) -> Tensor:
    return torch.from_numpy(values[rows])


class _RowAdagrad:
    """Adagrad with one number a row, for rows that a step touched only: a step of Adam over the whole table would take
    longer than all the rest."""

    def __init__(self, table: nn.Parameter) -> None:
        self._table = table
        self._seen = torch.zeros(len(table))

    @torch.no_grad()
    def step(self, rate: float) -> None:
        if self._table.grad is None:
            return
        gradient = self._table.grad.coalesce()
        rows, values = gradient.indices()[0], gradient.values()
        self._seen.index_add_(0, rows, values.square().sum(1))
        size = rate / math.sqrt(values.shape[1]) / (self._seen[rows].sqrt() + 1e-8)
        self._table.index_add_(0, rows, -values * size[:, None])
        self._table.grad = None


def _pace(step: int, steps: int, late: float) -> float:
    """Up within the first steps, then down to a tenth by the passes or the minutes that are gone: these once
    a tenth of them is, so that two fits with time enough are the same to the bit."""
    late = late if late > 0.1 else 0.0
    up = min(1.0, (step + 1) / min(50, max(steps // 10, 1)))
    return up * (1 - 0.9 * min(max(step / steps, late), 1.0))


def _numpy(tensor: Tensor) -> NDArray[np.float32]:
    found: NDArray[np.float32] = tensor.detach().numpy().copy()
    return found
