"""What the last number of a task means, and how far off it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper.recommend.multitask.tasks import Task

Law: TypeAlias = Literal["chance", "amount", "signed"]
"""chance: 0 or 1. amount: never below 0, often 0, with a long tail; its mean is the exponential of what the net says.
signed: any number."""


class Head(msgspec.Struct, kw_only=True, frozen=True):
    """One task as it was learned. `mean` and `scale` are those of its labels: the rate of a chance, the mean and the
    spread of an amount. `naive` is the loss of always saying the mean, by which a task's loss is divided: so all tasks
    begin at 1, whatever they are measured in. `most` is the largest label."""

    name: str
    column: str
    law: Law
    mean: float
    scale: float
    most: float
    naive: float


def fit_heads(tasks: Sequence[Task], labels: NDArray[np.float32], weight: NDArray[np.float32]) -> tuple[Head, ...]:
    """By labels (n, t), NaN where not known, and weights (n,), of the rows to learn from."""
    return tuple(_head(task, labels[:, at].astype(np.float64), weight) for at, task in enumerate(tasks))


def _head(task: Task, label: NDArray[np.float64], weight: NDArray[np.float32]) -> Head:
    known = np.isfinite(label) & (weight > 0)
    y, w = label[known], weight[known].astype(np.float64)
    mean, most = float(np.average(y, weights=w)), float(y.max())
    scale = math.sqrt(float(np.average((y - mean) ** 2, weights=w))) or 1.0
    if task.kind == "binary":
        law: Law = "chance"
        naive = -(mean * math.log(mean) + (1 - mean) * math.log1p(-mean))
    elif y.min() >= 0:
        law = "amount"
        share = np.maximum(y / mean, 1e-12)
        naive = float(np.average(share * np.log(share) - share + 1, weights=w))
    else:
        law, naive = "signed", 1.0
    return Head(name=task.name, column=task.column, law=law, mean=mean, scale=scale, most=most, naive=max(naive, 1e-6))
