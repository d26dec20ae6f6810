"""`shopkeeper schedules [list | add | enable | disable | run | remove]`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from shopkeeper.cli.pairs import pairs
from shopkeeper.cli.screen import Screen, home_option, json_option, read_settings, with_shop

if TYPE_CHECKING:
    from datetime import datetime

    from rich.console import Console

    from shopkeeper.client import ShopkeeperClient
    from shopkeeper.core.schedules import Schedule


@click.group("schedules", invoke_without_command=True)
@json_option
@home_option
@click.pass_context
def command(ctx: click.Context, as_json: bool, home: Path | None) -> None:
    """What the shop does by itself, and when; without a subcommand the list.

    Schedules run while `shopkeeper up` does, in the shop's time zone. A time that passed while it was closed is made
    up for once.
    """
    if ctx.invoked_subcommand is None:
        from shopkeeper.cli.reach import reach

        with reach(read_settings(home)) as shop:
            _list(shop, Screen(as_json=as_json))


@command.command("list")
@with_shop()
def list_command(shop: ShopkeeperClient, screen: Screen) -> None:
    """All schedules, with what their last runs left."""
    _list(shop, screen)


@command.command("add")
@click.argument("name")
@click.option("--cron", required=True, help="minute hour day month weekday, e.g. '0 2 * * *'.")
@click.option(
    "--kind", default="train", show_default=True, help="train, backtest, upload, cleanup, or a kind of your own."
)
@click.option("--set", "params", multiple=True, metavar="NAME=VALUE", help="A parameter, e.g. model=home_ranker.")
@click.option(
    "--when", multiple=True, metavar="NAME=VALUE", help="A condition: new_events=1000, metric=ctr, drop=0.05."
)
@click.option("--retries", default=3, show_default=True, help="How often a job that failed is repeated.")
@click.option("--retry-wait", default=300.0, show_default=True, help="Seconds before it is.")
@click.option("--disabled", is_flag=True, help="Keep it, and do not run it by itself.")
@with_shop()
def add_command(
    shop: ShopkeeperClient,
    screen: Screen,
    name: str,
    cron: str,
    kind: str,
    params: tuple[str, ...],
    when: tuple[str, ...],
    retries: int,
    retry_wait: float,
    disabled: bool,
) -> None:
    """Make the schedule NAME: shopkeeper schedules add nightly --cron '0 2 * * *' --set model=m --set algorithm=xgb"""
    made = shop.create_schedule(
        name,
        cron,
        kind,
        pairs(params, "--set"),
        condition=pairs(when, "--when") or None,
        enabled=not disabled,
        retries=retries,
        retry_wait_s=retry_wait,
    )
    screen.show(made, lambda console: _draw(console, [made]))


@command.command("enable")
@click.argument("name")
@with_shop()
def enable_command(shop: ShopkeeperClient, screen: Screen, name: str) -> None:
    """Let NAME run by itself."""
    _turn(shop, screen, name, on=True)


@command.command("disable")
@click.argument("name")
@with_shop()
def disable_command(shop: ShopkeeperClient, screen: Screen, name: str) -> None:
    """Keep NAME, and do not run it by itself."""
    _turn(shop, screen, name, on=False)


@command.command("run")
@click.argument("name")
@click.option("--detach", is_flag=True, help="Begin and return; needs a live server.")
@with_shop()
def run_command(shop: ShopkeeperClient, screen: Screen, name: str, detach: bool) -> None:
    """Run NAME now, whatever its time and condition say."""
    job = shop.run_schedule(name)
    if not detach:
        from shopkeeper.cli.watch import watch

        job = watch(shop, screen, job, name)
    screen.show(job, lambda console: console.print(f"job {job.job_id} is {job.status}: shopkeeper jobs {job.job_id}"))


@command.command("remove")
@click.argument("name")
@with_shop()
def remove_command(shop: ShopkeeperClient, screen: Screen, name: str) -> None:
    """Take NAME away; a job that it has begun goes on."""
    shop.delete_schedule(name)
    screen.show({"removed": name}, lambda console: console.print(f"schedule {name} is removed"))


def _turn(shop: ShopkeeperClient, screen: Screen, name: str, *, on: bool) -> None:
    schedule = shop.schedule(name)
    schedule.enabled = on
    changed = shop.change_schedule(schedule)
    screen.show(changed, lambda console: _draw(console, [changed]))


def _list(shop: ShopkeeperClient, screen: Screen) -> None:
    found = shop.schedules()
    screen.show(found, lambda console: _draw(console, found))


def _draw(console: Console, schedules: list[Schedule]) -> None:
    from rich.markup import escape
    from rich.table import Column, Table

    if not schedules:
        console.print("no schedules; make one: shopkeeper schedules add NAME --cron '0 2 * * *' --set model=MODEL")
        return
    columns = ("name", "cron", Column("what", overflow="fold"), "next, UTC", Column("last, UTC", overflow="fold"))
    table = Table(*columns, box=None, header_style="bold")
    for one in schedules:
        what = f"{one.kind} {one.params['model']}" if "model" in one.params else one.kind
        table.add_row(one.name, one.cron, escape(what), _when(one.next_run) or "off", escape(_last(one)))
    console.print(table)
    for one in schedules:
        if one.state.check is not None and not one.state.check.met:
            console.print(
                f"{one.name}: not run on {_when(one.state.check.time)}, {one.state.check.why}", soft_wrap=True
            )


def _last(schedule: Schedule) -> str:
    run, last = schedule.state.run, schedule.state.last
    if run is not None:
        return f"waits: {run.problem}" if run.problem else f"running since {_when(run.due)}"
    return f"{last.status} {_when(last.time)}{f': {last.error}' if last.error else ''}" if last else "never"


def _when(time: datetime | None) -> str:
    return f"{time:%m-%d %H:%M}" if time else ""
