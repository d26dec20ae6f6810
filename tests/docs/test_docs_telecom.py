"""The page of the telecom shop says what the code does."""

import re
from pathlib import Path

from shopkeeper.operations.telecom import FIRST, LAG_DAYS, USUAL_PACE
from shopkeeper.profiles.defaults import SEGMENTS
from shopkeeper.profiles.telecom_defaults import TELECOM
from shopkeeper.settings import Settings
from shopkeeper.sources.simulator.config import SimConfig
from shopkeeper.sources.simulator.world import CURRENCY, ZONE
from shopkeeper.stores.reseeding import KEPT

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "telecom.md").read_text()


def cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip().strip("|").split("|")]


def test_a_new_shop_is_made_of_what_the_page_says() -> None:
    last = [cells(line)[-1].replace(",", "") for line in PAGE.splitlines() if line.startswith("| ")]
    numbers = [int(cell) for cell in last if cell.isdigit()]
    assert numbers == [
        FIRST.user_count,
        FIRST.product_count,
        FIRST.app_count,
        FIRST.history_days,
        FIRST.avg_events_per_user,
    ]
    usual = SimConfig()
    said = f"({usual.user_count:,} subscribers, {usual.avg_events_per_user} events each, {usual.history_days} days)"
    assert said in PAGE
    assert f"**{ZONE}**" in PAGE
    assert f"**{CURRENCY}**" in PAGE


def test_the_pace_is_that_of_the_setting() -> None:
    assert Settings.model_fields["live_speed"].default == USUAL_PACE
    assert f"`--speed {USUAL_PACE:.0f}`" in PAGE
    assert f"begins {LAG_DAYS} days before" in PAGE


def test_what_it_begins_with_is_on_the_page() -> None:
    rows = [cells(line) for line in PAGE.splitlines() if re.match(r"\| `\w+` \| -?\d\.\d \|", line)]
    assert [(name.strip("`"), float(weight), condition.strip("`")) for name, weight, condition in rows] == [
        (rule.name, rule.weight, rule.condition) for rule in TELECOM.rules
    ]
    for strategy in TELECOM.strategies:
        assert f"`{strategy.name}`" in PAGE
        assert f"`{strategy.condition}`" in PAGE
    for segment in TELECOM.segments:
        assert segment in SEGMENTS or f"`{segment.name}`" in PAGE
    assert TELECOM.otherwise in PAGE.replace("\n", " ")


def test_what_stays_is_what_is_not_replaced() -> None:
    stays = " ".join(PAGE.split("**What stays**")[1].split("**What goes**")[0].split())
    assert all(name.removesuffix("_events").replace("_", " ") in stays for name in KEPT)
