"""What a churn model answers."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from shopkeeper.core.protocols import Model
from shopkeeper.profiles.churn.customers import Customers
from shopkeeper.rules.vectors import Numbers


@runtime_checkable
class ChurnModel(Model, Protocol):
    """Threads may share it."""

    def risk(self, customers: Customers) -> Numbers:
        """The probability (n,) that a customer has left for good."""
        ...

    def log_likelihood(self, customers: Customers) -> Numbers:
        """Of the customer's orders up to now (n,), nats."""
        ...
