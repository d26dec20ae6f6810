"""docs/refresh.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from shopkeeper.api import operations as operations_api
from shopkeeper.api.app import NOUNS
from shopkeeper.api.refresh import HgtForm
from shopkeeper.api.stream import KEEP_ALIVE_S
from shopkeeper.operations import channels, controller, snapshots
from shopkeeper.operations.refreshing import SAMPLE_RATIO, RefreshOrder

PAGE = (Path(__file__).parents[2] / "docs" / "refresh.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def rows(title: str) -> list[list[str]]:
    lines = [line for line in section(title).splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def bounds(field: dict[str, Any]) -> str:
    """As the page writes them."""
    found = next((one for one in field.get("anyOf", [field]) if one.get("type") != "null"), field)
    if "enum" in found:
        return ", ".join(found["enum"])
    if found.get("type") == "boolean":
        return ""
    low = f"above {found['exclusiveMinimum']:g}" if "exclusiveMinimum" in found else f"{found['minimum']:,}"
    if "exclusiveMaximum" in found:
        return f"{low} to below {found['exclusiveMaximum']:g}"
    return f"{low} to {found['maximum']:,}" if "maximum" in found else low


@pytest.mark.parametrize(("title", "form"), [("Form", RefreshOrder), ("Training the model alone", HgtForm)])
def test_every_field_is_listed_with_its_bounds_and_default(title: str, form: type) -> None:
    fields = msgspec.json.schema(form)["$defs"][form.__name__]["properties"]
    listed = {row[0].strip("`"): row[1:3] for row in rows(title)}
    assert list(listed) == list(fields)
    for name, (default, said) in listed.items():
        if name == "metis_partition_id":
            assert said == "below `metis_num_parts`"
            continue
        wanted = bounds(fields[name]).replace("0.0", "0").replace("1.0", "1")
        assert sorted(said.split(", ")) == sorted(wanted.split(", ")), name
        told = fields[name].get("default")
        if told is not None:
            assert default.lower() == (f"{told:g}" if type(told) in (int, float) else str(told).lower()), name
    assert f"{SAMPLE_RATIO} where sampled" in section("Form")


def test_channels_and_events_are_all_named() -> None:
    told = section("Looking and switching")
    assert all(f"`{name}`" in told for name in channels.CHANNELS)
    events = channels.Told.__doc__ or ""
    for name in re.findall(r"start|epoch|stage|sampling_start|sampling_complete|complete|failed", events):
        assert f"`{name}`" in told, name
    assert f"newest {channels._KEEP:,} messages" in told
    assert f"every {KEEP_ALIVE_S:g} s" in told
    assert f"last {controller._SHOWN} of {controller._KEPT} deeds" in told
    assert f"last {snapshots._EPOCHS} epochs" in told


def test_the_doors_are_there() -> None:
    served = {f"{door.method} {door.path}" for noun in NOUNS for door in noun.all}
    named = re.findall(r"`((?:GET|POST) /[^`?]+)`", PAGE)
    assert len(named) >= 9
    assert [door for door in named if door not in served] == []
    stops = [door.replace("/start", "/stop") for door in named if door.endswith("/start")]
    assert set(stops) <= served


def test_metrics_have_a_place_for_every_channel() -> None:
    assert set(channels.CHANNELS) < set(operations_api.OperationsMetrics.__struct_fields__)
