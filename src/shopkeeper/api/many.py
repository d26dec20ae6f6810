"""Lists of records in a body: a bad one is told with its index and never fails its list."""

from __future__ import annotations

from types import GenericAlias
from typing import Generic, NamedTuple, TypeVar, cast

import msgspec

from shopkeeper.api.body import decode
from shopkeeper.api.errors import Malformed
from shopkeeper.core.records import Record, Rejection

MOST = 1000
R = TypeVar("R", bound=Record)


class Many(NamedTuple, Generic[R]):
    """What could be read, where each stood in the body, and what could not be read."""

    records: list[R]
    places: list[int]
    rejected: list[Rejection]

    def with_rejected(self, later: list[Rejection]) -> list[Rejection]:
        """All rejections by place in the body; `later` counts within `records`."""
        moved = [Rejection(index=self.places[one.index], reason=one.reason) for one in later]
        return sorted([*self.rejected, *moved], key=lambda one: one.index)


def parse(body: bytes, kind: type[R], *, one: bool = False) -> Many[R]:
    """1 to 1000 records. `one`: a single record without a list is read too. Raises Malformed for anything else."""
    listed = not one or body.lstrip()[:1] == b"["
    try:
        records = decode(body, _list_of(kind)) if listed else [decode(body, kind)]
    except Malformed as error:
        if error.code != "wrong_value":
            raise
        return _one_by_one(body, kind, listed=listed)
    _check_count(len(records))
    return Many(records, list(range(len(records))), [])


def _list_of(kind: type[R]) -> type[list[R]]:
    return cast(type[list[R]], GenericAlias(list, (kind,)))


def _one_by_one(body: bytes, kind: type[R], *, listed: bool) -> Many[R]:
    parts = decode(body, list[msgspec.Raw]) if listed else [msgspec.Raw(body)]
    _check_count(len(parts))
    if not listed and body.lstrip()[:1] != b"{":
        raise Malformed("expected an object, or a list of objects", code="wrong_value")
    found: Many[R] = Many([], [], [])
    for place, part in enumerate(parts):
        try:
            found.records.append(decode(bytes(part), kind))
            found.places.append(place)
        except Malformed as error:
            found.rejected.append(Rejection(index=place, reason=error.message))
    return found


def _check_count(count: int) -> None:
    if not 1 <= count <= MOST:
        raise Malformed(f"the list has {count} entries, expected 1 to {MOST}", code="bad_count")
