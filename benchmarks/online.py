"""Online learning when tastes change at once, beside training each night and beside river; robots in feedback."""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks import record
from benchmarks.feedback_bots import KINDS, feedback
from benchmarks.forecast_sets import peer_python
from benchmarks.graph_peers import ALONE
from shopkeeper.core.learning import OnlineSettings
from shopkeeper.core.protocols import silent
from shopkeeper.learning.tabular import Schema
from shopkeeper.quality.classification import auc, logloss
from shopkeeper.recommend.online.algorithm import FtrlTrainer
from shopkeeper.recommend.online.learner import OnlineLearner, Outcomes
from shopkeeper.recommend.ranking.lgbm import Lgbm
from shopkeeper.recommend.ranking.rows import RankRows
from shopkeeper.recommend.rewards.trust import judged

SEEDS = (1, 2, 3)
TRAITS = 6
_PEER = Path(__file__).with_name("peers") / "river_ftrl.py"
Floats = np.ndarray


@dataclass(frozen=True)
class Stream:
    """Shown items in order: `values` (n, f), `label` (n,) clicked, `chance` (n,) of that. `begin` rows are there before
    the shop opens; `day` rows a day; from row `drift` on tastes are others."""

    values: Floats
    label: Floats
    chance: Floats
    begin: int
    day: int
    drift: int

    @classmethod
    def make(cls, seed: int, day: int, days: int, before: int) -> Stream:
        """People and items have six traits each. A click hangs on how well they match, trait by trait, on the item and
        on its place; from the drift on each trait of people goes with the next of items."""
        random = np.random.default_rng(seed)
        n, begin = day * (days + before), day * before
        people, items = random.normal(size=(2000, TRAITS)), random.normal(size=(300, TRAITS))
        quality, likes = random.normal(size=300), random.normal(size=TRAITS)
        user, item = random.integers(0, 2000, n), random.integers(0, 300, n)
        place = np.tile(np.arange(10), n // 10 + 1)[:n]
        drift = begin + day * (days // 2)
        straight, turned = people[user] * items[item], np.roll(people, 1, axis=1)[user] * items[item]
        match = np.where((np.arange(n) < drift)[:, None], straight, turned) @ (0.5 + 0.2 * likes)
        odds = -2.6 + 0.7 * match + 0.4 * quality[item] - 0.12 * place
        chance = 1 / (1 + np.exp(-odds))
        noisy = quality[item] + 0.3 * random.normal(size=n)
        values = np.column_stack([straight, turned, noisy, place, random.normal(size=(n, 4))]).astype(np.float32)
        label = (random.random(n) < chance).astype(np.float32)
        return cls(values, label, chance.astype(np.float32), begin, day, drift)

    def rows(self, start: int, end: int) -> RankRows:
        some = slice(start, end)
        schema = Schema.of_numbers([f"x{at}" for at in range(self.values.shape[1])])
        return RankRows(schema, self.values[some], self.label[some], np.ones(end - start, dtype=np.float32))


def retrained(stream: Stream, fit: Callable[[RankRows], Any], *, nightly: bool, keep_days: int = 7) -> Floats:
    """What was said of each row from `begin` on, by a model that is trained at the beginning, and each night anew."""
    model, said = fit(stream.rows(0, stream.begin)), []
    for start in range(stream.begin, len(stream.label), stream.day):
        if nightly and start > stream.begin:
            model = fit(stream.rows(max(0, start - keep_days * stream.day), start))
        said.append(model.score(stream.values[start : start + stream.day]))
    return np.concatenate(said)


def online(stream: Stream, chunk: int, **settings: Any) -> tuple[Floats, float, OnlineLearner]:
    """(said, rows learned in a second, the learner). A chunk's outcomes are known when its time is over."""
    learner = OnlineLearner(ftrl(stream.rows(0, stream.begin)), OnlineSettings(**settings))
    said, seconds = [], 0.0
    for start in range(stream.begin, len(stream.label), chunk):
        some = slice(start, start + chunk)
        said.append(learner.ranker().score(stream.values[some]))
        n = len(said[-1])
        known = Outcomes(
            stream.values[some], stream.label[some], np.ones(n, dtype=np.float32), np.full(n, -1, dtype=np.int32)
        )
        began = time.perf_counter()
        learner.take(known)
        seconds += time.perf_counter() - began
    return np.concatenate(said), (len(stream.label) - stream.begin) / seconds, learner


def ftrl(rows: RankRows) -> Any:
    return FtrlTrainer(FtrlTrainer.Params(), 1).fit(rows, silent)


def lgbm(rows: RankRows) -> Any:
    return Lgbm(Lgbm.Params(trees=200), 1).fit(rows, silent)


def river(stream: Stream, chunk: int) -> tuple[Floats, float]:
    python = peer_python("river", ["river==0.22.0"])
    scaled = stream.rows(0, stream.begin).schema.with_scaling(stream.values[: stream.begin]).standardise(stream.values)
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder) / "given.npz", Path(folder) / "made.npz"
        np.savez(given, x=scaled, y=stream.label, begin=stream.begin, chunk=chunk, alpha=0.05, passes=2)
        subprocess.run([str(python), str(_PEER), str(given), str(made)], check=True, env=ALONE)
        with np.load(made) as found:
            return found["p"], (len(stream.label) - stream.begin) / float(found["seconds"])


def measured(stream: Stream, said: Floats) -> list[float]:
    """AUC and log loss: before the drift, on the day of it, after that day."""
    label, drift = stream.label[stream.begin :], stream.drift - stream.begin
    found: list[float] = []
    for part in (slice(0, drift), slice(drift, drift + stream.day), slice(drift + stream.day, None)):
        found += [auc(label[part], said[part]), logloss(label[part], said[part])]
    return found


def drifts(day: int, days: int, seeds: tuple[int, ...]) -> list[dict[str, Any]]:
    chunk = day // 48  # half an hour
    rows: dict[str, list[list[float]]] = {}
    speeds: dict[str, list[float]] = {}
    spoken: list[int] = []
    for seed in seeds:
        stream = Stream.make(seed, day, days, 3)

        def keep(name: str, said: Floats, stream: Stream = stream) -> None:
            rows.setdefault(name, []).append(measured(stream, said))

        keep("who knows the chances", stream.chance[stream.begin :])
        keep("ftrl, never trained again", retrained(stream, ftrl, nightly=False))
        keep("lgbm, never trained again", retrained(stream, lgbm, nightly=False))
        keep("ftrl, each night on a week", retrained(stream, ftrl, nightly=True))
        keep("lgbm, each night on a week", retrained(stream, lgbm, nightly=True))
        cases: dict[str, dict[str, Any]] = {
            "online, rate 0.05, ADWIN": {},
            "online, rate 0.05, Page-Hinkley": {"drift": "page_hinkley"},
            "online, rate 0.05, no detector": {"drift": "none"},
            "online, rate 0.0001, ADWIN": {"rate": 1e-4},
        }
        for name, settings in cases.items():
            said, speed, learner = online(stream, chunk, **settings)
            keep(name, said)
            speeds.setdefault(name, []).append(speed)
            if not settings:
                spoken.append(learner.counts["drifts"])
        said, speed = river(stream, chunk)
        keep("river 0.22 FTRL, row by row", said)
        speeds.setdefault("river 0.22 FTRL, row by row", []).append(speed)
    table = {
        "title": f"A drift at the middle of {days} days of {day:,} shown items",
        "columns": [
            "who", "AUC before", "log loss before", "AUC that day", "log loss that day", "AUC after", "log loss after",
            "learned rows/s",
        ],
        "rows": [
            [name, *(f"{median(column):.4f}" for column in zip(*found, strict=True)), _speed(speeds.get(name))]
            for name, found in rows.items()
        ],
    }  # fmt: skip
    told = {
        "title": "Drifts that ADWIN has told of (there is one)",
        "columns": [f"seed {seed}" for seed in seeds],
        "rows": [[str(one) for one in spoken]],
    }
    return [table, told]


def _speed(found: list[float] | None) -> str:
    return "" if found is None else f"{median(found):,.0f}"


def robots(seeds: tuple[int, ...], people: int) -> dict[str, Any]:
    """Of signals that weigh less than half."""
    rows = []
    for seed in seeds:
        world = feedback(seed, people=people)
        bad = judged(world.signals, world.shown).weights < 0.5
        hit = (bad & world.robot).sum()
        shares = [f"{bad[world.kind == kind].mean():.2f}" for kind in KINDS]
        rows.append(
            [str(seed), f"{len(bad):,}", f"{hit / bad.sum():.3f}", f"{hit / world.robot.sum():.3f}",
             str(int((bad & ~world.robot).sum())), *shares]
        )  # fmt: skip
    columns = ["seed", "signals", "precision", "recall", "people's signals distrusted", *KINDS]
    return {"title": "Robots among simulated people: distrusted signals", "columns": columns, "rows": rows}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    seeds = SEEDS[:1] if quick else SEEDS
    began = time.perf_counter()
    tables = [*drifts(1920 if quick else 9600, 6 if quick else 10, seeds), robots(seeds, 150 if quick else 400)]
    if quick:
        for table in tables:
            print(table["title"], *table["columns"], sep=" | ")
            for row in table["rows"]:
                print("   ", *row, sep=" | ")
        print(f"{time.perf_counter() - began:.0f} s")
        return
    record.write(
        "online",
        "Learning while the shop sells",
        "Shown items whose clicks follow a logistic law of matches of traits, quality and place; at half time the "
        "matches that count become others at once. Three days are there to begin with. Every model answers before it "
        "learns; outcomes are known half an hour later, a night's training has all up to midnight (a week of it). "
        "Medians of three seeds. Naive: never trained again. river reads the same standardised numbers, row by row, in "
        "an environment of its own on one core. Robots: six kinds, five each, beside 400 people of the simulator.",
        tables,
        ["learned rows/s: while learning only; the online learner's include what it says before, and the detector"],
    )


if __name__ == "__main__":
    main()
