"""Features and their versions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from shopkeeper.client.wire import Page, Wire, escaped

_FEATURES = "/api/v1/features"
_VERSIONS = f"{_FEATURES}/versions"


class FeatureDoors(Wire):
    """One method a door."""

    def features(self) -> dict[str, Any]:
        """`{features: [{name, group, of, unit, default, version, help, standard}], active_version}`."""
        return self.get(_FEATURES, dict[str, Any])

    def realtime_features(self, user_id: str) -> dict[str, Any]:
        """`{temporal, behavioral, contextual, aggregated, timestamp, ages, values}` of a user now. Raises NotFound."""
        return self.get(f"{_FEATURES}/realtime/{escaped(user_id)}", dict[str, Any])

    def compute_features(
        self, user_ids: Iterable[str], context: Mapping[str, Any] | None = None
    ) -> dict[str, dict[str, Any]]:
        """The same of up to 1000 users by id; an unknown one has `{error}`."""
        body = {"user_ids": list(user_ids), "context": context or {}}
        return self.call("POST", f"{_FEATURES}/compute", dict[str, dict[str, Any]], body, repeat=True)

    def feature_versions(self, *, limit: int = 50, cursor: str | None = None) -> Page[dict[str, Any]]:
        """Newest first: `{version, description, features, active, fingerprint, created_at, created_by}`."""
        return self.get(_VERSIONS, Page[dict[str, Any]], {"limit": limit, "cursor": cursor})

    def create_feature_version(self, description: str, features: Iterable[str] | None = None) -> dict[str, Any]:
        """Of features by name, a cross as `a*b`; None: the standard ones. Raises Invalid."""
        body = {"description": description, "features": None if features is None else list(features)}
        return self.call("POST", _VERSIONS, dict[str, Any], body)

    def compare_feature_versions(self, a: int, b: int) -> dict[str, Any]:
        """`{added, removed, changed}`, from a to b. Raises NotFound."""
        return self.get(f"{_VERSIONS}/compare", dict[str, Any], {"a": a, "b": b})

    def validate_feature_version(self, version: int) -> dict[str, Any]:
        """`{version, valid, problems}`."""
        return self.call("POST", f"{_VERSIONS}/{version}/validate", dict[str, Any], repeat=True)

    def activate_feature_version(self, version: int) -> dict[str, Any]:
        """Raises Conflict when a model in use reads a feature that is missing in it."""
        return self.call("POST", f"{_VERSIONS}/{version}/activate", dict[str, Any])

    def roll_back_feature_version(self) -> dict[str, Any]:
        """Raises Conflict when none was active before."""
        return self.call("POST", f"{_VERSIONS}/rollback", dict[str, Any])

    def export_feature_version(self, version: int) -> dict[str, Any]:
        return self.get(f"{_VERSIONS}/{version}/export", dict[str, Any])

    def import_feature_version(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """What `export_feature_version` gave. Raises Conflict when its number is taken."""
        return self.call("POST", f"{_VERSIONS}/import", dict[str, Any], document)
