"""A feature of one's own: how much of what an item sold was sent back."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from shopkeeper.features.arrivals import Arrivals
from shopkeeper.features.base import Accumulator, Ask, ByItem, Reading, grown
from shopkeeper.features.kinds import EventKinds, Role
from shopkeeper.features.state import FeatureState


class ItemReturns(ByItem):
    """What events write: pieces sold and sent back by item row, in millionths, so that no order of adding matters."""

    def __init__(self, _kinds: EventKinds, /) -> None:
        self.pieces = {role: np.zeros(0, dtype=np.int64) for role in (Role.ORDER, Role.RETURN)}

    def apply(self, events: Arrivals, _state: FeatureState, /) -> None:
        for role, before in list(self.pieces.items()):
            where = (events.role == role) & (events.item >= 0)
            if where.any():
                pieces = self.pieces[role] = grown(before, int(events.item[where].max()) + 1)
                np.add.at(pieces, events.item[where], np.abs(events.quantity[where]))


class ItemReturnShare:
    """What a request reads: one number for each candidate of `ask.items`."""

    name = "item_return_share"
    group = "aggregated"
    of = "item"
    unit = "share"
    default = 0.0
    version = 1
    help = "pieces of the item sent back by pieces ordered, at most 1"
    needs: ClassVar[tuple[type[Accumulator], ...]] = (ItemReturns,)

    def read(self, ask: Ask) -> Reading:
        pieces = ask.state.part(ItemReturns).pieces
        sold, back = ask.gather(pieces[Role.ORDER], 0.0), ask.gather(pieces[Role.RETURN], 0.0)
        return np.minimum(back / np.maximum(sold, 1.0), np.float32(1.0))


RETURN_SHARE = ItemReturnShare()
