"""Each own part goes through the whole suite of its kind, by the very test that the page gives to its readers."""

from __future__ import annotations

import re
import subprocess
import sys

from own_package import EXAMPLES, ROOT

from shopkeeper.checks import artifacts, features, forecast, sources, tables


def run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def test_own_parts_pass_every_check(environment):
    command = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "addopts=", str(EXAMPLES / "test_own.py")]
    done = run(environment, *command)
    assert done.returncode == 0, done.stdout[-4000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    due = [suite.CHECKS for suite in (forecast, artifacts, features, sources, tables)]
    assert int(passed[1]) == sum(map(len, due))


NAMES = """
from shopkeeper import plugins
from shopkeeper.features.vector import FeatureSet
from shopkeeper.sources.files import endings
assert plugins.describe("weekday_average").available
assert plugins.params_schema(plugins.algorithm("weekday_average").Params)["properties"]["weeks"]["default"] == 8
assert "item_return_share" in FeatureSet().names
assert ".gz" in endings()
"""


def test_they_are_known_wherever_the_built_in_ones_are(environment):
    done = run(environment, "-c", NAMES)
    assert done.returncode == 0, done.stderr


def test_without_the_package_they_are_not_there():
    done = run({}, "-c", NAMES)
    assert "weekday_average" in done.stderr
