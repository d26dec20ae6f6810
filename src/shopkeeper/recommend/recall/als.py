"""Implicit ALS: users and items as short vectors, fitted in turns; a user's vector is made anew from what was taken."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.protocols import Params as BaseParams
from shopkeeper.core.protocols import Report
from shopkeeper.recommend.recall.beginning import learned
from shopkeeper.recommend.recall.factors import Factors, solved
from shopkeeper.recommend.recall.training import RecallData


class Als:
    """Minimises sum over purchases c (1 - s)^2 + alpha x sum over all pairs s^2 + l2 x sum of d |vector|^2, s = user .
    item, c the freshness of the purchase, and d = (sum of c + alpha x the number of the others) ** frequency: what
    appears often is held back more. Each vector is the exact optimum given the other side's.

    References: Hu, Koren, Volinsky, "Collaborative filtering for implicit feedback datasets", ICDM 2008; Rendle et al.,
    "Revisiting the performance of iALS on item recommendation benchmarks", RecSys 2022 (why alpha and l2 need care).
    """

    name: ClassVar[str] = "als"
    family: ClassVar[str] = "recall"
    description: ClassVar[str] = "Matrix factorisation for purchases (iALS); vectors of users follow what they take"
    tags: ClassVar[tuple[str, ...]] = ("recall", "factors", "vectors")
    knows_new_users: ClassVar[bool] = True
    knows_new_items: ClassVar[bool] = False
    model: ClassVar[type[Factors]] = Factors

    class Params(BaseParams):
        dimensions: Annotated[int, msgspec.Meta(ge=2, le=512, description="Numbers of a vector")] = 64
        sweeps: Annotated[int, msgspec.Meta(ge=1, le=200, description="Turns of users and items")] = 12
        alpha: Annotated[
            float, msgspec.Meta(gt=0, le=10, description="Weight of a pair without a purchase, of which 1 has one")
        ] = 0.1
        l2: Annotated[float, msgspec.Meta(gt=0, le=1e4, description="Penalty on the length of vectors")] = 0.01
        frequency: Annotated[
            float, msgspec.Meta(ge=0, le=1, description="How much more what appears often is held back; 0: all alike")
        ] = 1.0
        half_life_days: Annotated[
            float | None, msgspec.Meta(description="Days after which a purchase counts half; null: never")
        ] = 60.0
        max_items: Annotated[int, msgspec.Meta(ge=2, le=1_000_000, description="Most bought items that take part")] = (
            50_000
        )

    def __init__(self, params: Params, seed: int) -> None:
        self.params = params
        self.seed = seed

    def fit(self, data: RecallData, report: Report) -> Factors:
        """Raises Invalid when l2 is too small."""
        params = self.params
        report(0, params.sweeps + 1, message="reading purchases")
        kept = data.most_bought(params.max_items, params.half_life_days)
        taken = data.orders.matrix(data.now, params.half_life_days)[:, kept].tocsr()
        bought = taken.T.tocsr()
        d = params.dimensions
        items = np.random.default_rng(self.seed).normal(0, 0.1 / np.sqrt(d), (len(kept), d)).astype(np.float32)
        by_user = _Side(taken.indptr, taken.indices, taken.data, params, len(kept))
        by_item = _Side(bought.indptr, bought.indices, bought.data, params, taken.shape[0])
        for sweep in range(params.sweeps):
            users = by_user.solve(items)
            items = by_item.solve(users)
            report(sweep + 1, params.sweeps + 1, message="fitting vectors", epoch=True)
        model = Factors(
            item_ids=tuple(data.orders.item_ids[i] for i in kept),
            vectors=items,
            alpha=params.alpha,
            l2=params.l2,
            frequency=params.frequency,
            half_life_days=params.half_life_days,
        )
        if not len(kept):
            return model
        usual = items @ by_user.solve(items).mean(axis=0)
        beginning = learned(data.orders, kept, usual, lambda _, known: model.plain(known, _ones(known)), self.seed)
        return replace(model, beginning=beginning)


def _ones(items: NDArray[np.int32]) -> NDArray[np.float32]:
    return np.ones(len(items), dtype=np.float32)


class _Side:
    """The rows of one side, each with the places of the other side it was taken with and the weights of that."""

    def __init__(
        self,
        start: NDArray[np.int32],
        other: NDArray[np.int32],
        weight: NDArray[np.float32],
        params: Als.Params,
        others: int,
    ) -> None:
        self._start, self._other, self._weight = start, other, weight
        self._alpha = params.alpha
        total = np.add.reduceat(np.append(weight, 0), np.minimum(start[:-1], len(weight)))
        total = np.where(np.diff(start) > 0, total, 0)
        self._l2 = params.l2 * (total + params.alpha * others) ** params.frequency

    def solve(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """The best vectors of this side given the other's; zeros for a row that nothing was taken with."""
        gram = self._alpha * (vectors.T @ vectors)
        result = np.zeros((len(self._start) - 1, vectors.shape[1]), dtype=np.float32)
        diagonal = np.diag_indices(len(gram))
        for row, (a, b) in enumerate(zip(self._start[:-1].tolist(), self._start[1:].tolist(), strict=True)):
            if a == b:
                continue
            near, weight = vectors[self._other[a:b]], self._weight[a:b, None]
            left = gram + near.T @ (near * weight)
            left[diagonal] += self._l2[row]
            result[row] = solved(left, (near * weight).sum(axis=0))
        return result
