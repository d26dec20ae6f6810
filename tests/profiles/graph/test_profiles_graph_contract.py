import sys
from collections.abc import Callable

import pytest

from shopkeeper import plugins
from shopkeeper.checks import graph
from shopkeeper.core.protocols import Trainer

ALGORITHMS = [name for name in plugins.names("algorithm") if plugins.algorithm(name).family == "graph"]


@pytest.mark.parametrize("check", graph.CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_registered_graph_model_passes(name: str, check: Callable[[type[Trainer]], None]) -> None:
    check(plugins.algorithm(name))


def test_the_built_in_one_is_found() -> None:
    assert "hgt" in ALGORITHMS


def test_without_torch_it_is_listed_as_not_available(monkeypatch: pytest.MonkeyPatch) -> None:
    assert plugins.describe("hgt").available
    monkeypatch.setitem(sys.modules, "torch", None)
    found = plugins.describe("hgt")
    assert not found.available
    assert "shopkeeper[deep]" in (found.needs or "")
