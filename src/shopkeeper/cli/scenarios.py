"""`shopkeeper scenarios [list | show | set | put | remove | fields]`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shopkeeper.cli.screen import Screen, home_option, json_option, read_settings, with_shop

if TYPE_CHECKING:
    from rich.console import Console

    from shopkeeper.client import ShopkeeperClient

_NOT_SENT = ("name", "version", "built_in", "problems")


if_version_option = click.option(
    "--if-version", type=click.IntRange(min=0), help="Only where this version still counts, as `show` told it."
)


@click.group("scenarios", invoke_without_command=True)
@json_option
@home_option
@click.pass_context
def command(ctx: click.Context, as_json: bool, home: Path | None) -> None:
    """Where suggestions are shown and what counts there; without a subcommand the list.

    A change counts from the next request on: docs/scenarios.md.
    """
    if ctx.invoked_subcommand is None:
        from shopkeeper.cli.reach import reach

        with reach(read_settings(home)) as shop:
            _list(shop, Screen(as_json=as_json))


@command.command("list")
@with_shop()
def list_command(shop: ShopkeeperClient, screen: Screen) -> None:
    """All scenarios."""
    _list(shop, screen)


@command.command("show")
@click.argument("name")
@with_shop()
def show_command(shop: ShopkeeperClient, screen: Screen, name: str) -> None:
    """One scenario, whole."""
    found = shop.scenario(name)
    screen.show(found, lambda console: _draw_one(console, found))


@command.command("set")
@click.argument("name")
@click.option("--filter", "filters", multiple=True, help="A filter or a rule over items; given once or more, all anew.")
@click.option(
    "--objective", "objectives", multiple=True, metavar="NAME=WEIGHT", help="Beside the others; 0 takes it away."
)
@click.option("--boost", "boosts", multiple=True, metavar="FACTOR:RULE", help="E.g. 1.5:is_new; added to the others.")
@click.option("--no-boosts", is_flag=True, help="Take all boosts away first.")
@click.option("--diversity", type=click.FloatRange(0, 1), help="0: only the value counts, 1: only the difference.")
@click.option("--ranker", help="A model, model@ref, or none.")
@click.option("--ttl", type=click.FloatRange(0, 86_400), help="Seconds that an answer may be given again.")
@if_version_option
@with_shop()
def set_command(
    shop: ShopkeeperClient,
    screen: Screen,
    name: str,
    filters: tuple[str, ...],
    objectives: tuple[str, ...],
    boosts: tuple[str, ...],
    no_boosts: bool,
    diversity: float | None,
    ranker: str | None,
    ttl: float | None,
    if_version: int | None,
) -> None:
    """Change some of NAME: shopkeeper scenarios set home --objective novelty=0.3 --boost '1.5:is_new'

    What somebody else changes at the same moment is not overwritten: then it is refused.
    """
    found = shop.scenario(name)
    body = _sent(found)
    before = dict(body)
    if filters:
        body["filters"] = list(filters)
    if objectives:
        weights = {**body["objectives"], **dict(_weight(text) for text in objectives)}
        body["objectives"] = {key: weight for key, weight in weights.items() if weight}
    if no_boosts or boosts:
        body["boosts"] = [*([] if no_boosts else body["boosts"]), *(_boost(text) for text in boosts)]
    if diversity is not None:
        body["diversity"] = diversity
    if ranker is not None:
        body["ranker"] = None if ranker == "none" else ranker
    if ttl is not None:
        body["ttl_s"] = ttl
    if body == before:
        raise click.UsageError("nothing to change; give --filter, --objective, --boost, --diversity, --ranker or --ttl")
    changed = shop.put_scenario(name, body, if_version=found["version"] if if_version is None else if_version)
    screen.show(changed, lambda console: _draw_one(console, changed))


@command.command("put")
@click.argument("name")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@if_version_option
@with_shop()
def put_command(shop: ShopkeeperClient, screen: Screen, name: str, file: Path, if_version: int | None) -> None:
    """Make NAME what the JSON in FILE says; `scenarios show NAME --json` writes such a file."""
    stored = shop.put_scenario(name, _sent(_read(file)), if_version=if_version)
    screen.show(stored, lambda console: _draw_one(console, stored))


@command.command("remove")
@click.argument("name")
@if_version_option
@with_shop()
def remove_command(shop: ShopkeeperClient, screen: Screen, name: str, if_version: int | None) -> None:
    """Take away what was written; what is built in under NAME is there again."""
    shop.delete_scenario(name, if_version=if_version)
    screen.show(
        {"removed": name}, lambda console: console.print(f"scenario {name} is as it came, or gone", markup=False)
    )


@command.command("fields")
@with_shop()
def fields_command(shop: ShopkeeperClient, screen: Screen) -> None:
    """What the rules of filters and boosts can read."""
    found = shop.item_fields()
    screen.show(found, lambda console: _draw_fields(console, found))


def _list(shop: ShopkeeperClient, screen: Screen) -> None:
    found = shop.scenarios()
    screen.show(found, lambda console: _draw(console, found))


def _sent(scenario: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in scenario.items() if key not in _NOT_SENT}


def _weight(text: str) -> tuple[str, float]:
    name, _, weight = text.partition("=")
    try:
        return name.strip(), float(weight)
    except ValueError:
        wrong = f"{text!r} is not NAME=WEIGHT, such as novelty=0.3"
        raise click.BadParameter(wrong, param_hint="--objective") from None


def _boost(text: str) -> dict[str, Any]:
    factor, _, rule = text.partition(":")
    try:
        return {"rule": rule.strip(), "factor": float(factor)}
    except ValueError:
        wrong = f"{text!r} is not FACTOR:RULE, such as 1.5:is_new"
        raise click.BadParameter(wrong, param_hint="--boost") from None


def _read(file: Path) -> dict[str, Any]:
    import msgspec

    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise click.BadParameter(f"{file} holds no JSON object: {error}", param_hint="FILE") from None


def _draw(console: Console, scenarios: list[dict[str, Any]]) -> None:
    from rich.markup import escape
    from rich.table import Column, Table

    table = Table("name", "version", "ranker", Column("what", overflow="fold"), box=None, header_style="bold")
    for one in scenarios:
        version = f"{one['version']}{'' if one['built_in'] else ' (yours)'}"
        table.add_row(one["name"], version, one["ranker"] or "-", escape(one["help"]))
    console.print(table)


def _draw_one(console: Console, one: dict[str, Any]) -> None:
    def line(name: str, told: str) -> None:
        if told:
            console.print(f"{name:11}{told}", markup=False, highlight=False)

    line("name", f"{one['name']}, version {one['version']}{' (built in)' if one['built_in'] else ''}")
    line("what", one["help"])
    line("recall", ", ".join(f"{q['channel']} {q['quota']} x{q['weight']:g}" for q in one["recall"]))
    line("ranker", one["ranker"] or "none: the fused order stands")
    for text in one["filters"]:
        line("filter", text)
    line("objectives", ", ".join(f"{name} {weight:g}" for name, weight in one["objectives"].items()))
    for boost in one["boosts"]:
        line("boost", f"x{boost['factor']:g} where {boost['rule']}")
    line("diversity", f"{one['diversity']:g}" if one["diversity"] else "")
    line("deadlines", ", ".join(f"{stage} {ms:g} ms" for stage, ms in one["deadlines"].items()))
    line("kept", f"{one['ttl_s']:g} s")
    for problem in one["problems"]:
        line("PROBLEM", problem)


def _draw_fields(console: Console, fields: list[dict[str, Any]]) -> None:
    from rich.markup import escape
    from rich.table import Column, Table

    table = Table("name", "type", "unit", Column("what", overflow="fold"), box=None, header_style="bold")
    for one in fields:
        table.add_row(one["name"], one["type"], one["unit"], escape(one["help"]))
    console.print(table)
