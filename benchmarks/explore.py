"""Policies that draw slots in the frozen simulator: how much of the way from random to the oracle they go, and at which
cost. What draws is the shop's own stage, what learns its own learners."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import record
from shopkeeper.core.protocols import silent
from shopkeeper.recommend.explore.asked import Exploring
from shopkeeper.recommend.explore.policy import Learner
from shopkeeper.recommend.explore.snapshots import Bound, begun
from shopkeeper.recommend.explore.stage import Stage
from shopkeeper.recommend.orders import Orders
from shopkeeper.recommend.recall.ease import Ease
from shopkeeper.recommend.recall.training import RecallData
from shopkeeper.recommend.shown import LatelyShown
from shopkeeper.sources.simulator.audience import Answer, Audience
from shopkeeper.sources.simulator.responses import ResponseModel
from shopkeeper.sources.simulator.yardstick import PEOPLE, ROUNDS, clicks_of, yardstick

SEEDS = (1, 2, 3)
REST_H = 168.0
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass
class History:
    """What the log of the 90 days before holds: `counts` (people, items) of orders, clicks and uses of apps; `tastes`
    (people, categories) how much more of a person's events are about a category than those of all."""

    counts: Floats
    categories: list[str]
    tastes: Floats
    orders: Orders

    @property
    def popular(self) -> Floats:
        return np.asarray(self.counts.sum(axis=0))


@dataclass
class Drawing:
    """A policy as the shop runs it: the stage draws, the learner learns of what was drawn and nothing else. `order`
    (people, items) are the items by value, best first; what a person was shown within a week is no candidate, as by
    the filter `seen in 168 hours`."""

    asked: Exploring
    order: Ints
    history: History
    learner: Learner = field(init=False)
    seconds: float = 0.0
    slots: int = 0

    def __post_init__(self) -> None:
        self.learner = begun(self.asked)
        self.number = 0
        self._bind()
        self.stage = Stage(self, self)
        self.kept: dict[int, Any] = {}
        self.shown = LatelyShown()

    def of(self, _scenario: str, _asked: Exploring) -> Bound:
        return self.bound

    def read(self, names: Sequence[str], *, user: int, **_: Any) -> Floats:
        """Numbers that the page knows of its visitor: what the log says of them, by category."""
        return np.concatenate([[1.0], self.history.tastes[user, : len(names)]])

    def policy(self, _audience: Audience, users: Ints, at: int, places: int) -> Ints:
        shown = np.empty((len(users), places), dtype=np.int64)
        for row, user in enumerate(users.tolist()):
            items = rested(self.order[user], self.shown, user, at)
            begun_at = time.process_time()
            slate = f"{self.number}/{user}/{self.seed}"
            order, drawn = self.stage.explore(
                "home", self.asked, items, places, slate, user=user, now=0, context=_NOTHING, personal=True
            )
            self.seconds += time.process_time() - begun_at
            shown[row] = items[order]
            self.shown.note(user, items[order], at)
            self.kept[user] = drawn
            self.slots += 0 if drawn is None else len(drawn.slots)
        return shown

    def learn(self, users: Ints, items: Ints, _at: int, answer: Answer) -> None:
        for row, user in enumerate(users.tolist()):
            drawn = self.kept[user]
            if drawn is None:
                continue
            for slot, chance in zip(drawn.slots, drawn.chances.tolist(), strict=True):
                arm = self.learner.place(str(items[row, slot]))
                self.learner.learn(arm, float(answer.clicked[row, slot]), drawn.context, chance)
        self.kept.clear()
        self.number += 1
        self._bind()

    seed: int = 0

    def _bind(self) -> None:
        policy = self.learner.snapshot()
        arms = np.full(self.order.shape[1] + 1, -1, dtype=np.int32)
        for place, id in enumerate(policy.arm_ids):
            arms[int(id)] = place
        self.bound = Bound(policy, self.number, arms)


@dataclass(frozen=True)
class Entry:
    """`base`: what orders the candidates before the policy draws. `rests`: what was shown within a week is left out."""

    name: str
    base: str
    asked: Exploring | None = None
    rests: bool = True


def main() -> None:
    if any(os.environ.get(name) != "1" for name in _ONE_THREAD):
        os.execve(sys.executable, [sys.executable, "-m", "benchmarks.explore", *sys.argv[1:]], _ALONE)
    quick = "--quick" in sys.argv
    rounds, people = (15, 60) if quick else (ROUNDS, PEOPLE)
    model = ResponseModel.version("v1")
    history = read_history(model)
    bases = {"popular": popular_order(history), "ease": ease_order(history)}
    entries = _entries(tuple(f"context.{name}" for name in history.categories))
    rows: list[list[object]] = []
    per_seed: dict[str, list[tuple[float, float, float]]] = {}
    cost: dict[str, float] = {}
    only = [arg for arg in sys.argv[1:] if not arg.startswith("-")]
    for seed in (9,) if quick else SEEDS[:1] if only else SEEDS:
        ends = yardstick(model, seed=seed, rounds=rounds, people=people)
        told = {"random": ends.random, "oracle": ends.oracle}
        for entry in entries:
            if only and not any(word in entry.name for word in only):
                continue
            clicks, us = _tried(model, entry, bases[entry.base], history, seed, rounds, people)
            told[entry.name] = clicks
            cost[entry.name] = min(us, cost.get(entry.name, np.inf))
            more, share = clicks / ends.random - 1, ends.share(clicks)
            print(f"seed {seed} {entry.name}: {clicks:.3f} {more:+.1%} {share:.1%} {us:.0f} us", flush=True)
        for name, clicks in told.items():
            per_seed.setdefault(name, []).append((clicks, clicks / ends.random - 1, ends.share(clicks)))
    for name, found in per_seed.items():
        clicks, more, share = np.mean(found, axis=0).tolist()
        spread = float(np.ptp([one[1] for one in found]))
        rows.append([name, clicks, 100 * more, 100 * spread, 100 * share, cost.get(name, 0.0) or None])
    if quick or only:
        return
    columns = ["who chooses", "clicks a slate", "over random, %", "spread of that over seeds", "share of the gap, %",
               "us a slot"]  # fmt: skip
    tables = [{"title": "Clicks on slates of ten in the frozen simulator (v1)", "columns": columns, "rows": rows}]
    record.write("explore", "Exploring in a shop", _PROTOCOL, tables, _NOTES)


def _entries(context: tuple[str, ...]) -> list[Entry]:
    alone = Exploring("thompson_beta", share=1.0, pool=100, floor=0.05)
    policies = [
        ("thompson_beta", {}), ("thompson_gaussian", {}), ("ucb1", {"c": 0.05}), ("epsilon_greedy", {}),
        ("linucb", {"alpha": 0.3}), ("lints", {"v": 0.1}),
    ]  # fmt: skip
    found = [
        Entry("what sold most", "popular", rests=False),
        Entry("what sold most, rested", "popular"),
        Entry("ease on the history", "ease", rests=False),
        Entry("ease on the history, rested", "ease"),
    ]
    for name, params in policies:
        names = context if name.startswith("lin") else ()
        asked = replace(alone, policy=name, params=params, context=names)
        found.append(Entry(f"{name}, of the 100 best sold", "popular", asked))
    for name, params in (policies[0], policies[5]):
        names = context if name.startswith("lin") else ()
        asked = Exploring(name, share=1.0, pool=20, floor=0.05, params=params, context=names)
        found.append(Entry(f"{name}, of the next 20 of ease", "ease", asked))
    asked = Exploring("thompson_beta", share=0.1, pool=20)
    return [*found, Entry("thompson_beta, a tenth, of the next 20 of ease", "ease", asked)]


def _tried(
    model: ResponseModel, entry: Entry, order: Ints, history: History, seed: int, rounds: int, people: int
) -> tuple[float, float]:
    """(expected clicks a slate, microseconds a drawn slot)."""
    if entry.asked is None:
        shown = LatelyShown()

        def best(_audience: Audience, users: Ints, at: int, places: int) -> Ints:
            slates = np.empty((len(users), places), dtype=np.int64)
            for row, user in enumerate(users.tolist()):
                items = rested(order[user], shown, user, at) if entry.rests else order[user]
                slates[row] = items[:places]
                shown.note(user, items[:places].astype(np.int32), at)
            return slates

        return clicks_of(model, best, seed=seed, rounds=rounds, people=people), 0.0
    drawing = Drawing(entry.asked, order, history)
    drawing.seed = seed
    clicks = clicks_of(model, drawing.policy, seed=seed, rounds=rounds, people=people, learn=drawing.learn)
    return clicks, drawing.seconds / max(drawing.slots, 1) * 1e6


def rested(order: Ints, shown: LatelyShown, user: int, at: int) -> NDArray[np.int32]:
    """The items (k,) that a person was not shown within a week, best first."""
    left = np.ones(len(order), dtype=np.bool_)
    left[shown.rows(user, at, REST_H)] = False
    return order[left[order]].astype(np.int32)


def read_history(model: ResponseModel) -> History:
    world, n_users, n_items = model.world, len(model.user_ids), len(model.item_ids)
    user_of = {id: at for at, id in enumerate(model.user_ids)}
    item_of = {id: at for at, id in enumerate(model.item_ids)}
    users, items, times = [], [], []
    for day in range(world.config.history_days):
        frame = world.day(day)
        for user, item, at in zip(frame["user_id"], frame["target_id"], frame["time"], strict=True):
            if user in user_of and item in item_of:
                users.append(user_of[user])
                items.append(item_of[item])
                times.append(int(at) if isinstance(at, int) else round(at.timestamp() * 1e6))
    order = np.argsort(times, kind="stable")
    lines = [np.array(each)[order] for each in (users, items, times)]
    counts = np.zeros((n_users, n_items))
    np.add.at(counts, (lines[0], lines[1]), 1.0)
    kinds = [str(item.category) for item in world.items()]
    names = sorted(set(kinds))
    member = np.array([[kind == name for name in names] for kind in kinds], dtype=np.float64)
    usual = counts.sum(axis=0) @ member / counts.sum()
    shares = (counts @ member + 10 * usual) / (counts.sum(axis=1, keepdims=True) + 10)
    tastes = np.clip(3 * (shares - usual), -1, 1)
    orders = Orders(lines[0].astype(np.int32), lines[1].astype(np.int32), lines[2].astype(np.int64), model.item_ids)
    return History(counts, names, tastes, orders)


def popular_order(history: History) -> Ints:
    order = np.argsort(-history.popular, kind="stable")
    return np.tile(order, (len(history.counts), 1))


def ease_order(history: History) -> Ints:
    """What a person has taken is shown again: people of this world do."""
    model = Ease(Ease.Params(l2=100), 1).fit(RecallData(history.orders, int(history.orders.time.max()) + 1), silent)
    place = {id: at for at, id in enumerate(model.item_ids)}
    known = np.array([place.get(id, -1) for id in history.orders.item_ids])
    weak = history.popular / history.popular.max() * 1e-6
    order = np.empty(history.counts.shape, dtype=np.int64)
    for user, counts in enumerate(history.counts):
        taken = np.flatnonzero((counts > 0) & (known >= 0))
        scores = np.zeros(len(known)) + weak
        if len(taken):
            found = model.scores(known[taken].astype(np.int32), np.log1p(counts[taken]).astype(np.float32))
            scores[known >= 0] += found[known[known >= 0]]
        order[user] = np.argsort(-scores, kind="stable")
    return order


_NOTHING: Mapping[str, Any] = {}
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_ALONE = {**os.environ, **dict.fromkeys(_ONE_THREAD, "1")}
_PROTOCOL = (
    "Response model v1 (docs/simulator.md): 200 of 1,000 people every seven hours, 60 times, slates of 10 out of 300 "
    "items; expected clicks a slate, three trials with other people, draws and clicks. A policy begins with nothing, "
    "draws every slot through the shop's stage (pool, floor, draw by the slate's id) and learns after each round of "
    "200 slates what was drawn and clicked, reward 1, nothing else. Contexts: what the log of the 90 days before says "
    "of a person, by category (18 numbers). `ease on the history` learned orders, clicks and uses of these days. Time "
    "is processor time of the whole stage, on one thread; the gap is that from random to an oracle that knows all."
)
_NOTES = [
    "People tire of what they are shown again: what is not rested shows the same few items and pays for it. Rested: "
    "what a person was shown within a week is no candidate, as by the filter `seen in 168 hours`; so for all policies.",
    "Asked was 30 % over random. Parameters other than the defaults stand in benchmarks/explore.py; the trial by which "
    "they were looked at (seed 9) is not reported.",
]

if __name__ == "__main__":
    main()
