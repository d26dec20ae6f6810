"""What the load benchmarks ask: known users on a page, at a set hit rate or by Zipf's law, feedback mixed in."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.load_wires import post

RECOMMEND, FEEDBACK = 0, 1
MARK = b'"cache_hit":'
RECOMMEND_DOOR, FEEDBACK_DOOR = "/api/v1/personalization/recommend", "/api/v1/personalization/feedback"
SCENARIO = "home"

# What is fed back, and how often: looks far more than likes, and few orders.
_FED_BACK = ("view", "click", "like", "purchase")
_SHARES = (0.7, 0.2, 0.06, 0.04)


@dataclass(frozen=True)
class Mix:
    """`payloads`, which of them the n-th request sends (int32), and their kinds (int8)."""

    payloads: list[bytes]
    order: NDArray[np.int32]
    kinds: NDArray[np.int8]


def ask_for(user: str, page: str | None = None, **more: Any) -> dict[str, Any]:
    """A request for ten items; another `page` makes it another question with the same work."""
    return {"user_id": user, "scenario": SCENARIO, **({"context": {"page": page}} if page else {}), **more}


class Asker:
    """Draws mixes over the users and items of a shop. No two mixes share a question that should miss."""

    def __init__(self, users: list[str], items: list[str], seed: int = 42) -> None:
        self.users, self.items = users, items
        self._draw = np.random.default_rng(seed)
        self._users = [users[at] for at in self._draw.permutation(len(users))]
        self._page = itertools.count()

    def hits(self, hot: int) -> Mix:
        """The questions of `hot` users, each once: what warms a cache."""
        payloads = [self._recommend(user) for user in self._users[:hot]]
        return Mix(payloads, np.arange(hot, dtype=np.int32), np.zeros(hot, dtype=np.int8))

    def at_rate(self, hit_rate: float, count: int, hot: int) -> Mix:
        """`count` requests of which `hit_rate` repeat the questions of `hot` users; the others were never asked."""
        again = self.hits(hot).payloads
        fresh = round(count * (1 - hit_rate))
        users = itertools.islice(itertools.cycle(self._users), fresh)
        payloads = again + [self._recommend(user, f"p{next(self._page)}") for user in users]
        order = self._draw.integers(0, hot, count).astype(np.int32)
        order[self._draw.permutation(count)[:fresh]] = hot + np.arange(fresh)
        return Mix(payloads, order, np.zeros(len(payloads), dtype=np.int8))

    def zipf(self, count: int, *, feedback: float = 0.0, exponent: float = 1.0) -> Mix:
        """`count` requests of users drawn by Zipf's law; of a share `feedback` of them, what they did instead."""
        chances = 1 / np.arange(1, len(self._users) + 1) ** exponent
        drawn = np.searchsorted(np.cumsum(chances / chances.sum()), self._draw.random(count)).clip(
            0, len(self._users) - 1
        )
        who, places = np.unique(drawn, return_inverse=True)
        payloads = [self._recommend(self._users[at]) for at in who]
        order = places.astype(np.int32)
        fed = np.flatnonzero(self._draw.random(count) < feedback)
        payloads += [self._feedback(self._users[at]) for at in drawn[fed]]
        order[fed] = len(who) + np.arange(len(fed))
        kinds = np.repeat(np.array([RECOMMEND, FEEDBACK], dtype=np.int8), [len(who), len(fed)])
        return Mix(payloads, order, kinds)

    def _recommend(self, user: str, page: str | None = None) -> bytes:
        return post(RECOMMEND_DOOR, json.dumps(ask_for(user, page)).encode())

    def _feedback(self, user: str) -> bytes:
        given = {
            "user_id": user,
            "item_id": self.items[int(self._draw.integers(len(self.items)))],
            "feedback_type": str(self._draw.choice(_FED_BACK, p=_SHARES)),
        }
        return post(FEEDBACK_DOOR, json.dumps(given).encode())
