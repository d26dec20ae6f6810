"""`shopkeeper rollback MODEL`"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from shopkeeper.cli.screen import Screen, with_shop

if TYPE_CHECKING:
    from shopkeeper.client import ShopkeeperClient


@click.command("rollback")
@click.argument("model")
@click.option("--to", default="previous", show_default=True, help="Another version than the previous champion.")
@click.option("--reason", default="", help="Why; kept with the change.")
@click.option("--scope", default="all", show_default=True, help="Part of the shop that the model is for.")
@with_shop()
def command(shop: ShopkeeperClient, screen: Screen, model: str, to: str, reason: str, scope: str) -> None:
    """Make the version that served before the champion of MODEL again."""
    done = shop.rollback(model, to, reason=reason, scope=scope)
    text = f"{model}: champion was v{done['old_version']}, is v{done['new_version']} again"
    screen.show(done, lambda console: console.print(text))
