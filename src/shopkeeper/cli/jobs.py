"""`shopkeeper jobs [JOB]`"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from shopkeeper.cli.screen import Screen, with_shop

if TYPE_CHECKING:
    from rich.console import Console

    from shopkeeper.client import ShopkeeperClient
    from shopkeeper.core.records import Job


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
    """The newest jobs, or one job."""
    if job_id is None:
        if cancel or logs or follow:
            raise click.UsageError("name the job: shopkeeper jobs JOB_ID --cancel | --logs | --follow")
        found = shop.jobs(kind=kind, status=status, limit=limit)
        screen.show(found, lambda console: _draw_all(console, found))
    elif logs:
        click.echo(shop.job_logs(job_id), nl=False)
    else:
        job = shop.cancel_job(job_id) if cancel else shop.job(job_id)
        if follow:
            from shopkeeper.cli.watch import watch

            job = watch(shop, screen, job, f"{job.kind} {job.job_id}")
        screen.show(job, lambda console: _draw(console, job))


def _draw_all(console: Console, jobs: list[Job]) -> None:
    from rich.table import Table

    table = Table("job", "kind", "status", "progress", "created", "error", box=None, header_style="bold")
    for job in jobs:
        created = job.created_at.strftime("%Y-%m-%d %H:%M:%S") if job.created_at else ""
        table.add_row(job.job_id, job.kind, job.status, f"{job.progress.percent:.0f} %", created, job.error or "")
    console.print(table if jobs else "no jobs")


def _draw(console: Console, job: Job) -> None:
    from rich.pretty import Pretty

    console.print(f"[bold]{job.kind}[/] {job.job_id}: {job.status}, {job.progress.percent:.0f} %")
    if job.error:
        console.print(f"[red]{job.error}[/]")
    console.print(Pretty({"params": job.params, "result": job.result}))
