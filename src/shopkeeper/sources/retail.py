"""The bundled shop: UCI Online Retail (D. Chen, 2015, CC BY 4.0), a British seller of gifts, mostly to the trade.

541,909 lines of 2010-12-01 to 2011-12-09, cleaned by `cleaning.py`, moved to the present by whole weeks, and split
into the history that is there at opening and the last days, which the live stream releases. For people: docs/data.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from importlib.resources import as_file, files
from typing import TYPE_CHECKING, ClassVar
from zoneinfo import ZoneInfo

from shopkeeper.core.clock import micros
from shopkeeper.sources.categories import category_of
from shopkeeper.sources.cleaning import CleaningReport, clean
from shopkeeper.sources.naming import title

if TYPE_CHECKING:
    import polars as pl

ZONE = "Europe/London"
CURRENCY = "GBP"
STORE_ID = "online"
LAST_DAY = date(2011, 12, 9)
WITHHELD_DAYS = 14
ACTIVE_DAYS = 90
PRICE_DAYS = 30


@dataclass(frozen=True)
class RetailData:
    """The shop as tables, times in microseconds UTC.

    `kept`, `withheld`: event_id, event_type, user_id (null: nobody known), item_id, time, quantity (negative for a
    return), unit_price, value (GBP), invoice, country; in order of time. `opens_at` is the local midnight before the
    first withheld line. `users`: user_id, country, first_order (local date), first_seen (us). `items`: item_id, name,
    category, price (GBP), active, first_sold (local date or null).
    """

    kept: pl.DataFrame
    withheld: pl.DataFrame
    users: pl.DataFrame
    items: pl.DataFrame
    report: CleaningReport
    shift_weeks: int
    opens_at: int


class RetailShop:
    """Source `retail`: the data that ships with the package."""

    name: ClassVar[str] = "retail"
    description: ClassVar[str] = "UCI Online Retail, 541,909 order lines of a British gift shop (CC BY 4.0)"
    suffixes: ClassVar[tuple[str, ...]] = ()

    def lines(self) -> pl.DataFrame:
        """The raw file with the names of this package; ids trimmed and upper case, nothing dropped."""
        import polars as pl

        with as_file(files("shopkeeper.sources") / "data" / "online_retail.parquet") as path:
            raw = pl.read_parquet(path)
        return raw.select(
            pl.int_range(1, pl.len() + 1).alias("row"),
            pl.col("InvoiceNo").alias("invoice"),
            pl.col("StockCode").str.strip_chars().str.to_uppercase().alias("item_id"),
            pl.col("Description").str.strip_chars().alias("description"),
            pl.col("Quantity").alias("quantity"),
            pl.col("InvoiceDate").dt.cast_time_unit("us").alias("local"),
            pl.col("UnitPrice").alias("unit_price"),
            pl.col("CustomerID").cast(pl.Int64).cast(pl.String).alias("user_id"),
            pl.col("Country").alias("country"),
        )

    def load(self, shift_weeks: int = 0) -> RetailData:
        """Cleaned, shifted and split. `shift_weeks=0` gives the raw times of 2010-2011 (benchmarks)."""
        import polars as pl

        cleaned, report = clean(self.lines())
        lines = with_times(cleaned, shift_weeks)
        first_withheld = LAST_DAY - timedelta(days=WITHHELD_DAYS - 1) + timedelta(weeks=shift_weeks)
        opens_at = micros(datetime.combine(first_withheld, datetime.min.time(), ZoneInfo(ZONE)))
        before = pl.col("time") < opens_at
        kept = lines.filter(before)
        return RetailData(
            kept=kept.select(_EVENT_COLUMNS),
            withheld=lines.filter(~before).select(_EVENT_COLUMNS),
            users=_users(kept),
            items=_items(kept, lines, first_withheld),
            report=report,
            shift_weeks=shift_weeks,
            opens_at=opens_at,
        )


def weeks_until(yesterday: date) -> int:
    """Whole weeks to add so that the last day of the data is the latest possible one, `yesterday` at most."""
    return (yesterday - LAST_DAY).days // 7


_EVENT_COLUMNS = (
    "event_id", "event_type", "user_id", "item_id", "time", "quantity", "unit_price", "value", "invoice", "country",
)  # fmt: skip


def with_times(cleaned: pl.DataFrame, shift_weeks: int) -> pl.DataFrame:
    """Local time is shifted, then read in the shop's zone: ten o'clock on a Monday stays ten o'clock on a Monday."""
    import polars as pl

    local = pl.col("local") + timedelta(weeks=shift_weeks)
    return cleaned.with_columns(
        local.alias("local"),
        local.dt.replace_time_zone(ZONE, ambiguous="earliest", non_existent="null").dt.epoch("us").alias("time"),
        (pl.col("quantity") * pl.col("unit_price")).round(2).alias("value"),
        pl.col("quantity").cast(pl.Float64),
        pl.format("retail-{}", pl.col("row").cast(pl.String).str.zfill(6)).alias("event_id"),
    ).sort("time", maintain_order=True)


def _users(kept: pl.DataFrame) -> pl.DataFrame:
    import polars as pl

    return (
        kept.filter(pl.col("user_id").is_not_null())
        .group_by("user_id", maintain_order=True)
        .agg(
            pl.col("country").last(),
            pl.col("local").min().dt.date().alias("first_order"),
            pl.col("time").min().alias("first_seen"),
        )
    )


def _items(kept: pl.DataFrame, lines: pl.DataFrame, first_withheld: date) -> pl.DataFrame:
    """What the shop knows of each product at opening. The few products first sold later are new arrivals: on the list
    with name and price, without a first day of sale.
    """
    import polars as pl

    facts = _item_facts(kept)
    new = _item_facts(lines.join(facts, on="item_id", how="anti"))
    new = new.with_columns(pl.lit(None, dtype=pl.Date).alias("first_sold"))
    sold_from = first_withheld - timedelta(days=ACTIVE_DAYS)
    items = pl.concat([facts, new]).sort("item_id")
    names = [title(text) for text in items["description"]]
    return items.select(
        "item_id",
        pl.Series("name", names, dtype=pl.String),
        pl.Series("category", [category_of(name) for name in names], dtype=pl.String),
        "price",
        (pl.col("last_sold") >= sold_from).fill_null(False).alias("active"),
        "first_sold",
    )


def _item_facts(lines: pl.DataFrame) -> pl.DataFrame:
    """item_id, most frequent description, first and last day sold, price (median of the last days it was sold)."""
    import polars as pl

    names = (
        lines.group_by("item_id", "description")
        .len()
        .sort("item_id", "len", "description", descending=[False, True, False])
        .group_by("item_id", maintain_order=True)
        .agg(pl.col("description").first())
    )
    sold = lines.filter(pl.col("event_type") == "order").with_columns(pl.col("local").dt.date().alias("day"))
    last = sold.group_by("item_id").agg(pl.col("day").max().alias("last_sold"), pl.col("day").min().alias("first_sold"))
    prices = (
        sold.join(last, on="item_id")
        .filter(pl.col("day") > pl.col("last_sold") - timedelta(days=PRICE_DAYS))
        .group_by("item_id")
        .agg(pl.col("unit_price").median().round(2).alias("price"))
    )
    return names.join(last, on="item_id", how="left").join(prices, on="item_id", how="left")
