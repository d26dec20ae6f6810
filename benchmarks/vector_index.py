"""The index over vectors: how many of the nearest it finds, how fast, and how long it takes to build; exact beside."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import record
from shopkeeper.learning.vector_index import AT, EXACT_UP_TO, LEAST_RECALL, VectorIndex

SIZE = 64
ASKED = 1000
MIDDLES = 2000


@dataclass(frozen=True)
class Case:
    vectors: int
    spread: float
    """Of a vector around the middle of its group; groups lie 1 from each other's middle."""
    seeds: tuple[int, ...]


CASES = (Case(200_000, 0.5, (1, 2, 3)), Case(200_000, 1.0, (1, 2, 3)), Case(1_000_000, 0.5, (1,)))
QUICK = (Case(120_000, 0.5, (1,)),)


def main() -> None:
    if any(os.environ.get(name) != "1" for name in _ONE_THREAD):  # numpy has its threads already
        os.execve(sys.executable, [sys.executable, "-m", "benchmarks.vector_index", *sys.argv[1:]], _ALONE)
    rows = [_measured(case, seed) for case in (QUICK if "--quick" in sys.argv else CASES) for seed in case.seeds]
    record.write(
        "vector_index",
        "Index over vectors",
        f"{SIZE} numbers a vector, of length 1, drawn around {MIDDLES:,} middles that are drawn evenly in all "
        "directions (made up: no public set of that size lies here); questions are drawn in the same way and are none "
        f"of the vectors. Up to {EXACT_UP_TO:,} vectors a shop searches exactly, so each set here is larger. An index "
        f"serves when it finds {LEAST_RECALL:.0%} of the {AT} nearest of 256 other questions; the recall here is that "
        f"of {ASKED:,} fresh ones. One thread, one question a call; building is clustering, filling and measuring.",
        [{"title": f"The {AT} nearest", "columns": _COLUMNS, "rows": rows}],
        ["--quick: one small set"] if "--quick" in sys.argv else [],
    )


_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_ALONE = {**os.environ, **dict.fromkeys(_ONE_THREAD, "1")}
_COLUMNS = ["vectors", "spread", "seed", "serves", "lists looked at", "recall"]
_COLUMNS += ["ms P50", "ms P99", "exact ms P50", "exact ms P99", "building s"]


def _measured(case: Case, seed: int) -> list[Any]:
    drawn = np.random.default_rng(seed)
    middles = _unit(drawn.normal(size=(MIDDLES, SIZE)).astype(np.float32))
    vectors, sample, asked = (_around(middles, case.spread, n, drawn) for n in (case.vectors, 256, ASKED))
    began = time.perf_counter()
    index = VectorIndex.build(vectors, queries=sample)
    took = time.perf_counter() - began
    exact = VectorIndex.build(vectors, exact=len(vectors))
    found, times = _asked(index, asked)
    truth, exact_times = _asked(exact, asked)
    recall = np.mean([len(np.intersect1d(a, b)) / AT for a, b in zip(found, truth, strict=True)])
    facts = index.facts
    share = f"{facts.probes} of {facts.lists}" if facts.kind == "ivf" else "all"
    return [
        f"{case.vectors:,}", case.spread, seed, facts.kind, share, f"{recall:.3f}", *_told(times), *_told(exact_times),
        f"{took:.0f}",
    ]  # fmt: skip


def _around(middles: NDArray[np.float32], spread: float, n: int, drawn: np.random.Generator) -> NDArray[np.float32]:
    noise = drawn.normal(scale=spread / np.sqrt(SIZE), size=(n, SIZE)).astype(np.float32)
    return _unit(middles[drawn.integers(0, len(middles), n)] + noise)


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    made: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return made


def _asked(index: VectorIndex, questions: NDArray[np.float32]) -> tuple[list[NDArray[np.int32]], list[float]]:
    found, times = [], []
    for question in questions:
        began = time.perf_counter()
        rows, _ = index.search(question[None], AT)
        times.append((time.perf_counter() - began) * 1000)
        found.append(rows[0])
    return found, times


def _told(times: list[float]) -> list[str]:
    return [f"{np.percentile(times, share):.2f}" for share in (50, 99)]


if __name__ == "__main__":
    main()
