"""From the rows of a file to the rows of the shop: each is taken whole, or refused with a reason.

Works on a slice at a time, a column at a time. The first thing that is wrong with a row is its reason.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from shopkeeper.core.clock import DAY, HOUR
from shopkeeper.core.records import CALENDAR_KINDS
from shopkeeper.sources import values
from shopkeeper.sources.mapping import Plan
from shopkeeper.sources.reading import Reader, Setting, json_text, quoted
from shopkeeper.sources.source import Broken, Slice

if TYPE_CHECKING:
    import polars as pl

EVENT_COLUMNS = (
    "event_id", "user_id", "anonymous_id", "event_type", "target_kind", "target_id", "store_id", "time", "quantity",
    "unit_price", "value", "promotion", "context",
)  # fmt: skip
"""The order of the event log's bulk rows; `item_name` and `category` of the target follow them."""

DEFAULT_STORE = "main"
_EVENT_TYPE = r"^[a-z][a-z0-9_]{0,63}$"
_KIND = r"^[a-z][a-z0-9_.-]{0,63}$"


@dataclass(frozen=True)
class Checked:
    """`good`: rows of the shop (columns by kind, and `row`, the number in the file); `rejects`: the others."""

    good: pl.DataFrame
    rejects: list[Broken]


def check(plan: Plan, part: Slice, setting: Setting) -> Checked:
    """Every row of the slice ends in exactly one of the two, but days without a sale, which need no row."""
    reader = Reader(plan, part, setting)
    good = _BY_KIND[plan.kind](reader).with_columns(part.rows.alias("row"))
    rejects = part.broken + reader.rejects()
    return Checked(
        good.filter(reader.reasons.is_null() & ~reader.nothing), sorted(rejects, key=lambda broken: broken.row)
    )


def _orders(read: Reader) -> pl.DataFrame:
    import polars as pl

    quantity = read.number("quantity").fill_null(1.0)
    read.refuse(quantity == 0, "quantity is 0: nothing was ordered")
    order_id = read.text("order_id", longest=128)
    columns = {
        "event_id": read.row_ids(read.id("event_id")),
        "user_id": read.id("user_id"),
        "event_type": _order_or_return(quantity),
        "target_id": read.id("item_id", required=True),
        "store_id": read.id("store_id").fill_null(DEFAULT_STORE),
        "time": read.time("time", required=True),
        "context": _order_context(order_id),
    }
    return _events({**columns, **_money(read, quantity)}, read).with_columns(
        pl.Series("item_name", read.text("item_name")), pl.Series("category", read.text("category"))
    )


def _sales(read: Reader) -> pl.DataFrame:
    """A day of sales is one order of nobody's, at noon of the day (now, while today's noon is still to come)."""
    import polars as pl

    quantity = read.number("quantity", required=True)
    midnight = read.time("time", required=True)
    columns = {
        "event_id": read.row_ids(pl.Series([None] * read.height, dtype=pl.String)),
        "event_type": _order_or_return(quantity),
        "target_id": read.id("item_id", required=True),
        "store_id": read.id("store_id").fill_null(DEFAULT_STORE),
        "time": _noon(midnight, read.setting.now),
    }
    read.nothing = (quantity == 0).fill_null(False)  # says nothing that the absence of a row does not say
    return _events({**columns, **_money(read, quantity)}, read).with_columns(
        pl.Series("item_name", read.text("item_name")), pl.Series("category", read.text("category"))
    )


def _any_events(read: Reader) -> pl.DataFrame:
    import polars as pl

    kind = read.text("target_kind").fill_null("product")
    event_type = read.text("event_type").str.to_lowercase()
    read.refuse(event_type.is_null(), "event_type is missing")
    read.refuse(~event_type.str.contains(_EVENT_TYPE), quoted("event_type", event_type, "is not of a-z 0-9 _"))
    read.refuse(~kind.str.contains(_KIND), quoted("target_kind", kind, "is not of a-z 0-9 _ . -"))
    context = values.text(read.raw("context"))
    read.refuse(~_is_object(context), "context is not a JSON object of at most 16 KiB")
    columns = {
        "event_id": read.row_ids(read.id("event_id")),
        "user_id": read.id("user_id"),
        "anonymous_id": read.id("anonymous_id"),
        "event_type": event_type,
        "target_kind": kind,
        "target_id": read.id("target_id", required=True),
        "store_id": read.id("store_id"),
        "time": read.time("time", required=True),
        "quantity": read.number("quantity"),
        "unit_price": read.number("unit_price"),
        "value": read.number("value"),
        "promotion": read.text("promotion", longest=128),
        "context": context,
    }
    empty = pl.Series([None] * read.height, dtype=pl.String)
    return _events(columns, read).with_columns(empty.alias("item_name"), empty.alias("category"))


def _users(read: Reader) -> pl.DataFrame:
    import polars as pl

    return pl.DataFrame({"user_id": read.id("user_id", required=True), "attributes": read.rest()})


def _items(read: Reader) -> pl.DataFrame:
    import polars as pl

    item_id = read.id("item_id", required=True)
    kind = read.text("kind").fill_null("product")
    read.refuse(~kind.str.contains(_KIND), quoted("kind", kind, "is not of a-z 0-9 _ . -"))
    return pl.DataFrame(
        {
            "item_id": item_id,
            "name": read.text("name").zip_with(read.text("name").is_not_null(), item_id),
            "kind": kind,
            "category": read.text("category", longest=128),
            "price": read.number("price", lowest=0),
            "active": read.flag("active").fill_null(True),
            "attributes": read.rest(),
        }
    )


def _stock(read: Reader) -> pl.DataFrame:
    import polars as pl

    return pl.DataFrame(
        {
            "store_id": read.id("store_id").fill_null(DEFAULT_STORE),
            "item_id": read.id("item_id", required=True),
            "on_hand": read.number("on_hand", required=True, lowest=0),
            "on_order": read.number("on_order", lowest=0).fill_null(0.0),
            "lead_time_days": read.number("lead_time_days", lowest=0, highest=365).fill_null(7.0),
            "as_of": read.time("as_of").fill_null(read.setting.now),
        }
    )


def _days(read: Reader) -> pl.DataFrame:
    """`facts`: a JSON object of numbers, one at least."""
    import polars as pl

    taken = set(read.plan.mapping.values())
    names = [name for name in read.part.frame.columns if name not in taken]
    rows = zip(*(_fact(read, name) for name in names), strict=True) if names else ((),) * read.height
    facts = [{name: value for name, value in zip(names, row, strict=True) if value is not None} for row in rows]
    nothing = pl.Series([not one for one in facts], dtype=pl.Boolean)
    read.refuse(nothing, "no fact in this row: every column but the day, the store and the product is one")
    return pl.DataFrame(
        {
            "day": read.day("day", required=True),
            "store_id": read.id("store_id"),
            "item_id": read.id("item_id"),
            "facts": pl.Series([json_text(one) for one in facts], dtype=pl.String),
        }
    )


def _fact(read: Reader, name: str) -> list[float | None]:
    raw = read.part.frame[name]
    found = values.number(raw, decimal=read.plan.options.get("@decimal", "."))
    plain = values.text(raw)
    read.refuse(found.is_null() & plain.is_not_null(), quoted(name, plain, "is not a number"))
    return [value if value is not None and math.isfinite(value) else None for value in found.to_list()]


def _calendar(read: Reader) -> pl.DataFrame:
    import polars as pl

    kind = read.text("kind").str.to_lowercase()
    read.refuse(kind.is_null(), "kind is missing")
    read.refuse(~kind.is_in(CALENDAR_KINDS), quoted("kind", kind, "is not promotion, holiday or closed"))
    first, last = read.day("from", required=True), read.day("to")
    last = last.zip_with(last.is_not_null(), first)
    read.refuse(last < first, "to lies before from")
    item = read.id("item_id")
    discount = read.number("discount", lowest=0, highest=1)
    plain = kind != "promotion"
    read.refuse(plain & (item.is_not_null() | discount.is_not_null()), "only a promotion names items or a discount")
    name = read.text("name", longest=200)
    return pl.DataFrame(
        {
            "kind": kind,
            "name": name.zip_with(name.is_not_null(), kind),
            "from": first,
            "to": last,
            "item_id": item,
            "store_id": read.id("store_id"),
            "discount": discount,
        }
    )


_BY_KIND = {
    "orders": _orders,
    "sales": _sales,
    "events": _any_events,
    "users": _users,
    "items": _items,
    "stock": _stock,
    "days": _days,
    "calendar": _calendar,
}


def _money(read: Reader, quantity: pl.Series) -> dict[str, pl.Series]:
    price = read.number("unit_price", lowest=0)
    value = read.number("value")
    worth = quantity * price
    unit = price.zip_with(price.is_not_null(), value / quantity)
    return {
        "quantity": quantity,
        "unit_price": unit.set(~unit.is_finite(), None),
        "value": value.zip_with(value.is_not_null(), worth.round(6)),
        "promotion": read.text("promotion", longest=128),
    }


def _events(columns: dict[str, pl.Series], read: Reader) -> pl.DataFrame:
    """The columns of the event log in its order; those not given are null (the target's kind: product)."""
    import polars as pl

    empty = pl.Series([None] * read.height, dtype=pl.String)
    product = pl.repeat("product", read.height, dtype=pl.String, eager=True)
    given = {"target_kind": product, **columns}
    return pl.DataFrame([given.get(name, empty).alias(name) for name in EVENT_COLUMNS])


def _order_or_return(quantity: pl.Series) -> pl.Series:
    import polars as pl

    return quantity.to_frame("q").select(pl.when(pl.col("q") < 0).then(pl.lit("return")).otherwise(pl.lit("order")))[
        "literal"
    ]


def _noon(midnight: pl.Series, now: int) -> pl.Series:
    """Twelve hours on, but not beyond the present; a time that is no midnight stays as it is."""
    import polars as pl

    day = midnight.to_frame("t").select(
        pl.when(pl.col("t") % HOUR == 0).then(pl.min_horizontal(pl.col("t") + DAY // 2, pl.lit(now))).otherwise("t")
    )
    return day.to_series()


def _order_context(order_id: pl.Series) -> pl.Series:
    import polars as pl

    texts = [None if one is None else json_text({"order_id": one}) for one in order_id]
    return pl.Series("context", texts, dtype=pl.String)


def _is_object(context: pl.Series) -> pl.Series:
    import polars as pl

    return pl.Series([text is None or _object_text(text) for text in context], dtype=pl.Boolean)


def _object_text(text: str) -> bool:
    try:
        return len(text) <= 16 * 1024 and isinstance(msgspec.json.decode(text), dict)
    except msgspec.DecodeError:
        return False
