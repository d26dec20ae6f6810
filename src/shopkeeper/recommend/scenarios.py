"""Scenarios: where a slate is shown, as data. Which channels, how many of each, and what may not appear."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shopkeeper.core.errors import Invalid
from shopkeeper.recommend.candidates import Quota

RANKER = "home_ranker"


@dataclass(frozen=True)
class Scenario:
    """`repeats`: may items appear that the user bought before? `rest_days`: not those bought within the last days.

    `anchored`: the slate is about `context.item_id` or `context.item_ids` (a page, a basket) and not about the user.
    """

    name: str
    recall: tuple[Quota, ...]
    help: str
    repeats: bool = True
    rest_days: float = 0.0
    anchored: bool = False
    candidates: int = 240
    ranker: str | None = RANKER
    version: int = 1

    def facts(self) -> dict[str, Any]:
        """The shape of doors.md."""
        return {
            "name": self.name,
            "version": self.version,
            "help": self.help,
            "recall": [{"channel": q.channel, "quota": q.quota, "weight": q.weight} for q in self.recall],
            "filters": ["sellable", "unwanted", *([] if self.repeats else ["bought"])],
            "ranker": self.ranker,
            "objectives": {},
            "diversity": 0.0,
            "boosts": [],
            "explore": {},
            "deadlines": {},
            "ttl_s": 0,
        }


_DISCOVER = (
    Quota("ease", 120, 1.0),
    Quota("item_knn", 80, 0.5),
    Quota("popularity", 60, 0.5),
    Quota("trending", 60, 0.5),
    Quota("graph", 80, 0.5),
)
_HOME = (Quota("again", 100, 2.0), *_DISCOVER)

BUILT_IN: dict[str, Scenario] = {
    each.name: each
    for each in (
        Scenario("content", _DISCOVER, "Something new: items that the user never bought", repeats=False),
        Scenario(
            "content_discovery",
            (
                Quota("ease", 150, 1.0),
                Quota("item_knn", 120, 1.0),
                Quota("graph", 120, 1.0),
                Quota("trending", 40, 0.25),
            ),
            "Something new, off the beaten track",
            repeats=False,
        ),
        Scenario("home", _HOME, "The next basket: what the user buys again, and what goes with it", rest_days=1.0),
        Scenario("reorder", (Quota("again", 200, 1.0),), "Only what the user bought before", rest_days=1.0),
        Scenario(
            "product",
            (Quota("item_knn", 100, 1.0), Quota("ease", 60, 0.5)),
            "What goes with the item in context.item_id",
            anchored=True,
            ranker=None,
        ),
        Scenario(
            "cart",
            (Quota("ease", 100, 1.0), Quota("item_knn", 100, 1.0)),
            "What goes with the basket in context.item_ids",
            anchored=True,
            ranker=None,
        ),
        Scenario("search_results", _HOME, "The items in context.item_ids, best for this user first"),
    )
}

# Training candidates are those of the widest slate.
TRAINING = BUILT_IN["home"]


def scenario(name: str) -> Scenario:
    """Raises Invalid, naming what there is."""
    found = BUILT_IN.get(name)
    if found is None:
        raise Invalid(
            f"no scenario {name!r}; there are: {', '.join(BUILT_IN)}", code="unknown_scenario", field="scenario"
        )
    return found
