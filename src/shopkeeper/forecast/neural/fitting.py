"""How a net learns: random windows, AdamW, one pass after another until the days held back say that it is enough.

    columns 0 ............. learned ........... tested ... end
            windows learn here   tell when to stop  (calibration's, the trainer's affair)

The best state is kept, not the last. A training that runs away begins once more from the best state at a quarter of the
pace, and is given up the second time.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import BytesIO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import Report
from shopkeeper.core.records import QUANTILES
from shopkeeper.forecast.neural.artifact import Epoch, Weights
from shopkeeper.forecast.neural.heads import loss_of
from shopkeeper.forecast.neural.sizes import OUTPUTS, Sizes
from shopkeeper.forecast.neural.windows import FLOOR, Board, Windows
from shopkeeper.forecast.outlook import Floats

Rows = NDArray[np.int64]
_MOST_TESTED = 4_096  # windows
_TEST_BATCH = 512
_RUNAWAY, _RUNAWAY_STEPS = 1e4, 20
_FINISH_PACE = 0.2
_FEWEST_STEPS = 20  # of a pass, however few windows there are
_FALLING_STEPS, _FALLING_EPOCHS = 1_500, 15
"""After both the learning rate has fallen to its floor: more passes may follow, but none that wait for it."""
_DIVERGED = "the training diverged twice: its loss is no number or grew without end; lower learning_rate"


@dataclass(frozen=True)
class Pace:
    epochs: int
    steps: int
    """At most, a pass."""
    batch: int
    learning_rate: float
    patience: int
    minutes: float
    finish: int
    """Passes over everything, the newest days too, behind the best one."""


@dataclass
class _Run:
    """Where a training is."""

    best: Weights
    best_loss: float = math.inf
    best_epoch: int = 0
    restarts: int = 0
    slower: float = 1.0
    curve: list[Epoch] = field(default_factory=list)


class _Runaway(Exception):
    """A loss that is no number, or many times the best one for many steps."""


class Learning:
    """One net, the windows it may learn from, and its loop. `learned`, `tested`: columns, see the module."""

    def __init__(self, net: nn.Module, board: Board, learned: int, tested: int, pace: Pace, device: str, seed: int):
        self._net = net.to(device)
        self._board, self._learned, self._tested = board, learned, tested
        self._pace, self._device = pace, device
        self._random = np.random.default_rng(seed)
        self._levels = torch.tensor(QUANTILES, dtype=torch.float32, device=device)
        self._began = time.monotonic()
        self._run = _Run(best=weights_of(net))

    @property
    def curve(self) -> list[Epoch]:
        return self._run.curve

    def learn(self, report: Report) -> int:
        """The net is then in its best state; the number of the pass that made it. Raises Invalid (`no_data`,
        `diverged`), Cancelled."""
        run, tests = self._run, list(self._tests())
        if tests and math.isfinite(begun := self._loss(tests)):
            run.best_loss = begun
        while True:
            try:
                self._passes(tests, run, report)
                break
            except _Runaway:
                run.restarts += 1
                if run.restarts > 1:
                    raise Invalid(_DIVERGED, code="diverged") from None
                report(len(run.curve), self._pace.epochs, message="diverged: once more from the best state, slower")
                put(self._net, run.best)
                run.slower = 0.25
        if not tests:
            run.best, run.best_epoch = weights_of(self._net), len(run.curve)
        put(self._net, run.best)
        return run.best_epoch

    def _passes(self, tests: list[tuple[Windows, Tensor, Tensor]], run: _Run, report: Report) -> None:
        pace, drawer = self._pace, _Drawer(self._board, self._learned)
        steps = self._steps_of(drawer)
        waited, high, begun = 0, 0, len(run.curve)
        top = rate = pace.learning_rate * run.slower
        falling = min(pace.epochs * steps, max(_FALLING_STEPS, _FALLING_EPOCHS * steps))
        optimiser = torch.optim.AdamW(self._net.parameters(), lr=pace.learning_rate, weight_decay=0.01)
        for epoch in range(begun, pace.epochs):
            started = time.monotonic()
            total = 0.0
            self._net.train()
            for step in range(steps):
                done = epoch * steps + step
                report(done, pace.epochs * steps, message="learning")
                rate = top * _pace(done - begun * steps, done, falling, self._late)
                loss = self._step(optimiser, drawer, rate)
                total += loss
                high = high + 1 if loss > _RUNAWAY * min(run.best_loss, 10.0) else 0
                if not math.isfinite(loss) or high >= _RUNAWAY_STEPS:
                    raise _Runaway
                if self._late >= 1:
                    break
            learned = total / (step + 1)
            tested = self._loss(tests) if tests else learned
            if not math.isfinite(tested):
                raise _Runaway
            seconds = time.monotonic() - started
            said = Epoch(epoch=epoch + 1, loss=learned, val_loss=tested, learning_rate=rate, seconds=seconds)
            run.curve.append(said)
            told = {"loss": said.loss, "val_loss": said.val_loss, "learning_rate": said.learning_rate}
            report(epoch + 1, pace.epochs, told, message="learning", epoch=True)
            waited += 1
            if tested < run.best_loss:
                run.best, run.best_loss, run.best_epoch, waited = weights_of(self._net), tested, epoch + 1, 0
            if waited >= pace.patience or self._late >= 1:
                break

    def finish(self, report: Report) -> None:
        """A few slow passes that reach up to the newest day: for products that are new, and for what changed lately."""
        if not self._pace.finish:
            return
        run, drawer = self._run, _Drawer(self._board, self._board.days)
        steps = self._steps_of(drawer) * self._pace.finish
        rate = self._pace.learning_rate * run.slower * _FINISH_PACE
        optimiser = torch.optim.AdamW(self._net.parameters(), lr=rate, weight_decay=0.01)
        self._net.train()
        for step in range(steps):
            report(self._pace.epochs, self._pace.epochs + 1, message="learning the newest days")
            loss = self._step(optimiser, drawer, rate * 0.5 * (1 + math.cos(math.pi * step / steps)))
            if not math.isfinite(loss) or loss > _RUNAWAY * min(run.best_loss, 10.0):
                put(self._net, run.best)  # the best one serves as it is
                return

    def _steps_of(self, drawer: _Drawer) -> int:
        return min(self._pace.steps, max(_FEWEST_STEPS, drawer.windows // self._pace.batch))

    @property
    def _late(self) -> float:
        """Share of the minutes that are gone."""
        return (time.monotonic() - self._began) / 60 / self._pace.minutes

    def _step(self, optimiser: torch.optim.Optimizer, drawer: _Drawer, rate: float) -> float:
        rows, origins = drawer.draw(self._pace.batch, self._random)
        given = self._board.windows(rows, origins)
        loss = self._loss_of(given, *self._wanted(given, rows, origins, drawer.until))
        for group in optimiser.param_groups:
            group["lr"] = rate
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._net.parameters(), 1.0)
        optimiser.step()
        return float(loss.detach())

    def _wanted(self, given: Windows, rows: Rows, origins: Rows, until: int) -> tuple[Tensor, Tensor]:
        pieces, counts = self._board.targets(rows, origins, given.mu, until)
        return torch.from_numpy(pieces).to(self._device), torch.from_numpy(counts).to(self._device)

    def _loss_of(self, given: Windows, pieces: Tensor, counts: Tensor) -> Tensor:
        weight = torch.from_numpy(np.sqrt(given.mu / (given.mu + 10.0) * 10.0).astype(np.float32)).to(self._device)
        return loss_of(said_of(self._net, given, self._device), pieces, counts, weight, self._levels)

    def _tests(self) -> Iterator[tuple[Windows, Tensor, Tensor]]:
        """Windows from the last origin that was learned and the two weeks behind it; the same in every pass."""
        if self._tested <= self._learned:
            return
        origins = list(range(self._learned, self._tested, self._board.layout.patch))[:3]
        begun = np.flatnonzero(self._board.start < self._learned)
        most = _MOST_TESTED // len(origins)
        if len(begun) > most:
            sold = self._board.y[begun, : self._learned].sum(axis=1, dtype=np.float64)
            begun = self._random.choice(begun, most, replace=False, p=_shares(sold))
        rows = np.repeat(begun, len(origins)).astype(np.int64)
        moments = np.tile(origins, len(begun)).astype(np.int64)
        for at in range(0, len(rows), _TEST_BATCH):
            part = slice(at, at + _TEST_BATCH)
            given = self._board.windows(rows[part], moments[part])
            yield given, *self._wanted(given, rows[part], moments[part], self._tested)

    def _loss(self, tests: list[tuple[Windows, Tensor, Tensor]]) -> float:
        self._net.eval()
        with torch.no_grad():
            parts = [(float(self._loss_of(*test)), float(test[2].sum())) for test in tests]
        many = sum(count for _, count in parts)
        return sum(loss * count for loss, count in parts if count) / many if many else math.inf


class _Drawer:
    """Draws windows whose answers lie before column `until`: series by the root of what they sell, or any."""

    def __init__(self, board: Board, until: int) -> None:
        """Raises Invalid when there is nothing to learn from."""
        self.until = until
        least = max(min(28 // board.layout.step_days, until // 3), 1)
        low = np.maximum(board.start.astype(np.int64) + 1, least)
        self._rows = np.flatnonzero(low < until)
        if not len(self._rows) or not board.seen[:, :until].any():
            raise Invalid("no open day after the first sale: there is nothing to learn from", code="no_data")
        self._low, self._span = low[self._rows], until - low[self._rows]
        self.windows = int(self._span.sum())
        self._cumulated = np.cumsum(_shares(board.y[self._rows, :until].sum(axis=1, dtype=np.float64)))

    def draw(self, many: int, random: np.random.Generator) -> tuple[Rows, Rows]:
        place = np.minimum(np.searchsorted(self._cumulated, random.random(many)), len(self._rows) - 1)
        origins = self._low[place] + (random.random(many) * self._span[place]).astype(np.int64)
        return self._rows[place].astype(np.int64), origins


def _shares(sold: Floats) -> Floats:
    weight = np.sqrt(sold + FLOOR)
    shares: Floats = 0.5 * weight / weight.sum() + 0.5 / len(sold)
    shares /= shares.sum()
    return shares


def _pace(since: int, step: int, steps: int, late: float) -> float:
    """Share of the learning rate: up within the first steps, then down along a cosine of what is gone of the passes or
    of the minutes once a tenth of them is over: what is not cut short is the same to the bit each time."""
    late = late if late > 0.1 else 0.0
    up = min(1.0, (since + 1) / max(min(50, steps // 10), 1))
    return up * (0.02 + 0.49 * (1 + math.cos(math.pi * min(max(step / steps, late), 1.0))))


def said_of(net: nn.Module, given: Windows, device: str) -> Tensor:
    said: Tensor = net(*(torch.from_numpy(part).to(device) for part in (given.past, given.future, given.static)))
    return said


def runner(net: nn.Module, device: str) -> Callable[[Windows], NDArray[np.float32]]:
    """As a loaded model runs its graph."""
    net.eval()

    def run(given: Windows) -> NDArray[np.float32]:
        with torch.no_grad():
            return said_of(net, given, device).cpu().numpy()

    return run


def weights_of(net: nn.Module) -> Weights:
    return {name: each.detach().cpu().numpy().copy() for name, each in net.state_dict().items()}


def put(net: nn.Module, weights: Weights) -> None:
    net.load_state_dict({name: torch.from_numpy(each) for name, each in weights.items()})


def continued(net: nn.Module, weights: Weights) -> None:
    """Begin with the weights of a net that knew fewer words: a new one is as the mean of those known.

    Raises Invalid (`cannot_continue`).
    """
    fresh = weights_of(net)
    for name, mine in fresh.items():
        old = weights.get(name)
        if old is None or old.shape[1:] != mine.shape[1:] or old.ndim != mine.ndim or len(old) > len(mine):
            raise Invalid(
                f"cannot continue: {name} has another shape in the version to start from; train anew",
                code="cannot_continue",
            )
        if old.shape == mine.shape:
            fresh[name] = old
        elif "tables" in name:
            fresh[name] = np.concatenate([old, np.repeat(old[1:].mean(axis=0, keepdims=True), len(mine) - len(old), 0)])
        else:
            raise Invalid(f"cannot continue: {name} grew; train anew", code="cannot_continue")
    put(net, fresh)


def graph_of(net: nn.Module, sizes: Sizes) -> bytes:
    """The net as an ONNX graph that takes any number of windows. Raises Invalid (`bad_graph`)."""
    net = net.to("cpu").eval()
    example = (
        torch.zeros(2, sizes.lookback, sizes.past),
        torch.zeros(2, sizes.horizon, sizes.future),
        torch.zeros(2, len(sizes.static), dtype=torch.int64),
    )
    names = ["past", "future", "static"]
    written = BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        shape = tuple(net(*example).shape)
        if shape != (2, sizes.horizon, OUTPUTS):
            raise Invalid(f"the net answers {shape}, expected (2, {sizes.horizon}, {OUTPUTS})", code="bad_graph")
        torch.onnx.export(
            net,
            example,
            written,  # type: ignore[arg-type]  # takes a file too
            dynamo=False,
            opset_version=17,
            input_names=names,
            output_names=["said"],
            dynamic_axes={name: {0: "windows"} for name in [*names, "said"]},
        )
    return written.getvalue()


def device_of(wanted: str) -> str:
    """`auto`: the graphics card where there is one."""
    return "cuda" if wanted == "auto" and torch.cuda.is_available() else "cpu"
