"""Kept forecasts as rows: an index over their files, and the numbers from which a lost file is made again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec
from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, update

from shopkeeper.core.errors import NotFound
from shopkeeper.stores.schema import predictions as table

Blob: TypeAlias = bytes
_C = table.c
_LISTED = [column for column in _C if column.name not in ("numbers", "removed_at")]


class PredictionRow(msgspec.Struct, kw_only=True):
    """`model`, `scope`, `version`, `algorithm`: who said it. `item_id`, `store_id`, `category`: of what. `numbers` are
    float32 (horizon, 10): mean and nine quantiles; empty in lists."""

    prediction_id: str
    model: str
    scope: str
    version: int
    algorithm: str
    item_id: str | None
    store_id: str | None
    category: str | None
    first_day: int
    horizon: int
    period: str
    created_at: int
    created_by: str
    file: str
    sha256: str
    bytes: int
    numbers: Blob = b""


def add(connection: Connection, row: PredictionRow) -> None:
    connection.execute(insert(table).values(**msgspec.structs.asdict(row)))


def get(connection: Connection, prediction_id: str) -> PredictionRow:
    """Raises NotFound, also for what is being removed."""
    wanted = (_C.prediction_id == prediction_id) & _C.removed_at.is_(None)
    found = connection.execute(select(*_LISTED, _C.numbers).where(wanted)).first()
    if found is None:
        raise NotFound(f"no prediction {prediction_id[:64]!r}; see /api/prediction/history", code="unknown_prediction")
    return _row(found._mapping)


def page(
    connection: Connection, *, item_id: str | None, store_id: str | None, limit: int, before: str | None
) -> tuple[list[PredictionRow], int]:
    """Newest first, those with a smaller id than `before`; and how many there are in all."""
    wanted: list[ColumnElement[bool]] = [_C.removed_at.is_(None)]
    wanted += [_C.item_id == item_id] if item_id is not None else []
    wanted += [_C.store_id == store_id] if store_id is not None else []
    total = connection.scalar(select(func.count()).select_from(table).where(*wanted)) or 0
    wanted += [_C.prediction_id < before] if before is not None else []
    rows = connection.execute(select(*_LISTED).where(*wanted).order_by(_C.prediction_id.desc()).limit(limit))
    return [_row(row._mapping) for row in rows], total


def set_file(connection: Connection, prediction_id: str, *, sha256: str, size: int) -> None:
    """The file was written anew."""
    connection.execute(update(table).where(_C.prediction_id == prediction_id).values(sha256=sha256, bytes=size))


def mark_removed(connection: Connection, prediction_id: str, *, now: int) -> PredictionRow:
    """Nobody finds it any more; its file may go. Raises NotFound."""
    found = get(connection, prediction_id)
    connection.execute(update(table).where(_C.prediction_id == prediction_id).values(removed_at=now))
    return found


def forget(connection: Connection, prediction_id: str) -> None:
    connection.execute(delete(table).where(_C.prediction_id == prediction_id, _C.removed_at.is_not(None)))


def files(connection: Connection) -> tuple[dict[str, str], set[str]]:
    """(file of each id whose removal was begun, files of all the others)."""
    rows = connection.execute(select(_C.prediction_id, _C.file, _C.removed_at)).all()
    return (
        {row.prediction_id: row.file for row in rows if row.removed_at is not None},
        {row.file for row in rows if row.removed_at is None},
    )


def _row(mapping: Mapping[Any, Any]) -> PredictionRow:
    return PredictionRow(**{str(name): value for name, value in mapping.items()})
