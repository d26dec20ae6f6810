"""`shopkeeper refresh`"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from shopkeeper.cli.screen import Screen, with_shop

if TYPE_CHECKING:
    from rich.console import Console

    from shopkeeper.client import ShopkeeperClient
    from shopkeeper.core.records import Job


@click.command("refresh")
@click.option("--full", is_flag=True, help="Train a new model first; else the one that serves embeds.")
@click.option("--sample", type=float, metavar="RATIO", help="Only this share of the events makes the graph, 0.1 to 1.")
@click.option("--seed", type=int, help="Of the sample and of the training; one seed gives one model.")
@click.option("--no-times", is_flag=True, help="When things happened is not read.")
@click.option("--epochs", type=int, help="Of the new model.  [default: 2 after a warm start]")
@click.option("--temperature", type=float, help="Of the new model.  [default: the champion's]")
@click.option("--learning-rate", type=float, help="Of the new model.")
@click.option(
    "--warm/--cold",
    default=None,
    help="Whether the new model begins with what the one that serves has learned.  [default: where it can]",
)
@click.option("--fusion-epochs", type=int, help="Of the fused score.  [default: the champion's]")
@click.option("--detach", is_flag=True, help="Begin and return; needs a live server.")
@with_shop()
def command(
    shop: ShopkeeperClient,
    screen: Screen,
    full: bool,
    sample: float | None,
    seed: int | None,
    no_times: bool,
    epochs: int | None,
    temperature: float | None,
    learning_rate: float | None,
    warm: bool | None,
    fusion_epochs: int | None,
    detach: bool,
) -> None:
    """Make all vectors anew, on request with a new model, and tune the fused score. What served before serves until
    the new is whole."""
    asked: dict[str, Any] = {
        "graph_scope": None if sample is None else "sampled",
        "sample_ratio": sample,
        "random_seed": seed,
        "include_edge_timestamp": False if no_times else None,
        "retrain_epochs": epochs,
        "temperature": temperature,
        "learning_rate": learning_rate,
        "warm_start": warm,
        "fusion_epochs": fusion_epochs,
    }
    given = {name: value for name, value in asked.items() if value is not None}
    job = shop.refresh("full_retrain" if full else "embedding_only", **given)
    if not detach:
        from shopkeeper.cli.watch import watch

        job = watch(shop, screen, job, "refresh")
    screen.show(job, lambda console: _draw(console, job))


def _draw(console: Console, job: Job) -> None:
    result = job.result
    if result is None:
        console.print(f"job {job.job_id} is {job.status}; watch it: shopkeeper jobs {job.job_id} --follow")
        return
    console.print(result["message"], soft_wrap=True)
    for stage, seconds in result["seconds"].items():
        console.print(f"  {stage:<8} {seconds:,.1f} s")
