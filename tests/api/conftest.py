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


@pytest.fixture(scope="session")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A shop with four months of sales in two stores, and a seasonal naive model of each scope."""
    from stock_orders import opened, trained

    with serving(tmp_path_factory.mktemp("stock"), filled=False) as running:
        opened(running.shop)
        for scope in ({"product_id": "tea"}, {"store_id": "S1"}, {"category": "drinks"}, {}):
            mode = {"product_id": "product", "store_id": "store", "category": "category"}
            kind = next((mode[name] for name in scope), "global")
            trained(running, {"training_mode": kind, "model_type": "seasonal_naive", **scope})
        yield running
