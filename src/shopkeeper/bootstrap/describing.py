"""What the records of items and users tell suggestions, kept up with both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.clock import Clock
from shopkeeper.core.errors import ShopkeeperError
from shopkeeper.profiles.people import People
from shopkeeper.recommend.asking import Told
from shopkeeper.recommend.content import ContentIndex
from shopkeeper.stores.catalog import Catalog

_MOST_TOUCHED = 10_000


class UserRecords:
    """The attributes of users by row, from the records that profiles keep in memory."""

    def __init__(self, people: People) -> None:
        self._people = people
        self._touched: set[int] = set()

    def touch(self, rows: Iterable[int]) -> None:
        """These records have changed. From any thread. Of very many at once the profiles read what nobody asks for."""
        if len(self._touched) > _MOST_TOUCHED:
            self._touched = set()
        self._touched.update(rows)

    def at(self, row: int) -> Mapping[str, Any]:
        """As of now: what was put since the last look is read. None known: empty."""
        touched = self._touched
        if row in touched:
            touched.discard(row)
            try:
                self._people.reread([row])
            except ShopkeeperError:  # what was known goes for now
                touched.add(row)
        person = self._people.at(row)
        return person.attributes if person is not None and person.listed else {}


def told_of_records(catalog: Catalog, clock: Clock, users: UserRecords) -> Told:
    """Records are made by the wall clock, suggestions by that of the shop: an item is as old here as it is there."""
    index = ContentIndex(catalog)
    catalog.subscribe(index.touch)

    def made() -> NDArray[np.int64]:
        moved: NDArray[np.int64] = catalog.born - (clock.wall() - clock.now())
        return moved

    return Told(index, made, users.at)
