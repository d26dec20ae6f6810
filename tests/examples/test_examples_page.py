"""CONTRIBUTING.md shows the files of `examples/` as they are, and names what exists."""

import re
import tomllib

import pytest
from click.testing import CliRunner
from own_package import EXAMPLES, PAGE, ROOT, entry_points_of_the_page

from shopkeeper import plugins
from shopkeeper.cli.main import shopkeeper

SHOWN = dict(re.findall(r"^\[`examples/(\S+)`\]\(\S+\):\n\n```python\n(.*?)^```", PAGE, re.M | re.S))


@pytest.mark.parametrize("name", ["own_algorithm.py", "own_feature.py", "own_source.py", "own_table.py", "test_own.py"])
def test_the_page_shows_the_file(name):
    assert SHOWN[name] == (EXAMPLES / name).read_text()


def test_the_page_shows_no_other_code():
    assert PAGE.count("```python") == len(SHOWN)


def test_the_package_registers_what_the_page_says():
    package = tomllib.loads((EXAMPLES / "pyproject.toml").read_text())
    assert package["project"]["entry-points"] == entry_points_of_the_page()
    assert sorted(package["tool"]["setuptools"]["py-modules"]) == sorted(p.stem for p in EXAMPLES.glob("own_*.py"))
    assert set(entry_points_of_the_page()) <= set(plugins.GROUPS.values())


def test_the_page_has_every_family():
    rows = re.findall(r"^\| `(\w+)` \|.*\[\1\.py\]", PAGE, re.M)
    assert sorted(rows) == plugins.names("family")


def test_the_commands_of_the_page_exist():
    for name in re.findall(r"^make ([a-z-]+)", PAGE, re.M):
        assert re.search(rf"^{name}:", (ROOT / "Makefile").read_text(), re.M), name
    for name in re.findall(r"^shopkeeper ([a-z]+)", PAGE, re.M):
        assert CliRunner().invoke(shopkeeper, [name, "--help"]).exit_code == 0, name
