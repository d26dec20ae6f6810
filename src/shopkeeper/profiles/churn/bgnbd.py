"""BG/NBD: how often a customer orders while alive, and whether the customer still is.

Fader, Hardie and Lee, "Counting Your Customers the Easy Way" (Marketing Science, 2005). While alive a customer orders
at a rate of its own, the rates are Gamma(r, alpha) over the customers; after an order the customer leaves with a
probability of its own, Beta(a, b). In their model nobody leaves after the first order, so who ordered once is alive for
ever. With `first_may_be_last` one may (MBG/NBD; Batislam, Denizel and Filiztekin, 2007): the default, as a customer who
ordered once, years ago, is hardly the safest of all.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Annotated, Any, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import Params as BaseParams
from shopkeeper.core.protocols import Report
from shopkeeper.profiles.churn.customers import Customers
from shopkeeper.rules.vectors import Numbers

_FILE = "bgnbd.json"
_STEPS = 100
_BOUND = 8.0
"""Logs of the four parameters lie within this: where the data say nothing of one it stays finite."""


@dataclass(frozen=True)
class BgNbd:
    """The parameters, times in days."""

    r: float
    alpha: float
    a: float
    b: float
    first_may_be_last: bool = True
    feature_names: tuple[str, ...] = ("repeats", "last", "age")

    def risk(self, customers: Customers) -> Numbers:
        """The probability (n,) that a customer has left for good."""
        from scipy.special import expit

        alive, left = self._cases(customers)
        return np.asarray(expit(left - alive), dtype=np.float64)

    def log_likelihood(self, customers: Customers) -> Numbers:
        """Of each customer's orders (n,), nats."""
        from scipy.special import gammaln

        alive, left = self._cases(customers)
        both = np.logaddexp(alive, left)
        found = gammaln(self.r + customers.repeats) - gammaln(self.r) + self.r * np.log(self.alpha) + both
        return np.asarray(found, dtype=np.float64)

    def _cases(self, customers: Customers) -> tuple[Numbers, Numbers]:
        """Log weight of "still alive" and of "left after the last order", (n,) both."""
        from scipy.special import betaln

        x = customers.repeats
        chances = x + self.first_may_be_last
        whole = betaln(self.a, self.b)
        alive = betaln(self.a, self.b + chances) - whole - (self.r + x) * np.log(self.alpha + customers.age)
        one_left = np.maximum(chances - 1, 0)
        left = betaln(self.a + 1, self.b + one_left) - whole - (self.r + x) * np.log(self.alpha + customers.last)
        return np.asarray(alive), np.where(chances > 0, left, -np.inf)

    def save(self, folder: Path) -> None:
        kept = {name: value for name, value in asdict(self).items() if name != "feature_names"}
        (folder / _FILE).write_text(json.dumps(kept), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> BgNbd:
        return cls(**json.loads((folder / _FILE).read_text(encoding="utf-8")))


class BgNbdTrainer:
    """The four parameters of greatest likelihood."""

    name: ClassVar[str] = "bgnbd"
    family: ClassVar[str] = "churn"
    description: ClassVar[str] = "How often customers order and when they leave for good; four numbers (BG/NBD)"
    tags: ClassVar[tuple[str, ...]] = ("profile", "churn", "likelihood")
    knows_new_users: ClassVar[bool] = True
    knows_new_items: ClassVar[bool] = True
    model: ClassVar[type[BgNbd]] = BgNbd

    class Params(BaseParams):
        first_may_be_last: Annotated[
            bool,
            msgspec.Meta(
                description="A customer may leave after the first order (MBG/NBD), not only after a later one (BG/NBD)"
            ),
        ] = True
        holdout_days: Annotated[int, msgspec.Meta(ge=7, le=730, description="Days at the end to measure on")] = 90
        max_customers: Annotated[
            int, msgspec.Meta(ge=100, le=1_000_000, description="Customers to fit on, drawn where there are more")
        ] = 50_000

    def __init__(self, params: Params, seed: int) -> None:
        self.params = params
        self.seed = seed

    def fit(self, data: Customers, report: Report) -> BgNbd:
        """Raises Invalid when there is no customer."""
        from scipy.optimize import minimize

        if not len(data):
            raise Invalid("nobody has ordered yet: there is nothing to learn churn from", code="no_data")
        if len(data) > self.params.max_customers:
            drawn = np.random.default_rng(self.seed).choice(len(data), self.params.max_customers, replace=False)
            data = data.take(np.sort(drawn))
        unit = max(float(data.age.mean()), 1e-3)
        scaled = Customers(data.repeats, data.last / unit, data.age / unit)
        steps = count(1)
        best: Any = minimize(
            _loss,
            np.zeros(4),
            args=(scaled, self.params.first_may_be_last),
            method="L-BFGS-B",
            bounds=[(-_BOUND, _BOUND)] * 4,
            callback=lambda _: report(min(next(steps), _STEPS), _STEPS, message="greatest likelihood"),
        )
        report(_STEPS, _STEPS, {"loss": float(best.fun)}, message="greatest likelihood")
        r, alpha, a, b = np.exp(best.x).tolist()
        return BgNbd(r, alpha * unit, a, b, self.params.first_may_be_last)


def _loss(logs: NDArray[np.float64], customers: Customers, first_may_be_last: bool) -> float:
    r, alpha, a, b = np.exp(logs).tolist()
    return -float(BgNbd(r, alpha, a, b, first_may_be_last).log_likelihood(customers).mean())
