"""`shopkeeper simulate [--set NAME=NUMBER ...] [--regenerate]`"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from shopkeeper.cli.pairs import pairs
from shopkeeper.cli.screen import Screen, with_shop

if TYPE_CHECKING:
    from rich.console import Console

    from shopkeeper.client import ShopkeeperClient


@click.command("simulate")
@click.option("--set", "changes", multiple=True, metavar="NAME=NUMBER", help="Change a number; may be repeated.")
@click.option("--regenerate", is_flag=True, help="Throw the shop's data away and simulate other.")
@click.option("--seed", type=click.IntRange(0), help="With --regenerate: another seed, another world.")
@click.option("--yes", is_flag=True, help="Do not ask before the data is thrown away.")
@with_shop()
def command(
    shop: ShopkeeperClient, screen: Screen, changes: tuple[str, ...], regenerate: bool, seed: int | None, yes: bool
) -> None:
    """What a simulated shop (up --shop telecom) is made of, and making it anew (docs/telecom.md)."""
    if regenerate and screen.as_json and not yes:
        raise click.UsageError("--json asks nothing: give --yes too when the shop's data may be thrown away")
    if seed is not None and not regenerate:
        raise click.UsageError("--seed says how to make the shop anew: give --regenerate too")
    config = shop.simulation()
    if changes:
        config = shop.configure_simulation(config | pairs(changes, "--set"))["config"]
    if not regenerate:
        screen.show(config, lambda console: _draw(console, config))
        return
    if not yes:
        click.confirm("All events, people and models of this shop will be thrown away. Go on?", abort=True)
    from shopkeeper.cli.watch import watch

    told: dict[str, Any] = watch(shop, screen, shop.regenerate(seed=seed), "simulating").result or {}
    screen.show(told, lambda console: _draw_made(console, told))


def _draw(console: Console, config: dict[str, int]) -> None:
    from rich.table import Table

    table = Table("number", "is", box=None, header_style="bold")
    for name, value in config.items():
        table.add_row(name, f"{value:,}")
    console.print(table)


def _draw_made(console: Console, told: dict[str, Any]) -> None:
    counts = ", ".join(f"{told[name]:,} {name}" for name in ("users", "items", "events"))
    console.print(f"{told['message']}: {counts}, seed {told['seed']}")
