"""Learning the fusion by mini-batches of Adam, in float32. Here alone torch is used; what comes out is numpy.

The learned side begins as the logistic regression of its inputs, so that a training of few steps is one already.

The loss is the log-loss of the fused score, and beside it a share of each side's own, so that either can answer alone.
A part of the rows of each batch is shown as never seen (gate 1): what the rules say of a stranger is learned on
customers whose orders are known.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Unavailable
from shopkeeper.core.protocols import Report
from shopkeeper.learning.one_thread import one_thread
from shopkeeper.learning.torch_needed import without_torch
from shopkeeper.profiles.fusion.calibration import calibration
from shopkeeper.profiles.fusion.model import SUMMARY, FusionInputs, Net, sigmoid
from shopkeeper.quality.classification import logloss

if TYPE_CHECKING:
    import torch

NEEDS_TORCH = without_torch("the algorithm fusion needs")
HIDDEN = 64
_ALONE = 0.3
_UNSEEN = 0.1
_DROPPED = 0.2
_PATIENCE = 10
_RIDGE, _NEWTON = 300.0, 20
_LEANING = -1.0
"""The gate of somebody who was seen begins at about 0.3."""


@dataclass(frozen=True)
class Gated:
    """The learned numbers of `FusionModel`, the scale of the rule summary folded into the net; and how it went."""

    alpha: float
    beta: float
    w_embedding: NDArray[np.float64]
    w_activity: NDArray[np.float64]
    bias: float
    kappa: float
    net: Net
    epochs: int
    best_epoch: int
    final_loss: float


@dataclass(frozen=True)
class Pace:
    epochs: int
    batch_size: int
    learning_rate: float
    decay: float


def fit(
    train: FusionInputs,
    label: NDArray[np.float64],
    check: FusionInputs,
    check_label: NDArray[np.float64],
    pace: Pace,
    seed: int,
    report: Report,
) -> Gated:
    """`label` (n,) 0 or 1. The state of the epoch with the least log-loss on the later rows `check` is kept, their
    calibration set aside; it ends early after ten epochs without a gain. Raises Unavailable without torch."""
    torch = _torch()
    with _seeded(torch, seed):
        mean, scale = train.rules.mean(axis=0), _scale(train.rules)
        train, check, unit = _measured(train, check)
        side = np.column_stack([train.embedding, train.activity]).astype(np.float64)
        learner = _learner(torch, train, float(label.mean()), logistic(side, label, _RIDGE))
        rows, later = _tensors(torch, train, mean, scale), _tensors(torch, check, mean, scale)
        wanted = torch.as_tensor(label, dtype=torch.float32)
        optimizer = torch.optim.AdamW(_groups(learner, pace.decay), lr=pace.learning_rate)
        best, best_epoch, loss, epoch = _numbers(learner, mean, scale, unit), 0, float("nan"), 0
        best_loss = _held(torch, learner, later, check_label)
        for epoch in range(1, pace.epochs + 1):
            loss = _epoch(torch, learner, optimizer, rows, wanted, pace.batch_size)
            held = _held(torch, learner, later, check_label)
            metrics = {"loss": loss, "validation_loss": held}
            report(epoch, pace.epochs, metrics, message=f"epoch {epoch} of {pace.epochs}", epoch=True)
            if held < best_loss - 1e-5:
                best, best_loss, best_epoch = _numbers(learner, mean, scale, unit), held, epoch
            elif epoch - best_epoch >= _PATIENCE:
                break
    return Gated(**best, epochs=epoch, best_epoch=best_epoch, final_loss=loss)


def logistic(x: NDArray[np.float64], label: NDArray[np.float64], ridge: float) -> NDArray[np.float64]:
    """Weights of the columns of x (n, k), and then the bias, float64 (k + 1,): ridge logistic regression by Newton."""
    x = np.column_stack([x, np.ones(len(label))])
    penalty = np.full(x.shape[1], ridge)
    penalty[-1] = 1e-6
    weights = np.zeros(x.shape[1])
    for _ in range(_NEWTON):
        p = sigmoid(x @ weights)
        curvature = (x * (p * (1.0 - p))[:, None]).T @ x + np.diag(penalty)
        step = np.linalg.solve(curvature, x.T @ (p - label) + penalty * weights)
        weights -= step
        if np.abs(step).max() < 1e-6:
            break
    return weights


def _held(torch: Any, learner: Any, later: tuple[Any, ...], label: NDArray[np.float64]) -> float:
    """Log-loss on the later rows under their own calibration."""
    with torch.no_grad():
        said = learner(*later)[0].numpy().astype(np.float64)
    slope, shift = calibration(said, label)
    return logloss(label, sigmoid(slope * said + shift))


def _epoch(torch: Any, learner: Any, optimizer: Any, rows: tuple[Any, ...], wanted: Any, batch_size: int) -> float:
    """Mean loss of the fused score over the epoch."""
    lost = torch.nn.functional.binary_cross_entropy_with_logits
    order = torch.randperm(len(wanted))
    total = 0.0
    learner.train()
    for where in order.split(batch_size):
        score, rules, embedding, activity, seen = (column[where] for column in rows)
        seen = seen * (torch.rand(len(where)) >= _UNSEEN)
        embedding = torch.nn.functional.dropout(embedding, _DROPPED)
        fused, f_rule, f_nn = learner(score, rules, embedding, activity, seen)
        true = wanted[where]
        loss = lost(fused, true)
        total += float(loss.detach()) * len(where)
        optimizer.zero_grad()
        (loss + _ALONE * (lost(f_rule, true) + lost(f_nn, true))).backward()
        optimizer.step()
    learner.eval()
    return total / len(wanted)


def _learner(torch: Any, train: FusionInputs, rate: float, side: NDArray[np.float64]) -> Any:
    d, a = train.embedding.shape[1], train.activity.shape[1]
    begin = float(np.log(max(rate, 1e-4) / max(1.0 - rate, 1e-4)))

    class Learner(torch.nn.Module):  # type: ignore[misc]
        """Rows (n,) and (n, width) -> fused, f_rule and f_nn, each (n,)."""

        def __init__(self) -> None:
            super().__init__()
            self.alpha = torch.nn.Parameter(torch.tensor(0.5))
            self.beta = torch.nn.Parameter(torch.tensor(begin))
            self.kappa = torch.nn.Parameter(torch.tensor(1.0))
            self.w_embedding = torch.nn.Parameter(torch.tensor(side[:d], dtype=torch.float32))
            self.w_activity = torch.nn.Parameter(torch.tensor(side[d:-1], dtype=torch.float32))
            self.bias = torch.nn.Parameter(torch.tensor(float(side[-1])))
            self.hidden = torch.nn.Linear(len(SUMMARY) + d + a, HIDDEN)
            self.out = torch.nn.Linear(HIDDEN, 1)
            torch.nn.init.constant_(self.out.bias, _LEANING)

        def forward(self, score: Any, rules: Any, embedding: Any, activity: Any, seen: Any) -> tuple[Any, Any, Any]:
            f_rule = softplus(self.alpha) * score + self.beta
            f_nn = embedding @ self.w_embedding + activity @ self.w_activity + self.bias
            said = self.out(torch.relu(self.hidden(torch.cat([rules, embedding, activity], dim=1)))).squeeze(1)
            gate = 1.0 - torch.sigmoid(-said) * seen / (seen + softplus(self.kappa))
            return gate * f_rule + (1.0 - gate) * f_nn, f_rule, f_nn

    softplus = torch.nn.functional.softplus
    return Learner()


def _groups(learner: Any, decay: float) -> list[dict[str, Any]]:
    """Weights are drawn towards 0; what places the two sides (alpha, beta, bias, kappa) is not."""
    weights = [learner.w_embedding, learner.w_activity, learner.hidden.weight, learner.out.weight]
    known = {id(weight) for weight in weights}
    free = [parameter for parameter in learner.parameters() if id(parameter) not in known]
    return [{"params": weights, "weight_decay": decay}, {"params": free, "weight_decay": 0.0}]


def _measured(train: FusionInputs, check: FusionInputs) -> tuple[FusionInputs, FusionInputs, float]:
    """Both with their rule score in a unit under which it spreads by 1 at most, and the unit: of weights in the
    thousands alpha would not come down in the steps that there are."""
    unit = max(float(np.concatenate([train.score, check.score]).std()), 1.0)
    return replace(train, score=train.score / unit), replace(check, score=check.score / unit), unit


def _numbers(learner: Any, mean: NDArray[np.float64], scale: NDArray[np.float64], unit: float) -> dict[str, Any]:
    """The learned state as numpy float64, for inputs whose rule summary is not standardised nor the score in units."""
    state = {name: value.detach().numpy().astype(np.float64) for name, value in learner.state_dict().items()}
    hidden, rules = state["hidden.weight"].T.copy(), len(SUMMARY)
    hidden[:rules] /= scale[:, None]
    shift = mean @ hidden[:rules]
    net = Net(hidden, state["hidden.bias"] - shift, state["out.weight"][0].copy(), float(state["out.bias"][0]))
    return {
        "alpha": float(np.logaddexp(0.0, state["alpha"])) / unit,
        "beta": float(state["beta"]),
        "w_embedding": state["w_embedding"].copy(),
        "w_activity": state["w_activity"].copy(),
        "bias": float(state["bias"]),
        "kappa": float(np.logaddexp(0.0, state["kappa"])),
        "net": net,
    }


def _scale(values: NDArray[np.float64]) -> NDArray[np.float64]:
    spread = values.std(axis=0)
    return np.where(spread > 1e-9, spread, 1.0)


def _tensors(
    torch: Any, inputs: FusionInputs, mean: NDArray[np.float64], scale: NDArray[np.float64]
) -> tuple[torch.Tensor, ...]:
    columns = (inputs.score, (inputs.rules - mean) / scale, inputs.embedding, inputs.activity, inputs.seen)
    return tuple(torch.as_tensor(column, dtype=torch.float32) for column in columns)


@contextmanager
def _seeded(torch: Any, seed: int) -> Iterator[None]:
    """The same numbers for the same seed; the caller's own draws go on as if nothing had been.

    On one thread: sums then come in one order on every machine, and matrices so small gain nothing from more. With
    two threads on two busy cores the same sixty epochs took between 3 and 150 seconds.
    """
    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def _torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise Unavailable(NEEDS_TORCH, code="not_installed") from error
    return torch
