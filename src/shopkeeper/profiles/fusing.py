"""The fusion model that has a say now, bound to the items of this shop. Used on one thread, as the profiles are."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from shopkeeper.core.errors import ShopkeeperError
from shopkeeper.core.protocols import Models, Served
from shopkeeper.profiles.fusion.inputs import Frame, frame_of
from shopkeeper.profiles.fusion.model import FusionModel
from shopkeeper.profiles.surroundings import Shelf

NAME = "fusion"


@dataclass(frozen=True)
class Fusing:
    """`version` to show, `frame` how the model's inputs are made in this shop."""

    model: FusionModel
    frame: Frame
    version: str

    @property
    def embedding(self) -> str:
        """The version that made the item vectors: another model's, or this one."""
        return self.model.items.version or self.version


class Fuser:
    """Binds a version once and keeps it as long as it serves."""

    def __init__(self, models: Models | None, catalog: Shelf | None) -> None:
        self._models = models
        self._items = None if catalog is None else _Items(catalog)
        self._served: Served | None = None
        self._fusing: Fusing | None = None

    def current(self) -> Fusing | None:
        """None: no champion, or one that was made for other inputs; then the rules are the whole score."""
        served = None if self._models is None else self._models.peek(NAME)
        if served is not self._served:
            self._served = served
            self._fusing = None if served is None else self._bound(served)
        return self._fusing

    def _bound(self, served: Served) -> Fusing | None:
        version = f"{NAME}/{served.version.version}"
        if self._items is None or not isinstance(served.model, FusionModel):
            return None
        try:
            return Fusing(served.model, frame_of(served.model, self._items), version)
        except ShopkeeperError as error:
            logging.getLogger(__name__).warning("%s has no say: %s", version, error.message)
            return None


class _Items:
    """A catalogue as the ids of the shop's items by row."""

    def __init__(self, catalog: Shelf) -> None:
        self._catalog = catalog

    def __len__(self) -> int:
        return len(self._catalog)

    def id(self, row: int, /) -> str:
        return self._catalog.ids[row]
