"""`shopkeeper explain USER`"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from shopkeeper.cli.screen import Screen, with_shop

if TYPE_CHECKING:
    from rich.console import Console

    from shopkeeper.client import ShopkeeperClient


@click.command("explain")
@click.argument("user")
@click.option("-k", default=5, show_default=True, help="How many reasons on either side, 1 to 20.")
@with_shop()
def command(shop: ShopkeeperClient, screen: Screen, user: str, k: int) -> None:
    """Why USER's profile scores as it does: each rule, whether it matched, and what would change it."""
    found = shop.explain(user, k)

    def draw(console: Console) -> None:
        from rich.table import Table

        console.print(f"[bold]{user}[/]  score {found.final_score:+.3f}  probability {found.probability:.1%}")
        table = Table("rule", "matched", "value", "why", "what would change it", box=None, header_style="bold")
        for rule in found.rule_details:
            matched = "yes" if rule.matched else "no"
            table.add_row(rule.name, matched, f"{rule.value:+.2f}", rule.why, rule.what_would_change or "")
        console.print(table)

    screen.show(found, draw)
