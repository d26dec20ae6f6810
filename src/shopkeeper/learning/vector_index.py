"""The nearest of many vectors: exact as long as that is fast, approximate above, and then only as good as measured.

vectors -> up to EXACT_UP_TO: a matrix product | above: lists of near vectors (faiss), built aside, its recall measured
against the exact answers; below LEAST_RECALL the matrix product serves

The vectors stand in the model's own file; what is saved here belongs to exactly these.
"""

from __future__ import annotations

import logging
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid, Unavailable

log = logging.getLogger(__name__)
Metric = Literal["ip", "cosine"]
Vectors: TypeAlias = NDArray[np.float32]
Found: TypeAlias = tuple[NDArray[np.int32], NDArray[np.float32]]
EXACT_UP_TO = 100_000
LEAST_RECALL = 0.95
AT = 100
"""Recall is measured on so many nearest."""
_ASKED = 256
_BLOCK = 4_000_000
_SEED = 1234


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """`kind`: exact, or ivf (inverted lists of near vectors). `recall`: share of the AT nearest that are found."""

    kind: Literal["exact", "ivf"]
    metric: Metric
    recall: float
    items: int
    size: int
    lists: int = 0
    probes: int = 0
    digest: str = ""


class VectorIndex:
    """Never changes once made: threads may share it, and a new one takes the place of the old by one assignment."""

    def __init__(self, vectors: Vectors, facts: Facts, near: Any = None) -> None:
        """Made by `build` or `load`. `vectors` are of length 1 where the metric is the cosine."""
        self._vectors = vectors
        self._near = near
        self.facts = facts

    @classmethod
    def build(
        cls,
        vectors: NDArray[Any],
        metric: Metric = "ip",
        *,
        queries: NDArray[Any] | None = None,
        exact: int = EXACT_UP_TO,
    ) -> VectorIndex:
        """Of (n, d) vectors; rows are named by their position. `queries` (q, d) are such as will be asked: recall is
        measured on some of them, else on some of the vectors. Up to `exact` vectors the answers are exact.

        Raises Invalid (`bad_vectors`).
        """
        if metric not in get_args(Metric):
            raise Invalid(f"there is no metric {metric!r}; there are: {', '.join(get_args(Metric))}", code="bad_metric")
        ready = _ready(vectors, metric, "vectors")
        plain = cls(ready, _exact_facts(ready, metric))
        if len(ready) <= exact or find_spec("faiss") is None:
            return plain
        asked = ready if queries is None or not len(queries) else _ready(queries, metric, "queries", ready.shape[1])
        return _approximate(plain, _some(asked)) or plain

    def __len__(self) -> int:
        return len(self._vectors)

    def search(self, queries: NDArray[Any], k: int) -> Found:
        """Rows int32 (q, k) and scores float32 (q, k) of the k with the highest score, best first; equal scores by row.
        Where there are fewer than k vectors all are told. Raises Invalid (`bad_vectors`)."""
        if k < 1:
            raise Invalid(f"k must be at least 1, not {k}", code="bad_k", field="top_k")
        asked = _ready(queries, self.facts.metric, "queries", self._vectors.shape[1])
        k = min(k, len(self._vectors))
        if self._near is None or k == 0:
            return self._exact(asked, k)
        scores, rows = self._near.search(asked, k)
        short = np.flatnonzero((rows < 0).any(axis=1))  # fewer than k stand in the lists that were looked at
        rows, scores = rows.astype(np.int32), scores.astype(np.float32)
        if len(short):
            rows[short], scores[short] = self._exact(asked[short], k)
        return rows, scores

    def save(self, folder: Path, name: str = "index") -> None:
        """`NAME.json`, and `NAME.faiss` where it is approximate; the vectors are the model's to save."""
        (folder / f"{name}.json").write_bytes(msgspec.json.format(msgspec.json.encode(self.facts), indent=2))
        if self._near is not None:
            import faiss

            faiss.write_index(self._near, str(folder / f"{name}.faiss"))

    @classmethod
    def load(cls, folder: Path, vectors: NDArray[Any], name: str = "index") -> VectorIndex:
        """What was saved for these vectors (n, d), as they were given to `build`. Where it cannot be read, as faiss is
        not installed, the answers are exact. Raises Unavailable (`bad_index`) when it belongs to other vectors."""
        path = folder / f"{name}.json"
        try:
            facts = msgspec.json.decode(path.read_bytes(), type=Facts)
        except (OSError, msgspec.MsgspecError) as error:
            raise Unavailable(f"the index {path.name} cannot be read: {error}", code="bad_index") from error
        ready = _ready(vectors, facts.metric, "vectors")
        plain = _exact_facts(ready, facts.metric)
        if plain.digest != facts.digest:
            raise Unavailable(f"the index {path.name} belongs to other vectors than these", code="bad_index")
        if facts.kind == "exact":
            return cls(ready, facts)
        near = _read(folder / f"{name}.faiss", facts)
        return cls(ready, plain) if near is None else cls(ready, facts, near)

    def _exact(self, asked: Vectors, k: int) -> Found:
        rows = np.empty((len(asked), k), dtype=np.int32)
        scores = np.empty((len(asked), k), dtype=np.float32)
        step = max(1, _BLOCK // max(len(self._vectors), 1))
        for begin in range(0, len(asked), step):
            for at, values in enumerate(asked[begin : begin + step] @ self._vectors.T, begin):
                rows[at] = best = _best(values, k)
                scores[at] = values[best]
        return rows, scores


def _best(values: Vectors, k: int) -> NDArray[np.int64]:
    """The positions of the k highest, best first; equal ones by position, also at the border."""
    if k == 0:
        return np.empty(0, dtype=np.int64)
    border = np.partition(values, len(values) - k)[len(values) - k]
    found = np.flatnonzero(values >= border)
    return found[np.argsort(-values[found], kind="stable")[:k]]


def _ready(given: NDArray[Any], metric: Metric, what: str, size: int | None = None) -> Vectors:
    """float32, one after another in memory, of length 1 for the cosine (but for those of length 0)."""
    made = np.ascontiguousarray(given, dtype=np.float32)
    if made.ndim != 2 or (size is not None and made.shape[1] != size):
        wanted = "(n, d)" if size is None else f"(n, {size})"
        raise Invalid(f"the {what} must be {wanted}, not {made.shape}", code="bad_vectors")
    if not np.isfinite(made).all():
        raise Invalid(f"the {what} hold NaN or infinity", code="bad_vectors")
    if metric == "ip":
        return made
    length = np.linalg.norm(made.astype(np.float64), axis=1, keepdims=True)
    return (made / np.where(length > 0, length, 1)).astype(np.float32)


def _exact_facts(ready: Vectors, metric: Metric) -> Facts:
    digest = sha256(ready.tobytes()).hexdigest()
    return Facts(kind="exact", metric=metric, recall=1.0, items=len(ready), size=ready.shape[1], digest=digest)


def _some(queries: Vectors) -> Vectors:
    if len(queries) <= _ASKED:
        return queries
    return queries[np.random.default_rng(_SEED).choice(len(queries), _ASKED, replace=False)]


def _approximate(plain: VectorIndex, asked: Vectors) -> VectorIndex | None:
    """With as few probes as give LEAST_RECALL; None where a quarter of all lists do not."""
    import faiss

    faiss.omp_set_num_threads(1)  # the same lists each time, and no core taken from who serves
    vectors, size = plain._vectors, plain.facts.size
    lists = int(4 * np.sqrt(len(vectors)))
    near = faiss.IndexIVFFlat(faiss.IndexFlatIP(size), size, lists, faiss.METRIC_INNER_PRODUCT)
    near.cp.seed, near.cp.niter = _SEED, 10
    near.cp.min_points_per_centroid, near.cp.max_points_per_centroid = 1, 64
    near.train(vectors)
    near.add(vectors)
    k = min(AT, len(vectors))
    truth, _ = plain.search(asked, k)
    probes, recall = 4, 0.0
    while probes <= max(lists // 4, 4):
        near.nprobe = probes
        _, found = near.search(asked, k)
        hits = sum(len(np.intersect1d(a, b)) for a, b in zip(truth, found, strict=True))
        if (recall := hits / truth.size) >= LEAST_RECALL:
            facts = msgspec.structs.replace(
                plain.facts, kind="ivf", recall=round(recall, 4), lists=lists, probes=probes
            )
            return VectorIndex(vectors, facts, near)
        probes *= 2
    log.warning("an index over %d vectors finds %.3f of the nearest: the exact search serves", len(vectors), recall)
    return None


def _read(path: Path, facts: Facts) -> Any:
    """None where it cannot be: the vectors answer without it."""
    if find_spec("faiss") is None:
        log.warning("faiss is not installed: %d vectors are searched exactly", facts.items)
        return None
    import faiss

    try:
        near: Any = faiss.read_index(str(path))
        if near.ntotal != facts.items or near.d != facts.size:
            raise RuntimeError(f"it holds {near.ntotal} vectors of {near.d} numbers")
    except RuntimeError as error:
        log.error("%s cannot be read, %d vectors are searched exactly: %s", path.name, facts.items, error)
        return None
    near.nprobe = facts.probes
    return near
