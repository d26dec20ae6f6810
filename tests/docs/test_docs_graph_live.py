"""docs/graph-live.md says what the code does: settings, priorities, the sample."""

from __future__ import annotations

import re
from pathlib import Path

from shopkeeper.profiles.graph import loop
from shopkeeper.profiles.graph.drift import Detector
from shopkeeper.profiles.graph.pace import Pace
from shopkeeper.settings import Settings

PAGE = (Path(__file__).parents[2] / "docs" / "graph-live.md").read_text(encoding="utf-8")


def test_settings_stand_there_with_their_defaults() -> None:
    told = dict(re.findall(r"^\| `SHOPKEEPER_(GRAPH_\w+)` \| ([\d.]+) \|", PAGE, re.MULTILINE))
    known = {name.upper(): field for name, field in Settings.model_fields.items() if name.startswith("graph_")}
    assert {name: float(value) for name, value in told.items()} == {
        name: float(field.default) for name, field in known.items()
    }


def test_settings_are_the_defaults_of_what_they_set() -> None:
    asked, pace, detector = Settings(), Pace(), Detector()
    assert (asked.graph_events, asked.graph_top, asked.graph_epsilon) == (pace.events, pace.top, pace.epsilon)
    assert asked.graph_drift_s * 10**6 == detector.every
    assert (asked.graph_drift_events, asked.graph_drift) == (detector.events, detector.most)


def test_numbers_of_the_page() -> None:
    pace = Pace()
    assert f"more than {pace.hub} others read" in PAGE
    assert f".{pace.recency * 10:.0f} recency, .{pace.degree * 10:.0f} degree, .{pace.norm * 10:.0f} length" in PAGE
    assert f"a sample of {Detector().sample} users" in PAGE
    assert f"takes {loop._TURN_S * 1000:.0f} ms" in PAGE
