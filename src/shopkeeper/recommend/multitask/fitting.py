"""How the mixture learns: AdamW over drawn batches, each task's loss by its own measure, the best state kept.

Every loss is told in units of the naive one of its task, and weighted by what is left of it, which is learned too
(homoscedastic uncertainty: Kendall, Gal, Cipolla, CVPR 2018). What serves is the running mean of the weights, as it was
after the pass that did best on the rows to stop by.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import Report
from shopkeeper.recommend.multitask.heads import Head
from shopkeeper.recommend.multitask.net import Net, losses

_DIVERGED = "the training diverged: its loss is no number any more; lower learning_rate"
_AVERAGE = 0.999
_ASKED = 8192
_LEAST = 1e-6


@dataclass(frozen=True)
class Pace:
    epochs: int
    batch: int
    learning_rate: float
    weight_decay: float
    patience: int
    minutes: float
    uncertainty: bool


@dataclass(frozen=True)
class Part:
    """Rows (n, f), labels (n, t), weights (n,)."""

    rows: Tensor
    labels: Tensor
    weight: Tensor

    @classmethod
    def of(cls, *columns: NDArray[np.float32]) -> Part:
        return cls(*(torch.from_numpy(np.ascontiguousarray(one)) for one in columns))

    def __len__(self) -> int:
        return len(self.rows)


def learn(net: Net, heads: Sequence[Head], taught: Part, check: Part, pace: Pace, seed: int, report: Report) -> int:
    """The net is then in its best state; the number of the pass that made it. A training that `minutes` end is not
    repeatable to the bit. Raises Invalid (`diverged`), Cancelled."""
    random = torch.Generator().manual_seed(seed)
    doubt = nn.Parameter(torch.zeros(len(heads)))
    optimiser = torch.optim.AdamW(
        [
            {"params": list(net.parameters()), "weight_decay": pace.weight_decay},
            {"params": [doubt], "weight_decay": 0.0},
        ],
        lr=pace.learning_rate,
    )
    mean = {name: value.detach().clone() for name, value in net.named_parameters()}
    best, best_loss, best_epoch, waited, step, began = dict(mean), math.inf, 0, 0, 0, time.monotonic()
    batches = max(math.ceil(len(taught) / pace.batch), 1)
    for epoch in range(pace.epochs):
        net.train()
        total, done, late = 0.0, 0, False
        order = torch.randperm(len(taught), generator=random)
        for at in range(batches):
            if at % 50 == 0:
                report(epoch * batches + at, pace.epochs * batches, message="learning")
            places = order[at * pace.batch : (at + 1) * pace.batch]
            told = losses(net(taught.rows[places]), taught.labels[places], taught.weight[places], heads)
            loss = (torch.exp(-doubt) * told + doubt).sum() if pace.uncertainty else told.sum()
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_([*net.parameters(), doubt], 5.0)
            optimiser.step()
            step += 1
            total, done = total + float(told.detach().mean()), done + 1
            if not math.isfinite(total):
                raise Invalid(_DIVERGED, code="diverged")
            _follow(mean, net, min(_AVERAGE, (1 + step) / (10 + step)))
            late = (time.monotonic() - began) / 60 >= pace.minutes
            if late:
                break
        tested = asked(net, mean, check, heads)
        if not np.isfinite(tested).all():
            raise Invalid(_DIVERGED, code="diverged")
        value = float(np.log(np.maximum(tested, _LEAST)).mean())
        metrics = {"loss": total / done, "val_loss": float(tested.mean())}
        metrics |= {f"val_{head.name}": float(one) for head, one in zip(heads, tested, strict=True)}
        report(epoch + 1, pace.epochs, metrics, message="learning", epoch=True)
        waited += 1
        if value < best_loss:
            best, best_loss, best_epoch, waited = {k: v.clone() for k, v in mean.items()}, value, epoch + 1, 0
        if waited >= pace.patience or late:
            break
    _put(net, best)
    net.eval()
    return best_epoch


def asked(net: Net, weights: dict[str, Tensor], part: Part, heads: Sequence[Head]) -> NDArray[np.float64]:
    """(t,) the losses of `weights` on a part, in units of the naive ones; the net's own weights are put back."""
    own = {name: value.detach().clone() for name, value in net.named_parameters()}
    _put(net, weights)
    net.eval()
    with torch.no_grad():
        said = torch.cat([net(part.rows[at : at + _ASKED]) for at in range(0, len(part), _ASKED)])
        found: NDArray[np.float64] = losses(said, part.labels, part.weight, heads).double().numpy()
    _put(net, own)
    return found


def _follow(mean: dict[str, Tensor], net: Net, keep: float) -> None:
    for name, value in net.named_parameters():
        mean[name].lerp_(value.detach(), 1 - keep)


def _put(net: Net, weights: dict[str, Tensor]) -> None:
    with torch.no_grad():
        for name, value in net.named_parameters():
            value.copy_(weights[name])
