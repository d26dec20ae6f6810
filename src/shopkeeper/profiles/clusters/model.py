"""What a cluster model answers."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.protocols import Model
from shopkeeper.rules.vectors import Numbers


@runtime_checkable
class ClusterModel(Model, Protocol):
    """`names` (k,) of the clusters, all different. Threads may share it."""

    @property
    def names(self) -> tuple[str, ...]: ...

    def assign(self, habits: Numbers) -> NDArray[np.int64]:
        """The cluster (n,) of customers by their habits (n, h), see `habits.HABITS`; NaN: missing."""
        ...
