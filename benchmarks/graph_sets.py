"""MovieLens-1M and UCI Online Retail as people, things and moments, cut at one moment for everybody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.record import SHARED_DATA
from shopkeeper.core.batch import EventBatch
from shopkeeper.quality import ranking
from shopkeeper.quality.classification import auc
from shopkeeper.recommend.orders import Orders

SECOND = 1_000_000
MOVIELENS, RETAIL = "MovieLens-1M", "Online Retail"
K = 20


@dataclass(frozen=True)
class Links:
    """m links (user, item, time in us) in order of time, all (m,). `known` are pairs (user, item, time) that are never
    proposed once they are past; the links are among them. `users` and `items` are attributes by row. The log is cut at
    `cutoff`; settings were chosen with a log that ends at `tuning`, measured on what came between the two."""

    name: str
    event: str
    user: NDArray[np.int32]
    item: NDArray[np.int32]
    time: NDArray[np.int64]
    known: tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int64]]
    users: Sequence[dict[str, Any]]
    items: Sequence[dict[str, Any]]
    category: Sequence[str | None]
    tuning: int
    cutoff: int

    @property
    def item_ids(self) -> tuple[str, ...]:
        return tuple(f"item-{row}" for row in range(len(self.items)))

    def past(self, end: int) -> Orders:
        return Orders(self.user, self.item, self.time, self.item_ids).between(None, end)

    def events(self, end: int) -> EventBatch:
        """What the shop's log would hold before `end`."""
        past = self.past(end)
        n = len(past)
        none, numbers = np.full(n, -1, dtype=np.int32), np.full(n, np.nan)
        return EventBatch(
            seq=np.arange(1, n + 1, dtype=np.int64),
            user=past.user,
            item=past.item,
            other=none,
            type=np.zeros(n, dtype=np.int32),
            store=none,
            time=past.time,
            quantity=numbers,
            unit_price=numbers,
            value=numbers,
            promotion=np.zeros(n, dtype=np.bool_),
        )


@dataclass(frozen=True)
class Cases:
    """People with links before and after the cut: what each took for the first time (`new`), and what is not proposed
    (`seen`). Pair j of the AUC is `at[j]` (a place in `users`) with `good[j]` against `bad[j]`, an item never taken."""

    users: NDArray[np.int32]
    seen: list[NDArray[np.int32]]
    new: list[NDArray[np.int32]]
    at: NDArray[np.int64]
    good: NDArray[np.int32]
    bad: NDArray[np.int32]

    def measures(self, scores: NDArray[np.float32]) -> dict[str, float]:
        """`scores` (len(users), n_items)."""
        shown = scores.copy()
        for row, seen in enumerate(self.seen):
            shown[row, seen] = -np.inf
        lists = np.argsort(-shown, axis=1, kind="stable")[:, :K].astype(np.int32)
        both = np.concatenate([scores[self.at, self.good], scores[self.at, self.bad]])
        label = np.repeat([1.0, 0.0], len(self.at)).astype(np.float32)
        return {
            "recall@20": ranking.recall_at(lists, self.new, K),
            "ndcg@10": ranking.ndcg_at(lists, self.new, 10),
            "auc": float(auc(label, both)),
            "coverage@20": ranking.coverage_at(lists, scores.shape[1], K),
        }


def cases(links: Links, cutoff: int, end: int | None, seed: int = 0) -> Cases:
    """Of the people who took something before `cutoff` and something new in [cutoff, end)."""
    n_items = len(links.items)
    random = np.random.default_rng(seed)
    before = _by_user(*_within(links.known, None, cutoff), len(links.users))
    past = set(np.unique(links.past(cutoff).user).tolist())
    after = _by_user(*_within((links.user, links.item, links.time), cutoff, end), len(links.users))
    ever = _by_user(links.known[0], links.known[1], len(links.users))
    users, seen, new, bad = [], [], [], []
    for user, (old, taken) in enumerate(zip(before, after, strict=True)):
        fresh = np.setdiff1d(taken, old).astype(np.int32)
        if user not in past or not len(fresh):
            continue
        users.append(user)
        seen.append(np.unique(old).astype(np.int32))
        new.append(fresh)
        never = np.setdiff1d(np.arange(n_items), ever[user])
        bad.append(random.choice(never, len(fresh)).astype(np.int32))
    at = np.repeat(np.arange(len(users)), [len(fresh) for fresh in new])
    return Cases(np.array(users, dtype=np.int32), seen, new, at, np.concatenate(new), np.concatenate(bad))


def movielens() -> Links:
    """A link is a rating of four stars or five; what was rated at all is not proposed again."""
    folder = SHARED_DATA / "movielens-1m"
    people = [line.split("::") for line in (folder / "users.dat").read_text(encoding="latin1").splitlines()]
    films = [line.split("::") for line in (folder / "movies.dat").read_text(encoding="latin1").splitlines()]
    row_of_user = {int(one[0]): row for row, one in enumerate(people)}
    row_of_film = {int(one[0]): row for row, one in enumerate(films)}
    rated = pl.read_parquet(folder / "ratings.parquet").sort("timestamp", "user_id", "movie_id", maintain_order=True)
    user = np.array([row_of_user[one] for one in rated["user_id"].to_list()], dtype=np.int32)
    item = np.array([row_of_film[one] for one in rated["movie_id"].to_list()], dtype=np.int32)
    time = rated["timestamp"].to_numpy().astype(np.int64) * SECOND
    liked = rated["rating"].to_numpy() >= 4
    users = [{"gender": one[1], "age": one[2], "occupation": one[3]} for one in people]
    items = [{"genres": tuple(one[2].split("|")), "year": int(one[1][-5:-1])} for one in films]
    first = [one[2].split("|")[0] for one in films]
    moments = [_moment(day) for day in ("2000-12-02", "2000-12-30")]
    known = (user, item, time)
    return Links(
        MOVIELENS, "like", user[liked], item[liked], time[liked], known, users, items, first, moments[0], moments[1]
    )


def retail() -> Links:
    """A link is an order line of a known customer that was not cancelled."""
    table = pl.read_parquet(SHARED_DATA / "online-retail" / "online_retail.parquet")
    lines = table.filter(
        pl.col("CustomerID").is_not_null()
        & ~pl.col("InvoiceNo").str.starts_with("C")
        & (pl.col("Quantity") > 0)
        & pl.col("StockCode").str.contains(r"^\d")
    ).sort("InvoiceDate", "InvoiceNo", maintain_order=True)
    customers = lines["CustomerID"].unique().sort().to_list()
    codes = lines["StockCode"].unique().sort().to_list()
    row_of_user = {one: row for row, one in enumerate(customers)}
    row_of_item = {one: row for row, one in enumerate(codes)}
    user = np.array([row_of_user[one] for one in lines["CustomerID"].to_list()], dtype=np.int32)
    item = np.array([row_of_item[one] for one in lines["StockCode"].to_list()], dtype=np.int32)
    time = lines["InvoiceDate"].dt.epoch("us").to_numpy()
    country = dict(lines.group_by("CustomerID", maintain_order=True).agg(pl.col("Country").first()).iter_rows())
    moments = [_moment(day) for day in ("2011-10-14", "2011-11-11")]
    past = lines.filter(pl.col("InvoiceDate").dt.epoch("us") < moments[0])
    price = dict(past.group_by("StockCode").agg(pl.col("UnitPrice").median()).iter_rows())
    users = [{"country": country[one]} for one in customers]
    items = [{"price": price[one]} if one in price else {} for one in codes]
    nothing: list[str | None] = [None] * len(codes)
    return Links(RETAIL, "order", user, item, time, (user, item, time), users, items, nothing, moments[0], moments[1])


SETS = {MOVIELENS: movielens, RETAIL: retail}


def _moment(day: str) -> int:
    return int(np.datetime64(day, "us").astype(np.int64))


def _within(
    pairs: tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int64]], start: int | None, end: int | None
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    user, item, time = pairs
    kept = np.ones(len(time), dtype=np.bool_)
    if start is not None:
        kept &= time >= start
    if end is not None:
        kept &= time < end
    return user[kept], item[kept]


def _by_user(user: NDArray[np.int32], item: NDArray[np.int32], n_users: int) -> list[NDArray[np.int32]]:
    order = np.argsort(user, kind="stable")
    return np.split(item[order], np.cumsum(np.bincount(user, minlength=n_users))[:-1])
