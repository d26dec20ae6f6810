"""The parts of a shop that shape its slates: scenarios, filters, the last order, what users said that they want."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from shopkeeper import plugins
from shopkeeper.core.changes import Change, Changes
from shopkeeper.core.clock import Clock
from shopkeeper.core.errors import NotFound
from shopkeeper.core.protocols import VectorSpace
from shopkeeper.core.records import Version
from shopkeeper.features.state import FeatureState
from shopkeeper.forecast.panel.pace import SellingPace
from shopkeeper.forecast.panel.sales import SalesPanel
from shopkeeper.lifecycle.registry import REMOVED, Registry
from shopkeeper.operations.erasure import Erasure
from shopkeeper.operations.identities import Identities
from shopkeeper.recommend.qlearning.book import AgentBook
from shopkeeper.recommend.scenariobook import ScenarioBook
from shopkeeper.recommend.scenariocheck import Known
from shopkeeper.recommend.scenarios import RANKER
from shopkeeper.recommend.shaping import Shaping
from shopkeeper.recommend.shown import LatelyShown
from shopkeeper.recommend.tastes import Tastes
from shopkeeper.stores.catalog import Catalog
from shopkeeper.stores.item_attributes import ItemAttributes
from shopkeeper.stores.preferences import PreferenceStore
from shopkeeper.stores.scenarios import ScenarioStore
from shopkeeper.stores.sql import Database
from shopkeeper.stores.stock import StockStore
from shopkeeper.stores.vocabulary import Vocabulary

_RANKING = ("ranking", "multitask")
"""Families whose models may order a slate."""


@dataclass(frozen=True)
class Shaped:
    """`book` of scenarios, `known` what they may name; `shaping` filters and orders; `tastes` and `shown` are what is
    known of users beside it."""

    book: ScenarioBook
    known: Known
    shaping: Shaping
    tastes: Tastes
    shown: LatelyShown
    attributes: ItemAttributes
    preferences: PreferenceStore

    def load(self) -> None:
        """What users stated, and what items say of themselves. Before the first request; not for the loop's thread."""
        self.tastes.load(self.preferences.all())
        self.attributes.load()

    def follow(self, identities: Identities, erasure: Erasure) -> None:
        """Two users who turn out to be one have one taste; nothing is kept of an erased one."""

        def merged(source: int, target: int) -> None:
            self._forget(source)
            self.tastes.put(target, self.preferences.of(target).fields)

        self.preferences.subscribe(self._stated)
        identities.subscribe(merged)
        erasure.subscribe(self._forget)

    def _stated(self, rows: list[int]) -> None:
        """On the writer's thread."""
        for row in rows:
            self.tastes.put(row, self.preferences.of(row).fields)

    def _forget(self, row: int) -> None:
        self.tastes.put(row, {})
        self.shown.forget(row)


def shaped(
    db: Database,
    clock: Clock,
    changes: Changes,
    *,
    features: FeatureState,
    catalog: Catalog,
    items: Vocabulary,
    stock: StockStore,
    panel: SalesPanel,
    registry: Registry,
    preferences: PreferenceStore,
    space: VectorSpace | None,
    agents: AgentBook,
) -> Shaped:
    tastes = Tastes(lambda row: changes.tell(Change("user", rows=(row,))))
    shown = LatelyShown()
    attributes = ItemAttributes(catalog)
    shaping = Shaping(
        features,
        catalog,
        items,
        on_hand=stock.on_hand,
        daily=SellingPace(panel, clock),
        attributes=attributes,
        space=space,
        tastes=tastes,
        shown=shown,
    )
    known = Known(
        recall=lambda: _recall(registry),
        rankers=lambda: {RANKER, *(info.name for task in _RANKING for info in registry.models(task=task))},
        schema=shaping.columns.schema,
        find=lambda model, ref: _version(registry, model, ref),
        agents=agents,
    )
    book = ScenarioBook(ScenarioStore(db, clock), known, lambda name: changes.tell(Change("scenario", names=(name,))))
    return Shaped(book, known, shaping, tastes, shown, attributes, preferences)


def _version(registry: Registry, model: str, ref: str) -> Version:
    """Raises NotFound for one that never was or whose files were removed."""
    found = registry.version(model, ref)
    if found.status == REMOVED:
        raise NotFound(f"the files of {model!r} version {found.version} were removed", code="unknown_version")
    return found


def _recall(registry: Registry) -> Collection[str]:
    """Models that there are, and those that are made under their algorithm's name before they are."""
    algorithms = plugins.load_all("algorithm").items()
    able = {name for name, one in algorithms if one.family == "recall" or hasattr(one.model, "because")}
    return {*able, *(info.name for info in registry.models() if info.algorithm in able)}
