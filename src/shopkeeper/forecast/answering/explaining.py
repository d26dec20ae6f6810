"""Why a forecast is what it is, in pieces: exact Shapley values of five groups of what the model was told.

Every group can be switched off, which puts something usual in its place; the model then answers again. `calendar` off:
no holidays, the weekdays of the past made alike, and the mean over seven calendars 52 days apart, in which every
weekday and every season of the year comes up. `price` off: the usual price all the time. `promotion` off: none planned.
`trend` off: the past is scaled so that sales of late are at the level of the last year. `neighbours` off: the model
answers without the products that it borrows from; such a one is new, and how old it is must not change, so that for it
the calendar stays where it is.

The values are exact for what the model does. They say nothing about what would happen if somebody changed the price.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.records import SalesExplanation
from shopkeeper.explain.shapley import shapley
from shopkeeper.forecast.covariates import HOLIDAY, PRICE, PROMOTION, Covariates
from shopkeeper.forecast.outlook import Floats, ForecastModel
from shopkeeper.forecast.series import SeriesSet

GROUPS = ("calendar", "price", "promotion", "trend", "neighbours")
CALENDAR, PRICES, PROMOTIONS, TREND, NEIGHBOURS = range(len(GROUPS))
YEAR = 364
LATE = (28, 56, 112)
"""Days of late; longer ones are taken when fewer than `_FEWEST` of them sold anything."""
_FEWEST = 5
_SHIFT = 52  # days between two calendars: three weekdays on, a seventh of a year on
_CALENDARS = 7
_RATIO = 20.0
_SHOWN = 0.05


def explain(
    model: ForecastModel, series: SeriesSet, row: int, horizon: int, alone: ForecastModel | None = None
) -> SalesExplanation:
    """Of one series of a set. `alone`: what answers when the neighbours are not asked; None for a model without any."""
    one = series.select(np.array([row]))
    usual = _usual(one)
    present = [
        group
        for group, differs in (
            (CALENDAR, one.days > 0),
            (PRICES, usual.price is not None),
            (PROMOTIONS, usual.promoted),
            (TREND, usual.ratio != 1.0),
            (NEIGHBOURS, alone is not None),
        )
        if differs
    ]
    asked = _Asked(model, alone, one, horizon, usual)
    if present:
        base, found = shapley(lambda members: asked.worth(members, present), len(present))
    else:
        base, found = float(asked.answer(model, one)[0]), np.empty(0)
    values = dict.fromkeys(GROUPS, 0.0)
    values |= {GROUPS[group]: float(value) for group, value in zip(present, found, strict=True)}
    total = base + sum(values.values())
    return SalesExplanation(
        base_value=base,
        values=values,
        names=list(GROUPS),
        total=total,
        horizon=horizon,
        text=in_words(base, values, total, horizon, one.step.period),
    )


def in_words(base: float, values: dict[str, float], total: float, horizon: int, period: str = "day") -> str:
    """One plain sentence, strongest group first."""
    moved = sorted((pair for pair in values.items() if abs(pair[1]) >= _SHOWN), key=lambda pair: -abs(pair[1]))
    still = [name for name, value in values.items() if abs(value) < _SHOWN]
    span = f"{horizon} {period}" + ("" if horizon == 1 else "s")
    said = f"{total:,.1f} pieces in {span}: {base:,.1f} would be usual"
    said += "".join(f", {name} {'adds' if value > 0 else 'takes'} {abs(value):,.1f}" for name, value in moved)
    if len(still) > 1:
        return f"{said}; {', '.join(still[:-1])} and {still[-1]} change nothing."
    return f"{said}; {still[0]} changes nothing." if still else f"{said}."


class _Usual(NamedTuple):
    """What stands in for a group that is off. `price` None: there is no price, or it never changes."""

    price: float | None
    promoted: bool
    ratio: float


class _Asked(NamedTuple):
    model: ForecastModel
    alone: ForecastModel | None
    one: SeriesSet
    horizon: int
    usual: _Usual

    def worth(self, members: NDArray[np.bool_], present: list[int]) -> NDArray[np.float64]:
        """bool (m, players) -> (m,) pieces over the horizon. Variants that one model answers are asked in one call."""
        on = np.ones((len(members), len(GROUPS)), dtype=np.bool_)
        on[:, present] = members
        answer = np.zeros(len(members))
        for key in np.unique(on[:, [CALENDAR, NEIGHBOURS, PROMOTIONS]], axis=0):
            rows = np.flatnonzero((on[:, [CALENDAR, NEIGHBOURS, PROMOTIONS]] == key).all(axis=1))
            calendar, neighbours, promoted = (bool(flag) for flag in key)
            model = self.model if neighbours or self.alone is None else self.alone
            variants = self._variants(on[rows], calendar, promoted)
            if calendar:
                answer[rows] = self.answer(model, variants)
                continue
            days_moved = _shifts(variants) if self.alone is None else [0]
            sums = [self.answer(model, _moved(variants, days)) for days in days_moved]
            answer[rows] = np.mean(sums, axis=0)
        return answer

    def answer(self, model: ForecastModel, series: SeriesSet) -> NDArray[np.float64]:
        said: NDArray[np.float64] = model.forecast(series, self.horizon).mean.sum(axis=1, dtype=np.float64)
        return said

    def _variants(self, on: NDArray[np.bool_], calendar: bool, promoted: bool) -> SeriesSet:
        """One row a coalition, all with the calendar and promotions alike."""
        series = self.one.select(np.zeros(len(on), dtype=np.int64))
        y, price, covariates = series.y.astype(np.float64), series.price.copy(), series.covariates
        if not calendar:
            y = np.repeat(_level_weekdays(self.one), len(on), axis=0)
        y[~on[:, TREND]] *= self.usual.ratio
        if self.usual.price is not None:
            price[~on[:, PRICES]] = self.usual.price
        if covariates is not None:
            covariates = _told(covariates, on[:, PRICES], self.usual.price, calendar=calendar, promoted=promoted)
        return replace(series, y=y.astype(np.float32), price=price, covariates=covariates)


def _moved(series: SeriesSet, days: int) -> SeriesSet:
    """The same history under dates `days` later; a day on which the shop is closed stays one."""
    return replace(series, first_day=series.first_day + days)


def _shifts(series: SeriesSet) -> list[int]:
    """Days by which the calendar is moved. Each weekday comes up once; weeks stay weeks."""
    apart = _SHIFT if series.step.days == 1 else _SHIFT - _SHIFT % 7
    return [apart * (place - _CALENDARS // 2) for place in range(_CALENDARS)]


def _told(
    covariates: Covariates, price_on: NDArray[np.bool_], usual: float | None, *, calendar: bool, promoted: bool
) -> Covariates:
    """What is known beside the sales, with the groups off that are off."""
    shared, own = covariates.shared.copy(), covariates.own.copy()
    d = covariates.columns
    off = [name for name, on in ((HOLIDAY, calendar), (PROMOTION, promoted)) if not on]
    for name in off:
        shared[[each == name for each in covariates.shared_names], d:] = 0.0
        own[[each == name for each in covariates.own_names], :, d:] = 0.0
    if usual is not None and PRICE in covariates.own_names:
        mine = own[covariates.own_names.index(PRICE)]
        mine[~price_on] = np.where(np.isnan(mine[~price_on]), np.nan, np.float32(usual))
    return replace(covariates, shared=shared, own=own)


def _usual(one: SeriesSet) -> _Usual:
    covariates = one.covariates
    promoted = False
    prices = one.price[0, -YEAR:]
    ahead = np.empty(0, dtype=np.float32)
    if covariates is not None:
        d = covariates.columns
        tables = ((covariates.shared_names, covariates.shared[:, None]), (covariates.own_names, covariates.own))
        promoted = any(
            bool((np.nan_to_num(values[names.index(PROMOTION)][:, d:]) != 0).any())
            for names, values in tables
            if PROMOTION in names
        )
        if PRICE in covariates.own_names:
            ahead = covariates.own[covariates.own_names.index(PRICE), 0, d:]
    known = prices[np.isfinite(prices)]
    seen = np.concatenate([known, ahead[np.isfinite(ahead)]])
    usual = float(np.median(known)) if len(known) and np.ptp(seen) > 0 else None
    return _Usual(usual, promoted, _ratio(one))


def _ratio(one: SeriesSet) -> float:
    """Level of the last year / level of late, 1 where too little was sold to say."""
    seen = one.observed()[0, -YEAR:].astype(np.float64)
    for days in LATE:
        late = seen[-days:]
        if len(seen) > days and (late > 0).sum() >= _FEWEST:
            ratio = float(np.nanmean(seen) / np.nanmean(late))
            return float(np.clip(ratio, 1 / _RATIO, _RATIO))
    return 1.0


def _level_weekdays(one: SeriesSet) -> Floats:
    """(1, d) pieces, in which the weekdays of the last year sell alike. The year's sum stays."""
    y = one.y.astype(np.float64)
    if one.step.days != 1:
        return y
    open_days = np.isfinite(one.observed()[0])
    lately = open_days.copy()
    lately[:-YEAR] = False
    if not lately.any():
        return y
    mean = float(y[0, lately].mean())
    for weekday in range(7):
        on = one.weekday == weekday
        usual = float(y[0, on & lately].mean()) if (on & lately).any() else 0.0
        days = on & open_days
        y[0, days] = y[0, days] * (mean / usual) if usual > 0 else (mean if (on & lately).any() else y[0, days])
    return y
