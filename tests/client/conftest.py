from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from api_server import Running

sys.path.insert(0, str(Path(__file__).parents[1] / "api"))


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The API tests' small shop on a real server."""
    from api_server import serving

    with serving(tmp_path_factory.mktemp("client")) as running:
        yield running
