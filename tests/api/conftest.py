from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from api_server import KEY, Running, serving

sys.path.insert(0, str(Path(__file__).parents[1] / "operations"))  # small_telecom


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A small shop on a real server, without a key."""
    with serving(tmp_path_factory.mktemp("open")) as running:
        yield running


@pytest.fixture(scope="session")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The same behind a key, with small limits."""
    home: Path = tmp_path_factory.mktemp("locked")
    with serving(home, api_key=KEY, body_limit=2048, batch_body_limit=4096, upload_limit=8192) as running:
        yield running
