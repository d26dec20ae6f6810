from collections.abc import Callable

import pytest

from shopkeeper import plugins
from shopkeeper.checks.forecast import CHECKS
from shopkeeper.core.protocols import Trainer

FORECASTERS = [name for name in plugins.names("algorithm") if plugins.describe(name).task == "forecast"]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", FORECASTERS)
def test_every_registered_forecaster_passes(name: str, check: Callable[[type[Trainer]], None]) -> None:
    check(plugins.algorithm(name))


def test_the_built_in_forecasters_are_found() -> None:
    assert {"seasonal_naive", "theta", "croston", "tsb", "autoets", "lightgbm", "auto"} <= set(FORECASTERS)
