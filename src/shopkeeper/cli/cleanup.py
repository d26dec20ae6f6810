"""`shopkeeper cleanup`"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from shopkeeper.cli.screen import Screen, with_shop

if TYPE_CHECKING:
    from rich.console import Console

    from shopkeeper.client import ShopkeeperClient


@click.command("cleanup")
@click.option("--apply", is_flag=True, help="Remove it; without this the command only looks.")
@click.option(
    "--only",
    "policies",
    multiple=True,
    type=click.Choice(["versions", "jobs", "strays", "rejects"]),
    help="One of the rules; may be repeated. Else all.",
)
@with_shop()
def command(shop: ShopkeeperClient, screen: Screen, apply: bool, policies: tuple[str, ...]) -> None:
    """Show what the shop need not keep (docs/registry.md), and remove it with --apply."""
    from shopkeeper.cli.watch import watch

    job = watch(shop, screen, shop.cleanup(policies, dry_run=not apply), "cleaning up")
    told: dict[str, Any] = job.result or {}
    screen.show(told, lambda console: _draw(console, told))


def _draw(console: Console, told: dict[str, Any]) -> None:
    from rich.table import Table

    table = Table("kind", "what", "bytes", box=None, header_style="bold")
    for one in told["removed"]:
        table.add_row(one["kind"], one["id"], f"{one['bytes']:,}")
    if told["removed"]:
        console.print(table)
    for one in told["kept"]:
        console.print(f"[dim]kept {one['id']}: {one['reason']}[/]")
    verb = "could be freed; remove it: shopkeeper cleanup --apply" if told["dry_run"] else "freed"
    console.print(f"{told['bytes_freed']:,} bytes {verb}" if told["removed"] else "nothing to remove")
