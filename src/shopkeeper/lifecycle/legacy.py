"""A version as an older serving system reads it: `xgb_model.json`, `feature_meta.json`, and `feature_scaler.json` where
the model wants scaled values, in one `model-<version>.tar.gz`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import msgspec

from shopkeeper import plugins
from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import LegacyFiles, LegacyMeta
from shopkeeper.core.records import Version
from shopkeeper.lifecycle.loading import load_model
from shopkeeper.stores.archives import pack

META, SCALER = "feature_meta.json", "feature_scaler.json"


def write_legacy(version: Version, folder: Path, target: Path) -> None:
    """Raises Invalid when the version's algorithm has no such form, NotFound, Unavailable (broken)."""
    if not hasattr(plugins.algorithm(version.algorithm).model, "save_legacy"):
        can = [name for name in plugins.names("algorithm") if hasattr(plugins.algorithm(name).model, "save_legacy")]
        raise Invalid(
            f"the algorithm {version.algorithm!r} has no older form; these have: {', '.join(can)}",
            code="no_legacy_form",
            field="format",
        )
    model, _ = load_model(version.algorithm, folder, version.files)
    assert isinstance(model, LegacyFiles)
    with tempfile.TemporaryDirectory(prefix="shopkeeper-", dir=target.parent) as made:
        meta = model.save_legacy(Path(made))
        files: list[tuple[str, Path | bytes]] = [(path.name, path) for path in sorted(Path(made).iterdir())]
        files.append((META, _json(_meta_of(version, meta))))
        if meta.scaler is not None:
            files.append((SCALER, _json(meta.scaler)))
        pack(files, target)


def _meta_of(version: Version, meta: LegacyMeta) -> dict[str, Any]:
    return {
        "feature_columns": meta.feature_columns,
        "feature_count": len(meta.feature_columns),
        "label_column": version.data.get("label") or "label",
        "model_version": version.label or str(version.version),
        "normalized": meta.scaler is not None,
        "created_at": version.created_at,
    }


def _json(value: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2)
