"""`shopkeeper import FILE`"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shopkeeper.cli.screen import Screen, with_shop

if TYPE_CHECKING:
    from rich.console import Console

    from shopkeeper.client import ShopkeeperClient

KINDS = ("orders", "sales", "users", "items", "events", "stock")


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--kind", type=click.Choice(KINDS), help="What the rows are; guessed from header and values otherwise.")
@click.option("--map", "changes", multiple=True, metavar="FIELD=COLUMN", help="Correct the guess; may be repeated.")
@click.option("--preview", is_flag=True, help="Show how the file would be read, and store nothing.")
@click.option("--yes", is_flag=True, help="Do not ask before rows are stored.")
@with_shop(make=True)
def command(
    shop: ShopkeeperClient,
    screen: Screen,
    file: Path,
    kind: str | None,
    changes: tuple[str, ...],
    preview: bool,
    yes: bool,
) -> None:
    """Bring in FILE (csv, parquet, jsonl, xlsx). Bad rows go to a reject file; a second import changes nothing."""
    brought = shop.upload(file, kind)
    mapping: dict[str, str] = {**brought["mapping"], **dict(map(_change, changes))}
    seen = shop.preview_import(brought["import_id"], mapping, kind or brought["kind"])
    if preview:
        screen.show(seen, lambda console: _draw_preview(console, brought, mapping, seen))
        return
    if not screen.as_json:
        _draw_preview(screen.console, brought, mapping, seen)
        if not yes and sys.stdin.isatty():
            click.confirm(f"Store {brought['rows']} rows as {kind or brought['kind']}?", default=True, abort=True)
    _run(shop, screen, brought["import_id"], mapping, kind or brought["kind"])


def _run(shop: ShopkeeperClient, screen: Screen, import_id: str, mapping: dict[str, str], kind: str) -> None:
    from shopkeeper.cli.watch import watch

    job = shop.job(shop.start_import(import_id, mapping, kind)["job_id"])
    watch(shop, screen, job, f"importing {kind}")
    done = shop.get_import(import_id)
    screen.show(done, lambda console: _draw_done(console, shop, done))


def _change(text: str) -> tuple[str, str]:
    field, equals, column = text.partition("=")
    if not equals:
        raise click.BadParameter(f"{text!r} is not FIELD=COLUMN", param_hint="--map")
    return field, column


def _draw_preview(console: Console, brought: dict[str, Any], mapping: dict[str, str], seen: dict[str, Any]) -> None:
    from rich.table import Table

    console.print(f"{brought['rows']} rows, read as [bold]{brought['kind']}[/]")
    table = Table("field", "column", box=None, header_style="bold")
    for field, column in mapping.items():
        table.add_row(field, str(column))
    console.print(table)
    for bad in seen["rejects"][:5]:
        console.print(f"[yellow]row {bad['row']}: {bad['reason']}[/]")


def _draw_done(console: Console, shop: ShopkeeperClient, done: dict[str, Any]) -> None:
    console.print(f"{done['accepted']} rows stored, {done['rejected']} rejected")
    if done["rejected"]:
        target = Path(f"rejects-{done['import_id']}.csv")
        target.write_text(shop.import_rejects(done["import_id"]), encoding="utf-8")
        console.print(f"the rejected rows, with reasons, are in {target}")
