"""The registered features: entry points of the group `shopkeeper.features`, built in and a shop's own alike."""

from __future__ import annotations

from functools import cache
from typing import cast

from shopkeeper import plugins
from shopkeeper.core.errors import NotFound
from shopkeeper.features.base import Feature
from shopkeeper.features.crosses import SIGN, Cross


@cache
def registered() -> dict[str, Feature]:
    """Every feature by name, sorted. One whose library is missing is left out; read once per process."""
    return plugins.load_all("feature")


@cache
def standard() -> dict[str, Feature]:
    """Those that a set has when none are named: all but the ones that say `standard = False`."""
    return {name: each for name, each in registered().items() if getattr(each, "standard", True)}


def feature(name: str) -> Feature:
    """A registered feature, or the cross `a*b` of two. Raises NotFound with what there is."""
    first, sign, second = name.partition(SIGN)
    if sign:
        return cast("Feature", Cross(_registered(first), _registered(second)))
    return _registered(name)


def _registered(name: str) -> Feature:
    found = registered().get(name)
    if found is None:
        raise NotFound(
            f"no feature {name[:80]!r}; there are: {', '.join(registered()) or 'none'}", code="unknown_feature"
        )
    return found
