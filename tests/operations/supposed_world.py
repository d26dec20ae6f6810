"""A small shop of real parts with models that were trained on it, on a stopped clock: for tests of what-if."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from shopkeeper.core.clock import DAY, StoppedClock, moment
from shopkeeper.core.errors import NotFound
from shopkeeper.core.protocols import TrainingContext, silent
from shopkeeper.core.records import Event, Item, User, Version
from shopkeeper.features.state import FeatureState
from shopkeeper.operations.whatif import AfterEvents, WhatIf
from shopkeeper.plugins import algorithm, family
from shopkeeper.profiles.service import ProfileService
from shopkeeper.recommend.service import RecommendService
from shopkeeper.stores.catalog import Catalog
from shopkeeper.stores.consents import ConsentStore
from shopkeeper.stores.events import EventLog
from shopkeeper.stores.items import ItemStore
from shopkeeper.stores.sql import open_database, sqlite_url
from shopkeeper.stores.users import UserStore
from shopkeeper.stores.vocabulary import Vocabularies

NOW = 1_700_000_000_000_000
CUSTOMERS, ITEMS, DAYS = 60, 20, 240
TRAINED: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("popularity", "popularity", {}),
    ("item_knn", "item_knn", {}),
    ("ease", "ease", {}),
    ("fusion", "fusion", {"sample_size": 200, "epochs": 2, "dims": 4}),
    ("churn", "bgnbd", {}),
    ("clusters", "kmeans", {}),
    ("home_ranker", "xgb", {"trees": 20, "max_visits": 150, "train_days": 60, "holdout_days": 14}),
)
RULES = (
    ("buyer", "orders >= 5", 0.7),
    ("rich", "spend > 120", 0.9),
    ("asleep", "days_since_order > 20", -0.8),
    ("looks", "(event_counts in 7 days).get('view', 0) >= 3 or sessions in 30 days > 4", 0.4),
    ("best", "rfm == '555' or monetary_score >= 4", 0.5),
    ("likely", "churn_risk < 0.3 and lifecycle in ['active', 'new']", 0.3),
    ("calls", "event_counts.get('call', 0) > 0", 0.6),
)
SEGMENTS = (
    ("frequent", "orders in 90 days >= 4"),
    ("spenders", "net_spend >= 100"),
    ("mugs", "preferred_category == 'even' and category_share.get('even', 0) > 0.6"),
    ("callers", "event_counts.get('call', 0) >= 1"),
    ("top", "frequency_score == 5"),
    ("surprising", "order_surprise > 1 or activity_surprise > 1"),
)


@dataclass
class Served:
    version: Version
    model: Any


class Models:
    """What `lifecycle.serving` is to a running shop: models in memory, by name."""

    def __init__(self) -> None:
        self.served: dict[str, Served] = {}

    def peek(self, model: str, _ref: str = "champion", _scope: str = "all") -> Served | None:
        return self.served.get(model)

    def get(self, model: str, _ref: str = "champion", _scope: str = "all") -> Served:
        if model not in self.served:
            raise NotFound(f"no model {model!r}", code="unknown_model")
        return self.served[model]


class World:
    def __init__(self, home: Path) -> None:
        self.home = home
        self.clock = StoppedClock(NOW)
        self.db = open_database(sqlite_url(home))
        self.vocab = Vocabularies.load(self.db)
        self.log = EventLog(self.db, self.vocab, self.clock)
        self.users = UserStore(self.db, self.vocab, self.clock)
        self.catalog = Catalog(self.db, self.vocab)
        self.items = ItemStore(self.db, self.vocab, self.clock, self.catalog)
        self.consents = ConsentStore(self.db, self.vocab, self.clock)
        self.features = FeatureState(ZoneInfo("Europe/London"), self.vocab.event_types)
        self.models = Models()
        self.profiles = ProfileService(
            self.db, self.clock, self.features, self.vocab.users,
            consents=self.consents, catalog=self.catalog, models=self.models,
        )  # fmt: skip
        self.tracker = self.profiles.tracker
        self.log.subscribe(lambda batch, _: self.features.apply(batch))
        self.log.subscribe(lambda batch, _: self.tracker.apply(batch))
        self.users.subscribe(self.tracker.touch)
        self.open(None)

    def open(self, graph: AfterEvents | None) -> None:
        self.recommend = RecommendService(
            features=self.features, catalog=self.catalog, users=self.vocab.users, items=self.vocab.items,
            models=self.models, clock=self.clock, deadline_ms=60_000,
            allows=lambda row: self.consents.allows(row, "personalization"),
            space=None if graph is None else graph.space,
        )  # fmt: skip
        self.what_if = WhatIf(
            self.db, self.clock, self.vocab, features=self.features, catalog=self.catalog, profiles=self.profiles,
            recommend=self.recommend, graph=graph,
        )  # fmt: skip

    def fill(self, seed: int = 1) -> None:
        """Even customers order often and take even items; odd ones seldom, and odd items."""
        random = np.random.default_rng(seed)
        for item in range(ITEMS):
            category = "even" if item % 2 == 0 else "odd"
            given = Item(item_id=f"I{item}", name=f"Thing {item}", category=category, price=2.0 + item)
            self.items.put(given).result()
        for user in range(0, CUSTOMERS, 3):
            self.users.put(User(user_id=f"u{user}", attributes={"vip": user % 2 == 0, "level": user})).result()
        events = []
        for user in range(CUSTOMERS):
            at = float(random.uniform(0, 30))
            while at < DAYS:
                item = 2 * int(random.integers(0, ITEMS // 2)) + user % 2
                kind = "view" if random.random() < 0.3 else "order"
                events.append(event(kind, f"u{user}", f"I{item}", DAYS - at, id=f"{user}-{len(events)}"))
                at += float(random.exponential(9.0 if user % 2 == 0 else 60.0)) + 0.5
        assert self.log.append(events).result().accepted == len(events)
        for name, condition, weight in RULES:
            self.profiles.rulebook.create(name, condition, weight=weight).result()
        for name, condition in SEGMENTS:
            self.profiles.segmentbook.create(name, condition).result()

    def train(self) -> None:
        for name, code, params in TRAINED:
            trainer = algorithm(code)
            given = trainer.Params(**params)
            context = TrainingContext(self.home, sqlite_url(self.home), {"kind": "shop"}, NOW, "Europe/London", 3, name)
            data = family(trainer.family).data(context, given, silent)
            version = Version(model=name, scope="all", version=1, algorithm=code, status="ready")
            self.models.served[name] = Served(version, trainer(given, 3).fit(data.train, silent))

    def close(self) -> None:
        self.db.close()


def event(
    kind: str, user: str | None, item: str, days_ago: float | None = 0.0, *, id: str | None = None, **more: Any
) -> Event:
    sold = {"quantity": 2.0, "unit_price": 5.0, "value": 10.0} if kind == "order" else {}
    time = None if days_ago is None else moment(NOW - int(days_ago * DAY))
    target = {"item_id": item} if "target_kind" not in more else {"target_id": item}
    return Event(event_type=kind, user_id=user, event_id=id, time=time, **target, **sold, **more)
