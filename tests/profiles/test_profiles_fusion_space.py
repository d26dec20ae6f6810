"""Item vectors of another model in a fusion: whose they are, up to when they have learned, what they may not know."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fused_shop import Served, shop
from profile_world import NOW

from shopkeeper.checks.fusion import small_rows
from shopkeeper.core.clock import DAY, rfc3339
from shopkeeper.core.errors import Conflict
from shopkeeper.core.protocols import DatedVectors, ItemVectors, silent
from shopkeeper.core.records import Version
from shopkeeper.lifecycle.spaces import ItemSpace
from shopkeeper.profiles.fusion.algorithm import Fusion
from shopkeeper.profiles.fusion.blocks import cutoffs
from shopkeeper.profiles.fusion.model import FusionModel
from shopkeeper.profiles.fusion.space import look_ahead
from shopkeeper.profiles.graph.artifact import HgtModel

AT = cutoffs(NOW - 400 * DAY, NOW)


def space(until: int | None) -> ItemSpace:
    items = tuple(f"I{at}" for at in range(24))
    return ItemSpace(items, np.random.default_rng(1).normal(size=(24, 6)).astype(np.float32), "hgt/3", until)


def test_a_space_that_saw_the_held_out_days_is_refused() -> None:
    with pytest.raises(Conflict, match=r"of hgt/3 have learned .* leave space empty") as error:
        look_ahead(space(AT.holdout + 1), AT)
    assert error.value.code == "space_saw_holdout"
    assert rfc3339(AT.holdout + 1) in error.value.message
    assert look_ahead(space(AT.holdout), AT)["space_ahead_of"] == len(AT.training)


def test_of_which_training_months_it_knows_more_is_told() -> None:
    assert look_ahead(None, AT) == {}
    assert look_ahead(space(AT.training[0]), AT) == {
        "space_version": "hgt/3",
        "space_until": rfc3339(AT.training[0]),
        "space_ahead_of": 0,
    }
    assert look_ahead(space(AT.training[2]), AT)["space_ahead_of"] == 2
    assert look_ahead(space(None), AT) == {"space_version": "hgt/3", "space_until": None, "space_ahead_of": None}


def test_the_vectors_of_a_graph_model_are_dated() -> None:
    """What `published_vectors` asks for, of the class that serves."""
    model = HgtModel(None, {}, (), {}, reference=5, item_ids=("a",), item_vectors=np.ones((1, 3), dtype=np.float32))  # type: ignore[arg-type]
    assert isinstance(model, ItemVectors)
    assert isinstance(model, DatedVectors)
    assert model.reference == 5


@pytest.fixture(scope="module")
def trained() -> FusionModel:
    return Fusion(Fusion.Params(epochs=2), 1).fit(replace(small_rows(), space=space(7)), silent)


def test_a_model_knows_whose_vectors_it_has(trained: FusionModel, tmp_path: Path) -> None:
    trained.save(tmp_path)
    for model in (trained, FusionModel.load(tmp_path)):
        assert (model.items.version, model.reference) == ("hgt/3", 7)
        assert model.item_ids == space(None).item_ids
    own = Fusion(Fusion.Params(epochs=1, dims=4), 1).fit(small_rows(), silent)
    assert (own.items.version, own.reference) == ("", small_rows().training[0].cutoff)


def test_versions_name_whose_vectors_they_are(trained: FusionModel, tmp_path: Path) -> None:
    world, models = shop(tmp_path)
    assert world.profiles.profile("ada")["scores"]["versions"]["embedding"] == "fusion/1"
    assert world.profiles.explain("ada").versions["embedding"] == "fusion/1"
    version = Version(model="fusion", scope="all", version=2, algorithm="fusion", status="ready")
    models.served["fusion"] = Served(version, trained)
    for versions in (world.profiles.profile("ada")["scores"]["versions"], world.profiles.explain("ada").versions):
        assert (versions["embedding"], versions["fusion"]) == ("hgt/3", "fusion/2")
    world.close()
