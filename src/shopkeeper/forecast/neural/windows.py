"""From a set of series to the tensors of a net: a window of the past, what is known of the future, codes of the series.

Pieces are divided by the mean of their own window and by nothing else, so there is no scaler that could have seen the
future. Covariates that are no shares are centred by numbers of the training's past, which are kept with the layout.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid
from shopkeeper.forecast.covariates import HOLIDAY, PRICE, Covariates
from shopkeeper.forecast.neural.sizes import Sizes, dims_of
from shopkeeper.forecast.outlook import Floats
from shopkeeper.forecast.series import SeriesSet

Rows = NDArray[np.int64]
Batch = NDArray[np.float32]
_Number = TypeVar("_Number", np.float64, np.int32)

FLOOR = 0.1
"""Pieces a step below which a window's mean is not divided by."""
_MOST = 20.0
_YEAR_DAYS = 364
_DAYS_FOR_YEARLY = 548  # a season and a half: else the time of the year is a place that was met once
_TAKES_FOR_USUAL = 10.0  # pieces that must be seen before a weekday's own mean weighs as much as the window's
SERIES, AGGREGATE = "series", "aggregate"


class Layout(msgspec.Struct, kw_only=True, frozen=True):
    """What the channels of a net's tensors mean. `words` of each static column, whose codes begin with 1, and how many
    numbers each becomes: as many when words are added."""

    lookback: int
    horizon: int
    step_days: int
    season: int
    patch: int
    yearly: bool
    shared: list[str]
    own: list[str]
    known: list[str]
    middles: dict[str, float]
    spreads: dict[str, float]
    statics: list[str]
    words: list[list[str]]
    dims: list[int]

    @property
    def past_names(self) -> tuple[str, ...]:
        return ("pieces", "counts", *self._both, *self.shared, *self.own)

    @property
    def future_names(self) -> tuple[str, ...]:
        ahead = [
            *(name for name in self.shared if name in self.known),
            *(name for name in self.own if name in self.known),
        ]
        around = [f"{HOLIDAY}_before", f"{HOLIDAY}_after"] if self._holidays else []
        seasonal = ["last_year"] if self.yearly else []
        return ("usual", *self._both, "ahead", *seasonal, *ahead, *around)

    @property
    def feature_names(self) -> tuple[str, ...]:
        return (*(f"past.{name}" for name in self.past_names), *(f"future.{name}" for name in self.future_names),
                *(f"static.{name}" for name in self.statics))  # fmt: skip

    @property
    def _both(self) -> list[str]:
        weekdays = [f"weekday_{day}" for day in range(7)] if self.step_days == 1 else []
        year = ["year_sin", "year_cos"] if self.yearly else []
        return ["size", "closed", "price", *weekdays, *year]

    @property
    def _holidays(self) -> bool:
        return HOLIDAY in self.shared and HOLIDAY in self.known

    def sizes(self, width: int, dropout: float) -> Sizes:
        return Sizes(
            lookback=self.lookback,
            horizon=self.horizon,
            past=len(self.past_names),
            future=len(self.future_names),
            static=tuple(len(words) + 1 for words in self.words),
            width=width,
            season=self.season,
            patch=self.patch,
            dropout=dropout,
            dims=tuple(self.dims),
        )

    def grown(self, series: SeriesSet) -> Layout:
        """The same channels, with the words of these series behind those that have a code already."""
        more = _words(series, self.statics)
        words = [
            [*old, *(word for word in new if word not in known)]
            for old, new in zip(self.words, more, strict=True)
            for known in [set(old)]
        ]
        return msgspec.structs.replace(self, words=words)


def layout_of(series: SeriesSet, horizon: int, lookback: int, learned: int) -> Layout:
    """For series of which the first `learned` columns may be measured."""
    daily = series.step.days == 1
    patch = 7 if daily else 4
    fits = max(min(lookback, series.days // 3), patch)
    beside = series.covariates or Covariates.none(len(series), series.days)
    own = [name for name in beside.own_names if name != PRICE]
    middles, spreads = dict[str, float](), dict[str, float]()
    values = {name: beside.shared[at] for at, name in enumerate(beside.shared_names)}
    values |= {name: beside.own[at] for at, name in enumerate(beside.own_names)}
    for name, table in values.items():
        middles[name], spreads[name] = _centre(table[..., :learned])
    statics = [SERIES, AGGREGATE, *beside.static_names]
    words = _words(series, statics)
    return Layout(
        lookback=-(-fits // patch) * patch,
        horizon=horizon,
        step_days=series.step.days,
        season=series.step.season,
        patch=patch,
        yearly=learned * series.step.days >= _DAYS_FOR_YEARLY,
        shared=list(beside.shared_names),
        own=own,
        known=sorted({*beside.shared_names, *beside.own_names} & beside.known),
        middles=middles,
        spreads=spreads,
        statics=statics,
        words=words,
        dims=[dims_of(len(each) + 1) for each in words],
    )


def _words(series: SeriesSet, statics: list[str]) -> list[list[str]]:
    beside = series.covariates
    found: dict[str, list[str]] = {SERIES: list(series.ids), AGGREGATE: ["no", "yes"]}
    if beside is not None:
        found |= {name: list(words) for name, words in zip(beside.static_names, beside.static_words, strict=True)}
    return [found.get(name, []) for name in statics]


def _centre(table: NDArray[np.float32]) -> tuple[float, float]:
    """What is subtracted and divided by: nothing of shares and flags, which lie between 0 and 1."""
    sample = table.reshape(-1, table.shape[-1])[:2_000]
    sample = sample[np.isfinite(sample)]
    if not len(sample) or (sample.min() >= 0 and sample.max() <= 1):
        return 0.0, 1.0
    return float(sample.mean(dtype=np.float64)), max(float(sample.std(dtype=np.float64)), 1e-6)


@dataclass(frozen=True)
class Windows:
    """Tensors of b windows, and the `mu` (b,) that pieces were divided by."""

    past: Batch
    future: Batch
    static: Rows
    mu: Floats


class Board:
    """A set of series, ready to have windows cut out of it."""

    def __init__(self, series: SeriesSet, layout: Layout) -> None:
        """Raises Invalid when the series are by another step than the layout."""
        if series.step.days != layout.step_days:
            raise Invalid(
                f"the model was trained on steps of {layout.step_days} days, not {series.step.days}: train another",
                code="wrong_step",
            )
        self.layout = layout
        self._series = series
        observed = series.observed()
        self.seen: NDArray[np.bool_] = np.isfinite(observed)
        self.y: NDArray[np.float32] = np.where(self.seen, observed, np.float32(0))
        if not series.days:  # a column that says nothing, to be read in the place of none
            self.y, self.seen = np.zeros((len(series), 1), np.float32), np.zeros((len(series), 1), np.bool_)
        self.start = series.start
        self._codes = self._coded(series)
        self._calendar, self._closed = self._days(series)
        self._beside = series.covariates or Covariates.none(len(series), series.days)
        self._sums: tuple[Floats, NDArray[np.int32]] | None = None
        if layout.yearly:
            self._sums = (_running(self.y, np.dtype(np.float64)), _running(self.seen, np.dtype(np.int32)))

    def __len__(self) -> int:
        return len(self.y)

    @property
    def days(self) -> int:
        return self._series.days

    def targets(self, rows: Rows, origins: Rows, mu: Floats, until: int) -> tuple[Batch, Batch]:
        """Pieces / mu (b, H) behind each origin, and 1 where they count: seen, and in a column before `until`."""
        column = origins[:, None] + np.arange(self.layout.horizon)
        inside = np.minimum(column, self.days - 1)
        counts = self.seen[rows[:, None], inside] & (column < min(until, self.days))
        pieces = np.where(counts, self.y[rows[:, None], inside] / mu[:, None], 0.0)
        return pieces.astype(np.float32), counts.astype(np.float32)

    def windows(self, rows: Rows, origins: Rows) -> Windows:
        """Of series `rows` (b,), each as known at its origin (b,): the columns before it, and what was known ahead."""
        layout, at = self.layout, rows[:, None]
        back = origins[:, None] + np.arange(-layout.lookback, 0)
        ahead = origins[:, None] + np.arange(layout.horizon)
        inside = np.maximum(back, 0)
        seen = self.seen[at, inside] & (back >= 0)
        pieces = np.where(seen, self.y[at, inside], np.float32(0))
        many = seen.sum(axis=1)
        mu: Floats = np.hypot(pieces.sum(axis=1, dtype=np.float64) / np.maximum(many, 1), FLOOR)
        scaled = np.minimum(pieces / mu[:, None].astype(np.float32), _MOST)
        size = (np.log(mu) / 3.0).astype(np.float32)
        price_back, price_ahead = self._prices(rows, origins, inside, ahead)

        past = [scaled, seen, np.repeat(size[:, None], layout.lookback, axis=1), self._closed[inside], price_back]
        past += list(np.moveaxis(self._calendar[:, inside], 0, 0))
        past += [self._shared(name, inside) for name in layout.shared]
        past += [self._own(name, rows, inside) for name in layout.own]
        steps = np.broadcast_to((np.arange(layout.horizon) + 1.0) / layout.horizon, ahead.shape)
        future = [self._usual(scaled, seen, mu), np.repeat(size[:, None], layout.horizon, axis=1), self._closed[ahead]]
        future += [price_ahead, *self._calendar[:, ahead], steps]
        if self._sums is not None:
            future.append(self._last_year(self._sums, rows, origins, ahead))
        future += [self._shared(name, ahead) for name in layout.shared if name in layout.known]
        future += [self._own(name, rows, ahead) for name in layout.own if name in layout.known]
        if f"{HOLIDAY}_before" in layout.future_names:
            future += [self._shared(HOLIDAY, np.maximum(ahead - 1, 0)), self._shared(HOLIDAY, ahead + 1)]
        return Windows(_stacked(past), _stacked(future), self._codes[rows], mu)

    def _coded(self, series: SeriesSet) -> Rows:
        """(n, s); 0 for a word that has no code."""
        beside, columns = series.covariates, list[NDArray[np.int64]]()
        for name, words in zip(self.layout.statics, self.layout.words, strict=True):
            code = {word: at + 1 for at, word in enumerate(words)}
            if name == SERIES:
                columns.append(np.array([code.get(each, 0) for each in series.ids], dtype=np.int64))
            elif name == AGGREGATE:
                columns.append(series.aggregate.astype(np.int64) + 1)
            elif beside is not None and name in beside.static_names:
                column = beside.static_names.index(name)
                new = np.array([*(code.get(word, 0) for word in beside.static_words[column]), 0], dtype=np.int64)
                columns.append(new[beside.statics[:, column]])  # -1 takes the last, which is unknown
            else:
                columns.append(np.zeros(len(series), dtype=np.int64))
        return np.stack(columns, axis=1).reshape(len(series), len(columns))

    def _days(self, series: SeriesSet) -> tuple[Batch, Batch]:
        """Calendar (c, d + H) and closed (d + H,) of the history and the horizon behind it."""
        horizon = self.layout.horizon
        day = series.first_day + np.arange(series.days + horizon) * series.step.days
        rows: list[NDArray[np.floating]] = []
        if series.step.days == 1:
            weekday = np.concatenate([series.weekday, series.future_weekday(horizon)])
            rows += list((weekday[None, :] == np.arange(7)[:, None]).astype(np.float32))
        if self.layout.yearly:
            turn = 2 * np.pi * day / 365.2425
            rows += [np.sin(turn), np.cos(turn)]
        calendar = np.array(rows, dtype=np.float32).reshape(len(rows), len(day))
        closed = np.concatenate([series.closed, series.future_closed(horizon)])
        return calendar, closed.astype(np.float32)

    def _usual(self, scaled: Batch, seen: NDArray[np.bool_], mu: Floats) -> Floats:
        """(b, H) log of what this weekday sells in the window, drawn to the window's mean where little was seen."""
        horizon = self.layout.horizon
        if self.layout.step_days != 1:
            return np.zeros((len(mu), horizon))
        weeks = (len(mu), self.layout.lookback // 7, 7)
        total, many = scaled.reshape(weeks).sum(axis=1, dtype=np.float64), seen.reshape(weeks).sum(axis=1)
        prior = (_TAKES_FOR_USUAL / mu)[:, None]
        usual: Floats = np.clip(np.log((total + prior) / (many + prior)), -3.0, 3.0)
        return usual[:, np.arange(horizon) % 7]

    def _last_year(
        self, sums: tuple[Floats, NDArray[np.int32]], rows: Rows, origins: Rows, ahead: Rows
    ) -> NDArray[np.floating]:
        """(b, H) log of three weeks around this time a year ago to the window's days a year ago. 0: nothing known."""
        days = self.layout.step_days
        year, around = _YEAR_DAYS // days, max(10 // days, 1)
        at, first = rows[:, None], self.start[rows][:, None]

        def between(low: Rows, high: Rows) -> tuple[Floats, Floats]:
            high = np.clip(high, 0, origins[:, None])
            low = np.minimum(np.maximum(low, first), high)
            total: Floats = sums[0][at, high] - sums[0][at, low]
            many: Floats = (sums[1][at, high] - sums[1][at, low]).astype(np.float64)
            return total, many

        begin = origins[:, None] - year
        sold, open_steps = between(begin - self.layout.lookback, begin)
        level = np.hypot(sold / np.maximum(open_steps, 1), FLOOR)
        total, many = between(ahead - year - around, ahead - year + around + 1)
        prior = _TAKES_FOR_USUAL / level
        ratio = np.log((total / level + prior) / (many + prior))
        return np.where(
            (open_steps >= min(28 // days, self.layout.lookback // 2)) & (many > 0), np.clip(ratio, -2, 2), 0
        )

    def _prices(self, rows: Rows, origins: Rows, inside: Rows, ahead: Rows) -> tuple[Batch, Batch]:
        """Log of the price to the window's usual, (b, L) and (b, H): the last price goes on where none is entered."""
        price = self._series.price
        if not self.days:
            return np.zeros(inside.shape, np.float32), np.zeros(ahead.shape, np.float32)
        past = price[rows[:, None], inside]
        known = np.isfinite(past) & (past > 0)
        logs = np.log(np.where(known, past, 1.0))
        usual = np.where(known, logs, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
        last = price[rows, np.maximum(origins - 1, 0)][:, None]
        coming = np.repeat(last, ahead.shape[1], axis=1)
        if PRICE in self._beside.own_names and PRICE in self.layout.known:
            entered = _gathered(self._beside.own[self._beside.own_names.index(PRICE)], rows, ahead)
            coming = np.where(np.isfinite(entered), entered, coming)
        priced = np.isfinite(coming) & (coming > 0) & known.any(axis=1, keepdims=True)
        relative = np.where(priced, np.log(np.where(priced, coming, 1.0)) - usual[:, None], 0)
        return np.where(known, logs - usual[:, None], 0).clip(-2, 2), relative.clip(-2, 2)

    def _shared(self, name: str, column: Rows) -> Batch:
        if name not in self._beside.shared_names:
            return np.zeros(column.shape, dtype=np.float32)
        table = self._beside.shared[self._beside.shared_names.index(name)][None, :]
        return self._centred(name, _gathered(table, np.zeros(len(column), dtype=np.int64), column))

    def _own(self, name: str, rows: Rows, column: Rows) -> Batch:
        if name not in self._beside.own_names:
            return np.zeros(column.shape, dtype=np.float32)
        return self._centred(name, _gathered(self._beside.own[self._beside.own_names.index(name)], rows, column))

    def _centred(self, name: str, values: Batch) -> Batch:
        """What is not known is as usual, and so is what lies far beyond everything that was learned from."""
        centred = (values - self.layout.middles[name]) / self.layout.spreads[name]
        return np.where(np.isfinite(centred), np.clip(centred, -5, 5), 0).astype(np.float32)


def _gathered(table: Batch, rows: Rows, column: Rows) -> Batch:
    """NaN beyond the last column."""
    last = table.shape[1] - 1
    if last < 0:
        return np.full(column.shape, np.nan, dtype=np.float32)
    values = table[rows[:, None], np.minimum(column, last)]
    return np.where(column <= last, values, np.float32(np.nan))


def _stacked(channels: list[NDArray[np.generic]]) -> Batch:
    made = np.empty((*channels[0].shape, len(channels)), dtype=np.float32)
    for at, channel in enumerate(channels):
        made[..., at] = channel
    return made


def _running(values: NDArray[Any], dtype: np.dtype[_Number]) -> NDArray[_Number]:
    """(n, d + 1) sums of what lies before each column."""
    sums = np.zeros((values.shape[0], values.shape[1] + 1), dtype=dtype)
    np.cumsum(values, axis=1, dtype=dtype, out=sums[:, 1:])
    return sums
