"""Clusters of customers: habits of everybody who ordered, a fifth of the customers held out."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import Metrics, Report, TrainingContext, TrainingData
from shopkeeper.core.records import Gate
from shopkeeper.profiles.clusters.habits import HABITS, habits
from shopkeeper.profiles.clusters.measures import davies_bouldin, silhouette
from shopkeeper.profiles.clusters.model import ClusterModel
from shopkeeper.profiles.clusters.space import Space
from shopkeeper.profiles.histories import Histories
from shopkeeper.quality import gate
from shopkeeper.rules.vectors import Numbers

FEWEST_CUSTOMERS = 50
_HELD = 5
_GOLDEN = 8
_SEED = 0


class ClusterFamily:
    """Every fifth customer in a drawn order is held out."""

    name: ClassVar[str] = "clusters"

    def data(self, context: TrainingContext, params: Any, report: Report) -> TrainingData:
        """Raises Invalid when the source is not the shop's log, or fewer than 50 customers have ordered."""
        del params
        histories = Histories.read(context, report)
        report(1, 2, message="summing up the customers")
        rows, bought = habits(histories.at(histories.end), histories.zone)
        rows = rows[bought & histories.allowed(len(bought))]
        if len(rows) < FEWEST_CUSTOMERS:
            raise Invalid(
                f"{len(rows)} customers have ordered: at least {FEWEST_CUSTOMERS} are needed to find groups among them",
                code="no_data",
            )
        order = np.random.default_rng(context.seed).permutation(len(rows))
        train, held = rows[np.sort(order[len(rows) // _HELD :])], rows[np.sort(order[: len(rows) // _HELD])]
        facts = {**histories.facts(len(train), histories.end), "holdout_rows": len(held)}
        return TrainingData(train, held, golden_of(train), facts)

    def evaluate(self, model: ClusterModel, holdout: Numbers) -> Metrics:
        """On customers that were held out, in a space of their own that is the same for every model.

        `naive_`: as many groups, by the number of orders alone. `smallest_share`: of the customers.
        """
        points = Space.of(holdout).place(holdout)
        label = model.assign(holdout)
        k = len(model.names)
        naive = _by_orders(holdout, k)
        sizes = np.bincount(label, minlength=k)
        return {
            "silhouette": silhouette(points, label, _SEED),
            "davies_bouldin": davies_bouldin(points, label),
            "naive_silhouette": silhouette(points, naive, _SEED),
            "naive_davies_bouldin": davies_bouldin(points, naive),
            "clusters": float(k),
            "smallest_share": float(sizes.min() / len(label)),
        }

    def judge(self, candidate: Metrics, champion: Metrics | None) -> Gate:
        """Silhouette at least 0.95 x, Davies-Bouldin at most 1.1 x the champion's; both beat groups by orders alone."""
        rules: list[gate.Rule] = [
            gate.AtLeast("silhouette", 0.95),
            gate.AtMost("davies_bouldin", 1.1),
            gate.Beats("silhouette", "naive_silhouette"),
        ]
        return gate.judge(rules, candidate, champion)

    def probe(self, model: ClusterModel, golden: Any) -> list[float]:
        """The clusters of the golden customers, and how long their names are: a name that changed is another model."""
        rows = np.array([[np.nan if v is None else v for v in row] for row in golden["habits"]], dtype=np.float64)
        return [*map(float, model.assign(rows).tolist()), *(float(len(name)) for name in model.names)]


def golden_of(rows: Numbers) -> dict[str, Any]:
    """A few customers as JSON, from all over the range of orders; null: missing."""
    order = np.argsort(rows[:, HABITS.index("orders")], kind="stable")
    few = rows[order[np.linspace(0, len(rows) - 1, min(_GOLDEN, len(rows))).astype(np.int64)]]
    return {"habits": [[None if np.isnan(v) else float(v) for v in row] for row in few]}


def _by_orders(rows: Numbers, k: int) -> NDArray[np.int64]:
    orders = rows[:, HABITS.index("orders")]
    bounds = np.quantile(orders, np.linspace(0, 1, k + 1)[1:-1])
    return np.searchsorted(bounds, orders, side="left")
