"""The graph model's layers beside PyG's HGTConv and GATConv on two public tasks, all trained in the same way."""

from __future__ import annotations

import copy
import itertools
import os
import statistics
import sys
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from benchmarks import record
from benchmarks.graph_layers import HEADS, KINDS, LAYERS, WIDTH, Ours, learned
from benchmarks.graph_tasks import Artists, Found, Papers
from benchmarks.suggest_ranker import SEEDS, spread

LABELLED = (20, 40, 60)
TUNED_AT = 40
_PAPERS, _ARTISTS = Papers.budget, Artists.budget
_PROTOCOL = (
    "One model around each kind of layer: a map of each type's input, norm, relu and dropout; then "
    f"{LAYERS} times h = norm(h + dropout(layer(h))); then one head. Layers: **Shopkeeper**, the graph model's own "
    "(HGT's equations; edges without a time); **PyG HGTConv**, the same equations; **PyG GATConv** with elu, types "
    f"forgotten after the first map, {HEADS} heads each. Ours and HGTConv are {WIDTH} wide, GATConv as wide as makes "
    "the learned numbers as many. Adam; the same epochs at most, the same early stop on validation, and for each kind "
    "the rate x dropout of the same grid that was best on validation with the first seed. Test measures of the best "
    "validation epoch. One thread."
)
_PAPERS_PROTOCOL = (
    "**ACM**: kind of paper by HeCo's splits of 20, 40 and 60 labels a class; papers and authors with their words, "
    f"subjects with a learned vector. Rates {_PAPERS.rates}, dropout {_PAPERS.drops}, at most {_PAPERS.epochs} epochs; "
    f"chosen once, with {TUNED_AT} labels a class. Mean (standard deviation) of three seeds."
)
_ARTISTS_PROTOCOL = (
    "**last.fm**: MAGNN's split of user-artist links, friends and tags as further relations, learned vectors only; "
    "negatives: as many pairs that are no link, both ends drawn evenly. "
    f"Rates {_ARTISTS.rates}, dropout {_ARTISTS.drops}, chosen after {_ARTISTS.trial} epochs, trained for "
    f"{_ARTISTS.epochs}, each epoch one step on a fifth of the links. One seed."
)
_PUBLISHED = (
    ["HAN (published)", 20, "", "", "85.66", "85.11", "93.47", ""],
    ["HAN (published)", 40, "", "", "87.47", "87.21", "94.84", ""],
    ["HAN (published)", 60, "", "", "88.41", "88.10", "94.68", ""],
    ["HeCo (published)", 20, "", "", "88.56", "88.13", "96.49", ""],
    ["HeCo (published)", 40, "", "", "87.61", "87.45", "96.40", ""],
    ["HeCo (published)", 60, "", "", "89.04", "88.71", "96.55", ""],
)
_PAPERS_NOTES = [
    "Lost on ACM: with 40 and 60 labels a class our layer is behind HGTConv (macro-F1 87.9 against 90.5, 89.3 against "
    "90.6), with 40 behind GATConv too, and it varies more from seed to seed. With 20 labels the three differ by less "
    "than their spread. The equations and the learned numbers are HGTConv's; what differs are the first numbers. Our "
    "relation matrices drawn as PyG draws them (they begin at the identity) gave 89.3 with 40 labels, but no better "
    "validation: the cause is not settled.",
    "Published for ACM: HeCo's figures are those of its paper, HAN's those of the same paper, from memory. Other "
    "trainings (HeCo learns without labels, then a linear map): an orientation only.",
]
_ARTISTS_NOTES = [
    "On last.fm the three layers are equal within half a point (HGTConv 93.0, ours 92.9, GATConv 92.7; one seed), "
    "hardly above the popularity of the artist (92.4) and far behind MAGNN's 98.9: in so few steps none is trained "
    "out. A step of our layer takes a quarter of the time of HGTConv's.",
    "Published for last.fm: MAGNN's figures are those of its paper, with negatives of its own: an orientation only.",
]


@dataclass(frozen=True)
class Setting:
    width: int
    rate: float
    drop: float

    def __str__(self) -> str:
        return f"{self.rate:g}, {self.drop:g}"


@dataclass(frozen=True)
class Run:
    """`told` is the best measure on validation, `seconds` those of the processor."""

    told: float
    test: Found
    epochs: int
    seconds: float


def trained(task: Any, kind: Any, setting: Setting, seed: int, epochs: int) -> Run:
    torch.manual_seed(seed)
    budget, random, edges = task.budget, np.random.default_rng(seed), task.edges(kind)
    net = task.net(kind, setting.width, setting.drop, seed)
    adam = torch.optim.Adam(net.parameters(), lr=setting.rate, weight_decay=budget.decay)
    best, at, kept = -1.0, 0, copy.deepcopy(net.state_dict())
    began = time.process_time()
    for epoch in range(1, epochs + 1):
        net.train()
        adam.zero_grad()
        task.loss(net, edges, epoch, random).backward()
        adam.step()
        if epoch % budget.every:
            continue
        net.eval()
        with torch.no_grad():
            now = task.measured(net, edges, "val")[task.by]
        if now > best:
            best, at, kept = now, epoch, copy.deepcopy(net.state_dict())
        if epoch - at >= budget.patience:
            break
    seconds = time.process_time() - began
    net.load_state_dict(kept)
    net.eval()
    with torch.no_grad():
        test = task.measured(net, edges, "test")
    print(
        type(task).__name__,
        kind.name,
        setting,
        seed,
        round(best, 2),
        _rounded(test),
        epoch,
        round(seconds, 1),
        flush=True,
    )
    return Run(best, test, epoch, seconds)


def chosen(task: Any, kind: Any) -> tuple[Setting, int, Run]:
    """What was best on validation with the first seed, how many numbers it learns, and its run."""
    width = _width(task, kind)
    grid = [Setting(width, rate, drop) for rate, drop in itertools.product(task.budget.rates, task.budget.drops)]
    runs = {setting: trained(task, kind, setting, SEEDS[0], task.budget.trial) for setting in grid}
    best = max(runs, key=lambda setting: runs[setting].told)
    return best, learned(task.net(kind, width, 0.0, 1)), runs[best]


def _width(task: Any, kind: Any) -> int:
    """The width at which this kind learns as many numbers as ours at WIDTH."""
    aim = learned(task.net(Ours, WIDTH, 0.0, 1))
    return min(range(WIDTH, 2 * WIDTH, HEADS), key=lambda width: abs(learned(task.net(kind, width, 0.0, 1)) - aim))


def _rounded(found: Found) -> Found:
    return {key: round(value, 2) for key, value in found.items()}


def papers() -> dict[str, Any]:
    tasks = {labelled: Papers(labelled) for labelled in LABELLED}
    rows: list[list[Any]] = []
    for kind in KINDS:
        setting, numbers, first = chosen(tasks[TUNED_AT], kind)
        for labelled, task in tasks.items():
            seeds = SEEDS[1:] if labelled == TUNED_AT else SEEDS
            runs = [first] if labelled == TUNED_AT else []
            runs += [trained(task, kind, setting, seed, _PAPERS.epochs) for seed in seeds]
            rows.append([kind.name, labelled, str(setting), numbers, *_cells(runs)])
    columns = ["layers", "labels a class", "rate, dropout", "learned numbers", "macro-F1", "micro-F1", "AUC"]
    rows += _PUBLISHED
    return {"title": "ACM, kinds of papers (percent)", "columns": [*columns, "seconds an epoch"], "rows": rows}


def artists() -> dict[str, Any]:
    task = Artists()
    rows: list[list[Any]] = []
    for kind in KINDS:
        setting, numbers, _trial = chosen(task, kind)
        run = trained(task, kind, setting, SEEDS[0], _ARTISTS.epochs)
        rows.append([kind.name, str(setting), numbers, *_cells([run])])
    rows.append(["popularity of the artist", "", "", *(f"{value:.2f}" for value in task.popular().values()), ""])
    rows.append(["MAGNN (published)", "", "", "98.91", "98.93", ""])
    columns = ["layers", "rate, dropout", "learned numbers", "AUC", "AP", "seconds an epoch"]
    return {"title": "last.fm, artists of users (percent)", "columns": columns, "rows": rows}


def _cells(runs: list[Run]) -> list[Any]:
    found = [[run.test[key] for run in runs] for key in runs[0].test]
    cells: list[Any] = [spread(each) if len(each) > 1 else f"{each[0]:.3f}" for each in found]
    return [*cells, statistics.mean(run.seconds / run.epochs for run in runs)]


_PARTS = {"papers": (papers, _PAPERS_PROTOCOL, _PAPERS_NOTES), "artists": (artists, _ARTISTS_PROTOCOL, _ARTISTS_NOTES)}


def main() -> None:
    """`papers` or `artists` as an argument: only that task is run and written down."""
    torch.set_num_threads(1)
    threadpool_limits(1)
    load, tables, protocol, notes = os.getloadavg()[0], [], [_PROTOCOL], list[str]()
    for name in sys.argv[1:] or _PARTS:
        part, text, said = _PARTS[name]
        tables.append(part())
        protocol.append(text)
        notes += said
    notes.append(f"Load average over one minute: {load:.1f} at the start, {os.getloadavg()[0]:.1f} at the end.")
    record.write("graph_public", "The graph model's layers on public tasks", " ".join(protocol), tables, notes)


if __name__ == "__main__":
    main()
