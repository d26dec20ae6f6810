"""`shopkeeper import FILE`"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shopkeeper.cli.screen import Screen, with_shop
from shopkeeper.core.errors import ShopkeeperError

if TYPE_CHECKING:
    from rich.console import Console

    from shopkeeper.client import ShopkeeperClient

KINDS = ("orders", "sales", "users", "items", "events", "stock", "days", "calendar")


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
    said = dict(map(_change, changes))
    brought = shop.upload(file, kind, said)
    seen = shop.preview_import(brought["import_id"])
    if preview:
        screen.show(seen, lambda console: _draw_preview(console, brought, seen))
        return
    if not screen.as_json:
        _draw_preview(screen.console, brought, seen)
        if not yes and sys.stdin.isatty():
            question = f"Store {_rows(brought['rows'])} as {brought['kind']}?"
            click.confirm(question, default=True, abort=True)
    _run(shop, screen, brought["import_id"], brought["kind"])


def _run(shop: ShopkeeperClient, screen: Screen, import_id: str, kind: str) -> None:
    from shopkeeper.cli.watch import watch

    job = shop.job(shop.start_import(import_id)["job_id"])
    try:
        watch(shop, screen, job, f"importing {kind}")
    except ShopkeeperError as error:
        if error.code == "failed" and not screen.as_json:
            _keep_rejects(screen.console, shop, shop.get_import(import_id))
        raise
    done = shop.get_import(import_id)
    screen.show(done, lambda console: _draw_done(console, shop, done))


def _change(text: str) -> tuple[str, str]:
    field, equals, column = text.partition("=")
    if not equals:
        raise click.BadParameter(f"{text!r} is not FIELD=COLUMN", param_hint="--map")
    return field, column


def _draw_preview(console: Console, brought: dict[str, Any], seen: dict[str, Any]) -> None:
    from rich.markup import escape
    from rich.table import Table

    console.print(f"{_rows(brought['rows'])}, read as [bold]{seen['kind']}[/]")
    table = Table("field", "column", "sure", "why", box=None, header_style="bold")
    guesses = {guess["field"]: guess for guess in seen["guesses"]}
    for field, column in seen["mapping"].items():
        guess = guesses.get(field)
        sure, why = (f"{guess['confidence']:.0%}", guess["reason"]) if guess else ("", "")
        table.add_row(field, escape(column), sure, escape(why))
    console.print(table)
    for note in seen["notes"]:
        console.print(f"[yellow]{escape(note)}[/]", soft_wrap=True)
    for bad in seen["rejects"][:5]:
        console.print(f"[yellow]row {bad['row']}: {escape(bad['reason'])}[/]")


def _draw_done(console: Console, shop: ShopkeeperClient, done: dict[str, Any]) -> None:
    told = [f"{_rows(done['accepted'])} stored", f"{done['duplicates']} here already", f"{done['rejected']} rejected"]
    if done["without_sale"]:
        told.append(f"{_rows(done['without_sale'])} without a sale")
    console.print(", ".join(told), soft_wrap=True)
    _keep_rejects(console, shop, done)


def _keep_rejects(console: Console, shop: ShopkeeperClient, done: dict[str, Any]) -> None:
    if done["rejected"]:
        target = Path(f"rejects-{done['import_id']}.csv")
        target.write_text(shop.import_rejects(done["import_id"]), encoding="utf-8")
        console.print(f"the rejected rows, with reasons, are in {target}", soft_wrap=True)


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count} rows"
