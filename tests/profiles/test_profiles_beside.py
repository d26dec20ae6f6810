"""Segments that read models and products are right after a model was swapped and after an item moved."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from profile_world import World

from shopkeeper.core.clock import DAY
from shopkeeper.profiles.churn.bgnbd import BgNbd
from shopkeeper.profiles.clusters.habits import HABITS
from shopkeeper.profiles.clusters.kmeans import KMeansModel
from shopkeeper.profiles.clusters.space import Space

ONES = np.ones(len(HABITS))


class Models:
    """What serves, to be swapped."""

    def __init__(self) -> None:
        self.served: dict[str, SimpleNamespace] = {}

    def swap(self, name: str, model: object) -> None:
        before = self.served.get(name)
        version = SimpleNamespace(version=1 if before is None else before.version.version + 1)
        self.served[name] = SimpleNamespace(model=model, version=version)

    def peek(self, model: str, ref: str = "champion", scope: str = "all") -> SimpleNamespace | None:
        del ref, scope
        return self.served.get(model)


@pytest.fixture
def models() -> Models:
    return Models()


@pytest.fixture
def shop(tmp_path: Path, models: Models) -> Iterator[World]:
    world = World(tmp_path, models=models)
    world.item("mug", "Kitchen")
    world.order("ada", 30)
    world.order("ada", 20)
    world.event("bob", "view", 3)
    yield world
    world.close()


def members(world: World, name: str) -> list[str]:
    world.tracker.catch_up()
    found = world.tracker.members(name)
    assert found is not None
    return world.vocabularies.users.ids(found[0].tolist())


def segment(world: World, condition: str) -> None:
    world.profiles.segmentbook.create("s", condition).result()


def test_an_item_moves_to_another_category(shop: World) -> None:
    segment(shop, "preferred_category == 'Kitchen' and category_share['Kitchen'] == 1")
    assert members(shop, "s") == ["ada"]
    shop.item("mug", "Office")
    assert members(shop, "s") == []
    shop.item("mug", "Kitchen")
    assert members(shop, "s") == ["ada"]


def test_a_churn_model_begins_to_serve_and_is_swapped(shop: World, models: Models) -> None:
    segment(shop, "churn_risk > 0.5")
    assert members(shop, "s") == []
    models.swap("churn", BgNbd(1.0, 1.0, 5.0, 1.0))
    assert members(shop, "s") == ["ada"]
    models.swap("churn", BgNbd(1.0, 1000.0, 0.01, 50.0))
    assert members(shop, "s") == []


def test_a_risk_passes_its_bound_at_a_full_hour_without_an_event(shop: World, models: Models) -> None:
    model = BgNbd(0.6, 12.0, 0.8, 2.5)
    models.swap("churn", model)
    start = shop.profiles.profile("ada")["attributes"]["churn_risk"]
    segment(shop, f"churn_risk > {start:.6f} + 0.05")
    assert members(shop, "s") == []
    hours = 0
    while not members(shop, "s"):
        assert shop.profiles.profile("ada")["attributes"]["churn_risk"] <= round(start, 6) + 0.05
        shop.clock.advance(DAY // 24)
        hours += 1
    assert 24 < hours < 24 * 60
    assert shop.profiles.profile("ada")["attributes"]["churn_risk"] > round(start, 6) + 0.05


def test_clusters_are_renamed_by_another_model(shop: World, models: Models) -> None:
    segment(shop, "cluster == 'regulars'")
    assert members(shop, "s") == []
    one = np.zeros((1, len(HABITS)))
    models.swap("clusters", KMeansModel(Space(ONES, ONES, ONES), one, ("regulars",)))
    assert members(shop, "s") == ["ada"]
    assert shop.profiles.profile("ada")["attributes"]["cluster"] == "regulars"
    assert shop.profiles.profile("bob")["attributes"]["cluster"] is None
    models.swap("clusters", KMeansModel(Space(ONES, ONES, ONES), one, ("guests",)))
    assert members(shop, "s") == []
