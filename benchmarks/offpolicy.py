"""What a policy would have brought, told from logs of another: Open Bandit, and worlds whose truth is known."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks import record
from benchmarks.graph_peers import ALONE, PEERS
from shopkeeper.core.protocols import silent
from shopkeeper.quality.offpolicy import Estimate, Interval, Rounds, estimate, support
from shopkeeper.recommend.explore.expected import cross_fitted
from shopkeeper.recommend.explore.files import table_rounds
from shopkeeper.recommend.explore.params import PolicyParams
from shopkeeper.recommend.explore.rows import PolicyRows

TRUTH = {("men", "random"): 0.0051, ("men", "bts"): 0.0067, ("women", "random"): 0.0048, ("women", "bts"): 0.0064}
"""Click rates of the full log, as published (Saito et al. 2020, table 1)."""
NAMES = ("ips", "snips", "dr")
OBP = ("obp==0.5.7",)
NEEDS = ("numpy", "pandas", "scikit-learn", "scipy", "matplotlib", "seaborn", "tqdm", "PyYAML", "torch")
LOGS, ROUNDS, ARMS, DRAWS = 100, 3000, 20, 300


@dataclass(frozen=True)
class Case:
    """Rounds, what a policy would have done in each, `chances` (n, k), and what it brings in truth."""

    name: str
    rows: PolicyRows
    chances: NDArray[np.float64]
    truth: float


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--quick", action="store_true", help="ten logs of each world; writes nothing")
    given = options.parse_args()
    python = obp_python()
    cases = open_bandit(python)
    tables = [real(cases, python), worlds(10 if given.quick else LOGS, python)]
    for table in tables:
        print(table["title"], *table["rows"], sep="\n")
    if not given.quick:
        record.write("offpolicy", "Off-policy estimates", PROTOCOL, tables, NOTES)


PROTOCOL = (
    "**Open Bandit**: the public samples of 10,000 rounds for men's and women's fashion, the one drawn evenly, the "
    "other by Thompson sampling (BTS) with propensities in the log. From each log the value of the other policy is "
    "told, beside the click rate of the full log of that policy (millions of rounds). Even draws: 1 / arms. BTS: its "
    "chances by place are those of the prior that the Open Bandit Pipeline publishes, by 100,000 draws of that "
    "pipeline (`prior`), or the shares of arms by place in the sample of the BTS log, clicks unseen (`shares`). "
    "`most 10`: weights cut off at 10. The model of rewards is ours (rates of arms and places, five folds) for both "
    "`dr`. Intervals of 95 %: normal, and by 1,000 bootstrap samples. **Worlds**: "
    f"{LOGS} logs of {ROUNDS:,} rounds and {ARMS} arms; a reward has a chance of 2 to 12 %; even draws tell a policy "
    "that leans to good arms, and the other way round. How often the interval of 95 % holds the truth. **obp**: the "
    f"Open Bandit Pipeline {OBP[0].partition('==')[2]} on the same arrays, in an environment of its own, its intervals "
    "by 300 bootstrap samples; one run each."
)
NOTES = [
    "The samples hold 46 to 69 clicks: the intervals are as wide as they look.",
    "obp's replay takes policies with fixed choices alone, ours weighs a chance; no policy here has fixed choices.",
    "obp asks for Python below 3.11 and an older PyYAML; it is installed without its declared dependencies and runs.",
    "obp's interval of snips leaves out that the sum of weights varies too; ours counts it.",
]


# -- Open Bandit


def open_bandit(python: Path) -> list[Case]:
    cases = []
    for campaign in ("men", "women"):
        even, bts = (_log(kind, campaign) for kind in ("random", "bts"))
        k = len(even.arm_ids)
        prior = _prior(python, campaign)
        shares = np.stack([np.bincount(bts.arm[bts.slot == slot], minlength=k) for slot in range(3)], axis=1)
        for name, table in (("prior", prior), ("shares", shares / shares.sum(axis=0))):
            chances = table.T[even.slot]
            cases.append(Case(f"{campaign}: even to BTS ({name})", even, chances, TRUTH[campaign, "bts"]))
        evenly = np.full((len(bts), k), 1 / k)
        cases.append(Case(f"{campaign}: BTS to even", bts, evenly, TRUTH[campaign, "random"]))
    return cases


def _log(kind: str, campaign: str) -> PolicyRows:
    """Arms by their numbers, so that both logs and the prior speak of the same."""
    path = record.SHARED_DATA / "open-bandit" / kind / campaign / f"{campaign}.parquet"
    source = {"kind": "file", "path": str(path), "time": "timestamp"}
    rows, _ = table_rounds(source, "UTC", PolicyParams(), silent)
    numbers = np.array([int(arm) for arm in rows.arm_ids], dtype=np.int32)
    k = pl.read_csv(path.with_name("item_context.csv")).height
    return replace(rows, arm=numbers[rows.arm], arm_ids=tuple(str(at) for at in range(k)))


def real(cases: list[Case], python: Path) -> dict[str, Any]:
    theirs = asked(python, [columns(case) for case in cases])
    table: list[list[Any]] = []
    for case, peer in zip(cases, theirs, strict=True):
        rounds = seen(case)
        told = support(rounds)
        facts = f"{told.effective:.0f} / {told.rewarded:.0f}"
        names = (*NAMES, "replay") if np.ptp(case.rows.propensity) == 0 else NAMES
        for name in names:
            row = _row(case, name, rounds, peer.get(name), facts)
            table.append(row)
        table.append(_row(case, "ips", rounds, None, facts, most=10.0))
        table.append(_row(case, "dr", rounds, None, facts, most=10.0))
    return {
        "title": "Open Bandit, click rate in %",
        "columns": ["from a log to a policy", "effective / rewarded", "estimator", "truth", "value", "normal interval",
                    "bootstrap interval", "holds the truth", "obp", "obp interval", "difference"],
        "rows": table,
    }  # fmt: skip


def _row(
    case: Case, name: Any, rounds: Rounds, peer: list[float] | None, facts: str, most: float | None = None
) -> list[Any]:
    one, drawn = (estimate(name, rounds, interval=kind, most_weight=most) for kind in _KINDS)
    holds = one.low <= case.truth <= one.high
    theirs = ["", "", ""] if peer is None else [_percent(peer[0]), _between(*peer[1:]), f"{one.value - peer[0]:.0e}"]
    return [
        case.name,
        facts,
        name if most is None else f"{name}, most {most:.0f}",
        _percent(case.truth),
        _percent(one.value),
        _between(one.low, one.high),
        _between(drawn.low, drawn.high),
        "yes" if holds else "no",
        *theirs,
    ]


_KINDS: tuple[Interval, ...] = ("normal", "bootstrap")


# -- worlds


def worlds(logs: int, python: Path) -> dict[str, Any]:
    worth = np.linspace(0.02, 0.12, ARMS)
    lean = np.exp(worth * 40)
    lean /= lean.sum()
    even = np.full(ARMS, 1 / ARMS)
    table: list[list[Any]] = []
    for name, behaviour, target in (("even to leaning", even, lean), ("leaning to even", lean, even)):
        cases = [_drawn(behaviour, target, worth, seed) for seed in range(logs)]
        began = time.perf_counter()
        ours = [_told(seen(case)) for case in cases]
        took = time.perf_counter() - began
        theirs = asked(python, [columns(case) for case in cases])
        truth = float(target @ worth)
        for estimator in NAMES:
            mine = {kind: [each[estimator, kind] for each in ours] for kind in _KINDS}
            values = np.array([each.value for each in mine["normal"]])
            peer = np.array([each[estimator] for each in theirs])
            row = [name, estimator, _percent(truth), _percent(float(values.mean())), _percent(_rmse(values, truth))]
            row += [_share([one.low <= truth <= one.high for one in mine[kind]]) for kind in _KINDS]
            row += [_percent(float(peer[:, 0].mean())), _percent(_rmse(peer[:, 0], truth))]
            table.append([*row, _share(((peer[:, 1] <= truth) & (truth <= peer[:, 2])).tolist())])
        seconds = sum(each["seconds"] for each in theirs)
        print(f"{name}: ours {took:.1f} s with the model, obp {seconds:.1f} s without, {logs} logs")
    return {
        "title": f"Worlds with a known truth, {logs} logs of {ROUNDS:,} rounds, in %",
        "columns": ["from a log to a policy", "estimator", "truth", "mean", "RMSE", "normal interval holds",
                    "bootstrap interval holds", "obp mean", "obp RMSE", "obp interval holds"],
        "rows": table,
    }  # fmt: skip


def _drawn(behaviour: NDArray[Any], target: NDArray[Any], worth: NDArray[Any], seed: int) -> Case:
    random = np.random.default_rng(seed)
    arm = random.choice(ARMS, ROUNDS, p=behaviour).astype(np.int32)
    rows = PolicyRows(
        arm_ids=tuple(str(at) for at in range(ARMS)),
        arm=arm,
        reward=(random.random(ROUNDS) < worth[arm]).astype(np.float64),
        propensity=behaviour[arm],
        slot=np.zeros(ROUNDS, dtype=np.int32),
        cluster=np.arange(ROUNDS),
        time=np.arange(ROUNDS),
    )
    return Case("world", rows, np.broadcast_to(target, (ROUNDS, ARMS)), float(target @ worth))


def _told(rounds: Rounds) -> dict[tuple[str, str], Estimate]:
    return {(name, kind): estimate(name, rounds, interval=kind, draws=DRAWS) for name in NAMES for kind in _KINDS}


# -- both sides see the same


def expected(rows: PolicyRows) -> NDArray[np.float64]:
    """(n, k): what our model of rewards expects of every arm in every round."""
    k = len(rows.arm_ids)
    pool = np.broadcast_to(np.arange(k, dtype=np.int32), (len(rows), k))
    return cross_fitted(rows).of(slice(0, len(rows)), pool, rows.slot, rows.context)


def seen(case: Case) -> Rounds:
    told, each = expected(case.rows), np.arange(len(case.rows))
    return Rounds(
        case.rows.reward,
        case.rows.propensity,
        case.chances[each, case.rows.arm],
        case.rows.cluster,
        told[each, case.rows.arm],
        (case.chances * told).sum(axis=1),
    )


def columns(case: Case) -> dict[str, NDArray[Any]]:
    rows = case.rows
    return {
        "reward": rows.reward,
        "propensity": rows.propensity,
        "arm": rows.arm,
        "chances": case.chances,
        "expected": expected(rows),
    }


def asked(python: Path, each: list[dict[str, NDArray[Any]]]) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        for at, one in enumerate(each):
            np.savez(Path(folder) / f"{at:05d}.npz", **one)
        made = Path(folder) / "made.json"
        _run(python, "estimates", folder, str(made), "1")
        found: list[dict[str, Any]] = json.loads(made.read_text())
    return found


def _prior(python: Path, campaign: str) -> NDArray[np.float64]:
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "prior.npz"
        _run(python, "prior", campaign, str(made))
        with np.load(made) as stored:
            chances: NDArray[np.float64] = stored["chances"]
    return chances


def _run(python: Path, *words: str) -> None:
    command = [str(python), str(PEERS / "obp_estimates.py"), *words]
    subprocess.run(command, check=True, env=ALONE, stderr=subprocess.DEVNULL)


def obp_python() -> Path:
    """The Python of an environment with obp, kept below the system's temporary folder. It asks for Python below 3.11
    and pins that no longer build, so its dependencies are named here."""
    home = Path(tempfile.gettempdir()) / "shopkeeper-bench-peers" / "obp"
    python = home / "bin" / "python"
    if not (home / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet"]
        subprocess.run([*install, *NEEDS], check=True)
        subprocess.run([*install, "--no-deps", "--ignore-requires-python", *OBP], check=True)
        (home / "ready").touch()
    return python


def _rmse(values: NDArray[np.float64], truth: float) -> float:
    return float(np.sqrt(((values - truth) ** 2).mean()))


def _percent(value: float) -> str:
    return f"{100 * value:.3f}"


def _between(low: float, high: float) -> str:
    return f"{100 * low:.2f} to {100 * high:.2f}"


def _share(held: list[bool]) -> str:
    return f"{100 * float(np.mean(held)):.0f} %"


if __name__ == "__main__":
    main()
