"""`shopkeeper jobs [JOB]`"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from shopkeeper.cli.screen import Screen, with_shop

if TYPE_CHECKING:
    from rich.console import Console

    from shopkeeper.client import ShopkeeperClient
    from shopkeeper.core.records import Job

_LOOKED_AT = 1000  # jobs whose ids are compared with a prefix
_WIDE = 60  # columns from which an id fits on one line


@click.command("jobs")
@click.argument("job_id", required=False)
@click.option("--kind", help="Only jobs of this kind.")
@click.option("--status", type=click.Choice(["queued", "running", "done", "failed", "cancelled"]))
@click.option("--limit", default=20, show_default=True)
@click.option("--cancel", is_flag=True, help="Ask the job to stop.")
@click.option("--logs", is_flag=True, help="Print the last lines that the job wrote.")
@click.option("--follow", is_flag=True, help="Watch the job until it ends.")
@with_shop()
def command(
    shop: ShopkeeperClient,
    screen: Screen,
    job_id: str | None,
    kind: str | None,
    status: str | None,
    limit: int,
    cancel: bool,
    logs: bool,
    follow: bool,
) -> None:
    """The newest jobs, or one job. The first letters of a JOB_ID are enough while no other job begins like it."""
    if job_id is None:
        if cancel or logs or follow:
            raise click.UsageError("name the job: shopkeeper jobs JOB_ID --cancel | --logs | --follow")
        found = shop.jobs(kind=kind, status=status, limit=limit)
        screen.show(found, lambda console: _draw_all(console, found))
        return
    job = _named(shop, job_id)
    if logs:
        click.echo(shop.job_logs(job.job_id), nl=False)
        return
    if cancel:
        job = shop.cancel_job(job.job_id)
    if follow:
        from shopkeeper.cli.watch import watch

        job = watch(shop, screen, job, f"{_what(job)} {job.job_id}")
    screen.show(job, lambda console: _draw(console, job))


def _named(shop: ShopkeeperClient, text: str) -> Job:
    """The job with this id, or the only one whose id begins so. Raises NotFound, and Invalid when several do."""
    from shopkeeper.core.errors import Invalid, NotFound

    try:
        return shop.job(text)
    except NotFound:
        like = [job for job in shop.jobs(limit=_LOOKED_AT) if job.job_id.startswith(text.upper())]
        if not like:
            raise
    if len(like) > 1:
        names = ", ".join(job.job_id for job in like[:5])
        raise Invalid(f"{len(like)} jobs begin with {text}: {names}; give more letters", code="ambiguous_job")
    return like[0]


def _what(job: Job) -> str:
    """`train home_ranker`, or the kind alone."""
    return f"{job.kind} {job.params['model']}" if "model" in job.params else job.kind


def _percent(job: Job) -> str:
    return "100 %" if job.status == "done" else f"{job.progress.percent:.0f} %"


def _draw_all(console: Console, jobs: list[Job]) -> None:
    from rich.markup import escape
    from rich.table import Column, Table

    if not jobs:
        console.print("no jobs")
        return
    job_column = Column("job", no_wrap=console.width >= _WIDE, overflow="fold")
    what = Column("what", overflow="fold")
    table = Table(job_column, what, "status", Column("done", justify="right"), "created", box=None, header_style="bold")
    for job in jobs:
        created = job.created_at.strftime("%m-%d %H:%M") if job.created_at else ""
        table.add_row(job.job_id, escape(_what(job)), job.status, _percent(job), created)
    console.print(table)
    for job in jobs:
        if job.error:
            console.print(f"{job.job_id} [red]{escape(job.error)}[/]", soft_wrap=True)


def _draw(console: Console, job: Job) -> None:
    from rich.markup import escape
    from rich.pretty import Pretty

    console.print(f"[bold]{escape(_what(job))}[/] {job.job_id}: {job.status}, {_percent(job)}", soft_wrap=True)
    if job.error:
        console.print(f"[red]{escape(job.error)}[/]")
    console.print(Pretty({"params": job.params, "result": job.result}))
