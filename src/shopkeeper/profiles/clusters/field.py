"""The field `cluster`: the name that the champion gives a customer."""

from __future__ import annotations

import numpy as np

from shopkeeper.profiles.clusters.habits import Profiles, habits
from shopkeeper.profiles.clusters.model import ClusterModel
from shopkeeper.profiles.surroundings import CLUSTER_MODEL, Surroundings
from shopkeeper.rules.vectors import TextColumn


def clustered(table: Profiles, surroundings: Surroundings | None) -> TextColumn:
    """Missing for who has not ordered, and for all while no cluster model serves."""
    codes = np.full(len(table.trail), -1, dtype=np.int32)
    model = None if surroundings is None else surroundings.champion(CLUSTER_MODEL)
    if surroundings is None or not isinstance(model, ClusterModel):
        return TextColumn(codes, ())
    rows, bought = habits(table, surroundings.features.zone)
    codes[bought] = model.assign(rows[bought])
    return TextColumn(codes, model.names)
