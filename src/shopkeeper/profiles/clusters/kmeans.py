"""k-means over habits (Lloyd, started as k-means++), with as many clusters as the silhouette likes best."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import Params as BaseParams
from shopkeeper.core.protocols import Report
from shopkeeper.profiles.clusters.habits import HABITS
from shopkeeper.profiles.clusters.measures import silhouette
from shopkeeper.profiles.clusters.names import named
from shopkeeper.profiles.clusters.space import Space
from shopkeeper.rules.vectors import Numbers

FEWEST, MOST = 3, 8
_STARTS = 4
_ROUNDS = 100
_ARRAYS, _NAMES = "kmeans.npz", "names.json"


@dataclass(frozen=True)
class KMeansModel:
    """`centres` (k, h) in `space`, the largest cluster first; `names` (k,)."""

    space: Space
    centres: Numbers
    names: tuple[str, ...]
    feature_names: tuple[str, ...] = HABITS

    def assign(self, habits: Numbers) -> NDArray[np.int64]:
        return nearest(self.space.place(habits), self.centres)

    def save(self, folder: Path) -> None:
        space = self.space
        np.savez(folder / _ARRAYS, centres=self.centres, usual=space.usual, mean=space.mean, spread=space.spread)
        about = {"names": self.names, "habits": self.feature_names}
        (folder / _NAMES).write_text(json.dumps(about), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> KMeansModel:
        """Raises Invalid when it was made from other habits than this shop counts."""
        about = json.loads((folder / _NAMES).read_text(encoding="utf-8"))
        if tuple(about["habits"]) != HABITS:
            raise Invalid("these clusters were made from other habits; train them again", code="bad_artifact")
        with np.load(folder / _ARRAYS, allow_pickle=False) as arrays:
            space = Space(arrays["usual"], arrays["mean"], arrays["spread"])
            return cls(space, arrays["centres"], tuple(about["names"]))


class KMeansTrainer:
    """The best of several starts by inertia; of several k by silhouette."""

    name: ClassVar[str] = "kmeans"
    family: ClassVar[str] = "clusters"
    description: ClassVar[str] = "Customers who behave alike, each cluster named by what sets it apart (k-means)"
    tags: ClassVar[tuple[str, ...]] = ("profile", "clusters")
    knows_new_users: ClassVar[bool] = True
    knows_new_items: ClassVar[bool] = True
    model: ClassVar[type[KMeansModel]] = KMeansModel

    class Params(BaseParams):
        k: Annotated[
            int, msgspec.Meta(ge=0, le=20, description="Clusters; 0: 3 to 8, the best by silhouette; 1 is not allowed")
        ] = 0
        max_customers: Annotated[
            int, msgspec.Meta(ge=100, le=1_000_000, description="Customers to learn from, drawn where there are more")
        ] = 20_000

    def __init__(self, params: Params, seed: int) -> None:
        self.params = params
        self.seed = seed

    def fit(self, data: Numbers, report: Report) -> KMeansModel:
        """`data`: habits (n, h) of customers. Raises Invalid when there are fewer than clusters."""
        wanted = [self.params.k] if self.params.k else [*range(FEWEST, MOST + 1)]
        if self.params.k == 1:
            raise Invalid(
                "k is 1: everybody would be alike; give 2 to 20, or 0 for the best", code="bad_param", field="k"
            )
        if len(data) < wanted[0]:
            raise Invalid(f"{len(data)} customers cannot be put into {wanted[0]} clusters", code="no_data")
        random = np.random.default_rng(self.seed)
        if len(data) > self.params.max_customers:
            data = data[np.sort(random.choice(len(data), self.params.max_customers, replace=False))]
        space = Space.of(data)
        points = space.place(data)
        best: tuple[float, Numbers] | None = None
        for done, k in enumerate(k for k in wanted if k <= len(points)):
            report(done, len(wanted), message=f"{k} clusters")
            centres = _clustered(points, k, random)
            score = silhouette(points, nearest(points, centres), self.seed)
            if best is None or score > best[0]:
                best = score, centres
        assert best is not None
        report(len(wanted), len(wanted), {"silhouette": best[0]}, message="naming")
        centres = best[1]
        sizes = np.bincount(nearest(points, centres), minlength=len(centres))
        centres = centres[np.argsort(-sizes, kind="stable")]
        return KMeansModel(space, centres, named(centres))


def nearest(points: Numbers, centres: Numbers) -> NDArray[np.int64]:
    """The nearest centre of each point (n,); of equally near ones the first."""
    found: NDArray[np.int64] = np.argmin(_distances(points, centres), axis=1)
    return found


def _distances(points: Numbers, centres: Numbers) -> Numbers:
    """Squared (n, k). Summed column by column, so that one point has the same distances as among many."""
    total = np.zeros((len(points), len(centres)))
    for column in range(points.shape[1]):
        total += (points[:, column, None] - centres[None, :, column]) ** 2
    return total


def _clustered(points: Numbers, k: int, random: np.random.Generator) -> Numbers:
    found = [_lloyd(points, _spread_out(points, k, random)) for _ in range(_STARTS)]
    return min(found, key=lambda pair: pair[0])[1]


def _spread_out(points: Numbers, k: int, random: np.random.Generator) -> Numbers:
    """k of the points, each drawn by its squared distance to those before (k-means++)."""
    chosen = [points[random.integers(len(points))]]
    while len(chosen) < k:
        far = _distances(points, np.array(chosen)).min(axis=1)
        total = far.sum()
        chance = far / total if total > 0 else np.full(len(points), 1 / len(points))
        chosen.append(points[random.choice(len(points), p=chance)])
    return np.array(chosen)


def _lloyd(points: Numbers, centres: Numbers) -> tuple[float, Numbers]:
    """(inertia, centres). A cluster that loses its last point takes the point furthest from its centre."""
    label = np.full(len(points), -1)
    for _ in range(_ROUNDS):
        squares = _distances(points, centres)
        moved = np.argmin(squares, axis=1)
        if np.array_equal(moved, label):
            break
        label = moved
        centres = centres.copy()
        for place in range(len(centres)):
            mine = label == place
            centres[place] = points[mine].mean(axis=0) if mine.any() else points[squares.min(axis=1).argmax()]
    return float(_distances(points, centres).min(axis=1).sum()), centres
