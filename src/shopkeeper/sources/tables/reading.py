"""From a request's source to a table: the kind by its name, its options checked, every column of a known type."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, cast

import msgspec

from shopkeeper import plugins
from shopkeeper.core.errors import Invalid, NotFound
from shopkeeper.core.protocols import Report, silent
from shopkeeper.sources.tables.base import LEARNING, Options, Reach, Table, TableSource, check_size
from shopkeeper.sources.tables.columns import plain_columns


def read_table(source: Mapping[str, Any], *, zone: str, report: Report = silent) -> Table:
    """The rows of a training source `{kind, ...}`; see docs/training-data.md. Times without a zone are local in `zone`.

    Raises Invalid (unknown kind, option or file), NotFound (file, table), Refused (password), Unavailable (server,
    driver), Cancelled (from `report`). Keys of LEARNING are checked for nothing here.
    """
    kind, options = kind_of(source), options_of(source)
    table = kind.read(options, zone, report)
    frame = plain_columns(table.frame, zone)
    name = str(table.facts.get("name", kind.name))
    check_size(frame.height, 0, name)
    if not frame.height:
        raise Invalid(f"{name} has no rows; nothing can be learned from it", code="no_rows")
    return Table(frame, {"kind": kind.name, **table.facts, "rows": frame.height, "columns": frame.columns})


def kind_of(source: Mapping[str, Any]) -> TableSource:
    """Raises Invalid for a kind that is not registered, Unavailable when its library is not installed."""
    name = str(source.get("kind", ""))
    try:
        return cast(TableSource, plugins.load("table", name)())
    except NotFound as error:
        kinds = ", ".join(plugins.names("table"))
        raise Invalid(
            f"no training data of kind {name!r}; there are: {kinds}", code="unknown_kind", field="kind"
        ) from error


def options_of(source: Mapping[str, Any]) -> Options:
    """The options of the source's kind, checked. Raises Invalid naming the unknown one and its nearest valid name."""
    kind = kind_of(source)
    given = {key: value for key, value in source.items() if key not in ("kind", *LEARNING) and value is not None}
    known = kind.Options.__struct_fields__
    for key in given:
        if key not in known:
            raise Invalid(_unknown(kind.name, key, (*known, *LEARNING)), code="unknown_option", field=key)
    try:
        return msgspec.convert(given, kind.Options)
    except msgspec.ValidationError as error:
        raise Invalid(f"training data of kind {kind.name}: {error}", code="bad_option") from error


def reach_of(source: Mapping[str, Any]) -> Reach:
    """What reading the source would touch. Raises as `options_of`."""
    return kind_of(source).reach(options_of(source))


def _unknown(kind: str, key: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"it knows: {', '.join(known)}"
    return f"training data of kind {kind!r} has no option {key[:40]!r}; {hint}"
