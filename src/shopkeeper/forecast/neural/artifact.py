"""A net that was learned, as it serves: a graph that onnxruntime runs, the meaning of its channels, its calibration.

    net.onnx  weights.npz  model.json  loss.json  calibration.npz

The weights lie beside the graph so that a training can go on from them (`start_from`); nothing that serves reads them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias
from zipfile import BadZipFile

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid, Unavailable
from shopkeeper.forecast.intervals import Calibration
from shopkeeper.forecast.neural.sizes import LEVELS, OUTPUTS
from shopkeeper.forecast.neural.windows import Board, Layout, Windows
from shopkeeper.forecast.outlook import Base, Floats, Outlook
from shopkeeper.forecast.series import SeriesSet
from shopkeeper.forecast.strategy import Strategy, extended
from shopkeeper.learning.onnx_forms import open_session

Weights: TypeAlias = dict[str, NDArray[np.float32]]
Run: TypeAlias = Callable[[Windows], NDArray[np.float32]]

BLOCK = 7
"""Steps that a recursive forecast takes at once."""
_BATCH = 512
_LEAST = 16
"""Windows in a batch: a few are filled up, so that a product alone gets the same sums as among others."""
_CAP = 5.0  # times the biggest day of the past
_FILES = ("net.onnx", "weights.npz", "model.json", "loss.json")


class Epoch(msgspec.Struct, kw_only=True, frozen=True):
    """A point of the loss curve."""

    epoch: int
    loss: float
    val_loss: float
    learning_rate: float
    seconds: float


class About(msgspec.Struct, kw_only=True, frozen=True):
    """`best_epoch` is the one whose state serves; 0: what it began with."""

    algorithm: str
    layout: Layout
    width: int
    dropout: float
    strategy: Strategy
    best_epoch: int
    continued: bool = False


class NeuralModel:
    def __init__(
        self, about: About, graph: bytes, weights: Weights, curve: list[Epoch], calibration: Calibration
    ) -> None:
        self.about, self.weights, self.curve = about, weights, curve
        self.feature_names = about.layout.feature_names
        self._graph, self._calibration = graph, calibration
        self._session = open_session(graph)

    def forecast(self, series: SeriesSet, horizon: int) -> Outlook:
        return self._calibration.outlook(series, self.base(series, horizon))

    def base(self, series: SeriesSet, horizon: int) -> Base:
        """What the net says before it is calibrated. Raises Invalid for series by another step."""
        return base_of(self._run, self.about, series, horizon)

    def _run(self, given: Windows) -> NDArray[np.float32]:
        said: NDArray[np.float32] = self._session.run(
            None, {"past": given.past, "future": given.future, "static": given.static}
        )[0]
        return said

    def save(self, folder: Path) -> None:
        (folder / "net.onnx").write_bytes(self._graph)
        (folder / "model.json").write_bytes(msgspec.json.encode(self.about))
        (folder / "loss.json").write_bytes(msgspec.json.encode(self.curve))
        np.savez(folder / "weights.npz", **self.weights)  # type: ignore[arg-type]
        self._calibration.save(folder)

    @classmethod
    def load(cls, folder: Path) -> NeuralModel:
        """Raises Unavailable."""
        try:
            about = msgspec.json.decode((folder / "model.json").read_bytes(), type=About)
            curve = msgspec.json.decode((folder / "loss.json").read_bytes(), type=list[Epoch])
            with np.load(folder / "weights.npz", allow_pickle=False) as kept:
                weights = {name: kept[name] for name in kept.files}
            return cls(about, (folder / "net.onnx").read_bytes(), weights, curve, Calibration.load(folder))
        except (OSError, EOFError, BadZipFile, ValueError, msgspec.DecodeError, Invalid) as error:
            raise Unavailable(f"the net cannot be read ({error}); train it again") from error


def base_of(run: Run, about: About, series: SeriesSet, horizon: int) -> Base:
    """By the strategy; `both` is the mean of the two."""
    blocks = {"direct": [about.layout.horizon], "recursive": [BLOCK], "both": [about.layout.horizon, BLOCK]}
    said = [_rolled(run, about.layout, series, horizon, block) for block in blocks[about.strategy]]
    whole: Floats = np.mean(said, axis=0)
    biggest = np.maximum(series.y.max(axis=1, initial=0.0), 1.0)
    mean = np.clip(whole[:, :, LEVELS], 1e-4, _CAP * biggest[:, None])
    return Base(mean, mean, whole[:, :, :LEVELS])


def _rolled(run: Run, layout: Layout, series: SeriesSet, horizon: int, block: int) -> Floats:
    """(n, horizon, 10) pieces, block after block, each from a history that the means before it are appended to.

    Beyond what the net has learned quantiles move away from the median with the root of the steps ahead.
    """
    block = min(block, layout.horizon)
    parts: list[Floats] = []
    for done in range(0, horizon, block):
        said = _asked(run, Board(series, layout))[:, : min(block, horizon - done)]
        ahead = done + 1.0 + np.arange(said.shape[1])
        wider = np.sqrt(np.maximum(ahead / layout.horizon, 1.0))[None, :, None]
        middle = said[:, :, LEVELS // 2, None]
        said[:, :, :LEVELS] = np.maximum(middle + (said[:, :, :LEVELS] - middle) * wider, 0.0)
        parts.append(said)
        if done + block < horizon:
            series = extended(series, said[:, :, LEVELS])
    return np.concatenate(parts, axis=1) if parts else np.empty((len(series), 0, OUTPUTS))


def _asked(run: Run, board: Board) -> Floats:
    """(n, H, 10) pieces from the end of the history."""
    said = np.empty((len(board), board.layout.horizon, OUTPUTS))
    for first in range(0, len(board), _BATCH):
        rows = np.arange(first, min(first + _BATCH, len(board)))
        filled = np.pad(rows, (0, max(_LEAST - len(rows), 0)), mode="edge")
        given = board.windows(filled, np.full(len(filled), board.days))
        said[rows] = run(given)[: len(rows)].astype(np.float64) * given.mu[: len(rows), None, None]
    return said
