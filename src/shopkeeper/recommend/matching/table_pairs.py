"""Pairs from a table: a row holds a query, a document, and whether they go together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import Report
from shopkeeper.learning.checking import fingerprint
from shopkeeper.learning.fitting import is_text
from shopkeeper.learning.labels import read_label
from shopkeeper.learning.tabular import numbers, texts
from shopkeeper.recommend.matching.pairs import MOST_CHARACTERS, Columns, Pairs, Side, distinct
from shopkeeper.recommend.matching.params import MatchingParams
from shopkeeper.sources.tables import read_table

if TYPE_CHECKING:
    import polars as pl

LABEL, DOC_ID = "label", "doc_id"
FEWEST_QUERIES = 5


def table_pairs(
    source: Mapping[str, Any], zone: str, params: MatchingParams, report: Report
) -> tuple[Pairs, dict[str, Any]]:
    """(all pairs, facts). Raises NotFound without the table, Invalid (`no_column`, `bad_label`, `bad_data`, `no_data`)
    for one that nothing can be learned from."""
    table = read_table(source, zone=zone, report=report)
    frame, name = table.frame, str(table.facts.get("name") or source.get("kind"))
    label_name = str(source.get("label") or LABEL)
    query = _side_columns(frame, "query", params.query_columns, label_name, name)
    doc = _side_columns(frame, "doc", params.doc_columns, label_name, name)
    if both := [column for column in query if column in doc]:
        raise Invalid(
            f"{', '.join(both)} cannot be query and document", code="bad_option", field="params.query_columns"
        )
    label = _label(frame, label_name, name)
    query_columns, doc_columns = _columns(frame, query, source), _columns(frame, doc, source)
    queries, of_query = distinct(_side(frame, query_columns, name))
    docs, of_doc = distinct(_side(frame, doc_columns, name))
    if len(queries) < FEWEST_QUERIES or not len(docs):
        raise Invalid(
            f"{name} has {len(queries)} different queries, at least {FEWEST_QUERIES} are needed", code="no_data"
        )
    ids, of_doc, docs = _ids(frame, docs, of_doc, name)
    pairs = Pairs(query_columns, doc_columns, queries, docs, of_query, of_doc, label, ids)
    used = [*query, *doc, *(column for column in (label_name, DOC_ID) if column in frame.columns)]
    facts = {
        **table.facts,
        "rows": len(pairs),
        "queries": len(queries),
        "documents": len(docs),
        "label": label_name if label_name in frame.columns else None,
        "query_columns": list(query_columns.names),
        "doc_columns": list(doc_columns.names),
        "columns_left_out": [column for column in frame.columns if column not in used],
        "content": fingerprint(frame.select(used)),
    }
    return pairs, facts


def _side_columns(frame: pl.DataFrame, side: str, asked: Sequence[str], label: str, table: str) -> list[str]:
    """As asked, else by their names, in the order of the table."""
    there = ", ".join(frame.columns[:50])
    for name in asked:
        if name not in frame.columns:
            raise Invalid(f"{table} has no column {name!r}; it has: {there}", code="no_column", field=f"{side}_columns")
    names = (side, "document") if side == "doc" else (side,)
    found = list(dict.fromkeys(asked)) or [
        name
        for name in frame.columns
        if name not in (label, DOC_ID) and (name in names or name.startswith(tuple(f"{each}_" for each in names)))
    ]
    if not found:
        raise Invalid(
            f"{table} has no column of the {side}: name one {side!r} or {side}_..., or give {side}_columns; "
            f"it has: {there}",
            code="no_column",
            field=f"{side}_columns",
        )
    return found


def _columns(frame: pl.DataFrame, names: Sequence[str], source: Mapping[str, Any]) -> Columns:
    """A column of numbers is one of numbers, unless the source calls it `categorical`: its values are then words."""
    words = source.get("categorical") or ()
    told = {name: is_text(frame[name]) or name in words or not _counts(frame[name]) for name in names}
    return Columns(
        texts=tuple(name for name in names if told[name]), numbers=tuple(name for name in names if not told[name])
    )


def _counts(column: pl.Series) -> bool:
    import polars as pl

    return column.dtype.is_numeric() or column.dtype == pl.Boolean


def _side(frame: pl.DataFrame, columns: Columns, table: str) -> Side:
    said = [texts(frame[name]).fill_null("").str.slice(0, MOST_CHARACTERS).to_list() for name in columns.texts]
    joined = tuple(" ".join(filter(None, each)) for each in zip(*said, strict=True)) if said else ("",) * frame.height
    values = np.full((frame.height, len(columns.numbers)), np.nan, dtype=np.float32)
    for at, name in enumerate(columns.numbers):
        values[:, at] = numbers(frame[name])
        if np.isinf(values[:, at]).any():
            raise Invalid(f"column {name!r} of {table} holds numbers that are not finite", code="bad_data", field=name)
    return Side(joined, values)


def _label(frame: pl.DataFrame, name: str, table: str) -> NDArray[np.float32]:
    """Without a label column every row is a right pair."""
    if name not in frame.columns:
        if name != LABEL:
            raise Invalid(
                f"{table} has no column {name!r}; it has: {', '.join(frame.columns[:50])}", code="no_column",
                field="label",
            )  # fmt: skip
        return np.ones(frame.height, dtype=np.float32)
    return read_label(frame[name], table)


def _ids(
    frame: pl.DataFrame, docs: Side, of_doc: NDArray[np.int64], table: str
) -> tuple[tuple[str, ...], NDArray[np.int64], Side]:
    """(names of the documents, each row's, the documents): one for each different `doc_id` where there is such a
    column; the last one said of it counts."""
    if DOC_ID not in frame.columns:
        return (), of_doc, docs
    named = texts(frame[DOC_ID])
    if gone := named.null_count():
        raise Invalid(f"doc_id is missing in {gone:,} rows of {table}", code="bad_data", field=DOC_ID)
    place: dict[str, int] = {}
    rows = np.array([place.setdefault(name, len(place)) for name in named.to_list()], dtype=np.int64)
    said = np.zeros(len(place), dtype=np.int64)
    said[rows] = of_doc
    return tuple(place), rows, docs.take(said)
