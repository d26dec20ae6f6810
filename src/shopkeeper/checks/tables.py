"""Checks for every kind of training table. A shop's own passes them as the built-in ones do: `for check in CHECKS`.

A check is given a kind, and what writes a frame where the kind finds it and tells the source that reads it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from shopkeeper.core.errors import Cancelled, Invalid, NotFound
from shopkeeper.core.ids import check_name
from shopkeeper.core.protocols import silent
from shopkeeper.sources.tables import LEARNING, Options, TableSource, reach_of, read_table

if TYPE_CHECKING:
    import polars as pl

Put: TypeAlias = "Callable[[pl.DataFrame], dict[str, Any]]"
ROWS = 200
_ZONE = "Europe/Berlin"


@dataclass(frozen=True)
class TableKind:
    """`put` stores a frame under a new name and gives the whole source, secrets included, that reads it."""

    source: type[TableSource]
    put: Put


def small_frame(rows: int = ROWS) -> pl.DataFrame:
    """A column of every type that all kinds know, with gaps, and texts that dialects could stumble over."""
    import polars as pl

    texts = ("Mug", "杯子", "Tea, Earl Grey", 'Frame 6"', "Bob's", "50 % off; `x`", "back\\slash", "é $1 {2} ?")
    return pl.DataFrame(
        {
            "row": list(range(rows)),
            "pieces": [None if n % 7 == 3 else n * n - 50 for n in range(rows)],
            "price": [None if n % 5 == 4 else n * 0.37 - 3 for n in range(rows)],
            "name": [None if n % 11 == 10 else texts[n % len(texts)] for n in range(rows)],
            "day": [date(2024, 1 + n % 12, 1 + n % 28) for n in range(rows)],
            "at": [datetime(2024, 7, 1 + n % 28, n % 24, n % 60, 7) for n in range(rows)],
            "bought": [n % 3 == 0 for n in range(rows)],
        }
    )


def states_its_facts(kind: TableKind) -> None:
    """Name, description, options that refuse unknown ones, and which of them are secret."""
    check_name(kind.source.name)
    assert kind.source.description
    assert issubclass(kind.source.Options, Options)
    assert kind.source.Options.__struct_config__.forbid_unknown_fields
    assert set(kind.source.secrets) <= set(kind.source.Options.__struct_fields__)
    assert not {"kind", *LEARNING} & set(kind.source.Options.__struct_fields__), "these names have a meaning already"


def gives_what_was_written(kind: TableKind) -> None:
    """Numbers as numbers, text as text, gaps as gaps, days as days, times as moments of the shop's zone."""
    import polars as pl

    written = small_frame()
    frame = read_table(kind.put(written), zone=_ZONE).frame.sort("row")
    assert frame.columns == written.columns
    assert frame["row"].to_list() == written["row"].to_list()
    assert frame["pieces"].dtype.is_numeric()
    assert frame["pieces"].to_list() == written["pieces"].to_list()
    assert (frame["price"] - written["price"]).abs().max() < 1e-9  # type: ignore[operator]
    assert frame["price"].null_count() == written["price"].null_count()
    assert frame["name"].to_list() == written["name"].to_list()
    assert frame["day"].cast(pl.Date).to_list() == written["day"].to_list()
    assert frame["at"].dtype == pl.Datetime("us", "UTC")
    assert frame["at"].dt.convert_time_zone(_ZONE).dt.replace_time_zone(None).to_list() == written["at"].to_list()
    assert frame["bought"].cast(pl.Int64).to_list() == written["bought"].cast(pl.Int64).to_list()


def gives_only_types_that_learners_know(kind: TableKind) -> None:
    import polars as pl

    known = (pl.Int64, pl.Float64, pl.Boolean, pl.String, pl.Date, pl.Datetime("us", "UTC"))
    assert all(dtype in known for dtype in read_table(kind.put(small_frame()), zone=_ZONE).frame.schema.values())


def states_facts_that_can_be_kept(kind: TableKind) -> None:
    """In a manifest, as JSON, without a secret."""
    source = kind.put(small_frame())
    facts = read_table(source, zone=_ZONE).facts
    assert facts["kind"] == kind.source.name
    assert facts["rows"] == ROWS
    assert facts["columns"] == small_frame().columns
    assert facts["name"]
    text = msgspec.json.encode(facts).decode()
    assert not [name for name in kind.source.secrets if source.get(name) and str(source[name]) in text]


def knows_the_same_rows_again(kind: TableKind) -> None:
    """One fingerprint for the same rows, another for others."""
    source = kind.put(small_frame())
    first, again = (read_table(source, zone=_ZONE).facts["fingerprint"] for _ in range(2))
    other = read_table(kind.put(small_frame(ROWS - 1)), zone=_ZONE).facts["fingerprint"]
    assert first == again != other


def refuses_what_it_does_not_know(kind: TableKind) -> None:
    source = kind.put(small_frame())
    for unknown in ("pathh", "tabel", "zzz"):
        said = _refusal({**source, unknown: "x"}, Invalid)
        assert unknown in said
        assert "did you mean" in said or "it knows" in said
        assert not [name for name in kind.source.secrets if str(source.get(name)) in said]


def leaves_alone_what_is_for_the_learner(kind: TableKind) -> None:
    meaning = dict.fromkeys(LEARNING, "bought")
    assert read_table({**kind.put(small_frame()), **meaning}, zone=_ZONE).frame.height == ROWS


def says_before_what_it_reaches_for(kind: TableKind) -> None:
    """So that a shop can refuse: files that exist, or servers by host and port. Nothing is asked of them."""
    reach = reach_of(kind.put(small_frame()))
    assert reach.paths or reach.hosts
    assert all(Path(path).exists() for path in reach.paths)
    assert all(host.rpartition(":")[2].isdigit() for host in reach.hosts)


def refuses_a_table_without_rows(kind: TableKind) -> None:
    assert _refusal(kind.put(small_frame(0)), Invalid)


def says_when_there_is_no_such_table(kind: TableKind) -> None:
    source = kind.put(small_frame())
    place = next(key for key in ("path", "table", *source) if key in source)
    assert _refusal({**source, place: f"{source[place]}-nowhere"}, NotFound)


def can_be_stopped(kind: TableKind) -> None:
    """It reports, and what a report raises comes out."""
    source = kind.put(small_frame())
    calls = 0

    def stop(*_: Any, **__: Any) -> None:
        nonlocal calls
        calls += 1
        raise Cancelled("stop")

    try:
        read_table(source, zone=_ZONE, report=stop)
    except Cancelled:
        assert calls == 1
    else:
        raise AssertionError("it never reported")


def two_readers_do_not_disturb_each_other(kind: TableKind) -> None:
    source = kind.put(small_frame())
    heights: list[int] = []
    readers = [threading.Thread(target=lambda: heights.append(_height(source))) for _ in range(2)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert heights == [ROWS, ROWS]


Check: TypeAlias = Callable[[TableKind], None]
CHECKS: tuple[Check, ...] = (
    states_its_facts,
    gives_what_was_written,
    gives_only_types_that_learners_know,
    states_facts_that_can_be_kept,
    knows_the_same_rows_again,
    refuses_what_it_does_not_know,
    leaves_alone_what_is_for_the_learner,
    says_before_what_it_reaches_for,
    refuses_a_table_without_rows,
    says_when_there_is_no_such_table,
    can_be_stopped,
    two_readers_do_not_disturb_each_other,
)


def _height(source: Mapping[str, Any]) -> int:
    return read_table(source, zone=_ZONE, report=silent).frame.height


def _refusal(source: Mapping[str, Any], kind: type[Exception]) -> str:
    """The words with which the source is refused."""
    try:
        read_table(source, zone=_ZONE)
    except kind as error:
        return str(error)
    raise AssertionError(f"expected {kind.__name__}")
