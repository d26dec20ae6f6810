"""The fusion model that has a say now, bound to the items of this shop. Used on one thread, as the profiles are."""

from __future__ import annotations

from dataclasses import dataclass

from shopkeeper.core.errors import Invalid
from shopkeeper.profiles.fusion.inputs import Frame, frame_of
from shopkeeper.profiles.fusion.model import FusionModel
from shopkeeper.profiles.surroundings import Models, Served, Shelf

NAME = "fusion"


@dataclass(frozen=True)
class Fusing:
    """`version` to show, `frame` how the model's inputs are made in this shop."""

    model: FusionModel
    frame: Frame
    version: str


class Fuser:
    """Until a model is trained, and while one serves that was made for other inputs, the rules are the whole score."""

    def __init__(self, models: Models | None, catalog: Shelf | None) -> None:
        self._models = models
        self._catalog = catalog
        self._served: Served | None = None
        self._fusing: Fusing | None = None

    def current(self) -> Fusing | None:
        served = None if self._models is None or self._catalog is None else self._models.peek(NAME)
        if served is not self._served:
            self._served = served
            self._fusing = None if served is None else self._bound(served)
        return self._fusing

    def _bound(self, served: Served) -> Fusing | None:
        assert self._catalog is not None
        try:
            frame = frame_of(served.model, _Items(self._catalog))
        except Invalid:
            return None
        return Fusing(served.model, frame, f"{NAME}/{served.version.version}")


class _Items:
    """A catalogue as the ids of the shop's items by row."""

    def __init__(self, catalog: Shelf) -> None:
        self._catalog = catalog

    def __len__(self) -> int:
        return len(self._catalog)

    def id(self, row: int, /) -> str:
        return self._catalog.ids[row]
