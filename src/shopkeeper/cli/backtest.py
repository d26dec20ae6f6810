"""`shopkeeper backtest`"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from shopkeeper.cli.screen import Screen, with_shop

if TYPE_CHECKING:
    from rich.console import Console

    from shopkeeper.client import ShopkeeperClient

_SHOWN = {"wape": "WAPE", "pinball": "pinball", "mase": "MASE", "smape": "SMAPE", "bias": "bias", "coverage_80": "80 %"}


@click.command("backtest")
@click.option(
    "--models",
    default="seasonal_naive,autoets,lightgbm",
    show_default=True,
    metavar="NAME,NAME",
    help="Algorithms, 1 to 10.",
)
@click.option("--scope", default="all", show_default=True, help="all, store:ID, category:NAME or product:ID.")
@click.option("--windows", default=4, show_default=True, help="Cutoffs, 1 to 20.")
@click.option("--horizon", default=28, show_default=True, help="Days ahead, 1 to 365.")
@click.option("--step", type=int, help="Days between cutoffs; else the horizon, a day more if whole weeks.")
@click.option("--refit", is_flag=True, help="Train anew at each cutoff.")
@with_shop()
def command(
    shop: ShopkeeperClient,
    screen: Screen,
    models: str,
    scope: str,
    windows: int,
    horizon: int,
    step: int | None,
    refit: bool,
) -> None:
    """How right forecasts would have been: every algorithm trained on the past of the same days."""
    from shopkeeper.cli.watch import watch

    names = [name.strip() for name in models.split(",") if name.strip()]
    job = shop.backtest(names, scope=scope, windows=windows, horizon=horizon, step=step, refit=refit)
    job = watch(shop, screen, job, f"backtest of {scope}")
    result = job.result or {}
    screen.show(result, lambda console: _draw(console, result))


def _draw(console: Console, result: dict[str, Any]) -> None:
    from rich.markup import escape
    from rich.table import Column, Table

    right = [Column(title, justify="right") for title in (*_SHOWN.values(), "seconds")]
    table = Table("algorithm", *right, box=None, header_style="bold")
    for name, one in result["models"].items():
        cells = [one.get("metrics", {}).get(measure) for measure in _SHOWN]
        table.add_row(name, *("" if value is None else f"{value:.3f}" for value in cells), f"{one['seconds']:.1f}")
    console.print(table)
    for one in result["models"].values():
        if "error" in one:
            console.print(f"[red]{escape(one['error'])}[/]")
    days = result["cutoffs"]
    console.print(f"[dim]{len(days)} cutoffs from {days[0]} to {days[-1]}, {result['horizon']} days each[/]")
