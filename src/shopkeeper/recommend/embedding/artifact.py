"""What every model of vectors keeps and does: vectors by id in plain files, the nearest, rows that ask for them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid, NotFound
from shopkeeper.learning.vector_index import VectorIndex

Vectors = NDArray[np.float32]
TOP_K, MOST_K = 20, 500
_ARRAYS, _FACTS = "embedding.npz", "embedding.json"


def unit(vectors: Vectors) -> Vectors:
    """Of length 1, but for those of length 0."""
    length = np.linalg.norm(vectors.astype(np.float64), axis=-1, keepdims=True)
    return (vectors / np.where(length > 0, length, 1)).astype(np.float32)


def chance_of(logit: Vectors) -> Vectors:
    """Between 0 and 1, never either."""
    found: Vectors = (1 / (1 + np.exp(-np.clip(logit, -80, 80)))).astype(np.float32)
    return found


def save_parts(folder: Path, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> None:
    np.savez(folder / _ARRAYS, allow_pickle=False, **arrays)
    (folder / _FACTS).write_text(json.dumps(facts, ensure_ascii=False), encoding="utf-8")


def load_parts(folder: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Raises Invalid (`bad_artifact`)."""
    try:
        facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
        with np.load(folder / _ARRAYS, allow_pickle=False) as found:
            arrays = {name: found[name] for name in found.files}
    except (OSError, ValueError) as error:
        raise Invalid(f"the vectors cannot be read: {error}", code="bad_artifact") from error
    return arrays, facts


def fitting(ids: Sequence[str], vectors: NDArray[Any], what: str) -> Vectors:
    """float32 (len(ids), d). Raises Invalid (`bad_artifact`)."""
    if vectors.ndim != 2 or len(vectors) != len(ids) or not np.isfinite(vectors).all():
        raise Invalid(f"the vectors do not fit the ids of {what}; train the model again", code="bad_artifact")
    return np.ascontiguousarray(vectors, dtype=np.float32)


def write_vectors(path: Path, ids: Sequence[str], vectors: Vectors) -> None:
    """JSON, id -> vector; a line each, so that a large file can be read line by line."""
    with path.open("w", encoding="utf-8") as file:
        for at, (name, vector) in enumerate(zip(ids, vectors, strict=True)):
            numbers = ", ".join(f"{value:.7g}" for value in vector.tolist())
            file.write(f"{',' if at else '{'}\n{json.dumps(name, ensure_ascii=False)}: [{numbers}]")
        file.write("\n}\n" if len(ids) else "{}\n")


def placed(place: Mapping[str, int], ids: Sequence[str]) -> NDArray[np.int32]:
    """Places of the known ids, in their order."""
    return np.array([place[name] for name in ids if name in place], dtype=np.int32)


def vector_of(place: Mapping[str, int], vectors: Vectors, features: Mapping[str, Any], what: str) -> list[float]:
    """Of the item that the features name as `item_id` or `id`. Raises Invalid without one, NotFound for an unknown."""
    name = features.get("item_id", features.get("id"))
    if isinstance(name, bool) or not isinstance(name, str | int):
        raise Invalid(f"say which by item_id: {what} knows items by their id only", code="bad_row", field="item_id")
    at = place.get(str(name))
    if at is None:
        raise NotFound(
            f"{what} has no vector of {str(name)[:80]!r}: it was not among what was learned from", code="unknown_item"
        )
    found: list[float] = vectors[at].tolist()
    return found


def nearest(index: VectorIndex, wanted: Vectors, k: int, left_out: NDArray[np.int32]) -> tuple[list[int], list[float]]:
    """Places and inner products of the k best, best first, without those left out."""
    if not len(index):
        return [], []
    rows, scores = (each[0] for each in index.search(wanted[None, :], k + len(left_out)))
    kept = np.flatnonzero(~np.isin(rows, left_out))[:k]
    return rows[kept].tolist(), scores[kept].tolist()


def top_k(row: Mapping[str, Any]) -> int:
    """From 1 to 500, 20 when nothing is said. Raises Invalid."""
    given = row.get("top_k")
    if given is None:
        return TOP_K
    if isinstance(given, bool) or not isinstance(given, int | float) or given != given // 1:
        raise Invalid(f"top_k must be a whole number, not {str(given)[:80]!r}", code="bad_row", field="top_k")
    return int(min(max(given, 1), MOST_K))


def id_of(row: Mapping[str, Any], field: str) -> str:
    """Raises Invalid where there is none."""
    given = row.get(field)
    if isinstance(given, bool) or not isinstance(given, str | int):
        raise Invalid(f"{field} must be an id, not {type(given).__name__}", code="bad_row", field=field)
    return str(given)


def ids_in(given: Any, field: str) -> list[str]:
    """A list of ids, or one text with commas between. Raises Invalid."""
    if isinstance(given, str):
        return [part.strip() for part in given.split(",") if part.strip()]
    if not isinstance(given, list | tuple) or any(isinstance(x, bool) or not isinstance(x, str | int) for x in given):
        raise Invalid(f"{field} must be a list of ids", code="bad_row", field=field)
    return [str(each) for each in given]
