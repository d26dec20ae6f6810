"""A job under a progress bar, until it ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from shopkeeper.cli.screen import Screen
from shopkeeper.core.errors import Refused, ShopkeeperError

if TYPE_CHECKING:
    from rich.progress import Progress

    from shopkeeper.client import ShopkeeperClient
    from shopkeeper.core.records import Job


def watch(
    shop: ShopkeeperClient, screen: Screen, job: Job, title: str, *, seen: Callable[[Job], None] = lambda _: None
) -> Job:
    """Returns the job when it is done; `seen` gets it each time it is looked at.

    Raises when it failed or was cancelled; Ctrl-C cancels it.
    """
    try:
        ended = _watched(shop, screen, job, title, seen)
    except KeyboardInterrupt:
        shop.cancel_job(job.job_id)
        raise
    if ended.status == "failed":
        raise ShopkeeperError(
            f"{title} failed: {ended.error}; see shopkeeper jobs {ended.job_id} --logs", code="failed"
        )
    if ended.status == "cancelled":
        raise Refused(f"{title} was cancelled", code="cancelled")
    return ended


def _watched(shop: ShopkeeperClient, screen: Screen, job: Job, title: str, seen: Callable[[Job], None]) -> Job:
    if screen.as_json:
        return shop.wait(job.job_id, look=seen)
    with progress_bars(screen) as bars:
        task = bars.add_task(title, total=None)

        def look(now: Job) -> None:
            seen(now)
            step = now.progress
            bars.update(
                task,
                total=step.of or None,
                completed=step.step,
                description=f"{title}  [dim]{step.message or now.status}[/]",
            )

        ended = shop.wait(job.job_id, look=look)
        if ended.status == "done":
            bars.update(task, total=1, completed=1, description=title)
        return ended


def progress_bars(screen: Screen) -> Progress:
    """Bars that live as long as the `with` around them."""
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    return Progress(*columns, console=screen.console)
