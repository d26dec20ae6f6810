"""What a policy may go by: a bias, chosen features of the user and the request, and numbers that the request gives.

    (1, *each of the names)      `user_orders_30d`: a feature;  `context.temperature`: a number of the request's context

Features are counts, days and money: they are read on a logarithmic scale where 1000 is 1, shares as they are. A number
of the request is taken from -1 to 1. Of nobody known all that is about the user is 0, so that somebody new is served by
what holds for all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid
from shopkeeper.features.base import Ask, Feature
from shopkeeper.features.registry import registered
from shopkeeper.features.state import FeatureState
from shopkeeper.recommend.rewards.numbers import finite

BIAS: Final = "bias"
GIVEN: Final = "context."
_OF: Final = ("user", "context")
_SHARES: Final = ("share", "0 or 1", "cosine")
_WIDEST: Final = math.log1p(1000.0)
_ITEM = np.zeros(1, dtype=np.int32)


def known_context() -> list[str]:
    """Features that a policy may read."""
    return [name for name, each in registered().items() if each.of in _OF]


def check_context(name: str) -> None:
    """Raises Invalid for what is neither a feature of users or requests nor a number of the request."""
    if name.startswith(GIVEN) and len(name) > len(GIVEN):
        return
    if name not in known_context():
        raise Invalid(
            f"no feature {name[:64]!r} of users or requests; there are: {', '.join(known_context())}, and "
            f"{GIVEN}NAME for a number of the request's context",
            code="unknown_feature",
        )


class ContextReader:
    """Used on the thread that owns the feature state."""

    def __init__(self, state: FeatureState) -> None:
        self._state = state

    def read(
        self, names: Sequence[str], *, user: int, now: int, context: Mapping[str, Any], personal: bool = True
    ) -> NDArray[np.float64]:
        """(1 + len(names),), finite, the first 1. `user` -1, or not `personal`: nothing of the user is read. Raises
        Invalid for a feature that is gone."""
        known = user if personal else -1
        ask = Ask.live(known, now, _ITEM, self._state, context)
        vector = np.zeros(1 + len(names))
        vector[0] = 1.0
        for at, name in enumerate(names, 1):
            if name.startswith(GIVEN):
                vector[at] = _given(context.get(name.removeprefix(GIVEN)))
            else:
                vector[at] = self._feature(name, ask)
        return vector

    @staticmethod
    def _feature(name: str, ask: Ask) -> float:
        each = registered().get(name)
        if each is None:
            raise Invalid(f"feature {name!r} is gone; name others in explore.context", code="unknown_feature")
        if each.of == "user" and ask.user < 0:
            return 0.0
        return _scaled(float(np.asarray(each.read(ask)).ravel()[0]), each)


def _scaled(value: float, feature: Feature) -> float:
    if not math.isfinite(value):
        return 0.0
    size = abs(value) if feature.unit in _SHARES else math.log1p(abs(value)) / _WIDEST
    return math.copysign(min(size, 1.0), value)


def _given(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return float(value is True)
    return max(-1.0, min(1.0, finite(value) or 0.0))
