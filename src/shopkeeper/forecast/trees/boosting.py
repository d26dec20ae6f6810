"""Boosted trees as forecasters: one model for all series; which library grows the trees is the algorithm's affair.

The trees learn log(mean / recent level) under a Tweedie loss, which suits demand that is mostly zero: each row starts
at the log of its own level. With the objective `quantile` nine more sets of trees learn quantiles of pieces / level.
Intervals: split conformal on weeks that a first model has not seen; the model that serves is then fitted on everything.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Protocol, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Unavailable
from shopkeeper.core.protocols import Params as BaseParams
from shopkeeper.core.protocols import Report
from shopkeeper.forecast.intervals import LEVELS, Calibration, calibrate, cutoffs
from shopkeeper.forecast.outlook import Base, Floats, Outlook
from shopkeeper.forecast.series import SeriesSet
from shopkeeper.forecast.strategy import Strategy, points_of
from shopkeeper.forecast.trees.drawing import FIRST_ORIGIN, YEAR, draw, weights
from shopkeeper.forecast.trees.lags import CHUNK, LEVEL, Drawn, Reading, features

Kind = Literal["tweedie", "quantile"]
WORTH_THREADS = 50_000  # rows
_PARTS = ("direct", "stepwise", "quantiles")
_CAP = 5.0  # times the biggest day of the past: trees cannot run away, a typo in the data can
_QUANTILE_ROUNDS = 60
_TRIED, _TRIED_ROWS = 2_000, 60_000  # products and rows that decide what the level is


class TreeParams(BaseParams, kw_only=True, forbid_unknown_fields=True):
    """What all boosted trees have in common."""

    horizon: Annotated[int, msgspec.Meta(ge=1, le=365, description="steps ahead that are learned")] = 28
    rounds: Annotated[int, msgspec.Meta(ge=1, le=5_000, description="trees")] = 150
    learning_rate: Annotated[float, msgspec.Meta(gt=0, le=1, description="step of each tree")] = 0.05
    leaves: Annotated[int, msgspec.Meta(ge=2, le=1_024, description="leaves a tree")] = 31
    least_rows: Annotated[int, msgspec.Meta(ge=1, le=100_000, description="rows a leaf")] = 100
    tweedie: Annotated[float, msgspec.Meta(gt=1, lt=2, description="Tweedie power: 1 Poisson, 2 gamma")] = 1.2
    rows: Annotated[int, msgspec.Meta(ge=1_000, le=50_000_000, description="training rows, drawn at random")] = 150_000
    windows: Annotated[int, msgspec.Meta(ge=1, le=52, description="past weeks that intervals are measured on")] = 5
    objective: Annotated[
        Kind,
        msgspec.Meta(description="tweedie: the mean, intervals by its errors; quantile: nine quantiles learned too"),
    ] = "tweedie"
    strategy: Annotated[
        Strategy,
        msgspec.Meta(description="direct: each step ahead at once; recursive: block after block; both: their mean"),
    ] = "direct"
    block: Annotated[int, msgspec.Meta(ge=1, le=365, description="steps that a recursive forecast says at once")] = 7
    level: Annotated[
        int,
        msgspec.Meta(
            ge=0,
            le=730,
            description="steps of the level that everything is relative to; 0: eight weeks or a year, whichever was "
            "better on the weeks before those that intervals are measured on",
        ),
    ] = 0
    threads: Annotated[
        int,
        msgspec.Meta(ge=1, le=256, description="threads that train; two on a busy machine were slower than one"),
    ] = 1


@dataclass(frozen=True)
class Rows:
    """What trees are grown on: `target` (m,) pieces to begin at `start`, or pieces / level with `start` None."""

    features: NDArray[np.float32]
    target: Floats
    weight: Floats
    start: Floats | None
    categories: list[int]


class Trees(Protocol):
    """Grown trees: log(mean / level) (m,), or quantiles of pieces / level (m, 9)."""

    def predict(self, features: NDArray[np.float32], threads: int) -> Floats: ...

    def save(self, folder: Path, name: str) -> None: ...

    @classmethod
    def load(cls, folder: Path, name: str) -> Self: ...


class Growing:
    """Tells how many trees of all have grown. `still`: trees of a trial, which do not count."""

    def __init__(self, report: Report, of: int, *, still: bool = False) -> None:
        self._report, self._of, self._still, self._done = report, of, still, 0

    def tree(self) -> None:
        self._done += 1
        if self._still:
            self._report(0, self._of, message="choosing the level")
        elif self._done % 10 == 0:
            self._report(min(self._done, self._of), self._of, message="growing trees")


class Facts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """model.json. `trained` steps ahead of the direct trees, `block` of the stepwise ones."""

    reading: Reading
    trained: int
    block: int
    strategy: Strategy
    objective: Kind


@dataclass(frozen=True)
class Reach:
    """Trees that say up to `block` steps at once."""

    trees: Trees
    reading: Reading
    block: int

    def next(self, series: SeriesSet, steps: int) -> tuple[Floats, Floats]:
        """Mean and scale (which is the mean), both (n, steps)."""
        mean = np.empty((len(series), steps))
        for row in _some(len(series)):
            ratio, level = self._said(series, row, steps)
            mean[row] = (level * np.exp(np.clip(ratio, -10.0, 10.0))).reshape(len(row), steps)
        biggest = np.maximum(series.y.max(axis=1, initial=0.0), 1.0)
        mean = np.clip(mean, 1e-4, _CAP * biggest[:, None])
        return mean, mean

    def quantiles(self, series: SeriesSet, mean: Floats) -> Floats:
        """(n, h, 9). Beyond the block the last ones, in proportion to the mean (n, h)."""
        n, horizon = mean.shape
        steps = min(horizon, self.block)
        parts = []
        for row in _some(n):
            ratio, level = self._said(series, row, steps)
            parts.append((level[:, None] * np.maximum(ratio, 0.0)).reshape(len(row), steps, -1))
        near = np.sort(np.concatenate(parts), axis=2)
        far = near[:, -1:] / mean[:, steps - 1 : steps, None] * mean[:, steps:, None]
        return np.concatenate([near, far], axis=1)

    def _said(self, series: SeriesSet, row: NDArray[np.int64], steps: int) -> tuple[Floats, Floats]:
        ahead = np.tile(np.arange(1, steps + 1), len(row))
        at = Drawn(np.repeat(row, steps), np.full(len(ahead), series.days), ahead)
        seen, level = features(series, at, self.block, self.reading)
        return self.trees.predict(seen, 0 if len(series) * steps >= WORTH_THREADS else 1), level


@dataclass(frozen=True)
class Forest:
    """All trees of a model. `quantiles` is direct."""

    facts: Facts
    direct: Reach | None
    stepwise: Reach | None
    quantiles: Reach | None

    def base(self, series: SeriesSet, horizon: int) -> Base:
        """What it says before it is calibrated."""
        mean, scale = points_of(self.facts.strategy, self.direct, self.stepwise, series, horizon)
        return Base(mean, scale, None if self.quantiles is None else self.quantiles.quantiles(series, mean))


class TreeModel:
    """What serves. An algorithm's own class names what its trees are read by."""

    trees: ClassVar[type[Trees]]

    def __init__(self, forest: Forest, calibration: Calibration) -> None:
        self._forest = forest
        self._calibration = calibration
        self.reading = forest.facts.reading
        self.feature_names = self.reading.names

    def forecast(self, series: SeriesSet, horizon: int) -> Outlook:
        return self._calibration.outlook(series, self._forest.base(series, horizon))

    def base(self, series: SeriesSet, horizon: int) -> Base:
        """Before calibration."""
        return self._forest.base(series, horizon)

    def save(self, folder: Path) -> None:
        forest = self._forest
        for name in _PARTS:
            if (reach := getattr(forest, name)) is not None:
                reach.trees.save(folder, name)
        (folder / "model.json").write_bytes(msgspec.json.encode(forest.facts))
        self._calibration.save(folder)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Raises Unavailable when it cannot be read, or was made by a version that read other features."""
        try:
            facts = msgspec.json.decode((folder / "model.json").read_bytes(), type=Facts)
            wanted = _wanted(facts.strategy, facts.objective)
            grown = {name: Reach(cls.trees.load(folder, name), facts.reading, _reach(facts, name)) for name in wanted}
            forest = Forest(facts, *(grown.get(name) for name in _PARTS))
            return cls(forest, Calibration.load(folder))
        except (OSError, ValueError, msgspec.DecodeError) as error:
            raise Unavailable(f"the model of trees cannot be read ({error}); train it again") from error


class TreeTrainer:
    """Everything about a model of trees but the growing of a tree."""

    family: ClassVar[str] = "forecast"
    tags: ClassVar[tuple[str, ...]] = ("global", "trees")
    knows_new_users: ClassVar[bool] = True
    knows_new_items: ClassVar[bool] = True
    brief: ClassVar[dict[str, Any]] = {"rounds": 50}
    model: ClassVar[type[TreeModel]]

    Params = TreeParams

    def __init__(self, params: TreeParams, seed: int) -> None:
        self.params = params
        self.seed = seed

    def grow(self, rows: Rows, kind: Kind, rounds: int, growing: Growing) -> Trees:
        """Trees for the mean of `rows`, or for the nine quantiles."""
        raise NotImplementedError

    def fit(self, data: SeriesSet, report: Report) -> TreeModel:
        """Raises Invalid when there is no day to learn from."""
        params = self.params
        horizon = min(params.horizon, max(data.days // 4, 1))
        apart = 7 if data.step.days == 1 else 1
        past = cutoffs(data.days, horizon, params.windows, step=apart, fewest=2 * FIRST_ORIGIN[data.step.days])
        reading = Reading.of(data, params.level or self._level(data.until(past[0]) if past else data, horizon, report))
        facts = Facts(reading, horizon, min(params.block, horizon), params.strategy, params.objective)
        growing = Growing(report, (2 if past else 1) * self._trees(facts))
        calibration = Calibration.unknown()
        if past:
            unaware = self._forest(data.until(past[0]), facts, growing)
            calibration = calibrate(unaware.base, data, past, horizon)
        return self.model(self._forest(data, facts, growing), calibration)

    def threads(self, rows: int) -> int:
        """Threads that wait for one another cost more than few rows are worth."""
        return self.params.threads if rows >= WORTH_THREADS else 1

    def least_rows(self, rows: int) -> int:
        return min(self.params.least_rows, max(rows // 20, 1))

    def _trees(self, facts: Facts) -> int:
        wanted = _wanted(facts.strategy, facts.objective)
        quantiles = len(LEVELS) * min(self.params.rounds, _QUANTILE_ROUNDS) if "quantiles" in wanted else 0
        return sum(self.params.rounds for name in wanted if name != "quantiles") + quantiles

    def _level(self, data: SeriesSet, horizon: int, report: Report) -> int:
        """Eight weeks, or a year where few trees that begin at it were nearer in the last `horizon` steps."""
        short, year = LEVEL[data.step.days], YEAR[data.step.days]
        cutoff = data.days - horizon
        if cutoff < 2 * year:
            return short
        products = np.flatnonzero(~data.aggregate & (data.start < cutoff))
        if len(products) > _TRIED:
            products = np.sort(np.random.default_rng(self.seed).choice(products, _TRIED, replace=False))
        known, came = data.until(cutoff), data.observed()[products, cutoff:]
        errors = {}
        for level in (short, year):
            facts = Facts(Reading.of(known, level), horizon, horizon, "direct", "tweedie")
            forest = self._forest(known, facts, Growing(report, 1, still=True), _TRIED_ROWS)
            mean = forest.base(known.select(products), horizon).mean
            errors[level] = float(np.nansum(np.abs(came - mean)))
        return min(errors, key=lambda level: errors[level])

    def _forest(self, data: SeriesSet, facts: Facts, growing: Growing, rows: int | None = None) -> Forest:
        grown = {}
        for name in _wanted(facts.strategy, facts.objective):
            steps = _reach(facts, name)
            at = draw(data, steps, rows or self.params.rows, np.random.default_rng(self.seed))
            seen, level = features(data, at, steps, facts.reading)
            target, start = data.y[at.row, at.target].astype(np.float64), np.log(level)
            weight = weights(start, data.aggregate[at.row], self.params.tweedie)
            categories = facts.reading.categories
            if name == "quantiles":
                ratios = Rows(seen, target / level, weight * level / level.mean(), None, categories)
                trees = self.grow(ratios, "quantile", min(self.params.rounds, _QUANTILE_ROUNDS), growing)
            else:
                trees = self.grow(Rows(seen, target, weight, start, categories), "tweedie", self.params.rounds, growing)
            grown[name] = Reach(trees, facts.reading, steps)
        return Forest(facts, *(grown.get(name) for name in _PARTS))


def _wanted(strategy: Strategy, objective: Kind) -> list[str]:
    """Names of the sets of trees that a model has."""
    means = {"direct": ["direct"], "recursive": ["stepwise"], "both": ["direct", "stepwise"]}[strategy]
    return [*means, "quantiles"] if objective == "quantile" else means


def _reach(facts: Facts, name: str) -> int:
    return facts.block if name == "stepwise" else facts.trained


def _some(n: int) -> list[NDArray[np.int64]]:
    return [np.arange(first, min(first + CHUNK, n)) for first in range(0, n, CHUNK)]
