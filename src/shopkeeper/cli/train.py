"""`shopkeeper train MODEL`"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from shopkeeper.cli.datasource import source_options
from shopkeeper.cli.pairs import pairs
from shopkeeper.cli.screen import Screen, with_shop

if TYPE_CHECKING:
    from rich.console import Console

    from shopkeeper.client import ShopkeeperClient
    from shopkeeper.core.records import Job


@click.command("train")
@click.argument("model")
@click.option("--algorithm", help="How; else as its newest version, or as a new shop trains it.")
@click.option(
    "--set", "params", multiple=True, metavar="NAME=VALUE", help="A parameter of the algorithm; may be repeated."
)
@click.option("--epochs", type=int, help="Short for --set epochs=N.")
@click.option("--batch-size", type=int, help="Short for --set batch_size=N.")
@click.option("--normalize", is_flag=True, help="Short for --set normalize=true.")
@click.option("--version", metavar="NAME", help="What the new version is called beside its number; else a time stamp.")
@click.option("--start-from", metavar="VERSION", help="Go on with what this version has learned: v3, or an alias.")
@source_options
@click.option("--seed", default=42, show_default=True, help="One seed gives one model.")
@click.option("--scope", default="all", show_default=True, help="Part of the shop that the model is for.")
@click.option("--no-promote", is_flag=True, help="Leave the champion where it is, whatever the gate says.")
@click.option("--detach", is_flag=True, help="Begin and return; needs a live server.")
@with_shop()
def command(
    shop: ShopkeeperClient,
    screen: Screen,
    model: str,
    algorithm: str | None,
    params: tuple[str, ...],
    epochs: int | None,
    batch_size: int | None,
    normalize: bool,
    version: str | None,
    start_from: str | None,
    data: dict[str, Any] | None,
    seed: int,
    scope: str,
    no_promote: bool,
    detach: bool,
) -> None:
    """Train MODEL, measure it on untouched rows beside the champion, and let the gate decide.

    Rows come from the shop's own log, or from where --data-source and its options say.
    """
    short = {"epochs": epochs, "batch_size": batch_size, "normalize": normalize or None}
    job = shop.train(
        model,
        algorithm or usual(shop, model, scope),
        params={
            **{name: value for name, value in short.items() if value is not None},
            **pairs(params, "--set"),
        },
        source=data,
        seed=seed,
        promote=not no_promote,
        scope=scope,
        **{name: value for name, value in {"version": version, "start_from": start_from}.items() if value is not None},
    )
    if not detach:
        from shopkeeper.cli.watch import watch

        job = watch(shop, screen, job, f"training {model}")
    screen.show(job, lambda console: _draw(console, job))


def usual(shop: ShopkeeperClient, model: str, scope: str) -> str:
    """The algorithm of the newest version, else the one a new shop trains MODEL with. Raises Invalid without either."""
    from shopkeeper.bootstrap import FIRST_MODELS
    from shopkeeper.core.errors import Invalid, NotFound

    try:
        versions = shop.versions(model, scope=scope)
    except NotFound:
        versions = []
    if versions:
        return versions[0].algorithm
    first = {one.model: one.algorithm for one in FIRST_MODELS}
    if model in first:
        return first[model]
    names = ", ".join(one.name for one in shop.algorithms())
    raise Invalid(f"{model} is new: say how with --algorithm, one of {names}", code="no_algorithm")


def _draw(console: Console, job: Job) -> None:
    result = job.result or {}
    if job.status != "done":
        console.print(f"job {job.job_id} is {job.status}; watch it: shopkeeper jobs {job.job_id} --follow")
        return
    gate = result.get("gate") or {}
    console.print(f"{job.params['model']} v{result.get('version')}: {gate.get('verdict')}")
    for reason in gate.get("reasons", []):
        console.print(f"  {reason}")
