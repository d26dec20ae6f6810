"""What tower models are measured on: MovieLens-1M with what is said of users and of movies, the last movie held out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.record import SHARED_DATA
from shopkeeper.core.clock import DAY
from shopkeeper.recommend.orders import Orders
from shopkeeper.recommend.recall.training import RecallData

_FOLDER = SHARED_DATA / "movielens-1m"
_NOW = 20_000 * DAY


@dataclass(frozen=True)
class LastWatch:
    """`data` to learn from; of each user what was watched before, newest first, and the movie to be found (u,)."""

    data: RecallData
    known: list[NDArray[np.int32]]
    wanted: NDArray[np.int32]

    def traits(self, user: int) -> dict[str, Any]:
        return dict(self.data.users[user])


def last_watch(*, tuning: bool) -> LastWatch:
    """The last movie of each of 6,040 users among 3,416 movies; learned from is all before it. For tuning the last but
    one is held out and the last is nobody's."""
    rated = pl.read_parquet(_FOLDER / "ratings.parquet").filter(pl.col("order_in_user") >= 0)
    rated = rated.sort("user_id", "order_in_user")
    films, items = np.unique(rated["movie_id"].to_numpy(), return_inverse=True)
    people, begin = np.unique(rated["user_id"].to_numpy(), return_index=True)
    whole = np.split(items.astype(np.int32), begin[1:])
    last = -2 if tuning else -1
    rows = [each[:last] for each in whole]
    user = np.repeat(np.arange(len(rows), dtype=np.int32), [len(each) for each in rows])
    age = np.concatenate([np.arange(len(each) - 1, -1, -1) for each in rows])
    time = _NOW - (age.astype(np.int64) + 1) * DAY
    order = np.argsort(time, kind="stable")
    orders = Orders(user[order], np.concatenate(rows)[order], time[order], tuple(str(film) for film in films))
    users, movies = _users(), _movies()
    data = RecallData(
        orders,
        _NOW,
        {row: users[person] for row, person in enumerate(people.tolist())},
        {row: movies[film] for row, film in enumerate(films.tolist())},
    )
    return LastWatch(data, [each[::-1] for each in rows], np.array([each[last] for each in whole], dtype=np.int32))


def _users() -> dict[int, dict[str, Any]]:
    found = {}
    for line in (_FOLDER / "users.dat").read_text(encoding="latin-1").splitlines():
        user, gender, age, occupation, place = line.split("::")
        found[int(user)] = {"gender": gender, "age": int(age), "occupation": f"o{occupation}", "region": place[:2]}
    return found


def _movies() -> dict[int, dict[str, Any]]:
    found = {}
    for line in (_FOLDER / "movies.dat").read_text(encoding="latin-1").splitlines():
        film, title, genres = line.split("::")
        found[int(film)] = {"genres": genres, "year": int(title.rstrip()[-5:-1]), "title": title}
    return found
