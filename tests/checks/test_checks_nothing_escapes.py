"""Nothing that is registered goes unchecked, and no check is written in vain."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import pytest

from shopkeeper import plugins
from shopkeeper.checks import coverage, recall
from shopkeeper.checks.stores import every_store
from shopkeeper.core.errors import Invalid, NotFound

TESTS = Path(__file__).resolve().parents[1]
ENGINES = ("sqlite",)


def collected() -> list[str]:
    """Node ids of all tests there are, as pytest itself finds them."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "--continue-on-collection-errors"]
    command += ["-p", "no:cacheprovider", "-o", "addopts=", str(TESTS)]
    done = subprocess.run(command, cwd=TESTS.parent, capture_output=True, text=True, check=False)
    return [line for line in done.stdout.splitlines() if "::" in line]


def ids_of(nodes: list[str]) -> set[str]:
    return {node.split("[", 1)[1].rstrip("]") for node in nodes if "[" in node}


def test_every_check_is_run_for_everything_registered():
    nodes = collected()
    run = ids_of(nodes)
    due = [one for noun in coverage.CHECKED for name in plugins.names(noun) for one in coverage.every_name(noun, name)]
    assert len(due) > 500
    assert [one for one in due if one not in run] == []
    assert _unchecked_stores(nodes) == []


def _unchecked_stores(nodes: list[str]) -> list[str]:
    """Stores that no test file speaks of, or that it does not run on every engine."""
    files = {path: path.read_text() for path in (TESTS / "stores").glob("test_*.py")}
    found = []
    for name in every_store():
        about = [f"stores/{path.name}::" for path, text in files.items() if f"{name}(" in text or f": {name}" in text]
        mine = ids_of([node for node in nodes if any(file in node for file in about)])
        found += [f"{name} on {engine}" for engine in ENGINES if not any(engine in each.split("-") for each in mine)]
    return found


def test_every_registered_plugin_has_a_suite():
    assert coverage.unsuited() == []


def test_everything_registered_can_be_loaded_here():
    for noun in plugins.GROUPS:
        assert list(plugins.load_all(noun)) == plugins.names(noun)


@pytest.mark.parametrize("name", coverage.all_suites())
def test_every_check_of_a_suite_is_listed(name):
    suite = coverage.all_suites()[name]
    assert coverage.unlisted(suite) == []
    assert len({check.__name__ for check in suite.CHECKS}) == len(suite.CHECKS)
    assert all(check.__name__ in vars(suite) for check in suite.CHECKS)


# -- the guards themselves


@contextmanager
def registered(site: Path, entry_points: str) -> Iterator[None]:
    """A package's metadata on the path, as an installer leaves it."""
    info = site / "stray-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stray\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entry_points)
    sys.path.insert(0, str(site))
    try:
        yield
    finally:
        sys.path.remove(str(site))


STRAY = """
class Algorithm:
    family = "astrology"

class Family:
    name = "astrology"
"""


def test_a_family_without_a_suite_is_found(tmp_path):
    (tmp_path / "stray_astrology.py").write_text(STRAY)
    lines = "[shopkeeper.algorithms]\nstars = stray_astrology:Algorithm\n"
    lines += "[shopkeeper.families]\nastrology = stray_astrology:Family\n"
    with registered(tmp_path, lines):
        assert coverage.unsuited() == ["algorithm stars", "family astrology"]
        with pytest.raises(NotFound, match="astrology"):
            coverage.every_check("algorithm", "stars")
    assert coverage.unsuited() == []


def test_a_new_algorithm_of_a_known_family_is_due(tmp_path):
    lines = "[shopkeeper.algorithms]\npopularity_again = shopkeeper.recommend.recall.popularity:Popularity\n"
    with registered(tmp_path, lines):
        due = coverage.every_name("algorithm", "popularity_again")
    assert len(due) == len(recall.CHECKS) + len(coverage.artifacts.CHECKS)
    assert set(due).isdisjoint(coverage.every_name("algorithm", "popularity"))


SUITE = """
def listed(trainer) -> None: ...
def forgotten(trainer) -> None: ...
def small_shop() -> int: return 1
CHECKS = (listed,)
"""


def test_a_check_that_no_list_names_is_found(tmp_path):
    (tmp_path / "stray_suite.py").write_text(SUITE)
    with registered(tmp_path, ""):
        assert coverage.unlisted(import_module("stray_suite")) == ["forgotten"]


def test_a_source_of_files_needs_a_writer():
    (check, *_) = coverage.every_check("source", "csv")
    with pytest.raises(Invalid, match="write"):
        check()


def test_job_kinds_have_no_suite():
    with pytest.raises(NotFound, match="algorithm, feature, source, table"):
        coverage.every_check("job kind", "train")
