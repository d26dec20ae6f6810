"""`shopkeeper models [MODEL]`"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from shopkeeper.cli.screen import Screen, with_shop

if TYPE_CHECKING:
    from rich.console import Console

    from shopkeeper.client import ShopkeeperClient
    from shopkeeper.core.records import ModelInfo, Version


@click.command("models")
@click.argument("model", required=False)
@click.option("--scope", default="all", show_default=True)
@with_shop()
def command(shop: ShopkeeperClient, screen: Screen, model: str | None, scope: str) -> None:
    """All models, or the versions of one with their measures and what the gate said."""
    if model is None:
        models = shop.models()
        screen.show(models, lambda console: _draw_models(console, models))
    else:
        versions = shop.versions(model, scope=scope)
        screen.show(versions, lambda console: _draw_versions(console, versions))


def _draw_models(console: Console, models: list[ModelInfo]) -> None:
    from rich.table import Table

    table = Table("model", "scope", "algorithm", "task", "versions", "aliases", box=None, header_style="bold")
    for one in models:
        aliases = ", ".join(f"{name} v{number}" for name, number in sorted(one.aliases.items()))
        table.add_row(one.name, one.scope, one.algorithm, one.task, str(one.versions), aliases)
    console.print(table if models else "no model yet; train one: shopkeeper train home_ranker")


def _draw_versions(console: Console, versions: list[Version]) -> None:
    from rich.table import Table

    table = Table("version", "algorithm", "aliases", "gate", "measures", "made", box=None, header_style="bold")
    for one in versions:
        measures = ", ".join(f"{k} {v:.4g}" for k, v in one.metrics.items() if isinstance(v, int | float))
        gate = f"{one.gate.verdict}: {'; '.join(one.gate.reasons)}" if one.gate else ""
        made = one.created_at.strftime("%Y-%m-%d %H:%M") if one.created_at else ""
        table.add_row(f"v{one.version}", one.algorithm, ", ".join(one.aliases), gate, measures, made)
    console.print(table)
