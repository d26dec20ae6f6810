"""docs/bandits.md says of exploring in a shop, and of the doors of a bandit, what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from shopkeeper.api import bandit as api
from shopkeeper.api.app import NOUNS
from shopkeeper.recommend.explore.asked import ALIASES, FIELDS, FLOOR, POOL, SHARE
from shopkeeper.recommend.explore.bandit import MOST_POOL, POLICY, bandit
from shopkeeper.settings import Settings

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "bandits.md").read_text(encoding="utf-8")
SHOP = PAGE.split("## In a shop")[1].split("## Doors of a bandit")[0]
DOORS = PAGE.split("## Doors of a bandit")[1]


def test_what_a_scenario_says_stands_there_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \|([^|]*)\|", SHOP, re.M))
    assert tuple(rows) == FIELDS
    defaults = (rows["share"], rows["pool"], rows["floor"])
    assert tuple(map(float, defaults)) == (SHARE, POOL, FLOOR)
    assert f"2 to {MOST_POOL}" in SHOP
    names = " mean ".join(", ".join(f"`{one}`" for one in each) for each in (ALIASES, ALIASES.values()))
    assert names in SHOP
    settings = Settings()
    assert (settings.explore_window_s, settings.explore_keep_days) == (1800, 30)
    assert "half an hour is over (`SHOPKEEPER_EXPLORE_WINDOW_S`)" in SHOP
    assert "30 days, `SHOPKEEPER_EXPLORE_KEEP_DAYS`" in SHOP


def test_every_door_of_a_bandit_is_told_and_no_other() -> None:
    """A cell names doors: a method stands until another is named, several before a path are all meant."""
    told = set()
    for cell in re.findall(r"^\| ((?:[^|`]*`[^`|]+`)+) \| (?:o|p|r|o, r) \|", DOORS, re.M):
        methods: list[str] = []
        ended = True
        for word in " ".join(re.findall(r"`([^`]+)`", cell)).split():
            if word.isupper():
                methods = [word] if ended else [*methods, word]
                ended = False
                continue
            path = word.replace("~", "/api/v1").replace("...", f"{api.PATH}/experiments")
            path = path if path.startswith("/api") else f"{api.PATH}{path}"
            told |= {(method, re.sub(r"{\w+}", "{}", path)) for method in methods}
            ended = True
    doors = {
        (one.method, re.sub(r"{\w+}", "{}", one.path))
        for noun in NOUNS
        for one in noun.all
        if one.path.startswith(api.PATH)
    }
    assert told == doors


def test_forms_and_what_a_bandit_begins_with_are_as_told() -> None:
    begin = re.search(r"^\| `POST ~/bandit/initialize` \| o \| (.*) \|$", DOORS, re.M)
    assert begin is not None
    assert all(f"`{name}`" in begin[1] for name in api.BanditBeginForm.__struct_fields__)
    assert f"none: `{POLICY}`" in begin[1]
    assert f"at most {MOST_POOL}" in begin[1]
    asked = re.search(r"^\| `POST ~/bandit/recommend` \| p \| (.*) \|$", DOORS, re.M)
    assert asked is not None
    assert all(f"`{name}`" in asked[1] for name in api.BanditAskForm.__struct_fields__)
    assert f"`num_recommendations` ({msgspec.structs.fields(api.BanditAskForm)[2].default}," in asked[1]
    made = bandit(10_000, {}, evaluation=False).explore
    assert (made["policy"], made["share"], made["pool"], made["floor"]) == (POLICY, 1.0, MOST_POOL, 0.0)
    assert bandit(10, {}).explore["floor"] == FLOOR
    assert "new" in {one.channel for one in bandit(10, {}).recall}
    assert "new" not in {one.channel for one in bandit(10, {}, cold_start=False).recall}
