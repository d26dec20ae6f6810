"""A small shop with a fusion model that was generated, not trained."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fused_players import model_of
from profile_world import World

from shopkeeper.core.records import Item, Version


@dataclass
class Served:
    version: Version
    model: Any


class Models:
    """What serves, by name, as `lifecycle.serving.Serving` has it in memory."""

    def __init__(self) -> None:
        self.served: dict[str, Served] = {}

    def peek(self, model: str, ref: str = "champion", scope: str = "all") -> Served | None:  # noqa: ARG002
        return self.served.get(model)

    def put(self, seed: int, number: int, **options: Any) -> None:
        version = Version(model="fusion", scope="all", version=number, algorithm="fusion", status="ready")
        self.served["fusion"] = Served(version, model_of(seed, **options))


def shop(home: Path, *, fused: bool = True) -> tuple[World, Models]:
    """One user with orders in three categories, one with none; four rules."""
    models = Models()
    world = World(home, models=models)
    for item, name, category in (("a", "MUG", "Mugs"), ("b", "MUG", "Cups"), ("c", "LAMP", "Lights"), ("d", "X", None)):
        world.items.put(Item(item_id=item, name=name, kind="product", category=category)).result()
    world.user("ada", country="Norway")
    world.user("new", country="Norway")
    for day, item in ((200, "a"), (90, "b"), (40, "c"), (20, "d"), (3, "a")):
        world.order("ada", day, item, 2, 10.0)
    for name, condition, weight in (
        ("buyer", "orders >= 3", 0.7),
        ("rich", "spend > 500", 0.9),
        ("gone", "days_since_order > 30", -0.8),
        ("north", "country in ['Norway', 'Sweden'] and not vip", 0.2),
    ):
        world.user("vip", vip=True)
        world.profiles.rulebook.create(name, condition, weight=weight).result()
    if fused:
        models.put(5, 1, item_ids=("a", "b", "c"), rates={"buyer": 0.3, "rich": 0.1, "gone": 0.4})
    return world, models
