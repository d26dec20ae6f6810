"""The bundled shop: what the cleaning keeps, where the times go, what is withheld."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from shopkeeper.core.clock import DAY, moment
from shopkeeper.sources.categories import CATEGORIES, OTHER, category_of
from shopkeeper.sources.cleaning import clean
from shopkeeper.sources.naming import title
from shopkeeper.sources.retail import RetailData, RetailShop, weeks_until, with_times

YESTERDAY = date(2026, 3, 18)  # a Wednesday


@pytest.fixture(scope="module")
def shop() -> RetailData:
    return RetailShop().load(weeks_until(YESTERDAY))


def line(row: int, **changes: object) -> dict[str, object]:
    plain = {
        "row": row,
        "invoice": f"5{row:05d}",
        "item_id": "85123A",
        "description": "WHITE HANGING HEART T-LIGHT HOLDER",
        "quantity": 6,
        "local": datetime(2011, 5, 2, 10) + timedelta(minutes=row),
        "unit_price": 2.55,
        "user_id": "17850",
        "country": "United Kingdom",
    }
    return {**plain, **changes}


def cleaned(*lines: dict[str, object]) -> tuple[list[int], list[str], dict[str, int]]:
    kept, report = clean(pl.DataFrame(list(lines), infer_schema_length=None))
    return kept["row"].to_list(), kept["event_type"].to_list(), {step.rule: step.rows for step in report.steps}


def test_each_rule_meets_what_it_says():
    rows, types, steps = cleaned(
        line(1),
        line(2, user_id=None, unit_price=0.0, quantity=-10, description="damaged"),
        line(3, item_id="POST"),
        line(4, unit_price=0.0),
        line(5, invoice="C500005", quantity=-2),
        line(6, item_id="23444", description="Next Day Carriage"),
    )
    assert rows == [1, 5]
    assert types == ["order", "return"]
    assert steps == {"adjustment": 1, "non-product": 2, "no price": 1, "voided order": 0, "cancellation": 1}


def test_an_order_taken_back_within_a_day_is_voided_and_each_line_is_used_once():
    rows, types, steps = cleaned(
        line(1, quantity=80_995),
        line(2, invoice="C1", quantity=-80_995),
        line(3, invoice="C2", quantity=-80_995),
    )
    assert (rows, types, steps["voided order"]) == ([3], ["return"], 2)


@pytest.mark.parametrize(
    "back",
    [
        {"local": datetime(2011, 5, 4, 10)},  # later than 24 hours
        {"user_id": "1"},
        {"item_id": "71053"},
        {"quantity": -5},
    ],
)
def test_another_cancellation_is_a_return(back):
    rows, types, _ = cleaned(line(1), line(2, **{"invoice": "C9", "quantity": -6, **back}))
    assert (rows, types) == ([1, 2], ["order", "return"])


def test_a_cancellation_before_the_order_voids_nothing():
    rows, _, _ = cleaned(line(1, invoice="C1", quantity=-6), line(2))
    assert rows == [1, 2]


def test_every_row_of_the_file_is_accounted_for(shop):
    report = shop.report
    assert report.read == 541_909
    assert report.dropped + report.orders + report.returns == report.read
    assert shop.kept.height + shop.withheld.height == report.orders + report.returns


def test_identical_lines_are_kept(shop):
    lines = shop.kept.drop("event_id")
    assert lines.is_duplicated().sum() > 5_000
    assert shop.kept["event_id"].n_unique() == shop.kept.height


def test_the_last_day_is_the_latest_whole_week_before_today(shop):
    last = moment(shop.withheld["time"].max()).astimezone(ZoneInfo("Europe/London"))
    assert last.date() <= YESTERDAY < last.date() + timedelta(days=7)
    assert last.strftime("%A %H:%M") == "Friday 12:50"


def test_local_time_survives_the_shift_across_summer_time():
    zone = ZoneInfo("Europe/London")
    lines = RetailShop().lines().filter(pl.col("quantity") > 0).head(1)
    for weeks in (0, 727, 760):  # the same clock on the wall, whatever the season
        first = moment(with_times(lines, weeks)["time"][0]).astimezone(zone)
        assert first.strftime("%A %H:%M") == "Wednesday 08:26"


def test_fourteen_days_are_withheld(shop):
    assert shop.kept["time"].max() < shop.opens_at <= shop.withheld["time"].min()
    assert 13 * DAY < shop.withheld["time"].max() - shop.opens_at < 14 * DAY
    opens = moment(shop.opens_at).astimezone(ZoneInfo("Europe/London"))
    assert (opens.hour, opens.minute) == (0, 0)
    assert shop.kept["time"].is_sorted()
    assert shop.withheld["time"].is_sorted()


def test_values_are_whole(shop):
    for lines in (shop.kept, shop.withheld):
        assert lines.drop("user_id").null_count().sum_horizontal()[0] == 0
        assert ((lines["quantity"] > 0) == (lines["event_type"] == "order")).all()
        assert (lines["unit_price"] > 0).all()


def test_items_know_nothing_of_the_future(shop):
    known = shop.kept.filter(pl.col("event_type") == "order")["item_id"].unique()
    unsold = shop.items.filter(~pl.col("item_id").is_in(known.implode()))
    assert unsold["first_sold"].is_null().all()
    arrivals = unsold.filter(~pl.col("item_id").is_in(shop.kept["item_id"].unique().implode()))
    assert 0 < arrivals.height < 20
    assert arrivals["active"].all()
    assert shop.items["item_id"].n_unique() == shop.items.height
    assert (shop.items["item_id"] == shop.items["item_id"].str.to_uppercase()).all()


def test_categories_cover_the_shop(shop):
    assert set(shop.items["category"]) <= set(CATEGORIES)
    assert (shop.items["category"] == OTHER).mean() < 0.01


@pytest.mark.parametrize(
    ("name", "category"),
    [
        ("White Hanging Heart T-Light Holder", "Candles & light"),
        ("Green Glass Tassle Bag Charm", "Jewellery & hair"),
        ("Set of 3 Cake Tins Pantry Design", "Kitchen & table"),
        ("Jumbo Bag Red Retrospot", "Bags & purses"),
        ("Christmas Tree T-Light Holder", "Christmas"),
        ("Gold Cosmetics Bag with Butterfly", "Bags & purses"),
        ("Quantum Flux", OTHER),
    ],
)
def test_the_thing_decides_the_category(name, category):
    assert category_of(name) == category


@pytest.mark.parametrize(
    ("till", "name"),
    [
        ("WHITE HANGING HEART T-LIGHT HOLDER ", "White Hanging Heart T-Light Holder"),
        ("SET OF 3 CAKE  TINS,", "Set of 3 Cake Tins"),
        ("3D DOG PICTURE PLAYING CARDS", "3D Dog Picture Playing Cards"),
        ("CAMOUFLAGE LED TORCH", "Camouflage LED Torch"),
        ("THE KING GIFT BAG", "The King Gift Bag"),
    ],
)
def test_names_are_readable(till, name):
    assert title(till) == name
