"""Every registered algorithm, trained on the small shop of its family's suite, leaves artifacts that hold."""

import pytest

from shopkeeper import plugins
from shopkeeper.checks import artifacts
from shopkeeper.checks.coverage import every_check

NAMES = {check.__name__ for check in artifacts.CHECKS}


@pytest.mark.parametrize(
    "check",
    [c for name in plugins.names("algorithm") for c in every_check("algorithm", name) if c.name in NAMES],
    ids=str,
)
def test_every_registered_algorithm_passes(check):
    check()
