"""What a scenario lets appear: the part that holds for everybody, kept while nothing has changed, and a user's own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.clock import HOUR
from shopkeeper.features.history import UserHistories
from shopkeeper.features.state import FeatureState
from shopkeeper.recommend.eligible import Rows, Shelf, drop, in_stock
from shopkeeper.recommend.itemcolumns import ItemColumns
from shopkeeper.recommend.itemrules import ItemRules
from shopkeeper.recommend.scenarios import Scenario
from shopkeeper.recommend.shown import SEEN_TYPES, LatelyShown
from shopkeeper.recommend.tastes import Tastes

_KEPT = 128
_STOCK = frozenset({"on_hand"})
_FIXED = frozenset({"active"})


class Filters:
    """Used on the thread that owns the feature state."""

    def __init__(
        self,
        shelf: Shelf,
        state: FeatureState,
        columns: ItemColumns,
        rules: ItemRules,
        *,
        items: Rows,
        tastes: Tastes | None = None,
        shown: LatelyShown | None = None,
    ) -> None:
        self._shelf = shelf
        self._state = state
        self._columns = columns
        self._rules = rules
        self._items = items
        self._tastes = tastes
        self._shown = shown
        self._kept: dict[tuple[tuple[str, ...], bool], tuple[object, NDArray[np.bool_]]] = {}
        self._hidden: dict[frozenset[str], tuple[object, NDArray[np.bool_]]] = {}

    def base(self, scenario: Scenario, now: int, *, of_kinds: bool = False) -> NDArray[np.bool_]:
        """bool (n_items,), read only: what the scenario shows to anybody. `of_kinds`: the request names kinds, so that
        being a product does not count; the item must be active still."""
        key = (scenario.filters, of_kinds)
        token = self._token(scenario, now)
        kept = self._kept.get(key)
        if kept is None or kept[0] != token:
            self._kept.pop(key, None)
            while len(self._kept) >= _KEPT:
                del self._kept[next(iter(self._kept))]
            kept = self._kept[key] = (token, self._base(scenario, now, of_kinds))
        return kept[1]

    def personal(self, mask: NDArray[np.bool_], scenario: Scenario, user: int, now: int) -> None:
        """Takes out of a mask what the user hides, and has seen within the scenario's hours."""
        if user < 0:
            return
        taste = None if self._tastes is None else self._tastes.of(user)
        if taste is not None:
            if taste.hidden:
                mask &= ~self._among(taste.hidden)[: len(mask)]
            if taste.hidden_items:
                drop(mask, [row for id in taste.hidden_items if (row := self._items.row(id)) is not None])
        hours = scenario.named.get("seen")
        if hours:
            drop(mask, self._seen(user, now, hours))

    def _token(self, scenario: Scenario, now: int) -> tuple[object, ...]:
        names = _FIXED | _STOCK if "in_stock" in scenario.named else _FIXED
        fixed = self._columns.token(names, now)
        return (fixed, self._rules.token(scenario.rules, now)) if scenario.rules else (fixed,)

    def _base(self, scenario: Scenario, now: int, of_kinds: bool) -> NDArray[np.bool_]:
        sellable = self._shelf.sellable()
        n = len(sellable)
        mask = (sellable if "sellable" in scenario.named and not of_kinds else self._shelf.active[:n]).copy()
        if "in_stock" in scenario.named:
            in_stock(mask, self._columns.cover.on_hand(n))
        for text in scenario.rules:
            holds = self._rules.holds(text, now)
            size = min(n, len(holds))
            mask[:size] &= holds[:size]
            mask[size:] = False
        return mask

    def _among(self, categories: frozenset[str]) -> NDArray[np.bool_]:
        """bool (n_items,): of one of the categories."""
        token = self._columns.token(_FIXED, 0)
        kept = self._hidden.get(categories)
        if kept is None or kept[0] != token:
            self._hidden.pop(categories, None)
            while len(self._hidden) >= _KEPT:
                del self._hidden[next(iter(self._hidden))]
            n = len(self._shelf)
            found = np.fromiter((name in categories for name in self._shelf.category[:n]), np.bool_, n)
            kept = self._hidden[categories] = (token, found)
        return kept[1]

    def _seen(self, user: int, now: int, hours: float) -> NDArray[np.int32]:
        shown = None if self._shown is None else self._shown.rows(user, now, hours)
        if self._state.part(UserHistories).get(user) is None:
            return np.empty(0, dtype=np.int32) if shown is None else shown
        past = self._state.past(user, now)
        recent = past.rows[past.start(int(hours * HOUR)) :]
        kinds = [row for name in SEEN_TYPES if (row := self._state.kinds.row(name)) is not None]
        looked: NDArray[np.int32] = recent["item"][np.isin(recent["type"], kinds)]
        return looked if shown is None else np.concatenate([shown, looked])
