"""`shopkeeper operations`"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from shopkeeper.cli.screen import Screen, with_shop

if TYPE_CHECKING:
    from rich.console import Console

    from shopkeeper.client import ShopkeeperClient


@click.command("operations")
@click.argument("what", type=click.Choice(["ingestion", "incremental"]), required=False)
@click.argument("action", type=click.Choice(["start", "stop"]), required=False)
@with_shop()
def command(shop: ShopkeeperClient, screen: Screen, what: str | None, action: str | None) -> None:
    """What runs by itself in a live shop, and what was done last; or start and stop a part of it.

    `ingestion` is the shop's own live source, `incremental` what keeps vectors up to date event by event.
    """
    if what is not None and action is None:
        raise click.UsageError(f"say what to do with {what}: start or stop")
    if what is not None:
        message = getattr(shop, f"{action}_{what}")()
        screen.show({"message": message}, lambda console: console.print(message))
        return
    status, metrics = shop.operations_status(), shop.operations_metrics()
    told = {**status, **{name: metrics[name] for name in ("refresh", "fusion_training", "hgt_training")}}
    screen.show(told, lambda console: _draw(console, told))


def _draw(console: Console, told: dict[str, Any]) -> None:
    for name in ("ingestion", "incremental_loop"):
        console.print(f"{name:<18} {'running' if told[name]['running'] else 'stopped'}")
    for name in ("refresh", "hgt_training", "fusion_training"):
        channel = told[name]
        console.print(f"{name:<18} {channel['state']}  [dim]{channel.get('stage') or ''}[/]", soft_wrap=True)
    console.print()
    for deed in told["history"]:
        more = " ".join(str(value) for value in deed["payload"].values())
        console.print(f"{deed['timestamp'][:19]}  {deed['type']:<24} [dim]{more}[/]", soft_wrap=True)
