"""How far vectors have drifted from what they would be now, and when to look.

Small changes that neighbours were not told of, and edges that have grown older than they were at the reference moment:
both make vectors that are kept right event by event slowly wrong. A sample of users says by how much.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shopkeeper.core.clock import MINUTE, Clock
from shopkeeper.profiles.graph.incremental import Incremental
from shopkeeper.profiles.graph.living import Living
from shopkeeper.profiles.graph.schema import USER


@dataclass(frozen=True)
class Detector:
    """A look every `every` us of real time or `events` events, whichever comes first, at `sample` users. All is to be
    computed anew from a mean distance of `most` on: 1 - cosine."""

    every: int = 10 * MINUTE
    events: int = 1000
    sample: int = 64
    most: float = 0.05


class Watch:
    """When to look, and what was found last (None: nothing yet of the space that serves)."""

    def __init__(self, detector: Detector, clock: Clock) -> None:
        self._detector = detector
        self._clock = clock
        self._events = self._heard = 0
        self._looked_at = clock.wall()
        self._found: tuple[Living, float] | None = None

    def reset(self) -> None:
        """What was heard so far does not count."""
        self._events = 0

    def heard(self, events: int) -> None:
        self._events += events
        self._heard += events

    def drift_of(self, living: Living | None) -> float | None:
        return self._found[1] if self._found is not None and self._found[0] is living else None

    def due(self, living: Living | None) -> bool:
        """Looks when it is time to; true when all vectors are to be computed anew."""
        wall = self._clock.wall()
        if living is None or not self._events:
            return False
        if self._events < self._detector.events and wall - self._looked_at < self._detector.every:
            return False
        self._events, self._looked_at = 0, wall
        found = drift(living.engine, self._clock.now(), self._detector.sample, seed=self._heard)
        self._found = living, found
        return found > self._detector.most


def drift(engine: Incremental, now: int, sample: int, seed: int = 0) -> float:
    """Mean distance (1 - cosine) of a sample of users' vectors from those with all ages as of `now` (us, shop time)."""
    vectors = engine.vectors(USER)
    if vectors is None or not len(vectors):
        return 0.0
    random = np.random.default_rng(seed)
    rows = random.choice(len(vectors), size=min(sample, len(vectors)), replace=False).astype(np.int64)
    rows = rows[np.any(vectors[rows] != 0, axis=1)]  # those that are computed
    if not len(rows):
        return 0.0
    fresh = engine.measured(USER, rows, now)
    told = vectors[rows]
    length = np.linalg.norm(fresh, axis=1) * np.linalg.norm(told, axis=1)
    cosine = np.einsum("kd,kd->k", fresh, told) / np.maximum(length, 1e-12)
    return float(np.mean(1 - cosine))
