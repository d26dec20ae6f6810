"""docs/graph-use.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from shopkeeper.profiles.graph.answers import Embedding
from shopkeeper.recommend.candidates import COLUMNS
from shopkeeper.recommend.channels import GRAPH
from shopkeeper.recommend.scenarios import BUILT_IN

PAGE = (Path(__file__).parents[2] / "docs" / "graph-use.md").read_text(encoding="utf-8")


def test_quotas_are_those_of_the_scenarios() -> None:
    told = re.findall(r"^\| `(\w+)` \| (\d+) \| ([\d.]+) \|$", PAGE, re.MULTILINE)
    assert told == [
        (scenario.name, str(quota.quota), f"{quota.weight:g}")
        for scenario in sorted(BUILT_IN.values(), key=lambda one: one.name)
        for quota in scenario.recall
        if quota.channel == GRAPH
    ]
    without = {name for name, one in BUILT_IN.items() if GRAPH not in {quota.channel for quota in one.recall}}
    assert all(f"`{name}`" in PAGE for name in without)


def test_the_ranker_has_no_column_of_the_graph() -> None:
    assert f"recall_{GRAPH}" not in COLUMNS
    assert "recall_fused" in COLUMNS


def test_what_a_profile_says_of_its_vector() -> None:
    assert {"version", "as_of", "pending"} <= set(Embedding.__struct_fields__)
    assert "`{space, version, as_of, pending}`" in PAGE
