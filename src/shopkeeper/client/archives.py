"""Versions as files, buckets, deletion, and the registry's view."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from shopkeeper.client.jobs import JobDoors
from shopkeeper.client.wire import escaped
from shopkeeper.core.records import Job, Version

_MODELS = "/api/v1/models"
_REGISTRY = "/api/v1/model-registry"


class ArchiveDoors(JobDoors):
    def export_version(
        self, model: str, ref: str | int, path: Path, *, scope: str = "all", format: str = "archive"
    ) -> int:
        """Write a version's archive (or its `legacy` files) to `path`, whole or not at all; its bytes."""
        door = f"{_MODELS}/{escaped(model)}/versions/{escaped(str(ref))}/export"
        return self.receive_file(door, path, {"scope": scope, "format": format})

    def import_version(self, model: str, path: Path, *, scope: str = "all") -> Version:
        """Register an exported version as a new one of `model`. It is on HOLD: promoting it needs `force`."""
        return self.send_file(f"{_MODELS}/{escaped(model)}/import", path, Version, {}, query={"scope": scope})

    def delete_version(self, model: str, ref: str | int, *, scope: str = "all", force: bool = False) -> None:
        """Raises Conflict while the traffic or an alias names it; by `force` only the alias `champion` counts."""
        door = f"{_MODELS}/{escaped(model)}/versions/{escaped(str(ref))}"
        self.send_request("DELETE", door, query={"scope": scope, "force": force})

    def delete_model(self, model: str, *, scope: str = "all", force: bool = False) -> None:
        """Raises Conflict while it serves, unless by `force`."""
        self.send_request("DELETE", f"{_MODELS}/{escaped(model)}", query={"scope": scope, "force": force})

    def live(self, model: str, at: datetime | None = None, *, scope: str = "all") -> dict[str, Any]:
        """What answered then (by default now): {at, variants: [{version, weight}], since, by}. Raises NotFound."""
        query = {"at": None if at is None else at.isoformat(), "scope": scope}
        return self.get(f"{_MODELS}/{escaped(model)}/live", dict[str, Any], query)

    def upload_version(self, model: str, ref: str | int, url: str | None = None, *, scope: str = "all") -> Job:
        """Begins to upload a version to s3://bucket/folder, by default the server's own; `wait` follows it."""
        door = f"{_MODELS}/{escaped(model)}/versions/{escaped(str(ref))}/upload"
        queued = self.call("POST", door, dict[str, Any], {"url": url}, query={"scope": scope})
        return self.job(queued["job_id"])

    def deploy(
        self,
        model: str,
        url: str,
        version: int | None = None,
        *,
        promote: bool = True,
        force: bool = False,
        reason: str = "",
        scope: str = "all",
    ) -> Job:
        """Begins to fetch a version from a bucket, import it and promote it; `wait` follows it."""
        body = {"url": url, "version": version, "promote": promote, "force": force, "reason": reason}
        door = f"{_MODELS}/{escaped(model)}/deploy"
        queued = self.call("POST", door, dict[str, Any], body, query={"scope": scope})
        return self.job(queued["job_id"])

    def cleanup(self, policies: Sequence[str] = (), *, dry_run: bool = True) -> Job:
        """Begins to remove what need not be kept; the job's result is {dry_run, removed, bytes_freed, kept}."""
        query = {"dry_run": dry_run, "policies": list(policies) or None}
        queued = self.call("POST", "/api/v1/operations/cleanup", dict[str, Any], query=query)
        return self.job(queued["job_id"])

    def registry(self) -> dict[str, Any]:
        """{models: [entry], total_count}, an entry with every version's state."""
        return self.get(f"{_REGISTRY}/models", dict[str, Any])

    def registry_entry(self, model: str, *, scope: str = "all") -> dict[str, Any]:
        return self.get(f"{_REGISTRY}/models/{escaped(model)}", dict[str, Any], {"scope": scope})

    def registry_check(self) -> dict[str, Any]:
        """{errors, warnings, total_models, valid_models}, after every file was compared with its hash."""
        return self.get(f"{_REGISTRY}/validate", dict[str, Any])

    def registry_totals(self) -> dict[str, Any]:
        return self.get(f"{_REGISTRY}/stats", dict[str, Any])

    def upload_model(
        self,
        model: str,
        path: Path,
        *,
        version: str = "",
        feature_names: Sequence[str] = (),
        quantise: bool = False,
    ) -> dict[str, Any]:
        """Register a model file (.onnx or an archive) as the next version of `model`, on HOLD."""
        fields = {"name": model, "version": version, "quantise": str(quantise).lower()}
        if feature_names:
            fields["feature_names"] = ",".join(feature_names)
        return self.send_file(f"{_REGISTRY}/models/upload", path, dict[str, Any], fields)
