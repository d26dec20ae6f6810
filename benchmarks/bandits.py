"""Bandits: what they lose to the best arm, beside MABWiser on the same rewards and beside theory; time of a choice."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import record
from benchmarks.bandit_worlds import World, bernoulli, exp3_bound, exp3_gamma, gaussian, linear, ucb1_bound
from benchmarks.forecast_sets import peer_python
from shopkeeper import plugins
from shopkeeper.recommend.explore.learning import ArmLearner

Numbers = NDArray[np.float64]

PEER, PACKAGES = "MABWiser", ["mabwiser==2.7.4"]
FULL = {"Bernoulli": (240, 2000), "Gaussian": (20, 2000), "linear": (30, 1000)}
QUICK = {"Bernoulli": (3, 500), "Gaussian": (3, 500), "linear": (3, 300)}
POOL, SHOP, SIZE = 20, 4000, 16
TIMED, NEW = 3000, 30
FEW = 40

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Entry:
    """`peer`: MABWiser has it too, with the same settings and those of `theirs`. `once_each`: it begins with every arm
    once. `seeds`: at most so many, where regret differs little by seed."""

    policy: str
    settings: Settings
    peer: bool = False
    theirs: Settings = field(default_factory=dict)
    once_each: bool = True
    seeds: int = 1000

    @property
    def told(self) -> str:
        return ", ".join(f"{name} {value:.3g}" for name, value in self.settings.items())


EPSILON = {"epsilon": 0.1, "decay": 1.0, "least": 0.1}
LINTS = Entry("lints", {"v": 0.5}, peer=True, theirs={"own_numbers": 1})
BANDITS = (Entry("ucb1", {"c": 2.0}, peer=True, seeds=FEW), Entry("epsilon_greedy", EPSILON, peer=True))


def main() -> None:
    if any(os.environ.get(name) != "1" for name in _ONE_THREAD):  # numpy has its threads already
        os.execve(sys.executable, [sys.executable, "-m", "benchmarks.bandits", *sys.argv[1:]], _ALONE)
    quick = "--quick" in sys.argv
    size = QUICK if quick else FULL
    python = peer_python("mabwiser", PACKAGES)
    gamma = exp3_gamma(10, size["Bernoulli"][1])
    worlds = (
        (bernoulli(*size["Bernoulli"]), (*BANDITS, Entry("epsilon_greedy", {}, seeds=FEW),
         Entry("thompson_beta", {}, peer=True), Entry("thompson_gaussian", {}, seeds=FEW),
         Entry("exp3", {"gamma": gamma, "pool": 10}, once_each=False, seeds=FEW))),
        (gaussian(*size["Gaussian"]), (*BANDITS, Entry("thompson_gaussian", {"noise": 0.1}),
         Entry("thompson_beta", {}))),
        (linear(*size["linear"]), (Entry("linucb", {"alpha": 1.0}, peer=True), LINTS,
         Entry("lints", {"v": 0.5}, peer=True), Entry("thompson_gaussian", {"noise": 0.7}))),
    )  # fmt: skip
    tables = [_table(world, entries, python) for world, entries in worlds]
    record.write("bandits", "Bandits", _PROTOCOL, [*tables, _times()], _notes(quick))


def _table(world: World, entries: tuple[Entry, ...], python: Path) -> dict[str, Any]:
    seeds, rounds, arms = world.rewards.shape
    every = world.gaps.mean(axis=2).sum(axis=1)
    rows: list[list[Any]] = [["random arms", "", seeds, _around(every), "", "", ""]]
    for entry in entries:
        many = min(seeds, entry.seeds)
        lost = np.stack([_played(world, entry, seed) for seed in range(many)])
        own = lost[:, -1]
        row = [entry.policy, entry.told, many, _around(own), "", "", f"{_lower(world, lost)}{_upper(world, entry)}"]
        if entry.peer:
            theirs = _peer(world, entry, many, python)
            row[4], row[5] = _around(theirs), _ratio(own, theirs)
        rows.append(row)
        print(world.name, *row, sep=" | ", flush=True)
    title = f"{world.name}, {arms} arms: regret after {rounds:,} rounds"
    return {"title": title, "columns": _COLUMNS, "rows": rows}


def _played(world: World, entry: Entry, seed: int) -> Numbers:
    """(rounds,): what was lost until each round, on average over what could be drawn in it."""
    trainer = plugins.algorithm(entry.policy)
    random, rewards, gaps = np.random.default_rng([9, seed]), world.rewards[seed], world.gaps[seed]
    contexts = world.contexts[seed] if world.contexts is not None and trainer.contextual else None
    learner: ArmLearner = _begun(trainer, entry.settings, 1 if contexts is None else contexts.shape[1])
    k = rewards.shape[1]
    pool = np.array([learner.place(f"A{arm}") for arm in range(k)], dtype=np.int32)
    lost = np.empty(len(rewards))
    for at in range(len(rewards)):
        context = None if contexts is None else contexts[at]
        forced = at < k and entry.once_each
        chances = np.eye(k)[at] if forced else learner.snapshot().chances(pool, context)
        arm = int(random.choice(k, p=chances))
        learner.learn(int(pool[arm]), float(rewards[at, arm]), context, float(chances[arm]))
        lost[at] = chances @ gaps[at]
    return np.cumsum(lost)


def _begun(trainer: Any, settings: Settings, dimension: int) -> Any:
    return trainer(trainer.Params(**settings), 0).begin(dimension)


def _peer(world: World, entry: Entry, seeds: int, python: Path) -> Numbers:
    """(seeds,): what MABWiser lost on the same rewards."""
    contexts = world.contexts[:seeds] if world.contexts is not None and entry.policy.startswith("lin") else None
    arms = _asked(python, entry, world.rewards[:seeds], contexts)
    return np.asarray(np.take_along_axis(world.gaps[:seeds], arms[..., None].astype(np.int64), axis=2).sum(axis=(1, 2)))


def _asked(python: Path, entry: Entry, rewards: Numbers, contexts: Numbers | None) -> NDArray[np.int32]:
    """(seeds, rounds): the arms that it chose."""
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder) / "given.npz", Path(folder) / "made.npz"
        more = {} if contexts is None else {"contexts": contexts}
        np.savez(given, rewards=rewards, name=np.array(entry.policy), **more, **entry.settings, **entry.theirs)  # type: ignore[arg-type]
        program = Path(__file__).with_name("peers") / "mab.py"
        subprocess.run([str(python), str(program), str(given), str(made)], check=True, env=_ALONE)
        with np.load(made) as found:
            return np.asarray(found["arms"])


def _around(values: Numbers) -> str:
    """Mean and the half of its 95 % interval."""
    return f"{values.mean():.1f} ± {1.96 * values.std(ddof=1) / np.sqrt(len(values)):.1f}"


def _ratio(own: Numbers, theirs: Numbers) -> str:
    """Of the means, with a 95 % interval by the delta method on pairs of one seed."""
    ratio = own.mean() / theirs.mean()
    error = (own - ratio * theirs).std(ddof=1) / np.sqrt(len(own)) / theirs.mean()
    return f"{ratio:.3f} ± {1.96 * error:.3f}"


def _lower(world: World, lost: Numbers) -> str:
    """How fast regret grows with ln(rounds) over the last three quarters, and how fast it must in the end."""
    if world.constant is None:
        return ""
    slope = (lost[:, -1] - lost[:, lost.shape[1] // 4 - 1]) / np.log(4)
    return f"grows by {_around(slope)} ln t, at least {world.constant:.1f} in the end"


def _upper(world: World, entry: Entry) -> str:
    _, rounds, arms = world.rewards.shape
    if entry.policy == "ucb1":
        return f"; at most {ucb1_bound(world.gaps[0, 0], rounds):,.0f}"
    return f"; at most {exp3_bound(arms, rounds):,.0f}" if entry.policy == "exp3" else ""


def _times() -> dict[str, Any]:
    """Microseconds of a slot's choice and of a learned round, in a shop of many arms; milliseconds of a snapshot."""
    rows = []
    for name in ("ucb1", "epsilon_greedy", "exp3", "thompson_beta", "thompson_gaussian", "linucb", "lints"):
        trainer, random = plugins.algorithm(name), np.random.default_rng(5)
        learner = _begun(trainer, {}, SIZE)
        places = [learner.place(f"A{arm}") for arm in range(SHOP)]
        popular = random.zipf(1.3, 3 * SHOP) % SHOP
        contexts = random.normal(0, 1, (500, SIZE))
        learned = []
        for at, arm in enumerate(popular.tolist()):
            began = time.perf_counter()
            learner.learn(places[arm], float(random.random() ** 4), contexts[at % 500], 0.1)
            learned.append(time.perf_counter() - began)
        policy, snapshots = learner.snapshot(), []
        for _ in range(9):
            began = time.perf_counter()
            policy = learner.snapshot()
            snapshots.append(time.perf_counter() - began)
        pools = [random.choice(SHOP, POOL, replace=False).astype(np.int32) for _ in range(TIMED)]
        first, chosen = (_chosen(policy, pools, contexts) for _ in range(2))
        rows.append([
            name, *(f"{np.percentile(chosen, share):.0f}" for share in (50, 99)), f"{np.median(first[:NEW]):.0f}",
            f"{np.median(learned) * 1e6:.1f}", f"{np.median(snapshots) * 1000:.1f}",
            f"{len(learner.state()) / 2**20:.2f}",
        ])  # fmt: skip
    title = f"A slot that chooses among {POOL} of {SHOP:,} arms ({SIZE} numbers of context for the linear ones)"
    return {"title": title, "columns": _TIME_COLUMNS, "rows": rows}


def _chosen(policy: Any, pools: list[NDArray[np.int32]], contexts: Numbers) -> list[float]:
    taken = []
    for at, pool in enumerate(pools):
        began = time.perf_counter()
        policy.chances(pool, contexts[at % len(contexts)])
        taken.append((time.perf_counter() - began) * 1e6)
    return taken


_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_ALONE = {**os.environ, **dict.fromkeys(_ONE_THREAD, "1")}
_COLUMNS = ["policy", "settings", "seeds", "regret", f"{PEER}'s", "ratio", "theory"]
_TIME_COLUMNS = ["policy", "choice µs P50", "P99", "first time µs P50", "learning µs", "snapshot ms", "state MiB"]
_PROTOCOL = (
    "What each arm would bring in each round is drawn once for each seed, and both sides play on these tables, "
    "beginning with each arm once (EXP3: with equal weights); what was learned serves the next round. Regret: by how "
    "much the best arm's average beats those that were chosen, summed over rounds; ours is summed over the chances of "
    "a round, MABWiser's over what it drew. ± is a 95 % interval over seeds. Lower bound: Lai and Robbins 1985, which "
    "holds as rounds go on; upper bounds: UCB1 (Auer et al. 2002), EXP3 (Auer et al. 2002). Choice: chances of one "
    "pool, one thread; `first time`: the first pools that a process chooses from, whose posteriors it never read."
)


def _notes(quick: bool) -> list[str]:
    notes = [
        "Settings that are not named are those of the policy's own defaults. MABWiser: UCB1 with alpha 1 is c = 2; "
        "its LinUCB and LinTS have ridge 1. The arms of its LinTS draw from copies of one generator, that is the same "
        "numbers; the first row of lints gives each arm its own, the second takes it as it comes. It has no Gaussian "
        "Thompson sampling, no EXP3 and no falling epsilon.",
        "In the linear world thompson_gaussian does not read the context: what contexts are worth.",
    ]
    return [*notes, "--quick: few seeds and rounds"] if quick else notes


if __name__ == "__main__":
    main()
