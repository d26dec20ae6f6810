"""Scenarios: where a slate is shown, as data. What is asked, what may not appear, what counts, how long it lasts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

from shopkeeper.recommend.acting.asked import Asking, asking
from shopkeeper.recommend.candidates import Quota
from shopkeeper.recommend.explore.asked import Exploring, exploring

RANKER = "home_ranker"
TTL_S = 300.0
NAMED = ("sellable", "in_stock", "unwanted", "bought", "seen", "consent")
"""Filters that are a word; `bought in 7 days` and `seen in 24 hours` narrow two of them. Any other is a rule."""
STAGES = ("total", "recall", "rank", "rerank", "explore", "explain")
SEEN_HOURS = 24.0

_SPAN = re.compile(r"(bought|seen) in (\d{1,4}) (hour|day)s?")
_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Boost:
    """Candidates for which the rule holds count `factor` times: above 1 they rise, below 1 they sink, 0: last."""

    rule: str
    factor: float


@dataclass(frozen=True)
class Scenario:
    """`filters` are words of NAMED or rules over the fields of items, all of which must hold. `ranker` None: the fused
    order stands. `objectives` are names and weights (see objectives.py); none: relevance alone. `diversity` [0, 1].
    `deadlines` in ms by stage, `total` for all. `ttl_s` seconds that an answer may be given again, 0: never.

    `anchored`: the slate is about `context.item_id` or `context.item_ids` (a page, a basket) and not about the user.
    `explore`: which slots a policy may draw, see explore/asked.py; none: the best candidates are shown.
    `agent`: which agent is asked how the scenario is to answer, see acting/asked.py; none: as it is.
    """

    name: str
    recall: tuple[Quota, ...]
    help: str = ""
    filters: tuple[str, ...] = ("sellable", "in_stock", "unwanted", "consent")
    anchored: bool = False
    candidates: int = 240
    ranker: str | None = RANKER
    objectives: Mapping[str, float] = field(default_factory=lambda: _NOTHING)
    diversity: float = 0.0
    boosts: tuple[Boost, ...] = ()
    explore: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    agent: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    deadlines: Mapping[str, float] = field(default_factory=lambda: _NOTHING)
    ttl_s: float = TTL_S
    version: int = 1

    @cached_property
    def named(self) -> Mapping[str, float]:
        """The filters that are words, with their hours: infinite for a plain `bought`, 0 where hours mean nothing. Of
        one that is given twice the longer span counts, as all must hold."""
        found: dict[str, float] = {}
        for text in self.filters:
            span = _SPAN.fullmatch(text)
            if span is not None:
                name, hours = span[1], int(span[2]) * (24.0 if span[3] == "day" else 1.0)
            elif text in NAMED:
                name, hours = text, _PLAIN.get(text, 0.0)
            else:
                continue
            found[name] = max(hours, found.get(name, 0.0))
        return found

    @cached_property
    def rules(self) -> tuple[str, ...]:
        """The filters that are rules over the fields of items."""
        return tuple(text for text in self.filters if not is_named(text))

    @cached_property
    def exploring(self) -> Exploring | None:
        """What `explore` asks for."""
        return exploring(self.explore)

    @cached_property
    def asking(self) -> Asking | None:
        """What `agent` asks for."""
        return asking(self.agent)

    @property
    def repeats(self) -> bool:
        """May items appear that the user bought before?"""
        return self.named.get("bought") != float("inf")

    @property
    def rest_days(self) -> float:
        """Not those bought within the last days; 0: any."""
        hours = self.named.get("bought", 0.0)
        return 0.0 if hours == float("inf") else hours / 24

    def facts(self) -> dict[str, Any]:
        """The shape of doors.md."""
        return {
            "name": self.name,
            "version": self.version,
            "help": self.help,
            "recall": [asdict(each) for each in self.recall],
            "filters": list(self.filters),
            "anchored": self.anchored,
            "candidates": self.candidates,
            "ranker": self.ranker,
            "objectives": dict(self.objectives),
            "diversity": self.diversity,
            "boosts": [asdict(each) for each in self.boosts],
            "explore": dict(self.explore),
            "agent": dict(self.agent),
            "deadlines": dict(self.deadlines),
            "ttl_s": self.ttl_s,
        }


def is_named(text: str) -> bool:
    """Whether a filter is a word, with or without its span, and not a rule."""
    return text in NAMED or _SPAN.fullmatch(text) is not None


_PLAIN = {"bought": float("inf"), "seen": SEEN_HOURS}
_ALWAYS = ("sellable", "in_stock", "unwanted", "consent")
_NEW = (*_ALWAYS, "bought")
_RESTED = (*_ALWAYS, "bought in 1 day")

# Quotas and weights were chosen on the weeks from 2011-08-15, 08-29, 09-05 and 09-12 of the bundled shop.
_DISCOVER = (
    Quota("context", 60, 3.0),
    Quota("ease", 120, 1.0),
    Quota("als", 120, 1.5),
    Quota("item_knn", 80, 0.25),
    Quota("new", 60, 1.0),
    Quota("content", 60, 0.5),
    Quota("popularity", 60, 0.125),
    Quota("trending", 60, 0.125),
    Quota("graph", 80, 0.5),
)
_HOME = (
    Quota("again", 100, 3.0),
    Quota("due", 60, 1.0),
    Quota("context", 60, 3.0),
    Quota("ease", 120, 1.0),
    Quota("als", 120, 0.5),
    Quota("item_knn", 80, 0.5),
    Quota("new", 40, 1.0),
    Quota("popularity", 60, 0.25),
    Quota("trending", 60, 0.5),
    Quota("graph", 80, 0.5),
)
# These on baskets of the weeks from 2011-08-22 and 09-12: what else was bought, given one item and given five.
_PAGE = (
    Quota("item_knn", 100, 1.0),
    Quota("ease", 60, 0.5),
    Quota("together", 80, 0.5),
    Quota("content", 60, 0.5),
)
_BASKET = (
    Quota("ease", 100, 1.0),
    Quota("item_knn", 100, 1.0),
    Quota("together", 100, 1.0),
    Quota("content", 60, 0.5),
)

_home = Scenario("home", _HOME, "The next basket: what the user buys again, and what goes with it", filters=_RESTED)
_content = Scenario("content", _DISCOVER, "Something new: items that the user never bought", filters=_NEW)
_basket = Scenario("basket", _BASKET, "What goes with the basket in context.item_ids", anchored=True, ranker=None)
_search = Scenario(
    "search",
    (Quota("query", 200, 2.0), Quota("meaning", 100, 1.0), *_HOME),
    "What context.query finds, or the items in context.item_ids, best for this user first",
)

BUILT_IN: Mapping[str, Scenario] = {
    each.name: each
    for each in (
        _content,
        Scenario(
            "content_discovery",
            (
                Quota("ease", 150, 1.0),
                Quota("als", 120, 1.0),
                Quota("item_knn", 120, 1.0),
                Quota("content", 80, 0.5),
                Quota("new", 60, 0.5),
                Quota("graph", 120, 1.0),
                Quota("trending", 40, 0.25),
            ),
            "Something new, off the beaten track",
            filters=_NEW,
            objectives={"relevance": 1.0, "novelty": 0.3},
            diversity=0.2,
        ),
        _home,
        Scenario(
            "reorder",
            (Quota("again", 200, 1.0), Quota("due", 100, 0.5)),
            "Only what the user bought before",
            filters=_RESTED,
        ),
        Scenario("product", _PAGE, "What goes with the item in context.item_id", anchored=True, ranker=None),
        _basket,
        replace(_basket, name="cart", help="The same as basket"),
        _search,
        replace(_search, name="search_results", help="The same as search"),
        replace(
            _home,
            name="mail",
            help="For a message that is read later: nothing that may be gone by then, and not all of one kind",
            objectives={"relevance": 1.0, "stock": 0.5},
            diversity=0.3,
            ttl_s=3600.0,
        ),
        replace(
            _content,
            name="feed",
            help="An endless page: new to the user, varied, nothing that was shown within the last hours",
            filters=(*_NEW, "seen in 24 hours"),
            objectives={"relevance": 1.0, "freshness": 0.2},
            diversity=0.3,
            ttl_s=60.0,
        ),
    )
}

# Training candidates are those of the widest slate.
TRAINING = BUILT_IN["home"]
