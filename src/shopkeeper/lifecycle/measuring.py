"""Versions measured on the same untouched rows, and judged. Runs in a job's child; see training.py, evaluating.py."""

from __future__ import annotations

from math import isfinite
from pathlib import Path

import msgspec

from shopkeeper.core.errors import ShopkeeperError
from shopkeeper.core.protocols import Family, Metrics, TrainingData
from shopkeeper.core.records import FileEntry, Gate
from shopkeeper.lifecycle.loading import load_model
from shopkeeper.quality.gate import held


class Rival(msgspec.Struct, kw_only=True):
    """A version to measure; its folder is read, never written."""

    version: int
    algorithm: str
    folder: str
    files: list[FileEntry]


def measured(rival: Rival | None, data: TrainingData) -> tuple[Metrics | None, str | None]:
    """Its measures on the held-out rows, or why it could not be measured."""
    if rival is None:
        return None, None
    try:
        model, family = load_model(rival.algorithm, Path(rival.folder), rival.files)
        return family.evaluate(model, data.holdout), None
    except ShopkeeperError as error:
        return None, f"v{rival.version} could not be measured: {error.message}"


def judged(family: Family, measures: Metrics, champion: Metrics | None, trouble: str | None) -> Gate:
    """No better than HOLD when the champion could not be measured."""
    gate = family.judge(measures, champion)
    return gate if trouble is None else held(gate, f"the champion {trouble}")


def finite(measures: Metrics) -> dict[str, float | None]:
    """For JSON."""
    return {name: float(value) if isfinite(value) else None for name, value in measures.items()}
