"""`shopkeeper traffic MODEL [VERSION=WEIGHT ...]`"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from shopkeeper.cli.screen import Screen, with_shop

if TYPE_CHECKING:
    from rich.console import Console

    from shopkeeper.client import ShopkeeperClient


@click.command("traffic")
@click.argument("model")
@click.argument("shares", nargs=-1, metavar="[VERSION=WEIGHT]...")
@click.option(
    "--mode",
    type=click.Choice(["sticky", "random", "ensemble"]),
    default="sticky",
    show_default=True,
    help="sticky: one person, one version; random: drawn for each request; ensemble: the mean of all.",
)
@click.option("--no-rollback", is_flag=True, help="Leave a variant in, however it does.")
@click.option("--shadow", type=int, help="Ask this version too, without telling what it says; 0 ends it.")
@click.option(
    "--share",
    type=click.FloatRange(0, 1, min_open=True),
    default=1.0,
    show_default=True,
    help="With --shadow: the share of the requests that it is asked.",
)
@click.option("--scope", default="all", show_default=True, help="Part of the shop that the model is for.")
@with_shop()
def command(
    shop: ShopkeeperClient,
    screen: Screen,
    model: str,
    shares: tuple[str, ...],
    mode: str,
    no_rollback: bool,
    shadow: int | None,
    share: float,
    scope: str,
) -> None:
    """Who answers MODEL's requests; with shares, such as v1=95 v2=5, share them among versions from now on.

    One version alone (v1=1) ends the split. A release step by step and a stack: docs/traffic.md.
    """
    from shopkeeper.core.errors import NotFound

    if shares:
        weights = dict(map(_share, shares))
        shop.set_traffic(model, weights, mode=mode, auto_rollback=not no_rollback, scope=scope)
    if shadow == 0:
        shop.end_shadow(model, scope=scope)
    elif shadow is not None:
        shop.set_shadow(model, shadow, share, scope=scope)
    told = shop.traffic(model, scope=scope)
    try:
        told["shadow"] = shop.shadow(model, scope=scope)
    except NotFound:
        told["shadow"] = None
    screen.show(told, lambda console: _draw(console, model, told))


def _share(text: str) -> tuple[int, float]:
    """`v2=5` or `2=5`."""
    version, equals, weight = text.partition("=")
    number = version.removeprefix("v")
    try:
        if not equals or not number.isdigit():
            raise ValueError
        return int(number), float(weight)
    except ValueError:
        raise click.BadParameter(f"{text!r} is not VERSION=WEIGHT, such as v2=5", param_hint="shares") from None


def _draw(console: Console, model: str, told: dict[str, Any]) -> None:
    from rich.table import Table

    if not told["variants"]:
        console.print(f"{model} has no champion: nothing answers")
        return
    table = Table("version", "share", "answered", box=None, header_style="bold")
    for one in told["variants"]:
        table.add_row(f"v{one['version']}", f"{one['weight']:.1%}", str(one["served"]))
    console.print(table)
    rollback = "a variant that does worse is taken out" if told["auto_rollback"] else "no automatic rollback"
    if len(told["variants"]) > 1:
        console.print(f"[dim]{told['mode']}{', stacked' if told['stack'] else ''}; {rollback}[/]")
    if (shadow := told["shadow"]) is not None:
        agreement = "nothing yet" if shadow["agreement"] is None else f"{shadow['agreement']:.1%} of rows agree"
        console.print(f"shadow v{shadow['version']}: {shadow['requests']} requests, {agreement}")
