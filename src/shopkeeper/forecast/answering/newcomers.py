"""Who stands around a product that has hardly sold: the products that its neighbours are sought among.

They are gathered on the panel's thread, a few hundred at most, and weighed wherever the question is answered.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.days import day_of
from shopkeeper.core.errors import Invalid
from shopkeeper.forecast.answering.neighbours import GROWN_DAYS, NEW_DAYS, Neighbourhood
from shopkeeper.forecast.outlook import ForecastModel, Outlook
from shopkeeper.forecast.panel.sales import SalesPanel
from shopkeeper.forecast.series import SeriesSet
from shopkeeper.lifecycle.spaces import ItemSpace, space_of

SPACES = ("hgt", "als")
"""Models whose vectors of items say who is near, the first that is loaded."""
_NEAREST = 200
_MOST = 500
_RECENT_DAYS = 90
_KEPT = 16


@runtime_checkable
class Peeks(Protocol):
    """A source of models that can say what is in memory."""

    def peek(self, model: str, ref: str = "champion", scope: str = "all") -> Any: ...


class Around:
    """The products around one, as they were on the day before the forecast begins."""

    def __init__(
        self, series: SeriesSet, category: Mapping[str, str], space: ItemSpace | None, listed: Mapping[str, int]
    ) -> None:
        self.series = series
        self.category = category
        self.space = space
        self.listed = listed

    @cached_property
    def neighbourhood(self) -> Neighbourhood:
        """Made where the first question about it is answered."""
        return Neighbourhood.of(self.series, self.category, self.space, self.listed)

    def moved(self, said: Outlook, series: SeriesSet, horizon: int) -> tuple[Outlook, str | None]:
        """`said` with the new products of `series` moved towards their neighbours, and where that comes from."""
        near = self.neighbourhood
        moved, why = near.outlook(series, near.new(series), horizon, said)
        return moved, next((text for text in why if text), None)


class Accompanied:
    """A model whose answers about new products are moved towards their neighbours."""

    feature_names: tuple[str, ...] = ("neighbours",)

    def __init__(self, model: ForecastModel, around: Around) -> None:
        self.model = model
        self.around = around

    def forecast(self, series: SeriesSet, horizon: int) -> Outlook:
        said, why = self.around.moved(self.model.forecast(series, horizon), series, horizon)
        return said if why is None else replace(said, note="; ".join(filter(None, (why, said.note))))

    def save(self, folder: Path) -> None:
        self.model.save(folder)

    @classmethod
    def load(cls, folder: Path) -> ForecastModel:
        raise Invalid(f"{folder.name}: neighbours are found when a question is asked, not loaded")


class Newcomers:
    """Used on the panel's thread. What was gathered is kept until the day or the sales are others."""

    def __init__(self, panel: SalesPanel, serving: object) -> None:
        self._panel = panel
        self._serving = serving
        self._kept: OrderedDict[tuple[Any, ...], SeriesSet] = OrderedDict()
        self._space: ItemSpace | None = None

    def around(self, item_id: str, series: SeriesSet, store: int | None, *, today: bool) -> Around | None:
        """Of an item whose only series ends before the first day; None when it is not new or nobody is around it.

        `today`: the forecast begins today, so what a space knows is known. Another begins in the past, and a space that
        may have learned later is not asked.
        """
        listed = self._listed(item_id)
        day = min(series.first_day + int(series.start[0]), listed.get(item_id, series.last_day + 1))
        never = not series.y.any() and item_id not in listed
        if never or series.days < GROWN_DAYS or day <= series.last_day + 1 - NEW_DAYS:
            return None
        space = self._vectors() if today else None
        near = () if space is None else space.nearest(item_id, _NEAREST)
        gathered = self._gathered(near, self._shelf(item_id), series.last_day, store)
        shelves = {name: self._shelf(name) for name in (*gathered.ids[:-1], item_id)}
        known = {name: shelf for name, shelf in shelves.items() if shelf is not None}
        return Around(gathered, known, space if near else None, listed)

    def _listed(self, item_id: str) -> dict[str, int]:
        """The local day on which the item's record was made, where there is one."""
        row, born = self._panel.item_row(item_id), self._panel.beside.born()
        return {item_id: day_of(int(born[row]), self._panel.zone)} if row < len(born) and born[row] > 0 else {}

    def _shelf(self, item_id: str) -> str | None:
        return self._panel.beside.category(self._panel.item_row(item_id))

    def _vectors(self) -> ItemSpace | None:
        """Those of the first model that is in memory; up to when it has learned does not matter today."""
        if not isinstance(self._serving, Peeks):
            return None
        for name in SPACES:
            loaded = self._serving.peek(name)
            if loaded is None:
                continue
            version = f"{name}/{loaded.version.version}"
            if self._space is None or self._space.version != version:
                try:
                    self._space = replace(space_of(loaded.model, version), until=None)
                except Invalid:  # a model of that name without vectors
                    continue
            return self._space
        return None

    def _gathered(self, near: tuple[str, ...], shelf: str | None, last_day: int, store: int | None) -> SeriesSet:
        """The series of those near, else of the shelf, and of what else sells; a few hundred, the total as the last."""
        key = (near or shelf, store, last_day, self._panel.last_change(last_day, _RECENT_DAYS))
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        rows: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        if not near and shelf is not None:
            rows = _some(self._panel.beside.of_category(shelf), _MOST)
        first = [name for name in near if self._panel.knows(name)] if near else self._panel.item_ids(rows)
        sells = np.flatnonzero(self._panel.daily_pieces(last_day, _RECENT_DAYS) > 0).astype(np.int64)
        ids = list(dict.fromkeys([*first, *self._panel.item_ids(_some(sells, _MOST - len(first)))]))
        self._kept[key] = gathered = self._panel.dense(last_day, ids, store)
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return gathered


def _some(rows: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """At most so many of them, evenly spread."""
    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, max(most, 0)).astype(int)]
