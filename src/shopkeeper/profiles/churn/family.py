"""Churn models: three numbers of each customer at a cutoff, measured by what the customers did after it."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, nan
from typing import Any, ClassVar

import numpy as np

from shopkeeper.core.clock import DAY
from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import Metrics, Report, TrainingContext, TrainingData
from shopkeeper.core.records import Gate
from shopkeeper.profiles.churn.customers import Customers, customers_of
from shopkeeper.profiles.churn.model import ChurnModel
from shopkeeper.profiles.histories import Histories
from shopkeeper.quality import gate
from shopkeeper.quality.classification import auc
from shopkeeper.rules.vectors import Numbers

HOLDOUT_DAYS = 90
_GOLDEN = 5
_MOST_NATS = 700.0  # e to this is still a float


@dataclass(frozen=True)
class Later:
    """The same customers (n,) at the cutoff and at the end."""

    before: Customers
    after: Customers

    @property
    def orders(self) -> Numbers:
        return self.after.repeats - self.before.repeats

    @property
    def days(self) -> Numbers:
        return self.after.age - self.before.age


class ChurnFamily:
    """Trains on what lies before the last days (a quarter of a shorter history), measures on those days."""

    name: ClassVar[str] = "churn"

    def data(self, context: TrainingContext, params: Any, report: Report) -> TrainingData:
        """Raises Invalid when the source is not the shop's log or holds no orders before the cutoff."""
        histories = Histories.read(context, report)
        wanted = getattr(params, "holdout_days", HOLDOUT_DAYS) * DAY
        cutoff = max(histories.end - wanted, histories.start + (histories.end - histories.start) * 3 // 4)
        report(1, 2, message="summing up the customers")
        before, bought = customers_of(histories.at(cutoff).trail)
        bought &= histories.allowed(len(bought))
        if not bought.any():
            raise Invalid(
                "nobody had ordered before the last days of the log: there is nothing to learn churn from",
                code="no_data",
            )
        known = np.flatnonzero(bought)
        after, _ = customers_of(histories.at(histories.end).trail)
        train = before.take(known)
        facts = {**histories.facts(len(train), cutoff), "customers": len(train)}
        return TrainingData(train, Later(train, after.take(known)), golden_of(train), facts)

    def evaluate(self, model: ChurnModel, holdout: Later) -> Metrics:
        """`log_likelihood` of what each customer did after the cutoff, given what it had done before; `perplexity` is e
        to its negative. `naive_`: all customers order at one rate for ever. `auc`: who ordered again, by the risk."""
        said = model.log_likelihood(holdout.after) - model.log_likelihood(holdout.before)
        rate = max(float(holdout.before.repeats.sum()), 1.0) / max(float(holdout.before.age.sum()), 1.0)
        naive = holdout.orders * np.log(rate) - rate * holdout.days
        came = (holdout.orders > 0).astype(np.float32)
        return {
            "log_likelihood": float(said.mean()),
            "perplexity": _perplexity(said),
            "auc": auc(came, (1.0 - model.risk(holdout.before)).astype(np.float32)),
            "naive_log_likelihood": float(naive.mean()),
            "naive_perplexity": _perplexity(naive),
            "naive_auc": auc(came, (holdout.before.last - holdout.before.age).astype(np.float32)),
            "came_back": float(came.mean()),
            "mean_risk": float(model.risk(holdout.before).mean()),
        }

    def judge(self, candidate: Metrics, champion: Metrics | None) -> Gate:
        """Perplexity at most 1.01 x the champion's, and at most that of one rate for all; AUC at least 0.98 x the
        champion's, where some came back and some did not."""
        rules: list[gate.Rule] = [
            gate.AtMost("perplexity", 1.01),
            gate.Beats("perplexity", "naive_perplexity", higher=False),
        ]
        if all(isfinite(measures.get("auc", nan)) for measures in (candidate, champion or candidate)):
            rules.append(gate.AtLeast("auc", 0.98))
        return gate.judge(rules, candidate, champion)

    def probe(self, model: ChurnModel, golden: Any) -> list[float]:
        """Risk and log-likelihood of the golden customers."""
        customers = Customers(*(np.array(golden[name], dtype=np.float64) for name in ("repeats", "last", "age")))
        return [*model.risk(customers).tolist(), *model.log_likelihood(customers).tolist()]


def golden_of(customers: Customers) -> dict[str, list[float]]:
    """The busiest customers and one who ordered once, as JSON."""
    busiest = np.argsort(-customers.repeats, kind="stable")
    few = customers.take(np.unique(np.append(busiest[:_GOLDEN], busiest[-1:])))
    return {"repeats": few.repeats.tolist(), "last": few.last.tolist(), "age": few.age.tolist()}


def _perplexity(nats: Numbers) -> float:
    return float(np.exp(min(-float(nats.mean()), _MOST_NATS)))
