"""`shopkeeper models [MODEL [VERSION]]`"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

from shopkeeper.cli.screen import Screen, with_shop

if TYPE_CHECKING:
    from rich.console import Console

    from shopkeeper.client import ShopkeeperClient
    from shopkeeper.core.records import ModelInfo, Version

_SHOWN = 3  # measures beside a version; all of them are in its own view
_WORD = re.compile(r"[\w@.]+")


@click.command("models")
@click.argument("model", required=False)
@click.argument("version", required=False)
@click.option("--scope", default="all", show_default=True, help="Part of the shop that the model is for.")
@with_shop()
def command(shop: ShopkeeperClient, screen: Screen, model: str | None, version: str | None, scope: str) -> None:
    """All models, the versions of MODEL, or one VERSION (3, v3 or an alias) with all its measures."""
    if model is None:
        models = shop.models()
        screen.show(models, lambda console: _draw_models(console, models, learnable=bool(shop.events(limit=1).items)))
    elif version is None:
        versions = shop.versions(model, scope=scope)
        screen.show(versions, lambda console: _draw_versions(console, versions))
    else:
        one = shop.version(model, version, scope=scope)
        screen.show(one, lambda console: _draw_version(console, one))


def _draw_models(console: Console, models: list[ModelInfo], *, learnable: bool) -> None:
    from rich.table import Table

    if not models:
        console.print(
            "no model yet; train one: shopkeeper train popularity"
            if learnable
            else "no model yet, and no orders to learn from; bring some in: shopkeeper import FILE"
        )
        return
    table = Table("model", "scope", "algorithm", "task", "versions", "aliases", box=None, header_style="bold")
    for one in models:
        aliases = ", ".join(f"{name} v{number}" for name, number in sorted(one.aliases.items()))
        table.add_row(one.name, one.scope, one.algorithm, one.task, str(one.versions), aliases)
    console.print(table)


def _draw_versions(console: Console, versions: list[Version]) -> None:
    """One line a version; its measures are those that its gate decided by."""
    from rich.table import Column, Table

    deciding = list(dict.fromkeys(name for one in versions for name in _deciding(one)))[:_SHOWN]
    facts = ("", "algorithm", Column("aliases", overflow="fold"), Column("gate", no_wrap=True))
    table = Table(*facts, *(Column(name, justify="right") for name in deciding), box=None, header_style="bold")
    for one in versions:
        measures = [f"{one.metrics[name]:.3g}" if name in _numbers(one) else "" for name in deciding]
        gate = one.gate.verdict if one.gate else ""
        said = ", ".join([*one.aliases, *([] if one.status == "ready" else [one.status])])
        table.add_row(f"v{one.version}", one.algorithm, said, gate, *measures)
    console.print(table)
    if versions:
        newest = versions[0]
        console.print(f"[dim]all measures: shopkeeper models {newest.model} {newest.version}[/]", soft_wrap=True)


def _draw_version(console: Console, one: Version) -> None:
    from rich.markup import escape
    from rich.table import Table

    made = f", made {one.created_at:%Y-%m-%d %H:%M}" if one.created_at else ""
    aliases = f" ({', '.join(one.aliases)})" if one.aliases else ""
    console.print(f"[bold]{escape(one.model)} v{one.version}[/]{aliases}: {one.algorithm}{made}")
    if one.gate:
        console.print(f"gate {one.gate.verdict}")
        for reason in one.gate.reasons:
            console.print(f"  {escape(reason)}")
    table = Table("measure", "value", box=None, header_style="bold")
    for name, value in one.metrics.items():
        table.add_row(name, f"{value:.6g}" if name in _numbers(one) else escape(str(value)))
    console.print(table)
    if one.params:
        console.print(f"parameters  {escape(str(one.params))}")


def _deciding(one: Version) -> list[str]:
    """The measures that the gate's reasons name, else the first ones."""
    numbers = _numbers(one)
    reasons = " ".join(one.gate.reasons) if one.gate else ""
    return [word for word in _WORD.findall(reasons) if word in numbers] or list(numbers)


def _numbers(one: Version) -> dict[str, float]:
    return {name: value for name, value in one.metrics.items() if isinstance(value, int | float)}
