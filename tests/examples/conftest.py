from __future__ import annotations

import os

import pytest
from own_package import EXAMPLES, install


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Of a process in which the page was followed: its entry points are registered beside the built-in ones."""
    site = tmp_path_factory.mktemp("site")
    install(site)
    return os.environ | {"PYTHONPATH": os.pathsep.join((str(site), str(EXAMPLES)))}
