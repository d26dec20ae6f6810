"""`shopkeeper up`: open the shop, serve it, train what it lacks, show it in the browser, and close it again cleanly."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shopkeeper.cli.preflight import check_grpc, check_host, check_workers
from shopkeeper.cli.screen import Screen, home_option, json_option, read_settings
from shopkeeper.cli.sidecar import url_host
from shopkeeper.core.errors import Conflict

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID

    from shopkeeper.api.server import Server
    from shopkeeper.bootstrap import Shop
    from shopkeeper.cli.sidecar import Sidecar
    from shopkeeper.core.protocols import Report
    from shopkeeper.settings import Settings


_LOOK_S = 0.01
_LOOKED_AT = 5000  # newest events: an invoice without a customer has hundreds of lines


@dataclass(frozen=True)
class Plan:
    """What `up` was asked to do."""

    settings: Settings
    shop: str | None
    console: bool
    train: bool
    screen: Screen


@click.command("up")
@click.option(
    "--shop", type=click.Choice(["retail", "telecom", "empty"]), help="What a new home becomes.  [default: retail]"
)
@click.option("--host", help="Address to listen on; other than loopback needs an API key.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port of the API; 0 takes a free one.  [default: 8080]")
@click.option("--console-port", type=click.IntRange(0, 65535), help="Port of the console.  [default: 8501]")
@click.option("--grpc-port", type=click.IntRange(0, 65535), help="Port of the inference protocol over gRPC; 0: off.")
@click.option("--no-console", is_flag=True, help="Serve the API only.")
@click.option("--no-train", is_flag=True, help="Do not train the models that are missing.")
@click.option(
    "--speed",
    type=click.FloatRange(0, 100_000),
    help="Bundled shop: shop seconds per second; simulated: 60 is about an event a second.  [default: 60]",
)
@click.option("--debug", is_flag=True, help="Write everything to the log.")
@click.option("--swagger", is_flag=True, help="As ever: the pages of the API are at /swagger/ in any case.")
@click.option("--workers", type=int, default=1, hidden=True)
@home_option
@json_option
def command(
    shop: str | None,
    host: str | None,
    port: int | None,
    console_port: int | None,
    grpc_port: int | None,
    no_console: bool,
    no_train: bool,
    speed: float | None,
    debug: bool,
    swagger: bool,
    workers: int,
    home: Path | None,
    as_json: bool,
) -> None:
    """Open the shop: import, train, serve API and console, until Ctrl-C."""
    del swagger
    check_workers(workers)
    ports = {"port": port, "console_port": console_port, "grpc_port": grpc_port}
    settings = read_settings(home, host=host, live_speed=speed, log_level="debug" if debug else None, **ports)
    check_host(settings.host, settings.api_key)
    check_grpc(settings)
    _run(Plan(settings, shop, not no_console, not no_train, Screen(as_json=as_json)))


def _run(plan: Plan) -> None:
    from shopkeeper.api.server import listen, run
    from shopkeeper.bootstrap import open_shop
    from shopkeeper.stores.home import Home

    home = Home(plan.settings.home)
    if (server := home.server()) is not None:
        at = f", serving {server.url}" if server.url else ""
        raise Conflict(f"{home.path} is open already: process {server.pid}{at}", code="home_in_use")
    kind = plan.shop or (None if home.exists else "retail")
    listener = listen(plan.settings.host, plan.settings.port)
    home.make()
    _log_to(home.logs / "server.log", plan.settings.log_level)
    with _importing(plan.screen) as report:
        shop = open_shop(plan.settings, shop=kind, report=report)
    run(_serve(plan, shop, listener))


async def _serve(plan: Plan, shop: Shop, listener: socket.socket) -> None:
    """Serves until a signal, then drains, ends the console, and closes the shop, whatever happened."""
    from shopkeeper.api.server import Server, address

    server = Server(shop, listener)
    console: Sidecar | None = None
    try:
        await shop.start()
        serving = asyncio.create_task(server.run_until_stopped(), name="server")
        on_signals(server)
        while not (server.started or serving.done()):  # nobody is told an address that does not answer yet
            await asyncio.sleep(_LOOK_S)
        url = address(listener, plan.settings.host)
        console, console_url = await _console(plan, shop, url)
        shop.home.announce(url, console_url)
        if not serving.done():
            _tell(plan, shop, url, console_url)
            await _train(plan, shop, serving)
        await serving
        plan.screen.note("closing ...")
    finally:
        if console is not None:
            await asyncio.to_thread(console.stop)
        await shop.stop()


def on_signals(server: Server) -> None:
    """SIGINT and SIGTERM drain the server; a second one stops waiting for running requests."""

    def ask() -> None:
        server.force_exit = server.should_exit
        server.should_exit = True

    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, ask)


async def _console(plan: Plan, shop: Shop, url: str) -> tuple[Sidecar | None, str | None]:
    """The console's process and address; none when it was not wanted or cannot run, which is told."""
    from shopkeeper.cli.sidecar import Sidecar, free_port
    from shopkeeper.console import launch

    if not plan.console:
        return None, None
    if (absent := launch.missing()) is not None:
        plan.screen.note(f"[yellow]{absent}[/]")
        return None, None
    host = plan.settings.host
    port = free_port(host, plan.settings.console_port)
    arguments = launch.command(port, host, upload_mb=max(plan.settings.upload_limit >> 20, 1))
    sidecar = Sidecar(arguments, shop.home.logs / "console.log", {"SHOPKEEPER_URL": url})
    return sidecar, f"http://{url_host(host)}:{port}"


async def _train(plan: Plan, shop: Shop, serving: asyncio.Task[None]) -> None:
    """Trains what is missing while the shop serves, and tells what it serves with at the end."""
    from shopkeeper.cli.firsttraining import train_missing

    if not plan.train:
        return
    jobs = await train_missing(shop, plan.screen, until=serving)
    if serving.done():
        return
    ready = sorted({one.version.model for one in shop.serving.loaded()})
    untrained = {job.params["model"]: job.error for job in jobs if job.status == "failed"}

    def draw(out: Console) -> None:
        if ready:
            out.print(f"models are ready: {', '.join(ready)}", soft_wrap=True)

    plan.screen.show({"models": ready, "untrained": untrained}, draw)
    sys.stdout.flush()


def _tell(plan: Plan, shop: Shop, url: str, console: str | None) -> None:
    """Where everything is, and one thing to try: before the models are trained, because all doors answer already."""
    user = _somebody(shop)
    body = f'{{"user_id":"{user}","n_recommendations":5}}'
    key = ' -H "X-API-Key: $SHOPKEEPER_API_KEY"' if plan.settings.api_key else ""
    curl = f"curl -s {url}/api/v1/personalization/recommend -H 'content-type: application/json'{key} -d '{body}'"
    grpc_port = plan.settings.grpc_port
    told: dict[str, Any] = {
        "api": url,
        "console": console,
        "docs": f"{url}/docs",
        **({"grpc": f"{url_host(plan.settings.host)}:{grpc_port}"} if grpc_port else {}),
        "home": str(shop.home.path),
        "try": curl,
    }

    def draw(out: Console) -> None:
        out.print(f"\n[bold]The shop is open.[/]  {shop.log.last_seq:,} events, {len(shop.vocab.items):,} items")
        out.print(f"  console  {console or 'not running'}")
        out.print(f"  API      {url}   (all doors: {url}/docs)")
        if "grpc" in told:
            out.print(f"  gRPC     {told['grpc']}")
        out.print("  try      ", end="")
        out.print(curl, soft_wrap=True, markup=False)
        if not shop.log.last_seq:
            out.print("  next     shopkeeper import orders.csv   (the shop has no data yet)")
        out.print("  close    Ctrl-C\n")

    plan.screen.show(told, draw)
    sys.stdout.flush()


def _somebody(shop: Shop) -> str:
    """A user of the newest events, so that the example shows a person's slate."""
    return next((event.user_id for event in shop.log.recent(limit=_LOOKED_AT) if event.user_id is not None), "somebody")


def _log_to(file: Path, level: str) -> None:
    """A person at a terminal sees the progress; the log goes to a file. Elsewhere it goes to stderr."""
    from shopkeeper.telemetry import logs

    logs.configure(level, file.open("a", encoding="utf-8") if sys.stderr.isatty() else None)


@contextmanager
def _importing(screen: Screen) -> Iterator[Report]:
    """A bar that appears with the first report: a home that is open already shows none."""
    from shopkeeper.core.protocols import silent

    if screen.as_json:
        yield silent
        return
    from shopkeeper.cli.watch import progress_bars

    with progress_bars(screen) as bars:
        tasks: dict[str, TaskID] = {}

        def report(
            step: int, of: int, metrics: Mapping[str, float] | None = None, *, message: str = "", epoch: bool = False
        ) -> None:
            del metrics, epoch
            if "import" not in tasks:
                tasks["import"] = bars.add_task("opening the shop", total=of)
            bars.update(tasks["import"], completed=step, total=of, description=f"opening the shop  {message}")

        yield report
