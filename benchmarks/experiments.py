"""Experiments: false winners of tests that are looked at every day, power beside statsmodels, and the time of an
assignment with up to 1,000 running experiments."""

from __future__ import annotations

import subprocess
import sys
import time
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import record
from benchmarks.forecast_sets import peer_python
from shopkeeper.core.experiments import Course, Plan, Target, VariantPlan
from shopkeeper.lifecycle.experiments.assigning import BUCKETS, Assignments, Draw
from shopkeeper.quality import power
from shopkeeper.quality.experiments import Sample, welch
from shopkeeper.quality.sequential import always_valid, spread
from shopkeeper.stores.experiments import Kept

SEEDS = (1, 2, 3)
DAYS, DAILY = 28, 250
ALPHA = 0.05
PEER = """
import sys, json
from statsmodels.stats.power import TTestIndPower
from statsmodels.stats.proportion import samplesize_proportions_2indep_onetail as shares
means = [TTestIndPower().solve_power(d, power=.8, alpha=.05) for d in (.02, .1, .5)]
rates = [shares(b - a, a, .8, alpha=.05, alternative="two-sided") for a, b in ((.05, .06), (.3, .33), (.01, .011))]
print(json.dumps([means, rates]))
"""


def main() -> None:
    quick = "--quick" in sys.argv
    many = 200 if quick else 1000
    tables = [errors(many), sizes(), assignment(2_000 if quick else 20_000)]
    protocol = (
        f"{many} simulated experiments for each of {len(SEEDS)} seeds: {DAYS} days, {DAILY} people a day and variant, "
        "one number each (spend: one in five buys, lognormal), a look a day, alpha 5 %. Fixed: Welch's t test. "
        "Sequential: mSPRT planned for 3,000 people. Sizes: 80 % power, two-sided, beside statsmodels 0.14 in an "
        "environment of its own. Assignment: two variants, one thread, its processor time, medians of five; the naive "
        "one is a dict of all users made ahead."
    )
    if quick:
        print(tables)
    else:
        record.write("experiments", "Experiments", protocol, tables, NOTES)


NOTES = [
    "Below 5 % in the row of no effect means: no more false winners than promised.",
    "An assignment does not look at experiments on other scenarios; those of one layer are found by the user's bucket.",
]


def errors(many: int) -> dict[str, Any]:
    rows = []
    for effect in (0.0, 0.1, 0.2):
        found = np.array([looked(seed, many, effect) for seed in SEEDS])
        mean, deviation = found.mean(axis=0), found.std(axis=0)
        told = [f"{one:.1%} ±{other:.1%}" for one, other in zip(mean[:3], deviation[:3], strict=True)]
        rows.append([f"{effect:.0%}", *told, f"{mean[3]:.0f}"])
    return {
        "title": "Experiments that call a winner",
        "columns": ["true effect", "fixed, one look at the end", "fixed, a look a day", "sequential, a look a day",
                    "days until it does, median"],
        "rows": rows,
    }  # fmt: skip


def looked(seed: int, many: int, effect: float) -> tuple[float, float, float, float]:
    """Shares of experiments with a winner by three ways of testing; days until the sequential one had it."""
    random = np.random.default_rng(seed)
    end = peeked = always = 0
    days: list[int] = []
    for _ in range(many):
        control, treatment = spend(random, 1.0), spend(random, 1.0 + effect)
        fixed = []
        first = None
        for day, (one, other) in enumerate(zip(moments(control), moments(treatment), strict=True), 1):
            fixed.append(welch(one, other).p_value < ALPHA)
            if first is None and always_valid(one, other, spread(one, other, 3000, ALPHA)).p_value < ALPHA:
                first = day
        end += fixed[-1]
        peeked += any(fixed)
        always += first is not None
        days += [] if first is None else [first]
    return end / many, peeked / many, always / many, float(np.median(days)) if days else float("nan")


def spend(random: np.random.Generator, times: float) -> NDArray[np.float64]:
    n = DAYS * DAILY
    return np.where(random.random(n) < 0.2, random.lognormal(3.0, 0.7, n) * times, 0.0)


def moments(values: NDArray[np.float64]) -> list[Sample]:
    """What is known after each day."""
    n = np.arange(DAILY, DAYS * DAILY + 1, DAILY)
    total, squares = values.cumsum()[n - 1], (values**2).cumsum()[n - 1]
    means = total / n
    spreads = (squares - n * means**2) / (n - 1)
    return [Sample(int(k), float(m), float(v)) for k, m, v in zip(n, means, spreads, strict=True)]


def sizes() -> dict[str, Any]:
    import json

    python = peer_python("statsmodels", ["statsmodels==0.14.4"])
    answer = subprocess.run([str(python), "-c", PEER], check=True, capture_output=True, text=True).stdout
    means, rates = json.loads(answer)
    rows = [
        [f"mean, effect {d:g} deviations", power.size_for_means(d, 1.0), f"{theirs:.1f}"]
        for d, theirs in zip((0.02, 0.1, 0.5), means, strict=True)
    ]
    rows += [
        [f"share {a:g} to {b:g}", power.size_for_shares(a, b), f"{theirs:.1f}"]
        for (a, b), theirs in zip(((0.05, 0.06), (0.3, 0.33), (0.01, 0.011)), rates, strict=True)
    ]
    return {"title": "People in each variant", "columns": ["", "Shopkeeper", "statsmodels"], "rows": rows}


def assignment(users: int) -> dict[str, Any]:
    ids = [f"customer-{number}" for number in range(users)]
    rows: list[list[Any]] = []
    ahead = {id: number % 2 for number, id in enumerate(ids)}
    rows.append(["a dict of all users", "-", timed(lambda: [ahead[id] for id in ids], users)])
    for number in (0, 1, 100, 1000):
        for what in ("other scenarios", "this scenario, one layer") if number > 1 else ("this scenario",):
            one = Assignments()
            one.show(running(number, own=what == "other scenarios"))
            each = [(id, row) for row, id in enumerate(ids)]
            took = timed(lambda one=one, each=each: [one.of("scenario:home", id, row) for id, row in each], users)
            rows.append([f"{number:,} experiments", what, took])
    return {"title": "Time of an assignment", "columns": ["running", "on", "us"], "rows": rows}


def running(number: int, *, own: bool) -> list[Draw]:
    """Experiments that share one layer of the home page, or one there and the others elsewhere."""
    part = BUCKETS // max(number, 1)
    found = []
    for at in range(number):
        scenario = f"place-{at}" if own and at else "home"
        span = (0, BUCKETS) if own else (at * part, (at + 1) * part)
        variants = [VariantPlan(name="a"), VariantPlan(name="b", config={"diversity": 0.5})]
        target = Target(scenario=scenario)
        plan = Plan(name=f"e{at}", target=target, variants=variants, metric="orders", layer=f"l{at}" if own else "one")
        course = Course(phase=1, weights=[0.5, 0.5], spans=[span])
        found.append(Draw(Kept(f"id-{at}", "running", 1, plan, course, 0, "", 0, "")))
    return found


def timed(run: Any, number: int) -> str:
    """Median of five, us each."""
    took = []
    for _ in range(5):
        began = time.thread_time()
        run()
        took.append((time.thread_time() - began) / number * 1e6)
    return f"{median(took):.2f}"


if __name__ == "__main__":
    main()
