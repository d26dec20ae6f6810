"""`shopkeeper rules [list | show | add | change | remove | revert | preview | import | fields]`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shopkeeper.cli.screen import Screen, home_option, json_option, read_settings, with_shop

if TYPE_CHECKING:
    from rich.console import Console

    from shopkeeper.client import ShopkeeperClient
    from shopkeeper.core.records import Rule

_weight = click.option("--weight", type=float, help="Added to the score of whom it matches (a logit).")
_description = click.option("--description", help="What it means, for people.")
_action = click.option("--action", help="What to suggest to do for whom it matches.")


@click.group("rules", invoke_without_command=True)
@json_option
@home_option
@click.pass_context
def command(ctx: click.Context, as_json: bool, home: Path | None) -> None:
    """The conditions that score profiles and suggest what to do; without a subcommand the list.

    A condition reads like net_spend >= 2000 and orders in 90 days >= 2: docs/rules.md.
    """
    if ctx.invoked_subcommand is None:
        from shopkeeper.cli.reach import reach

        with reach(read_settings(home)) as shop:
            _list(shop, Screen(as_json=as_json))


@command.command("list")
@with_shop()
def list_command(shop: ShopkeeperClient, screen: Screen) -> None:
    """All rules."""
    _list(shop, screen)


@command.command("show")
@click.argument("name")
@click.option("--version", type=click.IntRange(min=1), help="As it was in this version.")
@click.option("--versions", is_flag=True, help="All its versions, newest first.")
@with_shop()
def show_command(shop: ShopkeeperClient, screen: Screen, name: str, version: int | None, versions: bool) -> None:
    """One rule, or its versions."""
    if versions:
        found = _all_versions(shop, name)
        screen.show(found, lambda console: _draw(console, found))
        return
    rule = shop.rule(name, version)
    screen.show(rule, lambda console: _draw_one(console, rule))


@command.command("add")
@click.argument("name")
@click.argument("condition")
@_weight
@_description
@_action
@with_shop()
def add_command(shop: ShopkeeperClient, screen: Screen, name: str, condition: str, **given: Any) -> None:
    """Make the rule NAME: shopkeeper rules add regular 'orders in 90 days >= 3' --weight 0.5"""
    made = shop.create_rule(name, condition, **_given(given))
    screen.show(made, lambda console: _draw_one(console, made))


@command.command("change")
@click.argument("name")
@click.option("--condition", help="Whom it matches.")
@_weight
@_description
@_action
@with_shop()
def change_command(shop: ShopkeeperClient, screen: Screen, name: str, **given: Any) -> None:
    """Change NAME from now on; what is not given stays. The version before is kept."""
    changes = _given(given)
    if not changes:
        raise click.UsageError("nothing to change; give --condition, --weight, --description or --action")
    changed = shop.update_rule(name, **changes)
    screen.show(changed, lambda console: _draw_one(console, changed))


@command.command("remove")
@click.argument("name")
@with_shop()
def remove_command(shop: ShopkeeperClient, screen: Screen, name: str) -> None:
    """Take NAME away; its versions are kept."""
    shop.delete_rule(name)
    screen.show({"removed": name}, lambda console: console.print(f"rule {name} is removed", markup=False))


@command.command("revert")
@click.argument("name")
@click.argument("version", type=click.IntRange(min=1))
@with_shop()
def revert_command(shop: ShopkeeperClient, screen: Screen, name: str, version: int) -> None:
    """Let NAME say again what it said in VERSION; that is a new version."""
    rule = shop.revert_rule(name, version)
    screen.show(rule, lambda console: _draw_one(console, rule))


@command.command("preview")
@click.argument("condition")
@click.option("--weight", type=float, default=1.0, show_default=True, help="The weight that it would have.")
@click.option("--name", help="The rule that it would replace.")
@with_shop()
def preview_command(shop: ShopkeeperClient, screen: Screen, condition: str, weight: float, name: str | None) -> None:
    """How many customers CONDITION matches and how the scores would move; nothing is stored."""
    told = shop.preview_rule(condition, weight=weight, name=name)
    screen.show(told, lambda console: _draw_preview(console, told))


@command.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.pass_context
@with_shop()
def import_command(shop: ShopkeeperClient, screen: Screen, ctx: click.Context, file: Path) -> None:
    """Make rules of the Unomi conditions in FILE: JSON, a list of {name, condition, weight?, action?}, one of them, or
    {rules: [...]} as the API takes it.

    What cannot be said here is told with its place, and the others are made; the exit code is 4 when none was.
    """
    told = shop.import_rules(_read(file))
    screen.show(told, lambda console: _draw_import(console, told))
    if told["rejected"] and not told["created"]:
        ctx.exit(4)


@command.command("fields")
@with_shop()
def fields_command(shop: ShopkeeperClient, screen: Screen) -> None:
    """What a condition can read."""
    fields = shop.rule_fields()
    screen.show(fields, lambda console: _draw_fields(console, fields))


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _all_versions(shop: ShopkeeperClient, name: str) -> list[Rule]:
    page = shop.rule_versions(name, limit=1000)
    found = page.items
    while page.next_cursor is not None:
        page = shop.rule_versions(name, limit=1000, cursor=page.next_cursor)
        found += page.items
    return found


def _read(file: Path) -> list[Any]:
    import msgspec

    from shopkeeper.core.errors import Invalid

    try:
        found = msgspec.json.decode(file.read_bytes())
    except (msgspec.DecodeError, RecursionError) as error:
        raise Invalid(f"{file} is not JSON: {str(error)[:200]}", field="file") from error
    if isinstance(found, dict) and isinstance(found.get("rules"), list):
        found = found["rules"]
    return found if isinstance(found, list) else [found]


def _list(shop: ShopkeeperClient, screen: Screen) -> None:
    found = shop.rules()
    screen.show(found, lambda console: _draw(console, found))


def _draw(console: Console, rules: list[Rule]) -> None:
    from rich.markup import escape
    from rich.table import Column, Table

    if not rules:
        console.print("no rules; make one: shopkeeper rules add NAME CONDITION --weight 0.5")
        return
    wide = Column("condition", overflow="fold"), Column("suggests", overflow="fold")
    table = Table("name", "version", Column("weight", justify="right"), *wide, box=None, header_style="bold")
    for rule in rules:
        table.add_row(
            escape(rule.name), str(rule.version), f"{rule.weight:+g}", escape(rule.condition), escape(rule.action)
        )
    console.print(table)


def _draw_one(console: Console, rule: Rule) -> None:
    changed = "" if rule.updated_at is None else f", {rule.updated_at:%Y-%m-%d %H:%M} UTC"
    by = f" by {rule.updated_by}" if rule.updated_by else ""
    lines = [f"{rule.name}, version {rule.version}{changed}{by}", f"  if        {rule.condition}"]
    lines.append(f"  weight    {rule.weight:+g}")
    lines += [f"  suggests  {rule.action}"] if rule.action else []
    lines += [f"  means     {rule.description}"] if rule.description else []
    console.print("\n".join(lines), markup=False, soft_wrap=True)


def _draw_preview(console: Console, told: dict[str, Any]) -> None:
    share = f" ({told['matches'] / told['total']:.1%})" if told["total"] else ""
    console.print(f"matches {told['matches']:,} of {told['total']:,} customers{share}")
    shift = told["score_shift"]
    if shift["mean"] is not None:
        low, high = f"{shift['p10']:+.3g}", f"{shift['p90']:+.3g}"
        console.print(f"scores move by {shift['mean']:+.3g} in the mean; 10 % by {low} or less, 10 % by {high} or more")
    if told["sample"]:
        console.print("for example " + ", ".join(told["sample"][:10]), markup=False, soft_wrap=True)


def _draw_import(console: Console, told: dict[str, Any]) -> None:
    for rule in told["created"]:
        console.print(f"made {rule['name']}: {rule['condition']}", markup=False, soft_wrap=True)
    for one in told["rejected"]:
        console.print(f"not made {one['name'] or one['index']}: {one['reason']}", markup=False, soft_wrap=True)


def _draw_fields(console: Console, fields: list[dict[str, Any]]) -> None:
    from rich.markup import escape
    from rich.table import Column, Table

    table = Table("field", "type", "unit", Column("meaning", overflow="fold"), box=None, header_style="bold")
    for one in fields:
        spans = ", ".join(f"{h // 24}d" if h % 24 == 0 else f"{h}h" for h in one["windows"])
        meaning = f"{one['help']}{f' (in {spans})' if spans else ''}"
        table.add_row(one["name"], one["type"], one["unit"], escape(meaning))
    console.print(table)
