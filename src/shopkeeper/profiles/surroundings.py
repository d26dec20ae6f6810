"""What fields are read from beside a user's own events: the products, and the models that serve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.protocols import Models
from shopkeeper.features.state import FeatureState

CHURN_MODEL: Final = "churn"
CLUSTER_MODEL: Final = "clusters"
PROFILE_MODELS: Final = (CHURN_MODEL, CLUSTER_MODEL)
READ_FROM_BESIDE: Final = frozenset({"churn_risk", "cluster", "preferred_category", "category_share"})


class Shelf(Protocol):
    """Ids, names and categories by item row: `stores.catalog.Catalog`."""

    @property
    def ids(self) -> Sequence[str]: ...

    @property
    def names(self) -> Sequence[str]: ...

    @property
    def category(self) -> Sequence[str | None]: ...

    @property
    def moves(self) -> int:
        """How often items have changed their category."""
        ...

    def __len__(self) -> int: ...


@dataclass(frozen=True)
class Surroundings:
    """`features` tells what was bought and the shop's zone. What is None is not there: its fields are missing."""

    features: FeatureState
    catalog: Shelf | None = None
    models: Models | None = None

    def champion(self, name: str) -> Any:
        """The model that serves under a name; None: none does."""
        served = None if self.models is None else self.models.peek(name)
        return None if served is None else served.model

    def standing(self) -> tuple[int, ...]:
        """Another one when fields read from here may have changed for anybody: a model was swapped, an item moved."""
        served = [None if self.models is None else self.models.peek(name) for name in PROFILE_MODELS]
        versions = (0 if one is None else one.version.version for one in served)
        return (*versions, 0 if self.catalog is None else self.catalog.moves)


def categories_of(catalog: Shelf, items: NDArray[np.int32]) -> list[str | None]:
    """The category of each item row (n,); None: it has none."""
    known = len(catalog)
    return [catalog.category[item] if 0 <= item < known else None for item in items.tolist()]
