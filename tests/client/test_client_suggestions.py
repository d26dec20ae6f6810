from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shopkeeper.client import ShopkeeperClient
from shopkeeper.core.errors import Invalid, NotFound
from shopkeeper.core.records import Event, RecRequest, RecResponse

if TYPE_CHECKING:
    from api_server import Running


def test_many_slates_come_in_order_with_errors_in_their_places(live: Running) -> None:
    with ShopkeeperClient(live.url) as shop:
        asked = [
            RecRequest(user_id=user, scenario=where) for user, where in (("a", "home"), ("b", "no"), ("c", "home"))
        ]
        first, wrong, last = shop.recommend_many(asked)
        assert isinstance(first, RecResponse)
        assert isinstance(last, RecResponse)
        assert (first.user_id, last.user_id) == ("a", "c")
        assert isinstance(wrong, Invalid)
        assert (wrong.code, wrong.field) == ("unknown_scenario", "scenario")
        with pytest.raises(Invalid):
            shop.recommend_many([])


def test_baskets_and_items_alike(live: Running) -> None:
    with ShopkeeperClient(live.url) as shop:
        slate = shop.basket(["item-0", "item-1"], 2, user_id="user-1")
        assert len(slate.recommendations) == 2
        assert not {item.item_id for item in slate.recommendations} & {"item-0", "item-1"}
        alike = shop.similar("item-0", 3, channel="trending", user_id="user-1")
        assert alike.item_id == "item-0"
        assert "item-0" not in [item.item_id for item in alike.items]
        with pytest.raises(Invalid, match="no channel"):
            shop.similar("item-0", channel="none")


def test_what_is_said_about_an_answer(live: Running) -> None:
    with ShopkeeperClient(live.url) as shop:
        shop.send(Event(event_type="order", user_id="teller", item_id="item-0", quantity=1.0))
        slate = shop.recommend("teller", scenario="search")
        item = slate.recommendations[0].item_id
        shop.accept(slate.request_id, item)
        shop.accept(slate.request_id, item)
        shop.rate(slate.request_id, 4, "good", item_id=item)
        shop.dismiss(slate.request_id)
        told = [event.event_type for event in shop.events(user_id="teller").items]
        assert told.count("accept") == 1
        assert told.count("rating") == 1
        assert told.count("dismiss") == len(slate.recommendations)
        with pytest.raises(NotFound, match="no answer has the id"):
            shop.accept("never")
        with pytest.raises(Invalid):
            shop.rate(slate.request_id, 9)
