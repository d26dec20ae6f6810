"""Versions as files, through the client."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shopkeeper.client import ShopkeeperClient
from shopkeeper.core.errors import Conflict, Invalid, NotFound


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShopkeeperClient]:
    import wiretoys

    with wiretoys.served(tmp_path_factory.mktemp("archives")) as running, ShopkeeperClient(running.url) as client:
        yield client


def test_out_in_and_gone(shop: ShopkeeperClient, tmp_path: Path) -> None:
    file = tmp_path / "one.tar.gz"
    assert shop.export_version("xgb", "champion", file) == file.stat().st_size
    made = shop.import_version("there", file, scope="store:7")
    assert (made.model, made.scope, made.version) == ("there", "store:7", 1)
    with pytest.raises(Conflict, match="exactly these files"):
        shop.import_version("there", file, scope="store:7")
    with pytest.raises(Conflict, match="candidate"):
        shop.delete_version("there", 1, scope="store:7")
    shop.delete_model("there", scope="store:7")
    with pytest.raises(NotFound):
        shop.version("there", 1, scope="store:7")
    assert [path.name for path in tmp_path.iterdir()] == ["one.tar.gz"]


def test_a_download_that_fails_leaves_no_file(shop: ShopkeeperClient, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        shop.export_version("xgb", 99, tmp_path / "none.tar.gz")
    with pytest.raises(Invalid, match="older form"):
        shop.export_version("xgb", 1, tmp_path / "none.tar.gz", format="legacy")
    assert list(tmp_path.iterdir()) == []


def test_live_registry_and_cleanup(shop: ShopkeeperClient, tmp_path: Path) -> None:
    assert shop.live("xgb")["variants"] == [{"version": 1, "weight": 1.0}]
    with pytest.raises(NotFound):
        shop.live("xgb", datetime.now(UTC) - timedelta(days=1))
    assert shop.registry()["total_count"] > 1
    assert shop.registry_entry("xgb")["current_version"] == "1"
    assert shop.registry_check()["errors"] == []
    assert shop.registry_totals()["total_versions"] > 1
    done = shop.wait(shop.cleanup(["strays", "jobs"]).job_id)
    assert done.result == {"dry_run": True, "removed": [], "bytes_freed": 0, "kept": []}
    shop.export_version("xgb", 2, tmp_path / "two.tar.gz")
    assert shop.upload_model("again", tmp_path / "two.tar.gz")["version"]["model"] == "again"
    with pytest.raises(Invalid, match="object store"):
        shop.deploy("again", "ftp://x")
    with pytest.raises(Invalid):
        shop.upload_version("xgb", 1)
