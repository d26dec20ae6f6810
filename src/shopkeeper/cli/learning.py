"""`shopkeeper learning [list | begin | end | snapshot]`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from shopkeeper.cli.pairs import pairs
from shopkeeper.cli.screen import Screen, home_option, json_option, read_settings, with_shop

if TYPE_CHECKING:
    from rich.console import Console

    from shopkeeper.client import ShopkeeperClient
    from shopkeeper.core.learning import Learning


@click.group("learning", invoke_without_command=True)
@json_option
@home_option
@click.pass_context
def command(ctx: click.Context, as_json: bool, home: Path | None) -> None:
    """Models that go on learning while the shop sells; without a subcommand the list.

    Learners work while `shopkeeper up` does.
    """
    if ctx.invoked_subcommand is None:
        from shopkeeper.cli.reach import reach

        with reach(read_settings(home)) as shop:
            _list(shop, Screen(as_json=as_json))


@command.command("list")
@with_shop()
def list_command(shop: ShopkeeperClient, screen: Screen) -> None:
    """All learners: updates, rate, drift."""
    _list(shop, screen)


@command.command("begin")
@click.argument("model")
@click.option("--set", "params", multiple=True, metavar="NAME=VALUE", help="A setting, e.g. snapshot_every=500.")
@with_shop()
def begin_command(shop: ShopkeeperClient, screen: Screen, model: str, params: tuple[str, ...]) -> None:
    """Let MODEL, which has a version of ftrl, go on learning; or change how: learning begin m --set rate=0.1

    A setting that is not named keeps the value that it has.
    """
    import msgspec

    from shopkeeper.core.converting import converted
    from shopkeeper.core.errors import NotFound
    from shopkeeper.core.learning import OnlineSettings

    try:
        before = shop.learner(model).settings
    except NotFound:
        before = OnlineSettings()
    wanted = {**msgspec.to_builtins(before), **pairs(params, "--set")}
    learning = shop.learn_online(model, converted(wanted, OnlineSettings))
    screen.show(learning, lambda console: _draw(console, [learning]))


@command.command("end")
@click.argument("model")
@with_shop()
def end_command(shop: ShopkeeperClient, screen: Screen, model: str) -> None:
    """Take the learner of MODEL away, with what it has learned since its last version."""
    shop.stop_learning(model)
    screen.show({"removed": model}, lambda console: console.print(f"{model} learns no more"))


@command.command("snapshot")
@click.argument("model")
@with_shop()
def snapshot_command(shop: ShopkeeperClient, screen: Screen, model: str) -> None:
    """Make a version of what the learner of MODEL knows, measured beside the champion."""
    from shopkeeper.cli.watch import watch

    job = watch(shop, screen, shop.snapshot_learner(model), f"a version of {model}")
    result = job.result or {}
    gate = (result.get("gate") or {}).get("verdict", "")
    screen.show(result, lambda console: console.print(f"{model} v{result.get('version')}: {gate}"))


def _list(shop: ShopkeeperClient, screen: Screen) -> None:
    found = shop.learners()
    screen.show(found, lambda console: _draw(console, found))


def _draw(console: Console, found: list[Learning]) -> None:
    from rich.table import Column, Table

    if not found:
        console.print("no learners; train a model with --algorithm ftrl, then: shopkeeper learning begin MODEL")
        return
    right = [Column(name, justify="right") for name in ("updates", "outcomes", "rate", "log loss", "drifts")]
    table = Table("model", "on", *right, "last, UTC", box=None, header_style="bold")
    for one in found:
        table.add_row(
            one.model,
            "yes" if one.settings.enabled else "no",
            f"{one.updates:,}",
            f"{one.examples:,}",
            f"{one.rate:.4g}",
            "" if one.log_loss is None else f"{one.log_loss:.4f}",
            "" if one.drift is None else str(one.drift.detected),
            "" if one.learned_at is None else f"{one.learned_at:%m-%d %H:%M}",
        )
    console.print(table)
    for one in found:
        if one.problem:
            console.print(f"{one.model}: {one.problem}", soft_wrap=True)
