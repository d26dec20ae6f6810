"""What a net is told of the tensors that it will be given."""

from __future__ import annotations

from dataclasses import dataclass

LEVELS = 9
OUTPUTS = LEVELS + 1
"""Columns of a net's answer: the nine levels of core.records.QUANTILES in their order, then the mean."""


@dataclass(frozen=True)
class Sizes:
    """`lookback` L steps of the past, a multiple of `patch` (7 by day, 4 by week); `horizon` H steps to say; channels
    of the `past` and the `future`; `static` the number of codes of each static column, of which 0 is "unknown"."""

    lookback: int
    horizon: int
    past: int
    future: int
    static: tuple[int, ...]
    width: int
    season: int
    patch: int
    dropout: float
