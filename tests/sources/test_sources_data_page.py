"""docs/data.md says what the code does."""

import re
from importlib.resources import files
from pathlib import Path

import pytest

from shopkeeper.core.clock import HOUR, MINUTE
from shopkeeper.settings import Settings
from shopkeeper.sources.kinds import KINDS, table
from shopkeeper.sources.retail import RetailData, RetailShop
from shopkeeper.sources.stock_simulation import LEAD_DAYS, REVIEW_DAYS, RUN_DAYS, WINDOW_DAYS, Z

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "data.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def shop() -> RetailData:
    return RetailShop().load()


def part(name: str) -> str:
    found = re.search(rf"<!-- {name}:.*?-->\n(.*?)\n<!-- /{name} -->", PAGE, re.S)
    assert found, f"docs/data.md has no part {name}"
    return found.group(1)


def said(number: int) -> bool:
    return re.search(rf"(?<![\d,]){number:,}(?![\d,])", PAGE) is not None


def test_the_cleaning_table_is_a_run_of_the_rules(shop):
    assert part("cleaning") == shop.report.table()


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_every_field_of_every_kind_is_explained(kind):
    assert part(kind.name) == table(kind)


def test_the_figures_in_the_text_are_true(shop):
    lines = RetailShop().lines()
    figures = [
        lines.height, lines["user_id"].n_unique() - 1, lines["user_id"].null_count(), lines["item_id"].n_unique(),
        shop.kept.height, shop.withheld.height, shop.items.height, int(shop.items["active"].sum()),
    ]  # fmt: skip
    assert [number for number in figures if not said(number)] == []
    both = shop.kept.vstack(shop.withheld).drop("event_id")
    assert said(both.height - both.unique().height)
    assert f"{(shop.items['category'] == 'Other').sum()} of {shop.items.height:,} products" in " ".join(PAGE.split())


def test_the_hours_of_the_live_days_leave_out_closed_ones(shop):
    gap_us, speed = 30 * MINUTE, Settings.model_fields["live_speed"].default
    gaps = shop.withheld["time"].unique().sort().diff().drop_nulls()
    hours = sum(gap if gap <= gap_us else MINUTE for gap in gaps) / HOUR / speed
    text = " ".join(PAGE.split())
    assert f"about {hours:.1f} hours at speed {speed:g}" in text
    assert "longer than 30 minutes without an order" in text


def test_the_stock_policy_is_the_one_that_runs():
    assert f"S = d * ({LEAD_DAYS} + {REVIEW_DAYS}) + {Z} * sigma * sqrt({LEAD_DAYS} + {REVIEW_DAYS})" in PAGE
    assert f"{RUN_DAYS} days before the opening" in PAGE
    assert f"over the {WINDOW_DAYS} days before" in PAGE


def test_citation_and_licence_are_where_the_data_is():
    notice = (files("shopkeeper.sources") / "data" / "LICENSE.md").read_text(encoding="utf-8")
    for text in (PAGE, notice):
        assert "Chen, D. (2015)" in text
        assert "10.24432/C5BW33" in text
        assert "CC BY 4.0" in text
