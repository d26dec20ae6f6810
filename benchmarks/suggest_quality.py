"""One table of a protocol: each model alone, the fusion by places, peers, what others published."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks import record
from benchmarks.graph_peers import vectors
from benchmarks.suggest_lists import Ask, Found, measured, of_fused, of_model, of_vectors, together
from benchmarks.suggest_protocols import Task
from shopkeeper import plugins
from shopkeeper.core.protocols import silent

SEEDS = (1, 2, 3)
COLUMNS = ["model", "seeds", "HR@10", "NDCG@10", "recall@10", "seconds to fit"]


@dataclass(frozen=True)
class Ours:
    """An algorithm of the house with these settings; one that draws nothing is run once."""

    algorithm: str
    settings: dict[str, Any]
    drawn: bool = False

    def fitted(self, task: Task, seed: int) -> tuple[Ask, float]:
        trainer = plugins.algorithm(self.algorithm)
        return _timed(
            lambda: of_model(trainer(trainer.Params(**self.settings), seed).fit(task.data(), silent), task.n_items)
        )


@dataclass(frozen=True)
class Peer:
    """implicit's `als` or `bpr` with these settings."""

    name: str
    settings: dict[str, float]
    drawn: bool = True

    def fitted(self, task: Task, seed: int) -> tuple[Ask, float]:
        users, items, seconds = vectors(self.name, task.pairs(), (len(task.rows), task.n_items), seed, self.settings)
        return of_vectors(users, items), seconds


@dataclass(frozen=True)
class Published:
    """Figures of others under the same protocol, never measured here."""

    name: str
    hit: float | None
    ndcg: float
    recall: float | None = None

    def row(self) -> list[Any]:
        return [f"{self.name} (published)", "", self.hit or "", self.ndcg, self.recall or "", ""]


@dataclass(frozen=True)
class Contest:
    """`fused`: how much each of the named models counts in the fusion by places."""

    task: Task
    models: dict[str, Ours | Peer]
    fused: dict[str, float]
    published: Sequence[Published]

    def table(self, title: str) -> dict[str, Any]:
        rows, asks = [], dict[str, dict[int, Ask]]()
        for name, model in self.models.items():
            seeds = SEEDS if model.drawn else SEEDS[:1]
            runs, seconds = list[Found](), 0.0
            for seed in seeds:
                ask, taken = model.fitted(self.task, seed)
                if name in self.fused:
                    asks.setdefault(name, {})[seed] = ask
                runs.append(measured(self.task, ask))
                seconds += taken / len(seeds)
            rows.append([name, len(seeds), *together(runs).cells(), seconds])
            print(rows[-1], flush=True)
        if self.fused:
            found = []
            for seed in SEEDS:
                of = {name: (asks[name].get(seed, asks[name][SEEDS[0]]), weight) for name, weight in self.fused.items()}
                found.append(measured(self.task, of_fused(of, self.task.n_items)))
            told = " + ".join(f"{weight:g} {name}" for name, weight in self.fused.items())
            rows.append([f"fused: {told}", len(SEEDS), *together(found).cells(), ""])
            print(rows[-1], flush=True)
        return {"title": title, "columns": COLUMNS, "rows": rows + [each.row() for each in self.published]}


def written(name: str, title: str, protocol: str, tables: Callable[[], list[dict[str, Any]]], notes: list[str]) -> None:
    """Runs and writes down. `--dry` as an argument: only prints."""
    load, began = os.getloadavg()[0], time.perf_counter()
    made = tables()
    minutes = (time.perf_counter() - began) / 60
    told = f"Load average over one minute: {load:.1f} at the start, {os.getloadavg()[0]:.1f} at the end; "
    if "--dry" not in sys.argv:
        record.write(name, title, protocol, made, [*notes, f"{told}the whole run took {minutes:.1f} minutes."])


def _timed(work: Callable[[], Ask]) -> tuple[Ask, float]:
    """Seconds of the processor: those of the wall would tell of the neighbours."""
    began = time.process_time()
    return work(), time.process_time() - began
