"""`shopkeeper deploy MODEL --from FILE|s3://...`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shopkeeper.cli.screen import Screen, with_shop

if TYPE_CHECKING:
    from rich.console import Console

    from shopkeeper.client import ShopkeeperClient

EXIT_HELD = 6  # as of every refusal by the state: a script that deploys must notice that nothing serves


@click.command("deploy")
@click.argument("model")
@click.option("--from", "source", required=True, help="An exported file, s3://bucket/folder, or s3://.../x.tar.gz.")
@click.option("--version", type=int, help="Its number in the bucket; else the bucket's current one.")
@click.option("--no-promote", is_flag=True, help="Only import it.")
@click.option(
    "--force", is_flag=True, help="Promote it although the gate never measured it here; this is written down."
)
@click.option("--reason", default="", help="Why; kept with the change.")
@click.option("--scope", default="all", show_default=True, help="Part of the shop that the model is for.")
@with_shop()
def command(
    shop: ShopkeeperClient,
    screen: Screen,
    model: str,
    source: str,
    version: int | None,
    no_promote: bool,
    force: bool,
    reason: str,
    scope: str,
) -> None:
    """Import a version of MODEL that another shop exported, and promote it with --force.

    The server of the home does it; for a server elsewhere set SHOPKEEPER_URL.
    """
    if "://" in source:
        from shopkeeper.cli.watch import watch

        job = shop.deploy(model, source, version, promote=not no_promote, force=force, reason=reason, scope=scope)
        told: dict[str, Any] = watch(shop, screen, job, f"deploying {model}").result or {}
    else:
        told = _file(shop, model, Path(source), promote=not no_promote, force=force, reason=reason, scope=scope)
    screen.show(told, lambda console: _draw(console, model, told))
    if not told["promoted"] and not no_promote:
        click.get_current_context().exit(EXIT_HELD)


def _file(
    shop: ShopkeeperClient, model: str, path: Path, *, promote: bool, force: bool, reason: str, scope: str
) -> dict[str, Any]:
    from shopkeeper.core.errors import Conflict

    if not path.is_file():
        raise click.BadParameter(f"there is no file {path}", param_hint="--from")
    made = shop.import_version(model, path, scope=scope)
    told: dict[str, Any] = {"version": made.version, "imported": True, "promoted": False}
    if not promote:
        return {**told, "why_not": "promotion was not asked for"}
    try:
        shop.promote(model, made.version, force=force, reason=reason or f"deployed from {path.name}", scope=scope)
    except Conflict as error:
        return {**told, "why_not": error.message}
    return {**told, "promoted": True}


def _draw(console: Console, model: str, told: dict[str, Any]) -> None:
    state = "is the champion" if told["promoted"] else f"does not serve: {told['why_not']}"
    console.print(f"{model} v{told['version']} {'is imported and ' if told['imported'] else ''}{state}", soft_wrap=True)
