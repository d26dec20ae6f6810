"""What people are like underneath. Nobody sees these numbers: a model has to find them from what people do.

A person is a mixture of KINDS, an item's category pleases each kind more or less, and beside that person and item have
FREE tastes of their own. How well the two go together is one inner product, in which a high price counts against.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from shopkeeper.sources.simulator.draws import Floats

KINDS: Final = ("commuter", "gamer", "parent", "student", "trader", "senior")
FREE: Final = 6
FREE_WEIGHT: Final = 0.5
KIND_WEIGHT: Final = 2.1
PRICE_WEIGHT: Final = 1.8
"""How much a high price puts off who minds it most."""
LIKES: Final = {
    "Phones": (0.9, 0.5, 0.3, 0.3, 1.0, -0.6),
    "Audio": (1.4, 0.6, -0.4, 0.9, -0.1, -0.8),
    "Wearables": (0.7, -0.3, 0.2, 0.3, 0.9, 0.8),
    "Gaming gear": (-0.6, 2.0, -0.2, 0.8, -1.2, -1.4),
    "Home network": (-0.7, 0.7, 1.6, -0.8, 0.4, 0.3),
    "Family safety": (-0.9, -1.2, 1.9, -1.2, -0.4, 1.2),
    "Data packs": (0.8, 0.9, -0.1, 1.4, 0.2, -1.0),
    "Office and travel": (0.7, -1.0, -0.2, -0.5, 1.9, 0.2),
}
"""How much each category of products pleases each of KINDS."""
APP_LIKES: Final = {
    "Video": (0.5, 0.7, 0.6, 1.0, -0.6, 0.4),
    "Music": (1.4, 0.4, -0.2, 1.0, -0.5, -0.4),
    "Games": (0.1, 2.1, -0.4, 0.9, -1.3, -0.9),
    "Chat": (0.3, 0.2, 0.7, 0.9, 0.3, 0.6),
    "Finance": (0.2, -0.8, 0.4, -0.7, 1.9, 0.3),
    "Shopping": (0.1, -0.3, 1.2, 0.5, 0.2, 0.2),
    "Travel": (1.0, -0.9, 0.1, -0.2, 1.3, -0.3),
    "Learning": (0.0, -0.5, 1.1, 1.1, 0.0, -0.9),
    "Health": (0.3, -0.6, 0.4, -0.5, 0.5, 1.8),
    "News": (0.8, -0.7, -0.1, -0.6, 1.0, 1.4),
}
WEEKEND: Final = np.array([-0.5, 0.5, 0.35, 0.3, -0.8, 0.0])
"""By how much (log) each kind comes more often at weekends."""
INCOME: Final = np.array([0.2, -0.1, 0.3, -0.9, 1.3, -0.2])
HOUR: Final = np.array([8.2, 21.0, 19.5, 20.5, 12.5, 10.0])
"""Around when each kind visits, hours of the day."""


def traits_of_people(mix: Floats, free: Floats, price_weight: Floats) -> Floats:
    """(people, KINDS + FREE + 1): mixture, free tastes, and how much a high price puts off."""
    return np.concatenate([mix * KIND_WEIGHT, free * FREE_WEIGHT, -price_weight[:, None]], axis=1)


def traits_of_items(likes: Floats, free: Floats, dear: Floats) -> Floats:
    """(items, KINDS + FREE + 1), to be multiplied with those of people. `dear`: price against its category's."""
    return np.concatenate([likes, free, dear[:, None]], axis=1)
