"""What is asked of a forecast, taken from the panel at one moment: an answer needs nothing that changes meanwhile.

The panel belongs to one thread, a model may take seconds: so a `Question` is made on the panel's thread and answered on
any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np

from shopkeeper.core.clock import Clock
from shopkeeper.core.days import date_of, day_number
from shopkeeper.core.errors import Invalid
from shopkeeper.core.records import HistoryPoint
from shopkeeper.core.scopes import Scope
from shopkeeper.forecast.answering.newcomers import Around, Newcomers
from shopkeeper.forecast.covariates import PRICE, PROMOTED, PROMOTION
from shopkeeper.forecast.panel.sales import SalesPanel
from shopkeeper.forecast.series import SeriesSet

MAX_HORIZON = 365
MAX_HISTORY = 3650
FEWEST_DAYS = 14
"""Fewer days of sales say little."""


@dataclass(frozen=True)
class Question:
    """`series`, one, ends before `first_day`, the first day to forecast; `category` is that of the product. `model` is
    an address, None for whichever is best; `model_scope`: only that scope's, None for the narrowest that has it.
    `so_far`: pieces sold on the first day already. `came`: what is known by now of the days from `first_day` on, when
    those lie in the past.
    """

    scope: Scope
    horizon: int
    series: SeriesSet
    first_day: int
    history: tuple[HistoryPoint, ...] = ()
    came: tuple[HistoryPoint, ...] = ()
    so_far: float = 0.0
    category: str | None = None
    model: str | None = None
    model_scope: Scope | None = None
    around: Around | None = None
    """Of a product that is new: those among which its neighbours are."""

    @property
    def total(self) -> bool:
        """It is of a sum of products."""
        return self.scope.kind != "product"

    @property
    def days_sold(self) -> int:
        """Days since the first sale."""
        return max(self.series.days - int(self.series.start[0]), 0)

    @property
    def assumed(self) -> list[str]:
        """Names of what is known of the past and not of the days ahead: the price is taken as it was last, promotions
        as none, anything else as unknown."""
        found = [PRICE] if np.isfinite(self.series.price).any() else []
        beside = self.series.covariates
        if beside is None:
            return found
        _, own = beside.future(self.horizon)
        planned = PROMOTION in beside.own_names and bool((own[beside.own_names.index(PROMOTION)] > 0).any())
        told = beside.of_own(PROMOTED)
        if told is not None and bool((told[:, : beside.columns] > 0).any()) and not planned:
            found.append(PROMOTION)
        past = [beside.shared[row, : beside.columns] for row in range(len(beside.shared_names))]
        later = zip(beside.shared_names, past, strict=True)
        return [*found, *(name for name, values in later if name not in beside.known and np.isfinite(values).any())]

    @property
    def sold(self) -> bool:
        """Anything was sold before the first day."""
        return bool(self.series.y.any())


class Asking:
    """Used on the panel's thread."""

    def __init__(self, panel: SalesPanel, clock: Clock, serving: object = None) -> None:
        self._panel = panel
        self._clock = clock
        self._newcomers = Newcomers(panel, serving)

    def first_day(self) -> int:
        """Today: the first day that has not ended."""
        return self._panel.last_complete_day(self._clock.now()) + 1

    def ask(
        self,
        scope: Scope,
        horizon: int = 28,
        history_days: int = 90,
        *,
        model: str | None = None,
        model_scope: Scope | None = None,
        as_of: date | None = None,
    ) -> Question:
        """`as_of`: the first day to forecast, when that lies in the past; nothing sold from then on is read.

        Raises NotFound for an unknown product, category or store; Invalid for days out of bounds.
        """
        check_days("horizon", horizon, 1, MAX_HORIZON)
        check_days("history_days", history_days, 0, MAX_HISTORY)
        today = self.first_day()
        first = today if as_of is None else day_number(as_of)
        if first > today:
            raise Invalid(f"as_of is {as_of}, a day that is still to come", code="out_of_bounds", field="as_of")
        whole = self._panel.set(today, scope, ahead=horizon, members=False)
        cut = min(max(first - whole.first_day, 0), whole.days)
        known = np.round(whole.y[0].astype(np.float64), 4)
        sells = np.flatnonzero(known)
        begin = max(cut - history_days, int(sells[0]) if len(sells) else whole.days)
        days = [
            HistoryPoint(ds=date_of(whole.first_day + column).isoformat(), y=float(known[column]))
            for column in range(begin, whole.days)
        ]
        history, later = days[: max(cut - begin, 0)], days[max(cut - begin, 0) :]
        ends = date_of(min(first + horizon, today)).isoformat()
        today_iso = date_of(today).isoformat()
        so_far = sum(one.y for one in later if one.ds == today_iso) if first == today else 0.0
        if so_far and history_days:
            history.append(HistoryPoint(ds=today_iso, y=so_far))
        series = whole.until(cut)
        return Question(
            scope=scope,
            horizon=horizon,
            series=series,
            first_day=first,
            history=tuple(history),
            came=tuple(_filled(later, first, ends)) if first < today else (),
            so_far=so_far,
            category=self._category(scope),
            model=model,
            model_scope=model_scope,
            around=self._around(scope, series, today=first == today),
        )

    def _around(self, scope: Scope, series: SeriesSet, *, today: bool) -> Around | None:
        if scope.kind != "product" or scope.id is None:
            return None
        stores = self._panel.beside.stores
        store = None if scope.store is None or stores is None else stores.row(scope.store)
        return self._newcomers.around(scope.id, series, store, today=today)

    def _category(self, scope: Scope) -> str | None:
        if scope.kind != "product":
            return None
        return self._panel.beside.category(self._panel.item_row(str(scope.id)))


def check_days(field: str, value: int, low: int, high: int) -> None:
    """Raises Invalid."""
    if not low <= value <= high:
        raise Invalid(f"{field} is {value}, expected {low} to {high}", code="out_of_bounds", field=field)


def _filled(later: list[HistoryPoint], first: int, end: str) -> list[HistoryPoint]:
    """From the first day on, to the day before `end`; days before the series begins are days without a sale."""
    known = {one.ds: one for one in later}
    days = (date_of(first + step).isoformat() for step in range((date.fromisoformat(end) - date_of(first)).days))
    return [known.get(ds) or HistoryPoint(ds=ds, y=0.0) for ds in days]
