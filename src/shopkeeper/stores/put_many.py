"""Writing a list of records: the bad ones are rejected one by one, the good ones go in together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from msgspec import field

from shopkeeper.core.errors import Invalid
from shopkeeper.core.records import Record, Rejection

T = TypeVar("T")


class PutMany(Record, kw_only=True):
    created: int
    updated: int
    rejected: list[Rejection] = field(default_factory=list)


def split_checked(records: Sequence[T], check: Callable[[T], None]) -> tuple[list[T], list[Rejection]]:
    """The records that `check` accepts, and why the others were refused."""
    good: list[T] = []
    rejected: list[Rejection] = []
    for index, record in enumerate(records):
        try:
            check(record)
        except Invalid as error:
            rejected.append(Rejection(index=index, reason=error.message))
        else:
            good.append(record)
    return good, rejected
