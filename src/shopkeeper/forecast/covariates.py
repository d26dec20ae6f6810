"""What is known beside the sales: of all series alike, of each series and day, of each series for good.

Columns run over the d steps of the history and `ahead` steps of the future. Only `until` cuts: what lies after the cut
stays where its name is `known` ahead (a holiday, a planned promotion) and is forgotten where it is not (the weather).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid

HOLIDAY, CLOSED, PROMOTION, DISCOUNT, PRICE = "holiday", "closed", "promotion", "discount", "price"
"""Names with a meaning of their own: 1 on a holiday, on a day on which everything is closed, on a day of a planned
promotion; the share of the price that it takes off; the price a piece (only where the future's is entered: that of the
past is `SeriesSet.price`)."""
PROMOTED = "promoted"
"""Share of the day's pieces that were sold in a promotion. Known only afterwards: without a sale it is 0."""
PLANNED = frozenset({HOLIDAY, CLOSED, PROMOTION, DISCOUNT})
"""Known ahead, wherever they come from."""
PRODUCT, CATEGORY, STORE = "product", "category", "store"
"""Names of statics."""


@dataclass(frozen=True)
class Covariates:
    """`shared` (c, d + ahead) and `own` (p, n, d + ahead) are float32, NaN where not known; `statics` (n, s) are codes
    into `static_words`, -1 for a word that is not among them. `known`: names whose future columns may be read.
    Arrays are not to be written to: cuts share them.
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
    def none(cls, n: int, d: int, ahead: int = 0) -> Covariates:
        """Nothing is known beside the sales of n series over d steps."""
        return cls(
            (), np.empty((0, d + ahead), np.float32), (), np.empty((0, n, d + ahead), np.float32),
            (), np.empty((n, 0), np.int32), (), frozenset(), ahead,
        )  # fmt: skip

    @property
    def columns(self) -> int:
        """d: steps of the history."""
        return int(self.shared.shape[1]) - self.ahead

    def until(self, columns: int) -> Covariates:
        """As they were known `columns` steps after the beginning. Planned values of the steps behind stay."""
        ahead = int(self.shared.shape[1]) - columns
        if ahead < self.ahead:
            raise Invalid("covariates cannot be cut after their history", code="bad_cutoff")
        if ahead == self.ahead:
            return self
        later = [name not in self.known for name in self.shared_names]
        own_later = [name not in self.known for name in self.own_names]
        shared, own = self.shared, self.own
        if any(later):
            shared = shared.copy()
            shared[later, columns:] = np.nan
        if any(own_later):
            own = own.copy()
            own[own_later, :, columns:] = np.nan
        return replace(self, shared=shared, own=own, ahead=ahead)

    def select(self, rows: NDArray[np.integer]) -> Covariates:
        """Of some of the series."""
        return replace(self, own=self.own[:, rows], statics=self.statics[rows])

    def of_shared(self, name: str) -> NDArray[np.float32] | None:
        """(d + ahead,) of one name; None where nothing is known of it."""
        return self.shared[self.shared_names.index(name)] if name in self.shared_names else None

    def of_own(self, name: str) -> NDArray[np.float32] | None:
        """(n, d + ahead) of one name; None where nothing is known of it."""
        return self.own[self.own_names.index(name)] if name in self.own_names else None

    def future(self, horizon: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(c, h) shared and (p, n, h) own values of the steps behind the history, NaN where nothing is known.

        What is planned and lies beyond the entered days is 0: no holiday, no promotion.
        """
        d = self.columns
        missing = max(horizon - self.ahead, 0)
        shared = np.pad(self.shared[:, d : d + horizon], ((0, 0), (0, missing)), constant_values=np.nan)
        own = np.pad(self.own[:, :, d : d + horizon], ((0, 0), (0, 0), (0, missing)), constant_values=np.nan)
        if missing:
            shared[[name in PLANNED for name in self.shared_names], horizon - missing :] = 0.0
            own[[name in PLANNED for name in self.own_names], :, horizon - missing :] = 0.0
        return shared, own
