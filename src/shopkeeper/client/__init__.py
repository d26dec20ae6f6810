"""The typed HTTP client. Console, command line, examples and your own code speak to a shop through it.

    with ShopkeeperClient("http://127.0.0.1:8080") as shop:
        shop.send([Event(event_type="view", user_id="17850", item_id="85123A")])
        for item in shop.recommend("17850", n=5).recommendations:
            print(item.item_id, item.explanation)

Answers are the records of `shopkeeper.core`. Errors are its error tree: what the server refuses with 404 is raised here
as NotFound, with the server's message and code. Only what is safe to repeat is repeated.
"""

from shopkeeper.client.doors import ShopkeeperClient
from shopkeeper.client.suggestions import Similar
from shopkeeper.client.wire import Page

__all__ = ["Page", "ShopkeeperClient", "Similar"]
