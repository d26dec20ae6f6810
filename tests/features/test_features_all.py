"""Every registered feature is put through every check."""

from __future__ import annotations

import re
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from shopkeeper.checks.features import CHECKS
from shopkeeper.features.registry import feature, registered


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", sorted(registered()))
def test_feature(name, check):
    check(feature(name))


def test_every_feature_bears_the_name_it_is_registered_by():
    assert {name: each.name for name, each in registered().items()} == {name: name for name in registered()}


def test_no_entry_point_escapes():
    assert set(registered()) == {point.name for point in entry_points(group="shopkeeper.features")}
    assert len(registered()) >= 25


def test_the_docs_list_every_feature_as_it_is():
    page = (Path(__file__).resolve().parents[2] / "docs" / "features.md").read_text()
    told = re.findall(r"^\| `(\w+)` \| (\w+) \| (\w+) \| (.+?) \| (\S+) \| (.+) \|$", page, re.M)
    assert told == [(f.name, f.group, f.of, f.unit, f"{f.default:g}", f.help) for f in registered().values()]
