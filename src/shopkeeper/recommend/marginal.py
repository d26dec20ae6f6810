"""What each channel is good for: how much of what people took it finds, alone, and beside the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopkeeper.recommend.candidates import Quota, fuse


@dataclass(frozen=True)
class Question:
    """One question of the past: what each channel gave, float32 (n_items,), and what was taken then; `allowed` bool
    (n_items,) what might appear, None: anything."""

    scores: Mapping[str, NDArray[np.float32]]
    taken: NDArray[np.int32]
    allowed: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class Share:
    """Of what was taken, mean over the questions: what the channel names within its quota (`alone`), what nobody else
    names (`only`), and what the fused list of `k` loses without it (`marginal`, may be negative)."""

    channel: str
    alone: float
    only: float
    marginal: float


def marginal_recall(questions: Sequence[Question], quotas: Sequence[Quota], k: int) -> tuple[float, list[Share]]:
    """(recall@k of all channels fused, the share of each), over the questions of which something was taken."""
    asked = [question for question in questions if len(question.taken)]
    whole = [_recall(_fused(question, quotas, k), question.taken) for question in asked]
    shares = []
    for quota in quotas:
        rest = [each for each in quotas if each is not quota]
        alone, only, without = [], [], []
        for question in asked:
            mine = np.isin(question.taken, _fused(question, [quota], quota.quota))
            others = np.isin(question.taken, _fused(question, rest, sum(each.quota for each in rest)))
            alone.append(mine.mean())
            only.append((mine & ~others).mean())
            without.append(_recall(_fused(question, rest, k), question.taken))
        shares.append(Share(quota.channel, _mean(alone), _mean(only), _mean(whole) - _mean(without)))
    return _mean(whole), shares


def _fused(question: Question, quotas: Sequence[Quota], k: int) -> NDArray[np.int32]:
    names = {quota.channel for quota in quotas}
    scores = {name: values for name, values in question.scores.items() if name in names}
    return fuse(scores, quotas, question.allowed, k).items


def _recall(found: NDArray[np.int32], taken: NDArray[np.int32]) -> float:
    return float(np.isin(taken, found).mean())


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
