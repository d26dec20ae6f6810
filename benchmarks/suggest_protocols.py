"""MovieLens-1M as three protocols ask it: who is known to have taken what, in which order, and what is held out.

The same three are named in the published tables, so each number has its protocol beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.record import SHARED_DATA
from shopkeeper.core.clock import DAY
from shopkeeper.recommend.orders import Orders
from shopkeeper.recommend.recall.training import RecallData

Items = NDArray[np.int64]
_FOLDER = SHARED_DATA / "movielens-1m"
NEVER = 3650.0
"""A half life in interactions that is none: the oldest of 2,314 still counts two thirds."""


@dataclass(frozen=True)
class Case:
    """One user: what is known, newest first; what is never proposed; what was held out; in P3 what is to be ranked."""

    user: int
    known: Items
    hidden: Items
    wanted: Items
    choices: Items | None = None


@dataclass(frozen=True)
class Task:
    """`rows` of a user are what models learn from, oldest first."""

    name: str
    n_items: int
    rows: Sequence[Items]
    cases: Sequence[Case]

    def data(self) -> RecallData:
        """What the house's trainers get. The n-th last interaction of a user is n - 1 days old, so that a half life
        counts in interactions."""
        user = np.repeat(np.arange(len(self.rows), dtype=np.int32), [len(each) for each in self.rows])
        item = np.concatenate(self.rows).astype(np.int32)
        age = np.concatenate([np.arange(len(each) - 1, -1, -1) for each in self.rows])
        now = NOW
        time = now - age.astype(np.int64) * DAY
        order = np.argsort(time, kind="stable")
        ids = tuple(str(one) for one in range(self.n_items))
        return RecallData(Orders(user[order], item[order], time[order], ids), now)

    def pairs(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """(user, item) of all that is learned from."""
        user = np.repeat(np.arange(len(self.rows), dtype=np.int32), [len(each) for each in self.rows])
        return user, np.concatenate(self.rows).astype(np.int32)


NOW = 20_000 * DAY


def p1(*, tuning: bool) -> Task:
    """The last movie of each user among all that the user has not rated; learned from is all but the last two.

    For tuning the last but one is held out, and the last is nobody's.
    """
    rated = pl.read_parquet(_FOLDER / "ratings.parquet").filter(pl.col("order_in_user") >= 0)
    rated = rated.sort("user_id", "order_in_user")
    films, items = np.unique(rated["movie_id"].to_numpy(), return_inverse=True)
    whole = _by_user(rated["user_id"].to_numpy(), items)
    last = -2 if tuning else -1
    cases = [_next(user, each[:last], each[last : last + 1 or None]) for user, each in enumerate(whole)]
    return Task("P1", len(films), [each[:-2] for each in whole], cases)


def p2(*, tuning: bool, seed: int = 2020) -> Task:
    """A tenth of each user's ratings of three stars and more, drawn evenly, among all movies that are neither learned
    from nor used for tuning."""
    rated = pl.read_parquet(_FOLDER / "ratings.parquet").filter(pl.col("rating") >= 3).sort("user_id", "order_in_user")
    films, items = np.unique(rated["movie_id"].to_numpy(), return_inverse=True)
    random = np.random.default_rng(seed)
    rows, cases = [], list[Case]()
    for user, each in enumerate(_by_user(rated["user_id"].to_numpy(), items)):
        drawn = random.permutation(len(each))
        tenth = len(each) // 10
        test, chosen, learned = (np.sort(part) for part in np.split(drawn, [tenth, 2 * tenth]))
        rows.append(each[learned])
        known = each[learned][::-1]
        if tuning:
            cases.append(Case(user, known, known, each[chosen]))
        else:
            cases.append(Case(user, known, np.concatenate([known, each[chosen]]), each[test]))
    return Task("P2", len(films), rows, [case for case in cases if len(case.wanted)])


def p3(*, tuning: bool, seed: int = 2017) -> Task:
    """The test of the NCF paper: the held-out movie and its 99 drawn ones. For tuning the last of the others, with 99
    movies drawn evenly from those that the user never rated."""
    rated = pl.read_parquet(_FOLDER / "ratings.parquet").sort("user_id", "timestamp", maintain_order=True)
    test = pl.read_parquet(_FOLDER / "ncf_leave_one_out_test.parquet").sort("user_id")
    films = np.unique(rated["movie_id"].to_numpy())
    whole = _by_user(rated["user_id"].to_numpy(), np.searchsorted(films, rated["movie_id"].to_numpy()))
    held = np.searchsorted(films, test["movie_id"].to_numpy())
    drawn = np.searchsorted(films, np.array(test["negatives"].to_list()))
    random = np.random.default_rng(seed)
    rows, cases = [], []
    for user, (each, out, others) in enumerate(zip(whole, held, drawn, strict=True)):
        learned = each[each != out]
        wanted, choices = np.array([out]), np.append(others[others != out], out)
        if tuning:
            learned, wanted = learned[:-1], learned[-1:]
            never = np.setdiff1d(np.arange(len(films)), each)
            choices = np.append(random.choice(never, 99, replace=False), wanted)
        rows.append(learned)
        cases.append(Case(user, learned[::-1], learned[::-1], wanted, np.unique(choices)))
    return Task("P3", len(films), rows, cases)


def _next(user: int, before: Items, wanted: Items) -> Case:
    return Case(user, before[::-1], before[::-1], wanted)


def _by_user(user: NDArray[np.int64], item: Items) -> list[Items]:
    """`user` is sorted."""
    return np.split(item.astype(np.int64), np.flatnonzero(np.diff(user)) + 1)
