"""Who can take part: users and visitors whom the shop has a row of, and who agree to be personalised."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from shopkeeper.stores.vocabulary import UserVocabulary


class Unit(NamedTuple):
    """`user_id` as the one is called now, whatever they were asked for as."""

    row: int
    user_id: str


class People:
    """A stranger, of whom there is no event and no record, is answered as ever and counted nowhere: so robots that make
    an id for each request neither fill tables nor thin out what is measured."""

    def __init__(self, users: UserVocabulary, allows: Callable[[int], bool]) -> None:
        self._users = users
        self._allows = allows

    def find(self, user_id: str) -> Unit | None:
        """None: takes no part."""
        row = self._users.row(user_id)
        if row is None:
            row = self._users.anonymous_row(user_id)
        if row is None or not self._allows(row):
            return None
        return Unit(row, self._users.id(row))
