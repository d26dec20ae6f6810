"""A yes/no label from a column: what counts as 1 and what as 0."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid
from shopkeeper.learning.tabular import texts

if TYPE_CHECKING:
    import polars as pl

LEAST_ROWS = 20
YES = ("1", "yes", "y", "true", "t")
NO = ("0", "no", "n", "false", "f")


def read_label(column: pl.Series, table: str) -> NDArray[np.float32]:
    """(n,) of 0 and 1. Numbers 0 and 1, true and false, and the words of YES and NO in any case are understood.

    Raises Invalid for anything else, a missing label, a single class, and fewer than LEAST_ROWS rows.
    """
    import polars as pl

    name = column.name
    if len(column) < LEAST_ROWS:
        raise Invalid(f"{table} has {len(column)} rows, at least {LEAST_ROWS} are needed", code="too_few_rows")
    words = texts(column).str.strip_chars().str.to_lowercase()
    label = words.replace_strict(
        {**dict.fromkeys(YES, 1.0), **dict.fromkeys(NO, 0.0)}, default=None, return_dtype=pl.Float32
    )
    if label.null_count():
        wrong = column.filter(label.is_null()).unique(maintain_order=True).head(3).to_list()
        shown = ", ".join("nothing" if value is None else repr(value)[:40] for value in wrong)
        raise Invalid(
            f"column {name!r} of {table} must hold 0 or 1 in every row (or yes and no, true and false); "
            f"{label.null_count()} rows hold others, such as {shown}",
            code="bad_label",
            field="label",
        )
    found: NDArray[np.float32] = label.to_numpy()
    if found.min() == found.max():
        raise Invalid(
            f"column {name!r} of {table} holds only {found[0]:g}: nothing to tell apart",
            code="bad_label",
            field="label",
        )
    return found
