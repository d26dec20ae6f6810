"""A version as an older serving system reads it, in one `model-<version>.tar.gz`.

    xgb           xgb_model.json, feature_meta.json, feature_scaler.json where the model wants scaled values
    nets          NAME_model.pt (the weights: a dict of tensors), NAME_meta.json; deepfm and mmoe NAME_feature_meta.json
    with vectors  beside these NAME_item_vocab.json {id: row} and NAME_item_vectors.npy
    others        what the model writes itself (`LegacyFiles`), and NAME_meta.json

NAME is the algorithm's. The weights of a net are those of this system's net, by their names here.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper import plugins
from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import ItemVectors, LegacyFiles, LegacyMeta
from shopkeeper.core.records import Version
from shopkeeper.learning.tabular import Schema
from shopkeeper.learning.torch_files import write_state
from shopkeeper.lifecycle.loading import load_model
from shopkeeper.lifecycle.outputs import kind_of
from shopkeeper.stores.archives import pack

SCALER = "feature_scaler.json"
NET = "neural"
"""The tag of algorithms whose artifact holds a net's weights."""
_META = {
    "xgb": "feature_meta.json",
    "deepfm": "deepfm_feature_meta.json",
    "mmoe": "mmoe_feature_meta.json",
}


def write_legacy(version: Version, folder: Path, target: Path) -> None:
    """Raises Invalid when the version's algorithm has no such form, NotFound, Unavailable (broken)."""
    if not _can(version.algorithm):
        can = [name for name in plugins.names("algorithm") if _can(name)]
        raise Invalid(
            f"the algorithm {version.algorithm!r} has no older form; these have: {', '.join(can)}",
            code="no_legacy_form",
            field="format",
        )
    model, _ = load_model(version.algorithm, folder, version.files)
    with tempfile.TemporaryDirectory(prefix="shopkeeper-", dir=target.parent) as name:
        made = Path(name)
        own = isinstance(model, LegacyFiles)
        meta = model.save_legacy(made) if own else _save_net(version.algorithm, model, folder, made)
        files: list[tuple[str, Path | bytes]] = [(path.name, path) for path in sorted(made.iterdir())]
        about = _META.get(version.algorithm, f"{version.algorithm}_meta.json")
        files.append((about, _json(_meta_of(version, meta))))
        if meta.scaler is not None:
            files.append((SCALER, _json(meta.scaler)))
        pack(files, target)


def _can(algorithm: str) -> bool:
    trainer = plugins.algorithm(algorithm)
    return hasattr(trainer.model, "save_legacy") or NET in trainer.tags


def _save_net(algorithm: str, model: Any, folder: Path, made: Path) -> LegacyMeta:
    """Raises Invalid (`no_legacy_form`) where the artifact holds no weights."""
    weights = weights_in(folder)
    if not weights:
        raise Invalid(f"the artifact of {algorithm!r} holds no weights of a net", code="no_legacy_form", field="format")
    write_state(made / f"{algorithm}_model.pt", weights)
    more: dict[str, Any] = {
        "output": kind_of(model),
        "output_names": list(getattr(model, "output_names", ())),
        "tensors": {name: list(array.shape) for name, array in weights.items()},
    }
    if isinstance(model, ItemVectors) and len(model.item_ids):
        vocabulary = {name: row for row, name in enumerate(model.item_ids)}
        (made / f"{algorithm}_item_vocab.json").write_bytes(msgspec.json.encode(vocabulary))
        np.save(made / f"{algorithm}_item_vectors.npy", np.asarray(model.item_vectors), allow_pickle=False)
        more["embedding_dim"] = int(np.asarray(model.item_vectors).shape[1])
    return LegacyMeta(feature_columns=list(model.feature_names), scaler=_scaler(model), more=more)


def weights_in(folder: Path) -> dict[str, NDArray[Any]]:
    """Of the arrays (npz) and graphs (onnx) of an artifact, by their names; forms with int8 weights are left out."""
    found: dict[str, NDArray[Any]] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                found |= {name: arrays[name] for name in arrays.files if arrays[name].dtype.kind in "fiub"}
        elif path.suffix == ".onnx" and "int8" not in path.name:
            found |= _initialisers(path)
    return found


def _initialisers(path: Path) -> dict[str, NDArray[Any]]:
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(path).graph
    return {one.name: np.asarray(numpy_helper.to_array(one)) for one in graph.initializer}


def _scaler(model: Any) -> dict[str, dict[str, float]] | None:
    schema = getattr(model, "schema", None)
    if not isinstance(schema, Schema) or not schema.standardised:
        return None
    return {column.name: {"mean": column.mean, "std": column.scale} for column in schema.columns}


def _meta_of(version: Version, meta: LegacyMeta) -> dict[str, Any]:
    return {
        "feature_columns": meta.feature_columns,
        "feature_count": len(meta.feature_columns),
        "label_column": version.data.get("label") or "label",
        "model_version": version.label or str(version.version),
        "normalized": meta.scaler is not None,
        "created_at": version.created_at,
        **meta.more,
    }


def _json(value: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2)
