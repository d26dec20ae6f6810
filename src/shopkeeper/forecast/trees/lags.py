"""What a tree model sees of a series at an origin, and of the step that is asked for. All of it is known then.

Rows are drawn first (`drawing.py`); features are read for these alone, some series at a time, from running sums: the
mean of any window is the difference of two of them, so nothing of the shape (series, steps, features) ever exists.
Everything is relative to the series' recent level, so one model serves products that sell 1 and 1,000 pieces a day.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid
from shopkeeper.forecast.covariates import CLOSED, DISCOUNT, HOLIDAY, PLANNED, PRICE, PROMOTION, Covariates
from shopkeeper.forecast.opening import weekdays
from shopkeeper.forecast.series import SeriesSet
from shopkeeper.forecast.steps import Step
from shopkeeper.forecast.trees.running import Floats, Places, biggest, cells, last_where, lately, running, strided

Columns: TypeAlias = dict[str, NDArray[np.floating]]

CHUNK = 1_000  # series that are read together
LEVEL = {1: 56, 7: 8}  # steps of the recent level, by the days of a step
_SMALL = 0.02
_OF_YEAR = ("day_of_year", "origin_day_of_year", "growth")
_USUAL_PRICE = "usual price"  # no feature: a product's price says little about another's
_NEVER = 999.0
_PIECE = 0.5  # less is no sale: a forecast that a recursive answer goes on from may be any fraction of a piece
_MOST_WORDS = 200  # of a static; what has more names single series, and those are told apart by their history


class Drawn(NamedTuple):
    """(m,) series `row`, number of columns known at the `origin`, steps `ahead` of it (1 is the next)."""

    row: Places
    origin: Places
    ahead: Places

    @property
    def target(self) -> Places:
        """(m,) column of the step asked for."""
        return self.origin + self.ahead - 1

    def take(self, places: Places | NDArray[np.bool_] | slice) -> Drawn:
        return Drawn(self.row[places], self.origin[places], self.ahead[places])


class Windows(NamedTuple):
    """How far the features of a step reach back, in steps."""

    means: tuple[int, ...]
    shares: tuple[int, ...]
    biggest: int
    usual_price: int
    last: int
    repeats: tuple[int, ...]
    repeat: str
    year: int
    around: int
    lately: int


_WINDOWS = {
    1: Windows((7, 14, 28, 56, 112, 364), (28, 112), 28, 60, 14, (4, 8), "weekday", 364, 3, 7),
    7: Windows((2, 4, 8, 13, 26, 52), (8, 26), 8, 9, 2, (1, 2), "week_of_year", 52, 1, 2),
}


class Reading(msgspec.Struct, frozen=True):
    """What a model reads, kept with it: feature `names` in order, steps of the recent `level`, `days` of a step, and
    the words that the codes of a static stand for."""

    names: tuple[str, ...]
    level: int
    days: int
    words: dict[str, tuple[str, ...]]

    @classmethod
    def of(cls, series: SeriesSet, level: int | None = None) -> Reading:
        """Everything that there is to read in these series; of the day of the year only in two years or more.

        In less each day of the year came once, and would be taken for what it is like.
        """
        far = _WINDOWS[series.step.days]
        known = series.covariates or Covariates.none(len(series), series.days)
        words = {
            name: of for name, of in zip(known.static_names, known.static_words, strict=True) if len(of) <= _MOST_WORDS
        }
        names = (*_state_names(far), *_step_names(far), *_covariate_names(known, far), *map(_static, words))
        if series.days < 2 * far.year:
            names = tuple(name for name in names if name not in _OF_YEAR)
        return cls(names, level or LEVEL[series.step.days], series.step.days, words)

    @property
    def categories(self) -> list[int]:
        """Places of the features that are codes without an order."""
        codes = {_static(name) for name in self.words}
        return [place for place, name in enumerate(self.names) if name in codes]


def features(
    series: SeriesSet, at: Drawn, trained: int, reading: Reading | None = None
) -> tuple[NDArray[np.float32], Floats]:
    """(m, f) features by `reading.names`, NaN where unknown, and the level (m,), pieces an open step, above 0.

    Horizons beyond the `trained` one are read as that one. Raises Invalid when the model reads other steps.
    """
    reading = reading or Reading.of(series)
    if reading.days != series.step.days:
        read, given = (Step(days).period for days in (reading.days, series.step.days))
        raise Invalid(f"the model was trained on series by {read} and asked about some by {given}", code="bad_period")
    values = np.empty((len(at.row), len(reading.names)), dtype=np.float32)
    level = np.empty(len(at.row))
    for places, part, mine in chunks(series, at):
        past = _Past(part, reading.level)
        columns, level[places] = _columns(past, part, mine, trained, reading)
        for column, name in enumerate(reading.names):
            values[places, column] = columns.get(name, _otherwise(name))
    return values, level


def chunks(series: SeriesSet, at: Drawn) -> Iterator[tuple[Places, SeriesSet, Drawn]]:
    """Places in `at`, the few series that they are about, and the same rows counted among these."""
    asked, row = np.unique(at.row, return_inverse=True)
    order = np.argsort(row, kind="stable")
    edges = np.searchsorted(row[order], np.arange(0, len(asked) + CHUNK, CHUNK))
    for first, low, high in zip(range(0, len(asked), CHUNK), edges[:-1], edges[1:], strict=False):
        places = order[low:high]
        some = asked[first : first + CHUNK]
        part = series if len(some) == len(series) else series.select(some)
        yield places, part, Drawn(row[places] - first, at.origin[places], at.ahead[places])


class _Past:
    """Running sums of some series; place k of each holds what the first k columns hold together."""

    def __init__(self, series: SeriesSet, level: int) -> None:
        observed = series.observed().astype(np.float64)
        seen = np.isfinite(observed)
        pieces = np.where(seen, observed, 0.0)
        self.days, self.far, self._level = series.days, _WINDOWS[series.step.days], level
        self.pieces, self.seen, self.start = pieces, seen, series.start
        self.count, self.sum = running(seen), running(pieces)
        self.some, self.square = running(np.minimum(pieces, 1.0)), running(pieces * pieces)
        self.open = np.concatenate([[0], np.cumsum(~series.closed)])
        self.last_sale, self.last_seen = last_where(series.y >= _PIECE), last_where(seen)

    def mean(self, of: Floats, row: Places, low: Places, high: Places) -> Floats:
        """Over the steps seen of columns [low, high), NaN without any."""
        low, high = np.clip(low, 0, self.days), np.clip(high, 0, self.days)
        count = self.count[row, high] - self.count[row, low]
        return np.where(count > 0, (of[row, high] - of[row, low]) / np.maximum(count, 1), np.nan)

    def level(self, row: Places, end: Places) -> tuple[Floats, NDArray[np.bool_]]:
        """Pieces an open step before `end`, drawn to a small number when few were seen; whether half were."""
        end = np.clip(end, 0, self.days)
        low = np.maximum(end - self._level, 0)
        count = self.count[row, end] - self.count[row, low]
        usual = (self.sum[row, end] - self.sum[row, low] + 0.5) / (count + 2.0)
        return usual, 2 * count >= self._level


def _columns(past: _Past, series: SeriesSet, at: Drawn, trained: int, reading: Reading) -> tuple[Columns, Floats]:
    """Every feature that these series have, by name, and the level (m,)."""
    key, place = np.unique(at.row * (series.days + 1) + at.origin, return_inverse=True)
    row, origin = key // (series.days + 1), key % (series.days + 1)
    usual, _ = past.level(row, origin)
    state = _state(past, series, row, origin, usual)
    columns: Columns = {name: values[place] for name, values in state.items()}
    level = usual[place]
    columns |= _step(past, series, at, level, trained)
    if series.covariates is not None:
        columns |= _covariates(past, series, series.covariates, at, reading, columns)
    return columns, level


def _state_names(far: Windows) -> tuple[str, ...]:
    return (
        "level", "age_open", "since_last_sale", "last_seen", *(f"mean_{steps}" for steps in far.means),
        *(f"share_selling_{steps}" for steps in far.shares), *(f"spread_{steps}" for steps in far.shares),
        f"biggest_{far.biggest}", "price", "price_to_usual", "growth", "aggregate",
    )  # fmt: skip


def _state(past: _Past, series: SeriesSet, row: Places, origin: Places, usual: Floats) -> dict[str, Floats]:
    """What a series is like at an origin, both (k,)."""
    far = past.far
    sale, seen = past.last_sale[row, origin], past.last_seen[row, origin]
    fresh = (seen >= 0) & (origin - seen <= far.last)
    begun = np.minimum(past.start[row], origin)
    answer = {
        "level": np.log(usual),
        "age_open": (past.open[origin] - past.open[begun]).astype(np.float64),
        "since_last_sale": np.where(sale >= 0, origin - 1 - sale, _NEVER),
        "last_seen": _relative(np.where(fresh, cells(past.pieces, row, seen), np.nan), usual),
        f"biggest_{far.biggest}": biggest(past.pieces, row, origin, far.biggest) / usual,
        "aggregate": series.aggregate[row].astype(np.float64),
    }
    for steps in far.means:
        answer[f"mean_{steps}"] = _relative(past.mean(past.sum, row, origin - steps, origin), usual)
    for steps in far.shares:
        mean = past.mean(past.sum, row, origin - steps, origin)
        square = past.mean(past.square, row, origin - steps, origin)
        answer[f"share_selling_{steps}"] = past.mean(past.some, row, origin - steps, origin)
        answer[f"spread_{steps}"] = np.sqrt(np.maximum(square - mean * mean, 0.0)) / usual
    before, half = past.level(row, origin - far.year)
    answer["growth"] = np.where(half & (origin >= far.year), np.log(usual / before), np.nan)
    return answer | _price(series.price, row, origin, far.usual_price)


def _price(price: NDArray[np.float32], row: Places, origin: Places, steps: int) -> dict[str, Floats]:
    """log of the last price, and of the last price to the mean of the last ones."""
    if not (price > 0).any():
        return {}
    last, usual = _log(cells(price, row, origin - 1)), np.log(lately(price, row, origin, steps))
    return {"price": last, "price_to_usual": last - usual, _USUAL_PRICE: usual}


def _step_names(far: Windows) -> tuple[str, ...]:
    return (
        *(f"same_{far.repeat}_{times}" for times in far.repeats), "last_year", "last_year_to_level_then",
        "weekday", "day_of_month", "day_of_year", "origin_day_of_year", "steps_ahead",
    )  # fmt: skip


def _step(past: _Past, series: SeriesSet, at: Drawn, usual: Floats, trained: int) -> Columns:
    """What is known of the step asked for, (m,) each."""
    far, season, target = past.far, series.step.season, at.target
    answer: Columns = {}
    total, count = strided(past.pieces, season), strided(past.seen, season)
    newest = target - season * -(-at.ahead // season)
    for times in far.repeats:
        seen = cells(count, at.row, newest, 0) - cells(count, at.row, newest - times * season, 0)
        mean = cells(total, at.row, newest, 0) - cells(total, at.row, newest - times * season, 0)
        mean = np.where(seen > 0, mean / np.maximum(seen, 1), np.nan)
        answer[f"same_{far.repeat}_{times}"] = _relative(mean, usual)
    back = far.year * -(-(at.ahead + far.around) // far.year)  # whole years, so many that all of the week is known
    middle, origin = target - back, at.origin - back
    week = past.mean(past.sum, at.row, middle - far.around, middle + far.around + 1)
    week = np.where(middle - far.around >= past.start[at.row], week, np.nan)
    then, half = past.level(at.row, origin)
    answer["last_year"] = _relative(week, usual)
    answer["last_year_to_level_then"] = np.where(half & (origin > 0), _relative(week, then), np.nan)
    longest = int(target.max(initial=0)) + 1
    day = series.first_day + series.step.days * np.arange(longest) + series.step.days // 2
    month_day, year_day = _dates(day)
    answer["weekday"] = weekdays(series.first_day, longest, series.step.days)[target].astype(np.float64)
    answer["day_of_month"], answer["day_of_year"] = month_day[target], year_day[target]
    answer["origin_day_of_year"] = year_day[np.minimum(at.origin, longest - 1)]
    answer["steps_ahead"] = np.minimum(at.ahead, trained).astype(np.float64)
    return answer


def _covariate_names(known: Covariates, far: Windows) -> tuple[str, ...]:
    names: list[str] = []
    for name in dict.fromkeys((*known.shared_names, *known.own_names)):
        if name in known.known:
            if name in (HOLIDAY, CLOSED):
                names += [_of(name, "before"), _of(name, "then"), _of(name, "after")]
            else:
                names.append(_of(name, "then_to_usual" if name == PRICE else "then"))
        if name == PROMOTION:
            names.append(_of(name, f"last_{far.shares[0]}"))
        elif name not in (HOLIDAY, CLOSED, DISCOUNT, PRICE):
            names.append(_of(name, f"last_{far.lately}"))
    return tuple(names)


def _covariates(
    past: _Past, series: SeriesSet, known: Covariates, at: Drawn, reading: Reading, columns: Columns
) -> Columns:
    """Of what is known ahead the value of the step itself, of the rest the mean of the last steps.

    A price that was not entered is that of the step where this is history (a row to learn from), else the last one.
    """
    answer: Columns = {}
    wanted = set(reading.names)
    for name in dict.fromkeys((*known.shared_names, *known.own_names)):
        own = name in known.own_names
        table = known.own[known.own_names.index(name)] if own else known.shared[[known.shared_names.index(name)]]
        row = at.row if own else np.zeros_like(at.row)
        if name in known.known:
            for place, beside in (("before", -1), ("then", 0), ("after", 1)):
                if _of(name, place) in wanted:
                    value = cells(table, row, at.target + beside)
                    answer[_of(name, place)] = np.nan_to_num(value) if name in PLANNED else value
            if name == PRICE:
                then = _log(cells(table, row, at.target))
                then = np.where(np.isfinite(then), then, _log(cells(series.price, row, at.target)))
                then = np.where(np.isfinite(then), then, columns.get("price", np.nan))
                answer[_of(PRICE, "then_to_usual")] = then - columns.get(_USUAL_PRICE, np.nan)
        for steps in (past.far.lately, past.far.shares[0]):
            if _of(name, f"last_{steps}") in wanted:
                answer[_of(name, f"last_{steps}")] = lately(table[:, : series.days], row, at.origin, steps)
    for column, name in enumerate(known.static_names):
        if name in reading.words:
            code = {word: float(number) for number, word in enumerate(reading.words[name])}
            codes = np.array([*(code.get(word, np.nan) for word in known.static_words[column]), np.nan])
            answer[_static(name)] = codes[known.statics[at.row, column]]
    return answer


def _of(name: str, place: str) -> str:
    return f"{name}:{place}"


def _static(name: str) -> str:
    return f"static:{name}"


def _otherwise(name: str) -> float:
    """A feature that the series do not have: nothing was planned; else unknown."""
    return 0.0 if name.partition(":")[0] in PLANNED else np.nan


def _dates(day: Places) -> tuple[Floats, Floats]:
    """Day of the month and of the year, from 1, of days since 1970."""
    date = day.astype("datetime64[D]")
    month, year = date.astype("datetime64[M]").astype("datetime64[D]"), date.astype("datetime64[Y]")
    of_month = (date - month).astype(np.int64) + 1
    return of_month.astype(np.float64), (date - year.astype("datetime64[D]")).astype(np.float64) + 1


def _log(value: NDArray[np.floating]) -> Floats:
    """NaN where it is not above 0."""
    return np.log(np.where(value > 0, value, np.nan).astype(np.float64))


def _relative(value: NDArray[np.floating], usual: Floats) -> Floats:
    return np.log((value + _SMALL) / (usual + _SMALL))
