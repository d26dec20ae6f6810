"""A simulated log as matrices and columns, and how well a plain method foresees what comes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from shopkeeper.core.clock import DAY
from shopkeeper.sources.simulator.world import World


def history(world: World, days: int | None = None) -> pl.DataFrame:
    return pl.concat([world.day(n) for n in range(days or world.config.history_days)])


def numbers(ids: pl.Series) -> np.ndarray:
    return ids.str.slice(1).cast(pl.Int64).to_numpy()


def dealt_out(log: pl.DataFrame) -> pl.DataFrame:
    """Events with products, each with the product of another: who likes what is gone, all else is as it was."""
    products = log.filter(pl.col("target_kind") == "product")
    return products.with_columns(products["target_id"].gather(np.random.default_rng(5).permutation(products.height)))


@dataclass(frozen=True)
class Columns:
    """Of each event: who, whom or what, on which day of the world."""

    who: np.ndarray
    target: np.ndarray
    day: np.ndarray

    @classmethod
    def of(cls, world: World, log: pl.DataFrame) -> Columns:
        day = (log["time"].to_numpy() - world.starts(0)) // DAY
        return cls(numbers(log["user_id"]), numbers(log["target_id"]), day)


def matrix(world: World, log: pl.DataFrame, kind: str = "product") -> np.ndarray:
    """Events of people (rows) to products or apps (columns)."""
    found = Columns.of(world, log.filter(pl.col("target_kind") == kind))
    counts = np.zeros((world.config.user_count, {"product": len(world.products), "app": len(world.apps)}[kind]))
    np.add.at(counts, (found.who, found.target), 1)
    return counts


def ease(counts: np.ndarray, weight: float = 100.0) -> np.ndarray:
    """Scores by Steck's linear item-item model (2019)."""
    seen = (counts > 0).astype(float)
    inverse = np.linalg.inv(seen.T @ seen + weight * np.eye(seen.shape[1]))
    beside = -inverse / np.diag(inverse)
    np.fill_diagonal(beside, 0.0)
    return seen @ beside


def popularity(counts: np.ndarray) -> np.ndarray:
    return np.broadcast_to(counts.sum(axis=0), counts.shape)


def recall(scores: np.ndarray, known: np.ndarray, coming: np.ndarray, k: int = 10) -> float:
    """Of what is new to people in `coming`, how much is among the k best that are new to them."""
    fresh = (coming > 0) & (known == 0)
    asked = fresh.any(axis=1)
    scores = np.where(known > 0, -np.inf, scores)[asked]
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    hits = np.take_along_axis(fresh[asked], best, axis=1).sum(axis=1)
    return float((hits / np.minimum(fresh[asked].sum(axis=1), k)).mean())


def rank_auc(scores: np.ndarray, positive: np.ndarray) -> float:
    """The chance that a positive scores above a negative, ties half."""
    above, below = scores[positive][:, None], scores[~positive][None, :]
    return float(np.mean((above > below) + 0.5 * (above == below)))
