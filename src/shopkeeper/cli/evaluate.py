"""`shopkeeper evaluate MODEL VERSION`"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from shopkeeper.cli.screen import Screen, with_shop

if TYPE_CHECKING:
    from rich.console import Console

    from shopkeeper.client import ShopkeeperClient

_GATE_SAYS_NO = 1


@click.command("evaluate")
@click.argument("model")
@click.argument("version", required=False)
@click.option("--version", "named", metavar="VERSION", help="The same as VERSION.")
@click.option(
    "--against",
    "--current-version",
    "against",
    default="champion",
    show_default=True,
    metavar="VERSION",
    help="What it must not fall behind.",
)
@click.option("--scope", default="all", show_default=True, help="Part of the shop that the model is for.")
@with_shop()
@click.pass_context
def command(
    ctx: click.Context,
    shop: ShopkeeperClient,
    screen: Screen,
    model: str,
    version: str | None,
    named: str | None,
    against: str,
    scope: str,
) -> None:
    """Measure VERSION (3, v3 or an alias, by default candidate) of MODEL anew beside the champion, on the rows that a
    training would hold out now.

    The verdict is kept with the version. Ends with 0 when the gate passes it, with 1 when it does not.
    """
    from shopkeeper.cli.watch import watch

    if version and named:
        raise click.UsageError("VERSION was given twice")
    job = shop.evaluate(model, version or named or "candidate", against=against, scope=scope)
    job = watch(shop, screen, job, f"measuring {model}")
    result = job.result or {}
    screen.show(result, lambda console: _draw(console, model, result))
    if result["gate"]["verdict"] != "PROMOTE":
        ctx.exit(_GATE_SAYS_NO)


def _draw(console: Console, model: str, result: dict[str, Any]) -> None:
    from rich.table import Column, Table

    console.print(f"{model} v{result['version']}: {result['gate']['verdict']}")
    for reason in result["gate"]["reasons"]:
        console.print(f"  {reason}", soft_wrap=True)
    right = [Column(f"v{result[who]}", justify="right") for who in ("version", "against")]
    table = Table("measure", *right, box=None, header_style="bold")
    rival = result["champion_metrics"] or {}
    for name, value in result["metrics"].items():
        table.add_row(name, _number(value), _number(rival.get(name)))
    console.print(table)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
