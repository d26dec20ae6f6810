"""What a kind of training table is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import msgspec

from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import Report

if TYPE_CHECKING:
    import polars as pl

LEARNING = ("label", "time", "group", "weight", "features", "categorical")
"""Keys of a source that say what the columns mean. The learner reads them; every kind has them, none sees them."""

MAX_ROWS = 20_000_000
MAX_BYTES = 4 << 30


class Options(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Base of what a kind may be told beside `kind` and the keys of LEARNING."""


@dataclass(frozen=True)
class Table:
    """Rows to learn from, and where they came from.

    Columns of `frame` are Int64, Float64, Boolean, String, Date, or Datetime("us", "UTC"); null is missing.
    `facts` go into the manifest: kind, name, rows, columns, fingerprint (SHA-256 of what was read), and the kind's own.
    """

    frame: pl.DataFrame
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Reach:
    """What reading would touch, so that a shop can refuse before: paths or patterns, and `host:port` of servers."""

    paths: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()


class TableSource(Protocol):
    """One kind. Raises errors of the tree only; no secret stands in any of them, nor in `facts`."""

    name: ClassVar[str]
    description: ClassVar[str]
    Options: ClassVar[type[Options]]
    secrets: ClassVar[tuple[str, ...]]
    """Options that are never stored, logged or shown."""

    def reach(self, options: Any) -> Reach: ...

    def read(self, options: Any, zone: str, report: Report) -> Table:
        """All rows, or an error. Reports progress now and then, which raises Cancelled. Times without a zone are the
        shop's local time in `zone`; naive columns may be left to `read_table`."""
        ...


def check_size(rows: int, size: int, name: str) -> None:
    """Raises Invalid beyond MAX_ROWS rows or MAX_BYTES in memory."""
    if rows > MAX_ROWS:
        raise Invalid(f"{name} has more than {MAX_ROWS:,} rows; take a sample", code="too_large")
    if size > MAX_BYTES:
        raise Invalid(f"{name} takes more than {MAX_BYTES >> 30} GiB of memory; take a sample", code="too_large")
