"""`shopkeeper recommend USER`"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from shopkeeper.cli.screen import Screen, with_shop

if TYPE_CHECKING:
    from rich.console import Console

    from shopkeeper.client import ShopkeeperClient


@click.command("recommend")
@click.argument("user")
@click.option("-n", "count", default=10, show_default=True, help="How many items, 1 to 100.")
@click.option("--scenario", default="content", show_default=True, help="Where the slate is shown.")
@click.option("--category", "categories", multiple=True, help="Only items of this category; may be repeated.")
@click.option("--basket", "basket", multiple=True, help="An item in the basket; may be repeated. What goes with them.")
@with_shop()
def command(
    shop: ShopkeeperClient,
    screen: Screen,
    user: str,
    count: int,
    scenario: str,
    categories: tuple[str, ...],
    basket: tuple[str, ...],
) -> None:
    """The items to show to USER, best first, each with its reason. A user nobody knows gets what sells."""
    from shopkeeper.core.records import RecFilters

    filters = RecFilters(categories=list(categories)) if categories else None
    if basket:
        slate = shop.basket(basket, count, user_id=user, filters=filters)
    else:
        slate = shop.recommend(user, count, scenario=scenario, filters=filters)

    def draw(console: Console) -> None:
        from rich.markup import escape
        from rich.table import Table

        table = Table("", "item", "name", "score", "why", box=None, header_style="bold")
        for place, item in enumerate(slate.recommendations, 1):
            name = str(item.metadata.get("name", ""))
            table.add_row(str(place), item.item_id, name, f"{item.score:.3f}", item.explanation)
        console.print(table)
        why = f": {escape(slate.explanation)}" if slate.explanation else ""
        degraded = f", degraded{why}" if slate.degraded else ""
        console.print(f"[dim]{slate.model_version}, {slate.latency_ms:.1f} ms{degraded}, answer {slate.request_id}[/]")

    screen.show(slate, draw)
