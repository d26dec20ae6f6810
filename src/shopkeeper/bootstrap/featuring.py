"""What a shop has of features beside the live state: versions, and what its models in use need of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from shopkeeper.core.changes import Changes
from shopkeeper.core.clock import Clock
from shopkeeper.features.shared import SharedFeatures
from shopkeeper.features.versions import FeatureVersions
from shopkeeper.lifecycle.addresses import CHAMPION
from shopkeeper.lifecycle.registry import Registry
from shopkeeper.stores import traffic
from shopkeeper.stores.redis import Shared
from shopkeeper.stores.sql import Database


def feature_versions(db: Database, clock: Clock, registry: Registry, changes: Changes | None) -> FeatureVersions:
    return FeatureVersions(db, clock, needs=lambda: _read_by_rankers(db, registry), changes=changes)


def shared_features(
    shared: Shared | None, clock: Clock, versions: FeatureVersions, changes: Changes
) -> SharedFeatures | None:
    """None where no Redis is set."""
    if shared is None:
        return None

    def version() -> int:
        active = versions.active
        return 0 if active is None else active.version

    level = SharedFeatures(shared, clock=clock, version=version)
    changes.subscribe(level.hear)
    return level


def _read_by_rankers(db: Database, registry: Registry) -> Mapping[str, Sequence[str]]:
    """Columns of each ranker's champion and of its versions with traffic, by `model:version`."""
    needs: dict[str, Sequence[str]] = {}
    for info in registry.models(task="ranking"):
        with db.read() as connection:
            numbers = traffic.versions_in_traffic(connection, info.name, info.scope)
        if (champion := info.aliases.get(CHAMPION)) is not None:
            numbers = numbers | {champion}
        for number in sorted(numbers):
            needs[f"{info.name}:{number}"] = registry.version(info.name, number, info.scope).feature_names
    return needs
