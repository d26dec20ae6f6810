"""How a candidate meets the user's attention and purse.

Reads the accumulators `UserHistories` (history.py) and `ItemFacts` (item_facts.py); every event of the user and every
sale of the item write them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.clock import DAY
from shopkeeper.features.base import Accumulator, Ask, Reading
from shopkeeper.features.history import UserHistories
from shopkeeper.features.item_facts import PRICE, ItemFacts
from shopkeeper.features.kinds import Role
from shopkeeper.features.user_habits import PIECE_PRICE

_LAST_LOOKED = 100


@dataclass(frozen=True)
class Looked24h:
    """1 when the candidate is among the last 100 items that the user viewed, clicked, liked ... within 24 hours."""

    name: str = "pair_looked_24h"
    group: str = "behavioral"
    of: str = "pair"
    unit: str = "0 or 1"
    default: float = 0.0
    version: int = 1
    help: str = "whether the user showed interest in the item in the last 24 hours"
    needs: ClassVar[tuple[type[Accumulator], ...]] = (UserHistories,)

    def read(self, ask: Ask) -> Reading:
        looked = ask.past.recent_items(_LAST_LOOKED, DAY, role=Role.INTEREST)
        if not len(looked):
            return np.zeros(len(ask.items), dtype=np.float32)
        found: NDArray[np.bool_] = (ask.items[:, None] == looked[None, :]).any(axis=1)
        return found.astype(np.float32)


@dataclass(frozen=True)
class PriceRatio:
    """Natural logarithm of the candidate's last price to the user's mean price per piece; 0 when either is unknown."""

    name: str = "pair_price_ratio"
    group: str = "behavioral"
    of: str = "pair"
    unit: str = "log ratio"
    default: float = 0.0
    version: int = 1
    help: str = "price of the item against what the user usually pays for a piece"
    needs: ClassVar[tuple[type[Accumulator], ...]] = (UserHistories, ItemFacts)

    def read(self, ask: Ask) -> Reading:
        price, usual = np.asarray(PRICE.read(ask)), float(PIECE_PRICE.of_user(ask))
        result = np.zeros(len(ask.items), dtype=np.float32)
        if usual > 0:
            result[price > 0] = np.log(price[price > 0] / usual)
        return result


LOOKED_24H = Looked24h()
PRICE_RATIO = PriceRatio()
