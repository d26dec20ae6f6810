"""What is known beside the sales: of all series alike, of each series and day, of each series for good.

Columns run over the d steps of the history and `ahead` steps of the future. Only `until` cuts: what lies after the cut
stays where its name is `known` ahead (a holiday, a planned promotion) and is forgotten where it is not (the weather).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid

HOLIDAY, PROMOTION, PRICE = "holiday", "promotion", "price"
"""Names with a meaning of their own: 1 on such a day (shared or own), share of the price taken off, price a piece."""


@dataclass(frozen=True)
class Covariates:
    """`shared` (c, d + ahead) and `own` (p, n, d + ahead) are float32, NaN where not known; `statics` (n, s) are codes
    into `static_words`, -1 for a word that is not among them. `known`: names whose future columns may be read.
    """

    shared_names: tuple[str, ...]
    shared: NDArray[np.float32]
    own_names: tuple[str, ...]
    own: NDArray[np.float32]
    static_names: tuple[str, ...]
    statics: NDArray[np.int32]
    static_words: tuple[tuple[str, ...], ...]
    known: frozenset[str]
    ahead: int = 0

    def __post_init__(self) -> None:
        columns = {self.shared.shape[1], self.own.shape[2]}
        rows = {self.own.shape[1], self.statics.shape[0]}
        named = (
            len(self.shared_names) == len(self.shared)
            and len(self.own_names) == len(self.own)
            and len(self.static_names) == len(self.static_words) == self.statics.shape[1]
        )
        if len(columns) != 1 or len(rows) != 1 or not named or self.ahead < 0:
            raise Invalid("covariates of shapes and names that do not fit together", code="bad_covariates")

    @classmethod
    def none(cls, n: int, d: int) -> Covariates:
        """Nothing is known beside the sales of n series over d steps."""
        return cls(
            (), np.empty((0, d), np.float32), (), np.empty((0, n, d), np.float32),
            (), np.empty((n, 0), np.int32), (), frozenset(),
        )  # fmt: skip

    @property
    def columns(self) -> int:
        """d: steps of the history."""
        return int(self.shared.shape[1]) - self.ahead

    def until(self, columns: int) -> Covariates:
        """As they were known `columns` steps after the beginning. Planned values of the steps behind stay."""
        ahead = int(self.shared.shape[1]) - columns
        shared, own = self.shared, self.own
        if ahead > 0:
            shared, own = shared.copy(), own.copy()
            shared[[name not in self.known for name in self.shared_names], columns:] = np.nan
            own[[name not in self.known for name in self.own_names], :, columns:] = np.nan
        return replace(self, shared=shared, own=own, ahead=ahead)

    def select(self, rows: NDArray[np.integer]) -> Covariates:
        """Of some of the series."""
        return replace(self, own=self.own[:, rows], statics=self.statics[rows])

    def future(self, horizon: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(c, h) shared and (p, n, h) own values of the steps behind the history, NaN where nothing is known."""
        d = self.columns
        missing = max(horizon - self.ahead, 0)
        shared = np.pad(self.shared[:, d : d + horizon], ((0, 0), (0, missing)), constant_values=np.nan)
        own = np.pad(self.own[:, :, d : d + horizon], ((0, 0), (0, 0), (0, missing)), constant_values=np.nan)
        return shared, own
