"""`shopkeeper rewards [tune]`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from shopkeeper.cli.screen import Screen, home_option, json_option, read_settings, with_shop

if TYPE_CHECKING:
    from rich.console import Console

    from shopkeeper.client import ShopkeeperClient
    from shopkeeper.core.learning import TunedRewards


@click.group("rewards", invoke_without_command=True)
@json_option
@home_option
@click.pass_context
def command(ctx: click.Context, as_json: bool, home: Path | None) -> None:
    """What each kind of feedback is worth; without a subcommand the map."""
    if ctx.invoked_subcommand is None:
        from shopkeeper.cli.reach import reach

        with reach(read_settings(home)) as shop:
            found = shop.rewards()
            Screen(as_json=as_json).show(found, lambda console: _draw_map(console, found))


@command.command("tune")
@click.option("--days", default=7, show_default=True, help="Days within which an order counts.")
@click.option("--early-hours", default=24.0, show_default=True, help="Hours from the first signal that count as early.")
@with_shop()
def tune_command(shop: ShopkeeperClient, screen: Screen, days: int, early_hours: float) -> None:
    """What early signals tell of an order, by the shop's own log, beside what the map says. Nothing is changed."""
    found = shop.tuned_rewards(days=days, early_hours=early_hours)
    screen.show(found, lambda console: _draw(console, found))


def _draw_map(console: Console, rewards: dict[str, float | None]) -> None:
    from rich.table import Column, Table

    table = Table("kind", Column("worth", justify="right"), box=None, header_style="bold")
    for kind, worth in rewards.items():
        table.add_row(kind, "by its value" if worth is None else f"{worth:g}")
    console.print(table)


def _draw(console: Console, found: TunedRewards) -> None:
    from rich.table import Column, Table

    console.print(
        f"{found.orders:,} orders within {found.days} days, of {found.pairs:,} pairs of user and item "
        f"({found.base_rate:.1%}); AUC {found.auc:.3f}, of the map {found.table_auc:.3f}"
    )
    right = [Column(name, justify="right") for name in ("pairs", "ordered", "log-odds", "+-", "orders", "map")]
    table = Table("signal", *right, box=None, header_style="bold")
    for one in sorted(found.signals, key=lambda each: -each.weight):
        table.add_row(
            one.kind,
            f"{one.seen:,}",
            f"{one.ordered / one.seen:.1%}",
            f"{one.odds:.2f}",
            f"{1.96 * one.error:.2f}",
            f"{one.weight:.3f}",
            "" if one.table is None else f"{one.table:g}",
        )
    console.print(table)
    console.print("orders: how many one such signal stands for; a purchase is 1")
