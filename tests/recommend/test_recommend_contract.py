from collections.abc import Callable

import pytest

from shopkeeper import plugins
from shopkeeper.checks import matching, ranking, recall, uploads
from shopkeeper.core.protocols import Trainer


def algorithms(family: str) -> list[str]:
    """Those that train."""
    named = [name for name in plugins.names("algorithm") if plugins.describe(name).task == family]
    return [name for name in named if not getattr(plugins.algorithm(name), "uploads_only", False)]


@pytest.mark.parametrize("check", recall.CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", algorithms("recall"))
def test_every_registered_recall_algorithm_passes(name: str, check: Callable[[type[Trainer]], None]) -> None:
    check(plugins.algorithm(name))


@pytest.mark.parametrize("check", ranking.CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", algorithms("ranking"))
def test_every_registered_ranker_passes(name: str, check: Callable[[type[Trainer]], None]) -> None:
    check(plugins.algorithm(name))


@pytest.mark.parametrize("check", matching.CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", algorithms("matching"))
def test_every_registered_matcher_passes(name: str, check: Callable[[type[Trainer]], None]) -> None:
    check(plugins.algorithm(name))


@pytest.mark.parametrize("check", uploads.CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", ["onnx"])
def test_an_uploaded_graph_passes(name: str, check: Callable[[type[Trainer]], None]) -> None:
    check(plugins.algorithm(name))


def test_the_built_in_ones_are_found() -> None:
    assert {"popularity", "item_knn", "ease"} <= set(algorithms("recall"))
    assert {"xgb", "lgbm"} <= set(algorithms("ranking"))
