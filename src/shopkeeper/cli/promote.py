"""`shopkeeper promote MODEL VERSION`"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from shopkeeper.cli.screen import Screen, with_shop

if TYPE_CHECKING:
    from shopkeeper.client import ShopkeeperClient


@click.command("promote")
@click.argument("model")
@click.argument("version")
@click.option("--force", is_flag=True, help="Overrule the gate; this is written down.")
@click.option("--reason", default="", help="Why; kept with the change.")
@click.option("--scope", default="all", show_default=True, help="Part of the shop that the model is for.")
@with_shop()
def command(
    shop: ShopkeeperClient, screen: Screen, model: str, version: str, force: bool, reason: str, scope: str
) -> None:
    """Make VERSION (3, v3 or an alias such as candidate) the champion of MODEL, if the gate lets it."""
    done = shop.promote(model, version, force=force, reason=reason, scope=scope)
    screen.show(
        done,
        lambda console: console.print(f"{model}: champion was {_v(done['old_version'])}, is {_v(done['new_version'])}"),
    )


def _v(version: int | None) -> str:
    return "none" if version is None else f"v{version}"
