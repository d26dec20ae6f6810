"""Who has taken little yet takes what everybody takes: how much that counts is learned from how users began.

Models of a taste say little after one to three items, and what they say is about rare things. In some shops popularity
is then the better guess, in others it never is; so it is measured, on users as if they had just come.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid
from shopkeeper.recommend.orders import Orders
from shopkeeper.recommend.recall.model import best

AFTER = (1, 3, 10)
"""So many items taken at which the weight is learned. Between them it is drawn over the logarithm, and up to NO_MORE,
where nothing is left of it."""
NO_MORE = 30
TRIED = (0.0, 0.25, 0.5, 1.0, 2.0)
MOST_USERS = 256
_NEXT, _FEWEST_NEXT, _FEWEST_USERS = 20, 3, 50
_K = 20
_SURE = 3.0
"""Standard errors by which a weight must beat none."""
_FILE = "beginning.npz"

Ask = Callable[[int, NDArray[np.int32]], NDArray[np.float32]]
"""(user of the orders' matrix by place, items taken newest first) -> scores float32 (n,), as if that user had not been
learned from."""


@dataclass(frozen=True)
class Beginning:
    """`usual` float32 (n,): what a model says of everybody, on the scale of its scores; `weights` of it after AFTER."""

    usual: NDArray[np.float32]
    weights: NDArray[np.float64]

    def added(self, scores: NDArray[np.float32], taken: int) -> NDArray[np.float32]:
        """Scores (n,) of somebody who took so many items; those of somebody who took nothing stay as they are."""
        weight = self.weight(taken)
        return scores + np.float32(weight) * self.usual if weight else scores

    def weight(self, taken: int) -> float:
        if not 0 < taken < NO_MORE:
            return 0.0
        return float(np.interp(np.log(taken), np.log([*AFTER, NO_MORE]), [*self.weights, 0.0]))

    def save(self, folder: Path) -> None:
        np.savez(folder / _FILE, usual=self.usual, weights=self.weights)

    @classmethod
    def load(cls, folder: Path, n: int) -> Beginning | None:
        """None where there is none: not saved with every model. Raises Invalid when it does not fit n items."""
        if not (folder / _FILE).exists():
            return None
        with np.load(folder / _FILE, allow_pickle=False) as arrays:
            found = cls(arrays["usual"].astype(np.float32), arrays["weights"].astype(np.float64))
        whole = np.isfinite(found.usual).all() and np.isfinite(found.weights).all()
        if found.usual.shape != (n,) or found.weights.shape != (len(AFTER),) or not whole:
            raise Invalid(
                "what counts for new users does not fit the items; train the model again", code="bad_artifact"
            )
        return found


def learned(
    orders: Orders, kept: NDArray[np.int64], usual: NDArray[np.float32], ask: Ask, seed: int
) -> Beginning | None:
    """Which weights bring most of what users took next within the first twenty; None: nothing is better than none.

    `kept` are the orders' items that the model knows, in its order. Each user is asked for after 1, 3 and 10 items as
    if there were no more; at most MOST_USERS, drawn by `seed` from the half that came last.
    """
    place = np.full(orders.n_items, -1, dtype=np.int32)
    place[kept] = np.arange(len(kept), dtype=np.int32)
    began = _began(orders, place, seed)
    weights = []
    for taken in AFTER:
        users = [(user, items) for user, items in began if len(items) >= taken + _FEWEST_NEXT]
        found = np.array([_tried(ask(user, items[:taken][::-1]), usual, items, taken) for user, items in users])
        weights.append(_chosen(found) if len(found) >= _FEWEST_USERS else 0.0)
    return Beginning(usual, np.array(weights)) if any(weights) else None


def _began(orders: Orders, place: NDArray[np.int32], seed: int) -> list[tuple[int, NDArray[np.int32]]]:
    """(user by place in the orders' matrix, distinct items of the model, the first taken first)."""
    users, first, row = np.unique(orders.user, return_index=True, return_inverse=True)
    late = np.argsort(orders.time[first], kind="stable")[len(users) // 2 :]
    if len(late) > MOST_USERS:
        late = np.random.default_rng(seed).choice(late, MOST_USERS, replace=False)
    order = np.argsort(row, kind="stable")
    start = np.searchsorted(row[order], np.arange(len(users) + 1))
    result = []
    for user in np.sort(late).tolist():
        items = place[orders.item[order[start[user] : start[user + 1]]]]
        items = items[items >= 0]
        _, new = np.unique(items, return_index=True)
        result.append((user, items[np.sort(new)]))
    return result


def _tried(
    scores: NDArray[np.float32], usual: NDArray[np.float32], items: NDArray[np.int32], taken: int
) -> list[float]:
    """Recall with each of the weights."""
    wanted = items[taken : taken + _NEXT]
    result = []
    for weight in TRIED:
        shown = scores + np.float32(weight) * usual
        shown[items[:taken]] = 0
        result.append(float(np.isin(best(shown, _K), wanted).sum() / len(wanted)))
    return result


def _chosen(recall: NDArray[np.float64]) -> float:
    """`recall` (users, weights tried)."""
    at = int(recall.mean(axis=0).argmax())
    gain = recall[:, at] - recall[:, 0]
    return TRIED[at] if gain.mean() > _SURE * gain.std() / np.sqrt(len(gain)) else 0.0
