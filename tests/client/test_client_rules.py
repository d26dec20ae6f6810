"""Rules by the client: versions, previews, imports, suggestions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shopkeeper.client import ShopkeeperClient
from shopkeeper.core.errors import Invalid, NotFound

if TYPE_CHECKING:
    from api_server import Running


def test_rules_by_the_client(live: Running) -> None:
    with ShopkeeperClient(live.url) as shop:
        made = shop.create_rule("a / rule".replace("/", "?"), "orders >= 3", weight=0.5, action="call")
        assert shop.rule(made.name) == made
        changed = shop.update_rule(made.name, condition="spend > 1")
        assert shop.rule(made.name, 1).condition == "orders >= 3"
        assert [one.version for one in shop.rule_versions(made.name).items] == [2, 1]
        assert (changed.version, shop.revert_rule(made.name, 1).version) == (2, 3)
        assert made.name in {one.name for one in shop.rules()}
        assert shop.suggestions("user-1") == ["call"]
        told = shop.preview_rule("orders >= 3", weight=0.5, name=made.name)
        assert (told["matches"], told["score_shift"]["mean"]) == (3, 0)
        assert shop.preview_segment("orders < 3")["matches"] == told["total"] - 3
        shop.delete_rule(made.name)
        with pytest.raises(NotFound):
            shop.rule(made.name)
        with pytest.raises(Invalid, match="at 1: unknown field"):
            shop.preview_rule("ordrs > 1")
        done = shop.import_rules(
            [{"name": "all", "condition": {"type": "matchAllCondition"}}, {"name": "none", "condition": {}}]
        )
        assert [one["name"] for one in done["created"]] == ["all"]
        assert [one["index"] for one in done["rejected"]] == [1]
        shop.delete_rule("all")
        assert "orders" in {one["name"] for one in shop.rule_fields()}
        assert "read again" in shop.refresh_rules()
