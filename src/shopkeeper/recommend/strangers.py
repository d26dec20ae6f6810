"""Slates that wait to be written, of people whom nobody knew when they were answered."""

from __future__ import annotations

from typing import TypeVar

from msgspec.structs import replace

from shopkeeper.stores.exploring import ExploredRow
from shopkeeper.stores.visits import VisitRow
from shopkeeper.stores.vocabulary import UserVocabulary

Waiting = TypeVar("Waiting", ExploredRow, VisitRow)


def known_by_now(waiting: list[Waiting], users: UserVocabulary) -> None:
    """Who was a stranger may be known by now: what waits of theirs goes when they are erased. In place."""
    for at, one in enumerate(waiting):
        row = None if one.user_id is None else users.row(one.user_id)
        if row is not None:
            waiting[at] = replace(one, user_row=row, user_id=None)
