"""Auto: several algorithms, weighed by how well each foretold the past weeks; an answer even when some of them fail.

Members are fitted on the past of the first selection window and forecast the windows behind it without seeing them.
Greedy selection gives the weights, of products and of aggregates apart: they are two questions. Intervals are measured
on later windows, of which neither members nor weights know anything. The members that serve are then fitted again, on
everything. What fails on the way is left out and told.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeAlias, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper import plugins
from shopkeeper.core.errors import Cancelled, Invalid, ShopkeeperError, Unavailable
from shopkeeper.core.protocols import Params as BaseParams
from shopkeeper.core.protocols import Report
from shopkeeper.forecast.algorithms.seasonal_naive import SeasonalNaive, SeasonalNaiveModel
from shopkeeper.forecast.intervals import Calibration, calibrate
from shopkeeper.forecast.outlook import Base, ForecastModel, Outlook
from shopkeeper.forecast.series import SeriesSet
from shopkeeper.forecast.statistics.ensembling import Record, mixed
from shopkeeper.forecast.statistics.seasons import past_cutoffs

Floats = NDArray[np.float64]
PRESETS: dict[str, tuple[str, ...]] = {
    "fast": ("seasonal_naive", "theta", "tsb"),
    "medium": ("seasonal_naive", "theta", "tsb", "autoets", "lightgbm"),
    "best": ("seasonal_naive", "theta", "tsb", "autoets", "lightgbm", "xgboost", "nhits"),
}
_FEWEST = 56
_FOLDER = "members"
Pair: TypeAlias = tuple[float, float]
Board: TypeAlias = list[dict[str, Any]]


@dataclass(frozen=True)
class Fit:
    """A member and how long it learned."""

    model: ForecastModel
    seconds: float


class AutoModel:
    """`weights` and `sums` (m,) of the members, of products and of aggregates; `board` how they did when chosen."""

    feature_names: tuple[str, ...] = ("members",)

    def __init__(
        self,
        members: Mapping[str, ForecastModel],
        weights: Floats,
        sums: Floats,
        calibration: Calibration,
        board: Board | None = None,
        absent: Mapping[str, str] | None = None,
    ) -> None:
        self.members = dict(members)
        self.weights = weights
        self.sums = sums
        self.board = board or []
        self.absent = dict(absent or {})
        self._calibration = calibration

    def forecast(self, series: SeriesSet, horizon: int) -> Outlook:
        base, lost = mixed(self.members, self.weights, self.sums, series, horizon)
        if len(lost) == len(self.members):
            said = SeasonalNaiveModel(Calibration.unknown()).forecast(series, horizon)
        else:
            said = self._calibration.outlook(series, base)
        return replace(said, note=_told({**self.absent, **lost}))

    def base(self, series: SeriesSet, horizon: int) -> Base:
        """The weighted mean, not calibrated."""
        return mixed(self.members, self.weights, self.sums, series, horizon)[0]

    def save(self, folder: Path) -> None:
        for name, model in self.members.items():
            (folder / _FOLDER / name).mkdir(parents=True)
            model.save(folder / _FOLDER / name)
        facts = {
            "members": list(self.members),
            "weights": self.weights.tolist(),
            "sums": self.sums.tolist(),
            "leaderboard": self.board,
            "absent": self.absent,
        }
        (folder / "weights.json").write_bytes(msgspec.json.format(msgspec.json.encode(facts), indent=1))
        self._calibration.save(folder)

    @classmethod
    def load(cls, folder: Path) -> AutoModel:
        """A member that cannot be loaded is left out, and said to be absent. Raises Unavailable when none can."""
        try:
            facts = msgspec.json.decode((folder / "weights.json").read_bytes(), type=dict[str, Any])
            names, weights, sums = facts["members"], facts["weights"], facts["sums"]
            absent, board = dict(facts["absent"]), facts["leaderboard"]
        except (OSError, KeyError, msgspec.DecodeError) as error:
            raise Unavailable(f"weights.json cannot be read ({error}); train the model again") from error
        members: dict[str, ForecastModel] = {}
        for name in names:
            try:
                loaded = plugins.algorithm(name).model.load(folder / _FOLDER / name)
                members[name] = cast(ForecastModel, loaded)
            except ShopkeeperError as error:
                absent[name] = error.message
        if not members:
            raise Unavailable(f"no member of the ensemble can be loaded: {_told(absent)}; train the model again")
        kept = [place for place, name in enumerate(names) if name in members]
        return cls(members, np.array(weights)[kept], np.array(sums)[kept], Calibration.load(folder), board, absent)


class Auto:
    name: ClassVar[str] = "auto"
    family: ClassVar[str] = "forecast"
    description: ClassVar[str] = "Several algorithms weighed by their own past errors; answers even when one fails"
    tags: ClassVar[tuple[str, ...]] = ("ensemble", "global")
    knows_new_users: ClassVar[bool] = True
    knows_new_items: ClassVar[bool] = True
    model: ClassVar[type[AutoModel]] = AutoModel
    brief: ClassVar[dict[str, Any]] = {"preset": "fast"}

    class Params(BaseParams, kw_only=True, forbid_unknown_fields=True):
        preset: Annotated[
            Literal["fast", "medium", "best"],
            msgspec.Meta(description="fast: statistics; medium: trees too; best: nets too, where they are installed"),
        ] = "medium"
        members: Annotated[
            list[str], msgspec.Meta(max_length=10, description="algorithms by name, in place of the preset's")
        ] = msgspec.field(default_factory=list)
        horizon: Annotated[int, msgspec.Meta(ge=1, le=365, description="steps ahead that members are judged on")] = 28
        windows: Annotated[int, msgspec.Meta(ge=1, le=20, description="past windows that weights are found on")] = 4
        calibration: Annotated[
            int, msgspec.Meta(ge=1, le=52, description="later windows that intervals are measured on")
        ] = 5

    def __init__(self, params: Auto.Params, seed: int) -> None:
        self._params = params
        self._seed = seed

    def fit(self, data: SeriesSet, report: Report) -> AutoModel:
        """Raises Invalid for a member that is no forecast algorithm."""
        names, absent = self._members()
        horizon = min(self._params.horizon, max(data.days // (4 if data.step.days == 1 else 3), 1))
        select, measure = self._windows(data, horizon)
        if not select:  # too little to judge anybody by: all count alike
            members, gone = self._fitted(data, names, horizon, report, 0, len(names))
            return _built(members, {}, Calibration.unknown(), [], {**absent, **gone})
        early, gone = self._fitted(data.until(select[0]), names, horizon, report, 0, 2 * len(names))
        record = Record(data, horizon)
        for cutoff in select:
            gone |= record.add({name: fit.model for name, fit in early.items() if name not in gone}, cutoff)
        early = {name: fit for name, fit in early.items() if name not in gone}
        weights = _weights(record, list(early))
        board = _board(record, early, weights)
        for row in board:
            report(len(names), 2 * len(names), message=_line(row))
        bare = _built(early, weights, Calibration.unknown(), board, {})
        calibration = calibrate(bare.base, data, measure, horizon)
        wanted = [name for name in early if any(weights[name])]
        members, lost = self._fitted(data, wanted, horizon, report, len(names), len(names) + max(len(wanted), 1))
        return _built(members, weights, calibration, board, {**absent, **gone, **lost})

    def _members(self) -> tuple[list[str], dict[str, str]]:
        """Names of algorithms, and why some of the preset's are not here."""
        absent: dict[str, str] = {}
        for name in self._params.members:
            if name == self.name or plugins.algorithm(name).family != self.family:
                raise Invalid(f"{name} cannot be a member of a forecast ensemble", code="bad_param", field="members")
        for name in () if self._params.members else PRESETS[self._params.preset]:
            if name not in plugins.names("algorithm"):
                absent[name] = "it is not installed"
            elif not (facts := plugins.describe(name)).available:
                absent[name] = facts.needs or "it is not installed"
        wanted = list(dict.fromkeys(self._params.members)) or list(PRESETS[self._params.preset])
        return [name for name in wanted if name not in absent], absent

    def _windows(self, data: SeriesSet, horizon: int) -> tuple[list[int], list[int]]:
        """Cutoffs on which weights are found, and later ones on which intervals are measured.

        A history too short for both has the same for both.
        """
        measure = past_cutoffs(data, horizon, self._params.calibration, _FEWEST)
        before = data.until(measure[0]) if measure else data
        select = past_cutoffs(before, horizon, self._params.windows, _FEWEST, strict=True) if measure else []
        return select or measure, measure

    def _fitted(
        self, data: SeriesSet, names: Sequence[str], horizon: int, report: Report, done: int, of: int
    ) -> tuple[dict[str, Fit], dict[str, str]]:
        """Members that learned, one after the other, and why others did not."""
        fits: dict[str, Fit] = {}
        lost: dict[str, str] = {}
        for place, name in enumerate(names):
            began = time.perf_counter()
            trainer = plugins.algorithm(name)
            given = {"horizon": horizon} if "horizon" in trainer.Params.__struct_fields__ else {}
            told = _portion(report, done + place, of, name)
            try:
                told(0, 1, message="begins")
                model = trainer(plugins.read_params(trainer, given), self._seed).fit(data, told)
            except Cancelled:
                raise
            except Exception as error:  # noqa: BLE001  a stranger's algorithm may raise anything, and the others go on
                lost[name] = error.message if isinstance(error, ShopkeeperError) else f"{type(error).__name__}: {error}"
                report(done + place, of, message=f"{name} is left out: {lost[name]}")
                continue
            fits[name] = Fit(cast(ForecastModel, model), time.perf_counter() - began)
        return fits, lost


def _built(
    fits: Mapping[str, Fit], weights: Mapping[str, Pair], calibration: Calibration, board: Board, absent: dict[str, str]
) -> AutoModel:
    """Without any member seasonal naive, which needs no training."""
    models: dict[str, ForecastModel] = {name: fit.model for name, fit in fits.items()}
    if not models:
        naive: dict[str, ForecastModel] = {SeasonalNaive.name: SeasonalNaiveModel(Calibration.unknown())}
        return AutoModel(naive, np.ones(1), np.ones(1), calibration, board, absent)
    equal = (1.0 / len(models), 1.0 / len(models))
    columns = np.array([weights.get(name, equal) for name in models])
    columns[:, columns.sum(axis=0) == 0] = 1.0
    columns /= columns.sum(axis=0)
    return AutoModel(models, columns[:, 0], columns[:, 1], calibration, board, absent)


def _weights(record: Record, names: list[str]) -> dict[str, Pair]:
    """Of products and of aggregates."""
    if not names:
        return {}
    pairs = zip(record.weights(names, sums=False), record.weights(names, sums=True), strict=True)
    return {name: (float(one), float(two)) for name, (one, two) in zip(names, pairs, strict=True)}


def _board(record: Record, fits: Mapping[str, Fit], weights: Mapping[str, Pair]) -> Board:
    """Best first; `auto` is the whole, on the windows on which its weights were found."""
    if not fits:
        return []
    names = list(fits)
    of_products = record.measures(names, np.array([weights[name][0] for name in names]), sums=False)
    of_sums = record.measures(names, np.array([weights[name][1] for name in names]), sums=True)
    rows: Board = []
    for place, name in enumerate((*names, Auto.name)):
        row: dict[str, Any] = {"model": name}
        row |= of_products[place] if of_products else {}
        row |= {f"total_{key}": value for key, value in of_sums[place].items()} if of_sums else {}
        if name in fits:
            row |= {"weight": weights[name][0], "total_weight": weights[name][1], "seconds": fits[name].seconds}
        rows.append({key: round(value, 4) if isinstance(value, float) else value for key, value in row.items()})
    return sorted(rows, key=lambda row: (row.get("pinball", row.get("total_pinball", 0.0)), row["model"] != Auto.name))


def _line(row: Mapping[str, Any]) -> str:
    """A row of the leaderboard as the job's log shows it."""
    return ", ".join(f"{key} {value}" for key, value in row.items())


def _told(absent: Mapping[str, str]) -> str | None:
    return "; ".join(f"without {name}: {why}" for name, why in absent.items()) or None


def _portion(report: Report, done: int, of_all: int, name: str) -> Report:
    """The report of one member's training among `of_all`: its share of the whole, its name before the words."""

    def told(
        step: int, of: int, metrics: Mapping[str, float] | None = None, *, message: str = "", epoch: bool = False
    ) -> None:
        report(done * of + step, of_all * of, metrics, message=f"{name}: {message}" if message else name, epoch=epoch)

    return told
