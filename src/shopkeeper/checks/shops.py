"""Checks for every source that is a whole shop: it has `load(shift_weeks)` instead of `slices`, see sources/retail.py.

Each check is given what was loaded once, unshifted, and the source to load from again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, TypeAlias

from shopkeeper.core.ids import check_name
from shopkeeper.sources.retail import ZONE, RetailData

if TYPE_CHECKING:
    import polars as pl


class ShopSource(Protocol):
    name: str
    description: str

    def load(self, shift_weeks: int = 0) -> RetailData: ...


@dataclass(frozen=True)
class WholeShop:
    source: type[ShopSource]

    @cached_property
    def data(self) -> RetailData:
        return self.source().load()


def states_its_facts(shop: WholeShop) -> None:
    check_name(shop.source.name)
    assert shop.source.description


def history_ends_where_the_stream_begins(shop: WholeShop) -> None:
    """Lines are in order of time, the kept ones before the opening, the withheld ones after it; no id comes twice."""
    data = shop.data
    assert data.kept["time"].is_sorted()
    assert data.withheld["time"].is_sorted()
    assert _latest(data.kept) < data.opens_at <= _earliest(data.withheld)
    assert _ids(data).is_unique().all()


def everybody_and_everything_is_listed(shop: WholeShop) -> None:
    """No line names an item that is not listed, no kept line a customer who is not; none is listed twice."""
    data = shop.data
    for lines in (data.kept, data.withheld):
        assert lines["item_id"].is_in(data.items["item_id"].implode()).all()
    assert data.kept["user_id"].drop_nulls().is_in(data.users["user_id"].implode()).all()
    assert data.items["item_id"].is_unique().all()
    assert data.users["user_id"].is_unique().all()


def moves_by_whole_weeks(shop: WholeShop) -> None:
    """Shifted, it is the same shop at the same local hours, also where the clocks change on another day."""
    from datetime import timedelta

    moved = shop.source().load(52)
    assert moved.shift_weeks == 52
    assert _ids(moved).equals(_ids(shop.data))
    assert _local(moved.kept).equals(_local(shop.data.kept) + timedelta(weeks=52))


def loads_the_same_again(shop: WholeShop) -> None:
    again = shop.source().load()
    for name in ("kept", "withheld", "users", "items"):
        assert getattr(again, name).equals(getattr(shop.data, name)), f"{name} differ from load to load"


Check: TypeAlias = Callable[[WholeShop], None]
CHECKS: tuple[Check, ...] = (
    states_its_facts,
    history_ends_where_the_stream_begins,
    everybody_and_everything_is_listed,
    moves_by_whole_weeks,
    loads_the_same_again,
)


def _ids(data: RetailData) -> pl.Series:
    import polars as pl

    return pl.concat([data.kept["event_id"], data.withheld["event_id"]])


def _local(lines: pl.DataFrame) -> pl.Series:
    """The shop's wall clock."""
    import polars as pl

    moment = pl.from_epoch("time", time_unit="us").dt.replace_time_zone("UTC").dt.convert_time_zone(ZONE)
    return lines.select(moment.dt.replace_time_zone(None).alias("local"))["local"]


def _latest(lines: pl.DataFrame) -> int:
    return int(lines["time"].to_numpy().max())


def _earliest(lines: pl.DataFrame) -> int:
    return int(lines["time"].to_numpy().min())
