"""The page of profiles says what the code does."""

import re
from pathlib import Path

from shopkeeper.core.clock import MINUTE
from shopkeeper.features.history import KEPT
from shopkeeper.features.past import SESSION_GAP
from shopkeeper.profiles.behaviour import STEPPING
from shopkeeper.profiles.churn.bgnbd import BgNbdTrainer
from shopkeeper.profiles.clusters import kmeans
from shopkeeper.profiles.clusters.family import FEWEST_CUSTOMERS
from shopkeeper.profiles.clusters.habits import HABITS
from shopkeeper.profiles.defaults import RULES, SEGMENTS
from shopkeeper.profiles.fields import BEHAVIOUR, STANDARD

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "profiles.md").read_text()
RULE_PAGE = (DOCS / "rules.md").read_text()


def part(heading: str) -> str:
    return PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]


def test_every_field_is_on_its_page() -> None:
    documented = set(re.findall(r"`(\w+)`", part("Fields of behaviour")))
    changing = set(re.findall(r"`(\w+)`", part("When a field changes without an event")))
    names = {field.name for field in BEHAVIOUR}
    assert names <= documented
    assert names == changing
    assert set(STEPPING) <= changing
    listed = set(re.findall(r"`(\w+)`", RULE_PAGE))
    assert {field.name for field in STANDARD} - {"user_id"} <= listed


def test_what_a_shop_begins_with_is_on_the_page_of_rules() -> None:
    begins = RULE_PAGE.split("A shop begins with")[1].split("\n\n")[0]
    assert set(re.findall(r"`(\w+)`", begins)) >= {rule.name for rule in RULES} | {s.name for s in SEGMENTS}


def test_the_numbers_are_those_of_the_code() -> None:
    assert f"{KEPT:,} events" in PAGE
    assert f"more than {SESSION_GAP // MINUTE} minutes" in PAGE
    assert f"`holdout_days` ({BgNbdTrainer.Params().holdout_days};" in PAGE
    assert BgNbdTrainer.Params().first_may_be_last
    assert f"{kmeans.FEWEST} to {kmeans.MOST} with the best silhouette" in part("Clusters")
    assert re.sub(r"\s+", " ", PAGE).count(f"At least {FEWEST_CUSTOMERS} customers") == 1
    for habit in HABITS:
        assert habit.split("_")[0] in part("Clusters"), habit
