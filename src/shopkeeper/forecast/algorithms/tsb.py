"""TSB: the chance of a sale and the pieces of a sale, each smoothed (Teunter, Syntetos and Babai 2011).

The chance falls with every step without a sale, so what has stopped selling is soon expected to sell nothing.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper.forecast.statistics.local import LocalModel, LocalParams, LocalTrainer

Floats = NDArray[np.float64]
CHANCES = np.array([0.01, 0.02, 0.05, 0.1, 0.2])
PIECES = np.array([0.02, 0.05, 0.1, 0.2])
_FIRST = 28


class TsbModel(LocalModel):
    def means(self, observed: Floats, index: Floats, at: NDArray[np.int64], ahead: NDArray[np.int64]) -> Floats:
        chance, pieces = self.facts["alpha_chance"], self.facts["alpha_pieces"]
        chances = np.array([chance]) if chance else CHANCES
        sizes = np.array([pieces]) if pieces else PIECES
        return rate(observed, index[:, at], chances, sizes)[:, None] * index[:, ahead]


class Tsb(LocalTrainer):
    name: ClassVar[str] = "tsb"
    description: ClassVar[str] = "Chance of a sale x pieces of a sale; forgets what has stopped selling"
    tags: ClassVar[tuple[str, ...]] = ("statistics", "local", "fast", "intermittent")
    model: ClassVar[type[LocalModel]] = TsbModel

    class Params(LocalParams, kw_only=True, forbid_unknown_fields=True):
        alpha_chance: Annotated[
            float, msgspec.Meta(ge=0, le=1, description="smoothing of the chance; 0: each product's best")
        ] = 0.0
        alpha_pieces: Annotated[
            float, msgspec.Meta(ge=0, le=1, description="smoothing of the pieces; 0: each product's best")
        ] = 0.0


def rate(observed: Floats, index: Floats, chances: Floats, sizes: Floats) -> Floats:
    """(n,) pieces a step of series (n, d), NaN where nothing was seen; `index` (n, d) is the season of each step.

    Of all pairs of smoothings the one whose rate was least wrong one step ahead, squared. The chance begins with that
    of the first four weeks, the pieces with the first sale.
    """
    n, d = observed.shape
    sells = observed > 0
    first = np.where(sells.any(axis=1), sells.argmax(axis=1), d)
    early = (np.arange(d)[None, :] >= first[:, None]) & (np.arange(d)[None, :] < first[:, None] + _FIRST)
    known = (np.isfinite(observed) & early).sum(axis=1)
    start = (sells & early).sum(axis=1) / np.maximum(known, 1)
    chance = np.repeat(start[:, None], len(chances), axis=1)
    begun = np.zeros((n, 1), dtype=np.bool_)
    pieces = np.zeros((n, len(sizes)))
    loss = np.zeros((n, len(chances), len(sizes)))
    for step in range(int(first.min(initial=d)), d):
        now, seen, sold = observed[:, step, None], np.isfinite(observed[:, step, None]), sells[:, step, None]
        counted = seen & begun
        said = chance[:, :, None] * pieces[:, None, :] * index[:, step, None, None]
        error = np.where(counted[:, :, None], now[:, :, None] - said, 0.0)
        loss += error * error
        now = now / index[:, step, None]
        chance = np.where(counted, chance + chances * (sold - chance), chance)
        pieces = np.where(sold & ~begun, now, np.where(sold, pieces + sizes * (now - pieces), pieces))
        begun |= sold
    best = loss.reshape(n, -1).argmin(axis=1)[:, None]
    return np.take_along_axis((chance[:, :, None] * pieces[:, None, :]).reshape(n, -1), best, axis=1)[:, 0]
