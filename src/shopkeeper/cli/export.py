"""`shopkeeper export MODEL [VERSION]`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from shopkeeper.cli.screen import Screen, with_shop

if TYPE_CHECKING:
    from shopkeeper.client import ShopkeeperClient


@click.command("export")
@click.argument("model")
@click.argument("version", default="champion")
@click.option("--to", "target", help="A file, a folder, or s3://bucket/folder; else SHOPKEEPER_UPLOAD_URL, else here.")
@click.option(
    "--format",
    "kind",
    type=click.Choice(["archive", "legacy"]),
    default="archive",
    show_default=True,
    help="legacy: the files that older servers read, see docs/registry.md.",
)
@click.option("--scope", default="all", show_default=True, help="Part of the shop that the model is for.")
@with_shop()
def command(
    shop: ShopkeeperClient, screen: Screen, model: str, version: str, target: str | None, kind: str, scope: str
) -> None:
    """Write VERSION (3, v3 or an alias; else the champion) of MODEL to a file, or upload it to a bucket."""
    from shopkeeper.settings import settings

    target = target or settings().upload_url or "."
    if "://" in target:
        from shopkeeper.cli.watch import watch

        if kind != "archive":
            raise click.BadParameter(
                "a bucket takes archives; write the legacy files to a folder", param_hint="--format"
            )
        job = watch(shop, screen, shop.upload_version(model, version, target, scope=scope), f"uploading {model}")
        told = job.result or {}
        screen.show(
            told, lambda console: console.print(f"{told['url']}  {told['bytes']} bytes, sha256 {told['sha256']}")
        )
        return
    found = shop.version(model, version, scope=scope)
    path = Path(target)
    if target.endswith("/"):
        path.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        path /= f"{model}-v{found.version}.tar.gz" if kind == "archive" else f"model-{found.version}.tar.gz"
    size = shop.export_version(model, found.version, path, scope=scope, format=kind)
    facts = {"model": model, "version": found.version, "path": str(path), "bytes": size}
    screen.show(facts, lambda console: console.print(f"{path}  {model} v{found.version}, {size} bytes"))
