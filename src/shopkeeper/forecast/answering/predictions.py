"""Forecasts that are kept: each a JSON file, found by a row in SQL that holds its numbers too.

The file comes first, then the row; a removal marks the row, takes the file, then the row. Wherever that is cut short
`sweep` finishes it. A file that is lost or changed is made again from its row.
"""

from __future__ import annotations

import hashlib
import logging
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import msgspec
import numpy as np
from msgspec import field
from numpy.typing import NDArray
from sqlalchemy import Connection

from shopkeeper.core.clock import Clock, moment
from shopkeeper.core.days import date_of
from shopkeeper.core.errors import ShopkeeperError, Unavailable
from shopkeeper.core.ids import ulid
from shopkeeper.core.records import QUANTILES, Analysis, ForecastPoint, HistoryPoint, Record
from shopkeeper.core.scopes import Scope
from shopkeeper.forecast.answering.service import Answer, points, scope_of
from shopkeeper.forecast.outlook import Outlook
from shopkeeper.stores import predictions as table
from shopkeeper.stores.artifacts import write_durably
from shopkeeper.stores.paging import cursor_after, key_of
from shopkeeper.stores.predictions import PredictionRow
from shopkeeper.stores.sql import Database

_LOG = logging.getLogger(__name__)


class Kept(Record, kw_only=True):
    """One kept forecast. `scope`: of the model; `item_id`, `store_id`, `category`: of what it is a forecast.
    `repaired`: the file was lost or changed, and this was made again from the row."""

    prediction_id: str
    model: str
    scope: str
    version: int
    algorithm: str
    item_id: str | None
    store_id: str | None
    category: str | None
    start_date: str
    created_at: datetime
    created_by: str
    history: list[HistoryPoint]
    forecast: list[ForecastPoint]
    came: list[HistoryPoint] = field(default_factory=list)
    beats_naive: bool = False
    saw_it: bool = False
    fallback: str | None = None
    analysis: Analysis | None = None
    repaired: bool = False

    @property
    def about(self) -> Scope:
        """Of what it is a forecast."""
        return scope_of(self.item_id, self.store_id, self.category)


class PredictionBook:
    """From any thread but the writer's."""

    def __init__(self, db: Database, folder: Path, clock: Clock) -> None:
        self._db = db
        self._folder = folder
        self._clock = clock

    def keep(self, answer: Answer, *, by: str = "", analysis: Analysis | None = None) -> Kept:
        """Raises Unavailable when disk or database refuse; then nothing is kept."""
        question, chosen = answer.question, answer.chosen
        about, now, id = question.scope, self._clock.wall(), ulid()
        kept = Kept(
            prediction_id=id,
            model=chosen.name,
            scope=str(chosen.scope),
            version=chosen.version,
            algorithm=chosen.algorithm,
            item_id=about.id if about.kind == "product" else None,
            store_id=about.id if about.kind == "store" else about.store,
            category=about.id if about.kind == "category" else None,
            start_date=date_of(answer.first_day).isoformat(),
            created_at=moment(now),
            created_by=by,
            history=list(question.history),
            forecast=points(answer.said, answer.first_day),
            came=list(question.came),
            beats_naive=chosen.beats_naive,
            saw_it=answer.saw_it,
            fallback=chosen.fallback,
            analysis=analysis,
        )
        numbers = np.concatenate([answer.said.mean[0][:, None], answer.said.quantiles[0]], axis=1)
        content = self._write(kept)
        row = PredictionRow(
            prediction_id=id,
            model=kept.model,
            scope=kept.scope,
            version=kept.version,
            algorithm=kept.algorithm,
            item_id=kept.item_id,
            store_id=kept.store_id,
            category=kept.category,
            first_day=answer.first_day,
            horizon=len(kept.forecast),
            period="day",
            created_at=now,
            created_by=by,
            file=_file(id),
            sha256=_sha256(content),
            bytes=len(content),
            numbers=numbers.astype("<f4").tobytes(),
        )
        try:
            self._db.writer.run(lambda connection: table.add(connection, row))
        except ShopkeeperError:
            with suppress(OSError):
                (self._folder / row.file).unlink(missing_ok=True)
            raise
        return kept

    def find(self, prediction_id: str) -> Kept:
        """Raises NotFound. What is `repaired` has no history before `mend`."""
        with self._db.read() as connection:
            row = table.get(connection, prediction_id)
        try:
            content = (self._folder / row.file).read_bytes()
            if _sha256(content) == row.sha256:
                return msgspec.json.decode(content, type=Kept)
            _LOG.error("the file of prediction %s is not what was written; its row stands in", prediction_id)
        except (OSError, msgspec.DecodeError) as error:
            _LOG.error("the file of prediction %s cannot be read (%s); its row stands in", prediction_id, error)
        return _from_row(row)

    def mend(self, kept: Kept) -> None:
        """Writes the file of a repaired one anew. Raises Unavailable."""
        content = self._write(kept)
        digest = _sha256(content)

        def note(connection: Connection) -> None:
            table.set_file(connection, kept.prediction_id, sha256=digest, size=len(content))

        self._db.writer.run(note)

    def list(
        self,
        *,
        item_id: str | None = None,
        store_id: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> tuple[list[PredictionRow], str | None, int]:
        """Newest first: (rows, next cursor, total). Raises Invalid for a cursor of somewhere else."""
        with self._db.read() as connection:
            rows, total = table.page(
                connection, item_id=item_id, store_id=store_id, limit=limit + 1, before=key_of(cursor)
            )
        more = len(rows) > limit
        return rows[:limit], cursor_after(rows[limit - 1].prediction_id) if more else None, total

    def remove(self, prediction_id: str) -> None:
        """With its file. Raises NotFound, Unavailable."""
        now = self._clock.wall()
        row = self._db.writer.run(lambda connection: table.mark_removed(connection, prediction_id, now=now))
        self._finish(prediction_id, row.file)

    def sweep(self) -> int:
        """Finishes removals that were cut short and takes files that no row knows; how many files there were. Only
        while nobody keeps anything: when the shop starts."""
        with self._db.read() as connection:
            going, known = table.files(connection)
        for id, file in going.items():
            self._finish(id, file)
        strays = [path for path in self._folder.glob("*") if path.name not in known]
        for path in strays:
            with suppress(OSError):
                path.unlink(missing_ok=True)
        return len(strays)

    def _finish(self, prediction_id: str, file: str) -> None:
        try:
            (self._folder / file).unlink(missing_ok=True)
        except OSError as error:
            _LOG.error("the file of prediction %s cannot be removed (%s); the next start tries again", file, error)
            return
        self._db.writer.run(lambda connection: table.forget(connection, prediction_id))

    def _write(self, kept: Kept) -> bytes:
        content = msgspec.json.encode(kept)
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_durably(self._folder / _file(kept.prediction_id), content)
        except OSError as error:
            raise Unavailable(
                f"the prediction cannot be kept: {error}; check the disk's free space", code="disk"
            ) from error
        return content


def _file(prediction_id: str) -> str:
    return f"{prediction_id}.json"


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _from_row(row: PredictionRow) -> Kept:
    numbers: NDArray[np.float64] = np.frombuffer(row.numbers, dtype="<f4").astype(np.float64)
    numbers = numbers.reshape(row.horizon, 1 + len(QUANTILES))
    return Kept(
        prediction_id=row.prediction_id,
        model=row.model,
        scope=row.scope,
        version=row.version,
        algorithm=row.algorithm,
        item_id=row.item_id,
        store_id=row.store_id,
        category=row.category,
        start_date=date_of(row.first_day).isoformat(),
        created_at=moment(row.created_at),
        created_by=row.created_by,
        history=[],
        forecast=points(Outlook(numbers[None, :, 0], numbers[None, :, 1:]), row.first_day),
        repaired=True,
    )
