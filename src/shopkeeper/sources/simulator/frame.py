"""Events of a day as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shopkeeper.sources.simulator.choices import KINDS, TYPES, Done

if TYPE_CHECKING:
    import polars as pl

OFFER: Final = "weekly offer"


def as_frame(done: Done, n: int, starts: int) -> pl.DataFrame:
    """The columns of `World.day`, in order of time. Ids of events: `sim-00017-000042`."""
    import polars as pl

    order = np.lexsort((done.what, done.person, done.at))
    what, count = done.what[order], len(order)
    prefix = np.array([kind[0] for kind in KINDS])

    def words(of: tuple[str, ...]) -> pl.Series:
        return pl.Series(of, dtype=pl.String).gather(what)

    def number(values: Any, digits: int) -> pl.Series:
        return pl.Series(values).cast(pl.String).str.zfill(digits)

    target = done.target[order]
    wide = what == KINDS.index("user")
    frame = pl.DataFrame(
        {
            "event_type": words(TYPES),
            "person": number(done.person[order], 6),
            "target_kind": words(KINDS),
            "first": pl.Series(prefix[what], dtype=pl.String),
            "narrow": number(target, 4),
            "wide": number(target, 6),
            "is_wide": wide,
            "time": starts + done.at[order],
            "quantity": done.quantity[order],
            "unit_price": done.unit_price[order],
            "value": done.value[order],
            "offered": done.offered[order] == 1,
            "place": number(np.arange(count), 6),
        }
    )
    return frame.select(
        pl.format("sim-{}-{}", pl.lit(f"{n:05d}"), "place").alias("event_id"),
        "event_type",
        pl.format("u{}", "person").alias("user_id"),
        "target_kind",
        pl.concat_str("first", pl.when("is_wide").then("wide").otherwise("narrow")).alias("target_id"),
        "time",
        *(pl.col(name).fill_nan(None) for name in ("quantity", "unit_price", "value")),
        pl.when("offered").then(pl.lit(OFFER)).alias("promotion"),
    )
