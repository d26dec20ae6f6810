"""`shopkeeper experiments [list | show | create | start | pause | resume | stop | shares | roll-out | size ...]`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shopkeeper.cli.screen import Screen, home_option, json_option, read_settings, with_shop

if TYPE_CHECKING:
    from rich.console import Console

    from shopkeeper.client import ShopkeeperClient
    from shopkeeper.core.experiments import Experiment, Results

_STATUS = click.Choice(["draft", "running", "paused", "done"])


@click.group("experiments", invoke_without_command=True)
@json_option
@home_option
@click.pass_context
def command(ctx: click.Context, as_json: bool, home: Path | None) -> None:
    """What is tried on whom, and what came of it; without a subcommand the list. See docs/experiments.md."""
    if ctx.invoked_subcommand is None:
        from shopkeeper.cli.reach import reach

        with reach(read_settings(home)) as shop:
            _list(shop, Screen(as_json=as_json), None)


@command.command("list")
@click.option("--status", type=_STATUS, help="Only these.")
@with_shop()
def list_command(shop: ShopkeeperClient, screen: Screen, status: str | None) -> None:
    """All experiments, the newest first."""
    _list(shop, screen, status)


@command.command("show")
@click.argument("experiment_id")
@with_shop()
def show_command(shop: ShopkeeperClient, screen: Screen, experiment_id: str) -> None:
    """One experiment with its results."""
    one, said = shop.experiment(experiment_id), shop.experiment_results(experiment_id)
    screen.show({"experiment": one, "results": said}, lambda console: _draw_one(console, one, said))


@command.command("create")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--start", is_flag=True, help="At once.")
@with_shop()
def create_command(shop: ShopkeeperClient, screen: Screen, file: Path, start: bool) -> None:
    """Make a draft of what the JSON in FILE says."""
    import msgspec

    try:
        plan = msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise click.BadParameter(f"{file} holds no JSON object: {error}", param_hint="FILE") from None
    made = shop.create_experiment(plan)
    _told(screen, shop.start_experiment(made.experiment_id) if start else made)


@command.command("start")
@click.argument("experiment_id")
@with_shop()
def start_command(shop: ShopkeeperClient, screen: Screen, experiment_id: str) -> None:
    """Users take part from the next request on."""
    _told(screen, shop.start_experiment(experiment_id))


@command.command("pause")
@click.argument("experiment_id")
@with_shop()
def pause_command(shop: ShopkeeperClient, screen: Screen, experiment_id: str) -> None:
    """Everybody is answered as ever until it goes on."""
    _told(screen, shop.pause_experiment(experiment_id))


@command.command("resume")
@click.argument("experiment_id")
@with_shop()
def resume_command(shop: ShopkeeperClient, screen: Screen, experiment_id: str) -> None:
    """It goes on: the same users, the same variants."""
    _told(screen, shop.resume_experiment(experiment_id))


@command.command("stop")
@click.argument("experiment_id")
@click.option("--winner", help="The variant that you choose; else the one that the results name.")
@click.option("--roll-out", is_flag=True, help="Everybody gets the winner from now on.")
@click.option("--reason", default="", help="Why.")
@with_shop()
def stop_command(
    shop: ShopkeeperClient, screen: Screen, experiment_id: str, winner: str | None, roll_out: bool, reason: str
) -> None:
    """End it."""
    _told(screen, shop.stop_experiment(experiment_id, winner=winner, roll_out=roll_out, reason=reason))


@command.command("shares")
@click.argument("experiment_id")
@click.option("--share", type=click.FloatRange(0, 1, min_open=True), help="Part of the layer's users who take part.")
@click.option("--weight", "weights", multiple=True, metavar="VARIANT=WEIGHT", help="All that are not named get 0.")
@with_shop()
def shares_command(
    shop: ShopkeeperClient, screen: Screen, experiment_id: str, share: float | None, weights: tuple[str, ...]
) -> None:
    """Another part of the users, other weights."""
    if share is None and not weights:
        raise click.UsageError("nothing to change; give --share or --weight")
    given = dict(_weight(text) for text in weights) or None
    _told(screen, shop.share_experiment(experiment_id, share=share, weights=given))


@command.command("roll-out")
@click.argument("experiment_id")
@click.argument("variant")
@click.option(
    "--step", "steps", multiple=True, type=float, help="Rising shares; 0.01, 0.1, 0.5 and 1 if none is given."
)
@click.option("--step-hours", type=click.FloatRange(0, 8760), default=24.0, show_default=True)
@with_shop()
def roll_out_command(
    shop: ShopkeeperClient,
    screen: Screen,
    experiment_id: str,
    variant: str,
    steps: tuple[float, ...],
    step_hours: float,
) -> None:
    """Give VARIANT more and more of the users, step by step, and then all."""
    more: dict[str, Any] = {"steps": steps} if steps else {}
    _told(screen, shop.roll_out_experiment(experiment_id, variant, step_hours=step_hours, **more))


@command.command("step")
@click.argument("experiment_id")
@with_shop()
def step_command(shop: ShopkeeperClient, screen: Screen, experiment_id: str) -> None:
    """The next step of a roll-out, now."""
    _told(screen, shop.step_experiment(experiment_id))


@command.command("roll-back")
@click.argument("experiment_id")
@with_shop()
def roll_back_command(shop: ShopkeeperClient, screen: Screen, experiment_id: str) -> None:
    """What was there before the winner is there again."""
    _told(screen, shop.roll_back_experiment(experiment_id))


@command.command("delete")
@click.argument("experiment_id")
@with_shop()
def delete_command(shop: ShopkeeperClient, screen: Screen, experiment_id: str) -> None:
    """Take a draft away."""
    shop.delete_experiment(experiment_id)
    screen.show({"deleted": experiment_id}, lambda console: console.print("the draft is gone", markup=False))


@command.command("assignment")
@click.argument("experiment_id")
@click.argument("user_id")
@with_shop()
def assignment_command(shop: ShopkeeperClient, screen: Screen, experiment_id: str, user_id: str) -> None:
    """Which variant a user gets."""
    found = shop.assignment(experiment_id, user_id)
    told = found.variant or f"none: {found.why}"
    screen.show(found, lambda console: console.print(told, markup=False, highlight=False))


@command.command("size")
@click.argument("baseline", type=float)
@click.argument("effect", type=float)
@click.option("--alpha", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.05, show_default=True)
@click.option("--power", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.8, show_default=True)
@click.option("--deviation", type=float, help="Of one person's number: BASELINE is a mean and no share.")
@click.option("--variants", type=click.IntRange(2, 10), default=2, show_default=True)
@with_shop()
def size_command(
    shop: ShopkeeperClient,
    screen: Screen,
    baseline: float,
    effect: float,
    alpha: float,
    power: float,
    deviation: float | None,
    variants: int,
) -> None:
    """How many people a variant needs: shopkeeper experiments size 0.05 0.1"""
    n = shop.sample_size(baseline, effect, alpha=alpha, power=power, deviation=deviation, variants=variants)
    screen.show({"per_variant": n}, lambda console: console.print(f"{n:,} people in each variant", markup=False))


def _list(shop: ShopkeeperClient, screen: Screen, status: str | None) -> None:
    found = shop.experiments(status)
    screen.show(found, lambda console: _draw(console, found))


def _told(screen: Screen, one: Experiment) -> None:
    screen.show(one, lambda console: console.print(_line(one), markup=False, highlight=False))


def _line(one: Experiment) -> str:
    parts = ", ".join(f"{name} {weight:.0%}" for name, weight in one.weights.items())
    tail = f", {one.verdict}{f': {one.winner}' if one.winner else ''}" if one.status == "done" else ""
    return f"{one.experiment_id} {one.name}: {one.status}{tail} ({one.target.subject}; {parts})"


def _weight(text: str) -> tuple[str, float]:
    name, _, weight = text.rpartition("=")
    try:
        return name.strip(), float(weight)
    except ValueError:
        wrong = f"{text!r} is not VARIANT=WEIGHT, such as novel=0.9"
        raise click.BadParameter(wrong, param_hint="--weight") from None


def _draw(console: Console, found: list[Experiment]) -> None:
    from rich.markup import escape
    from rich.table import Column, Table

    table = Table("id", Column("name", overflow="fold"), "on", "status", "said", box=None, header_style="bold")
    for one in found:
        said = f"{one.verdict}{f': {one.winner}' if one.winner else ''}" if one.status == "done" else ""
        table.add_row(one.experiment_id, escape(one.name), escape(one.target.subject), one.status, escape(said))
    console.print(table)


def _draw_one(console: Console, one: Experiment, said: Results) -> None:
    from rich.markup import escape
    from rich.table import Table

    console.print(_line(one), markup=False, highlight=False)
    if one.reason:
        console.print(one.reason, markup=False, highlight=False)
    table = Table("variant", "people", said.metric, "lift", "between", "p", box=None, header_style="bold")
    for each in said.variants:
        between = "" if each.lift_ci is None else f"{each.lift_ci[0]:+.1%} and {each.lift_ci[1]:+.1%}"
        table.add_row(
            escape(each.name), f"{each.n:,}", _number(each.mean),
            "" if each.lift is None else f"{each.lift:+.1%}", between, _number(each.p_value),
        )  # fmt: skip
    console.print(table)
    for guard in said.guards:
        console.print(f"guard {guard.metric}: {'ok' if guard.ok else 'TRIPPED'}", markup=False, highlight=False)
    if not said.sample_ratio_ok:
        console.print("PROBLEM: the groups are too uneven to be compared", markup=False, highlight=False)
    needed = "" if said.needed is None else f"; {said.needed:,} people a variant find a change of {one.effect:.0%}"
    console.print(f"verdict: {said.verdict}{needed}", markup=False, highlight=False)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
