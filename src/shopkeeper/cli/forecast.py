"""`shopkeeper forecast ITEM`"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from shopkeeper.cli.screen import Screen, with_shop

if TYPE_CHECKING:
    from rich.console import Console

    from shopkeeper.client import ShopkeeperClient
    from shopkeeper.core.records import Forecast


@click.command("forecast")
@click.argument("item", required=False)
@click.option("--horizon", default=28, show_default=True, help="Days ahead, 1 to 365.")
@click.option(
    "--model", help="Another model, or a version of one: sales_daily_ets, sales_daily/3, sales_daily@previous."
)
@with_shop()
def command(shop: ShopkeeperClient, screen: Screen, item: str | None, horizon: int, model: str | None) -> None:
    """The pieces of ITEM that will be sold on each coming day; of all items together when ITEM is left out."""
    found = shop.total_forecast(horizon) if item is None else shop.forecast(item, horizon, model=model)
    screen.show(found, lambda console: _draw(console, found))


def _draw(console: Console, found: Forecast) -> None:
    from rich.table import Table

    table = Table("day", "expected", "50 %", "95 %", box=None, header_style="bold")
    for point in found.forecast:
        q = point.quantiles
        table.add_row(
            point.ds,
            f"{point.mean:.1f}",
            f"{q['0.25']:.1f} to {q['0.75']:.1f}",
            f"{q['0.025']:.1f} to {q['0.975']:.1f}",
        )
    console.print(table)
    total = sum(point.mean for point in found.forecast)
    console.print(f"in all {total:.0f} pieces in {len(found.forecast)} days")
    naive = "beats the seasonal naive forecast" if found.beats_naive else "does not beat the seasonal naive forecast"
    fallback = f", fallback: {found.fallback}" if found.fallback else ""
    console.print(f"[dim]{found.model} v{found.version}, {naive}{fallback}[/]")
