"""The first half of docs/people.md against the code: doors, answers, codes of refusals, the metric."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from shopkeeper.api.app import NOUNS
from shopkeeper.core.records import Identified
from shopkeeper.telemetry import metrics

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "people.md").read_text().split("## Consent")[0]


def test_the_answer_is_shown_as_it_is() -> None:
    shown = re.search(r"```json\n(.*?)\n```", PAGE, re.S)
    assert shown is not None
    answer = msgspec.json.decode(shown.group(1), type=Identified)
    assert msgspec.json.decode(shown.group(1)) == msgspec.to_builtins(answer)


def test_every_door_that_is_called_exists() -> None:
    doors = {(door.method, re.sub(r"\{\w+\}", "ID", door.path)) for noun in NOUNS for door in noun.all}
    called = re.findall(r"curl (?:-X (\w+) )?localhost:8080(\S+)", PAGE)
    called += re.findall(r"`(GET) ~(/\S+)`", PAGE)
    assert len(called) >= 5
    for method, path in called:
        whole = path if path.startswith("/api") else f"/api/v1{path}"
        assert (method or "GET", re.sub(r"/\d+$", "/ID", whole)) in doors


def test_refusals_have_the_codes_that_the_page_names() -> None:
    source = "".join((ROOT / "src/shopkeeper/stores" / name).read_text() for name in ("identities.py", "users.py"))
    codes = re.findall(r"\(4\d\d,\s*`(\w+)`\)", PAGE)
    assert len(codes) == 5
    for code in codes:
        assert f'code="{code}"' in source


def test_the_metric_is_counted_under_that_name() -> None:
    assert "`accumulator_out_of_date`" in PAGE
    assert b"accumulator_out_of_date" in metrics.exposition()
