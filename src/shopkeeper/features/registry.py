"""The registered features: entry points of the group `shopkeeper.features`, built in and a shop's own alike."""

from __future__ import annotations

from functools import cache

from shopkeeper import plugins
from shopkeeper.core.errors import NotFound
from shopkeeper.features.base import Feature


@cache
def registered() -> dict[str, Feature]:
    """Every feature by name, sorted. One whose library is missing is left out; read once per process."""
    return plugins.load_all("feature")


def feature(name: str) -> Feature:
    """Raises NotFound with what there is."""
    found = registered().get(name)
    if found is None:
        raise NotFound(f"no feature {name!r}; there are: {', '.join(registered()) or 'none'}", code="unknown_feature")
    return found
