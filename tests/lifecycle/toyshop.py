"""A stranger's package: tiny real algorithms, a family and job kinds, found by entry point like anybody's."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from math import nan
from pathlib import Path
from typing import Annotated, Any

import msgspec

from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import JobContext, Params, TrainingContext, TrainingData
from shopkeeper.core.records import Gate
from shopkeeper.quality.gate import AtMost, Beats, judge

ENTRY_POINTS = """\
[shopkeeper.algorithms]
toy_line = toyshop:LineTrainer
toy_liar = toyshop:LiarTrainer
toy_blank = toyshop:BlankTrainer
toy_forecaster = toyshop:ForecasterTrainer
toy_swift = toyshop:SwiftTrainer
toy_moody = toyshop:MoodyTrainer
toy_slow = toyshop:SlowTrainer
toy_bulky = toyshop:BulkyTrainer
toy_pair = toyshop:PairTrainer
toy_heir = toyshop:HeirTrainer
toy_bare = toyshop:BareTrainer

[shopkeeper.families]
toy = toyshop:LineFamily
toy_forecast = toyshop:ForecasterFamily
toy_pairs = toyshop:PairFamily

[shopkeeper.jobs]
toy_count = toyshop:count
toy_deaf = toyshop:deaf
toy_hog = toyshop:hog
toy_fail = toyshop:fail
toy_refuse = toyshop:refuse
toy_die = toyshop:die
toy_emit = toyshop:emit
toy_family = toyshop:have_children
toy_flaky = toyshop:flaky
toy_odd = toyshop:odd
toy_talk = toyshop:talk
"""


# -- job kinds


def count(ctx: JobContext) -> dict[str, Any]:
    """Report `steps` steps of `seconds` each; leave the process id behind."""
    (ctx.workdir / "pid").write_text(str(os.getpid()))
    steps = int(ctx.params.get("steps", 3))
    for step in range(1, steps + 1):
        time.sleep(ctx.params.get("seconds", 0.01))
        ctx.report(step, steps, {"loss": 1 / step}, message=f"step {step}", epoch=True)
    print("counted", steps)
    facts = {"steps": steps, "threads": os.environ["OMP_NUM_THREADS"], "now": ctx.now, "zone": ctx.zone}
    return {**facts, "padding": "x" * ctx.params.get("padding", 0)}


def deaf(ctx: JobContext) -> dict[str, Any]:
    """Never reports, so it never hears that it should stop."""
    (ctx.workdir / "pid").write_text(str(os.getpid()))
    ctx.report(0, 1, message="asleep", epoch=True)
    time.sleep(600)
    return {}


def hog(ctx: JobContext) -> dict[str, Any]:
    held = []
    while True:
        held.append(bytearray(os.urandom(1024)) * 16 * 1024)
        time.sleep(0.01)


def fail(ctx: JobContext) -> dict[str, Any]:
    raise ZeroDivisionError("secret_name_of_the_frame divides by nothing\nsecond line")


def refuse(ctx: JobContext) -> dict[str, Any]:
    raise Invalid("the file has no column y; map one")


def die(ctx: JobContext) -> dict[str, Any]:
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def emit(ctx: JobContext) -> dict[str, Any]:
    for number in range(int(ctx.params["messages"])):
        ctx.emit({"number": number})
    return {}


def have_children(ctx: JobContext) -> dict[str, Any]:
    grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    (ctx.workdir / "grandchild").write_text(str(grandchild.pid))
    return deaf(ctx)


def flaky(ctx: JobContext) -> dict[str, Any]:
    """Waits at its first attempt for ever, and is done at once at the second."""
    first = ctx.workdir / "first"
    if first.exists():
        return {"attempt": 2}
    first.write_text(str(os.getpid()))
    return deaf(ctx)


def talk(ctx: JobContext) -> dict[str, Any]:
    """Prints `lines` numbered lines of a hundred bytes."""
    for number in range(int(ctx.params["lines"])):
        print(f"{number:08d}".ljust(99, "."))
    return {}


def odd(ctx: JobContext) -> dict[str, Any]:
    return [1]


# -- a family and its algorithms: y = weight * x


class LineParams(Params):
    weight: Annotated[float, msgspec.Meta(description="slope")] = 2.0
    steps: Annotated[int, msgspec.Meta(ge=1, le=1000, description="epochs")] = 3
    seconds: float = 0.0


class Line:
    feature_names = ("x",)

    def __init__(self, weight: float) -> None:
        self.weight = weight

    def score_rows(self, rows: list[dict[str, Any]]) -> list[Any]:
        for row in rows:
            if not isinstance(row.get("x", 0.0), int | float):
                raise Invalid(f"x is {row['x']!r}, expected a number", field="x")
        return [self.weight * row.get("x", 1.0) for row in rows]

    def save(self, folder: Path) -> None:
        (folder / "line.json").write_text(json.dumps({"weight": self.weight}))

    @classmethod
    def load(cls, folder: Path) -> Line:
        return cls(json.loads((folder / "line.json").read_text())["weight"])


class LineTrainer:
    name, family = "toy_line", "toy"
    description, tags = "a line through the origin", ("toy",)
    knows_new_users = knows_new_items = True
    Params = LineParams
    model: Any = Line

    def __init__(self, params: LineParams, seed: int) -> None:
        self.params, self.seed = params, seed

    def fit(self, data: Any, report: Any) -> Line:
        assert data
        for step in range(1, self.params.steps + 1):
            time.sleep(self.params.seconds)
            report(step, self.params.steps, {"loss": 1.0 / step}, epoch=True)
        return self.model(self.params.weight)


class HeirTrainer(LineTrainer):
    """Goes on from what a version has learned: its weight and a bit more."""

    name = "toy_heir"
    begin = 0.0

    def continue_from(self, model: Any) -> None:
        self.begin = model.weight

    def fit(self, data: Any, report: Any) -> Line:
        return self.model(self.begin + super().fit(data, report).weight)


class BareTrainer(LineTrainer):
    """Learns by a library that nobody has."""

    name = "toy_bare"
    needs = {"no_such_library": "toy_bare needs no_such_library: install the extra nothing"}  # noqa: RUF012


class Liar(Line):
    """Answers differently once it was saved and loaded."""

    @classmethod
    def load(cls, folder: Path) -> Liar:
        return cls(json.loads((folder / "line.json").read_text())["weight"] + 1.0)


class LiarTrainer(LineTrainer):
    name, model = "toy_liar", Liar


class Blank(Line):
    """NaN for every row."""

    def score_rows(self, rows: list[dict[str, Any]]) -> list[Any]:
        return [nan for _ in rows]


class BlankTrainer(LineTrainer):
    name, model = "toy_blank", Blank


class Swift(Line):
    """Is scored on the event loop, and remembers how many rows each call had."""

    loop_rows = 8

    def __init__(self, weight: float) -> None:
        super().__init__(weight)
        self.calls: list[int] = []

    def score_rows(self, rows: list[dict[str, Any]]) -> list[Any]:
        self.calls.append(len(rows))
        return super().score_rows(rows)


class SwiftTrainer(LineTrainer):
    name, model = "toy_swift", Swift


class Moody(Line):
    """Works on the golden rows and breaks on what the shop really asks: x of 100 and more."""

    def score_rows(self, rows: list[dict[str, Any]]) -> list[Any]:
        if any(row.get("x", 0.0) >= 100 for row in rows):
            raise ZeroDivisionError("a secret of the model")
        return super().score_rows(rows)


class MoodyTrainer(LineTrainer):
    name, model = "toy_moody", Moody


class Bulky(Line):
    """Finds the disk full when it is saved."""

    def save(self, folder: Path) -> None:
        super().save(folder)
        with open("/dev/full", "w") as disk:
            disk.write("more than there is room for")


class BulkyTrainer(LineTrainer):
    name, model = "toy_bulky", Bulky


class Slow(Line):
    """For x of 100 and more it waits until the test opens the door."""

    door = threading.Event()
    entered = threading.Semaphore(0)

    def score_rows(self, rows: list[dict[str, Any]]) -> list[Any]:
        if any(row.get("x", 0.0) >= 100 for row in rows):
            Slow.entered.release()
            assert Slow.door.wait(60)
        return super().score_rows(rows)


class SlowTrainer(LineTrainer):
    name, model = "toy_slow", Slow


class Pair(Line):
    """Two named numbers a row."""

    output = "object"

    def score_rows(self, rows: list[dict[str, Any]]) -> list[Any]:
        return [{"a": one, "b": one} for one in super().score_rows(rows)]


class PairTrainer(LineTrainer):
    name, family, model = "toy_pair", "toy_pairs", Pair


class Forecaster:
    """Knows a verb of its own, and takes no rows."""

    feature_names = ("x",)

    def __init__(self, weight: float) -> None:
        self.weight = weight

    def forecast(self, horizon: int) -> list[float]:
        return [self.weight * step for step in range(1, horizon + 1)]

    @classmethod
    def load(cls, folder: Path) -> Forecaster:
        return cls(json.loads((folder / "line.json").read_text())["weight"])


class ForecasterTrainer(LineTrainer):
    name, family, model = "toy_forecaster", "toy_forecast", Forecaster


class LineFamily:
    """The truth is y = `truth` * x, given by the source. The baseline says 0."""

    name = "toy"

    def data(self, context: TrainingContext, params: Any, report: Any) -> TrainingData:
        assert isinstance(params, LineParams)
        rows = [(float(x), context.source.get("truth", 2.0) * x) for x in range(1, 9)]
        report(1, 1, message="read")
        return TrainingData(train=rows[:4], holdout=rows[4:], golden=[{"x": 1.0}, {"x": 3.0}], facts={"rows": 8})

    def evaluate(self, model: Any, holdout: Any) -> dict[str, float]:
        error = sum(abs(model.score_rows([{"x": x}])[0] - y) for x, y in holdout) / len(holdout)
        return {"error": error, "naive_error": sum(abs(y) for _, y in holdout) / len(holdout)}

    def judge(self, candidate: dict[str, float], champion: dict[str, float] | None) -> Gate:
        return judge([AtMost("error", 1.01), Beats("error", "naive_error", higher=False)], candidate, champion)

    def probe(self, model: Any, golden: Any) -> list[float]:
        return [float(value) for value in model.score_rows(golden)]


class ForecasterFamily(LineFamily):
    name = "toy_forecast"

    def probe(self, model: Any, golden: Any) -> list[float]:
        return [model.forecast(3)[int(row["x"]) - 1] for row in golden]


class PairFamily(LineFamily):
    name = "toy_pairs"

    def probe(self, model: Any, golden: Any) -> list[float]:
        return [row["a"] for row in model.score_rows(golden)]
