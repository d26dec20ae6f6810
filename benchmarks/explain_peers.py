"""The explainers of shap on the model that `explain.py` explains: its raw inputs, and its named groups."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import shap
from numpy.typing import NDArray

from shopkeeper.explain.shapley import shapley
from shopkeeper.profiles.answers import Question
from shopkeeper.profiles.fusion.model import SUMMARY, FusionInputs, FusionModel
from shopkeeper.profiles.game import Game
from shopkeeper.profiles.ladder import frozen
from shopkeeper.profiles.players import Players
from shopkeeper.profiles.service import ProfileService

ORDERS = 1000
"""Orders of joining of a reference, each taken backwards too."""
_AT_ONCE = 50
_COLUMNS = ["way", "median ms", "P99 ms", "error", "correlation with the truth"]

Row: TypeAlias = NDArray[np.float64]
Function: TypeAlias = Callable[[NDArray[np.float64]], Row]
Way: TypeAlias = Callable[[], Row]


def beside_shap(service: ProfileService, users: list[str]) -> list[dict[str, Any]]:
    """A table of the raw inputs and one of the groups."""
    service.explaining.clear()
    players = [_players(service, user) for user in users]
    return [_raw(players), _grouped([Game.of(one) for one in players])]


def _players(service: ProfileService, user: str) -> Players:
    asked = service.ask(user).question
    found = asked.players() if isinstance(asked, Question) else None
    assert found is not None, "answered already, or no fusion model"
    return found


def _raw(players: list[Players]) -> dict[str, Any]:
    model, base = players[0].model, _flat(players[0].base)
    pairs = [
        (_reference(model, _flat(one.own), base, seed=0), _reference(model, _flat(one.own), base, seed=1))
        for one in players
    ]
    truth = [(one + other) / 2 for one, other in pairs]
    # Half of the difference of two independent halves is the error of their mean.
    own = float(np.mean([np.abs(a - b).mean() / 2 for a, b in pairs]) / np.mean([np.abs(one).mean() for one in truth]))
    peers = _peers(lambda rows: _score(model, rows), base)
    rows = [_closed_form(players)]
    rows += [_measured(name, [_on(way, _flat(one.own)) for one in players], truth) for name, way in peers]
    title = f"All {len(base)} raw inputs of {len(players)} customers (error of the reference: {own:.1%})"
    return {"title": title, "columns": _COLUMNS, "rows": rows}


def _on(way: Callable[[Row], Row], row: Row) -> Way:
    return lambda: way(row)


def _closed_form(players: list[Players]) -> list[Any]:
    """The gate is held at the customer's own: a game of its own, which this solves exactly."""
    gates = [float(one.model.fuse(one.own).gate[0]) for one in players]
    pairs = zip(players, gates, strict=True)
    ways: list[Way] = [lambda p=p, g=g: np.array(frozen(p, g).values) for p, g in pairs]
    _, *rest = _measured("", ways, [way() for way in ways])
    return ["Shopkeeper, inputs by name with the gate frozen", *rest[:2], "exact, another game", ""]


def _grouped(games: list[Game]) -> dict[str, Any]:
    exact: list[Way] = [lambda game=game: shapley(game.worth, len(game.names))[1] for game in games]
    truth = [way() for way in exact]
    by_shap: list[Row] = []
    ways: dict[str, list[Way]] = {}
    for game in games:
        n = len(game.names)

        def switched(rows: NDArray[np.float64], game: Game = game) -> Row:
            return game.worth(np.asarray(rows) > 0.5)

        for name, way in _peers(switched, np.zeros(n)):
            ways.setdefault(name, []).append(lambda way=way, n=n: way(np.ones(n)))
        exactly = shap.explainers.Exact(switched, shap.maskers.Independent(np.zeros((1, n)), max_samples=1))
        one: Way = lambda exactly=exactly, n=n: np.asarray(exactly(np.ones((1, n)), silent=True).values)[0]  # noqa: E731
        ways.setdefault(f"shap {shap.__version__} Exact", []).append(one)
        by_shap.append(one())
    rows = [_measured("Shopkeeper, exact", exact, by_shap)]
    rows += [_measured(name, each, truth) for name, each in ways.items()]
    sizes = [len(game.names) for game in games]
    title = f"The {min(sizes)} to {max(sizes)} named groups of the same customers"
    return {"title": title, "columns": _COLUMNS, "rows": rows}


def _peers(function: Function, background: Row) -> list[tuple[str, Callable[[Row], Row]]]:
    kernel = shap.KernelExplainer(function, background[None, :])
    masker = shap.maskers.Independent(background[None, :], max_samples=1)
    permuted = shap.explainers.Permutation(function, masker, seed=0)

    def with_kernel(**options: Any) -> Callable[[Row], Row]:
        return lambda x: np.asarray(kernel.shap_values(x, silent=True, **options))

    v = shap.__version__
    return [
        (f"shap {v} KernelExplainer, 200 samples", with_kernel(nsamples=200)),
        (f"shap {v} KernelExplainer, 200 samples, no selection", with_kernel(nsamples=200, l1_reg=0)),
        (f"shap {v} KernelExplainer, defaults", with_kernel()),
        (f"shap {v} PermutationExplainer, defaults", lambda x: np.asarray(permuted(x[None, :], silent=True).values)[0]),
        (
            f"shap {v} PermutationExplainer, 10 permutations",
            lambda x: np.asarray(permuted(x[None, :], max_evals=10 * (2 * len(x) + 1), silent=True).values)[0],
        ),
    ]


def _measured(name: str, ways: list[Way], truth: list[Row]) -> list[Any]:
    taken, found = [], []
    for way in ways:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            begun = time.perf_counter()
            values = way()
            taken.append(time.perf_counter() - begun)
        found.append(values)
    said, true = np.concatenate(found), np.concatenate(truth)
    error = float(np.abs(said - true).mean() / np.abs(true).mean())
    shown = f"{error:.0e}" if error < 1e-6 else f"{error:.1%}"
    slow = float(np.quantile(taken, 0.99)) * 1e3
    return [name, float(np.median(taken)) * 1e3, slow, shown, f"{np.corrcoef(said, true)[0, 1]:.3f}"]


# -- the raw inputs


def _flat(inputs: FusionInputs) -> Row:
    """One user as one row: score, summary, embedding, activity, seen."""
    parts = (inputs.score, inputs.rules[0], inputs.embedding[0], inputs.activity[0], inputs.seen)
    return np.concatenate([np.asarray(part, dtype=np.float64) for part in parts])


def _score(model: FusionModel, rows: NDArray[np.float64]) -> Row:
    rows = np.asarray(rows, dtype=np.float64)
    ends = np.cumsum([1, len(SUMMARY), model.dims, len(model.activity_names)])
    score, rules, embedding, activity, seen = np.split(rows, ends, axis=1)
    return model.fuse(FusionInputs(score[:, 0], rules, embedding, activity, seen[:, 0])).score


def _reference(model: FusionModel, own: Row, base: Row, *, seed: int) -> Row:
    """The mean of what each input adds over many orders of joining: unbiased, and near to exact."""
    random, n = np.random.default_rng(seed), len(own)
    total = np.zeros(n)
    for _ in range(ORDERS // _AT_ONCE):
        half = np.argsort(random.random((_AT_ONCE, n)), axis=1)
        orders = np.concatenate([half, half[:, ::-1]])
        place = np.argsort(orders, axis=1)
        joined = place[:, None, :] < np.arange(n + 1)[None, :, None]  # (orders, how many have joined, inputs)
        worth = _score(model, np.where(joined, own, base).reshape(-1, n)).reshape(len(orders), n + 1)
        total += np.take_along_axis(np.diff(worth, axis=1), place, axis=1).sum(axis=0)
    return total / (2 * ORDERS)
