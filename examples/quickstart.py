"""The shop from a program: a customer does something, and profile, slate and forecast answer.

Open a shop in another terminal (`make run`), then: python examples/quickstart.py [URL]
"""

from __future__ import annotations

import sys

from shopkeeper.client import ShopkeeperClient
from shopkeeper.core.errors import NotFound, ShopkeeperError
from shopkeeper.core.records import Event

CUSTOMER = "quickstart-anna"


def main(url: str = "http://127.0.0.1:8080") -> None:
    with ShopkeeperClient(url) as shop:
        products = shop.items(active=True, limit=1).items
        if not products:
            raise NotFound("the shop has no products yet; bring some in: shopkeeper import FILE")
        product = products[0]
        price = product.price or 4.5

        stored = shop.send(
            [
                Event(event_type="view", user_id=CUSTOMER, item_id=product.item_id),
                Event(event_type="order", user_id=CUSTOMER, item_id=product.item_id, quantity=2, unit_price=price),
            ]
        )
        print(f"stored {stored.accepted} events: {CUSTOMER} bought 2 x {product.name}")

        profile = shop.profile(CUSTOMER)
        print(f"the profile has moved: {profile['profile']['event_counts']}, segments {profile['segments']}")

        why = shop.explain(CUSTOMER)
        for rule in why.rule_details:
            print(f"  rule {rule.name}: {'matches' if rule.matched else 'does not match'}, because {rule.why}")

        for suggestion in shop.recommend(CUSTOMER, 3, scenario="home").recommendations:
            print(f"suggested: {suggestion.metadata['name']} ({suggestion.explanation})")

        sales = shop.forecast(product.item_id, 7)
        expected = sum(day.mean for day in sales.forecast)
        print(f"{product.name}: {expected:.1f} pieces expected in the next 7 days (model {sales.model})")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:2])
    except ShopkeeperError as error:
        sys.exit(f"quickstart: {error.message}")
