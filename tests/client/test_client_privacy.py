from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from shopkeeper.client import ShopkeeperClient
from shopkeeper.core.errors import Invalid, NotFound, Refused
from shopkeeper.core.records import Event

if TYPE_CHECKING:
    from api_server import Running


def test_consent_profile_and_preferences(live: Running) -> None:
    with ShopkeeperClient(live.url) as shop:
        with pytest.raises(NotFound):
            shop.consent("cleo")
        assert (
            shop.change_profile("cleo", features={"city": "Ulm"}, preferences={"color": "red"})
            == "the user was created"
        )
        assert shop.consent("cleo").profiling
        shop.opt_out("cleo")
        assert not shop.consent("cleo").personalization
        with pytest.raises(Refused, match="does not agree to profiling"):
            shop.explain("cleo")
        shop.opt_in("cleo")
        assert shop.set_consent("cleo", marketing=False).marketing is False
        with pytest.raises(Invalid):
            shop.set_consent("cleo", marketing="no")  # type: ignore[arg-type]
        assert shop.user_profile("cleo").preferences["stated"] == {"color": "red"}
        assert shop.set_preferences("cleo", {"color": None, "size": "M"}) == {"user_id": "cleo", "size": "M"}
        shop.reset_preferences("cleo")
        assert shop.preferences("cleo") == {"user_id": "cleo"}


@pytest.mark.timeout(120)
def test_ones_data_is_counted_exported_and_erased(live: Running, tmp_path: Path) -> None:
    with ShopkeeperClient(live.url) as shop:
        shop.send([Event(event_type="view", user_id="dora", item_id="item-1")])
        assert shop.data_usage("dora")["categories"]["events"] == 1
        file = tmp_path / "dora.json"
        assert shop.export_user("dora", file) == file.stat().st_size
        assert [one["event_type"] for one in json.loads(file.read_bytes())["events"]] == ["view"]
        job = shop.wait(shop.erase_user("dora").job_id)
        assert job.status == "done"
        with pytest.raises(NotFound):
            shop.data_usage("dora")
