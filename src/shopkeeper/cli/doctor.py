"""`shopkeeper doctor`"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shopkeeper.cli.screen import Screen, home_option, json_option, read_settings

if TYPE_CHECKING:
    from rich.console import Console

    from shopkeeper.settings import Settings


@dataclass(frozen=True)
class Part:
    """Something that may be installed: `needed` parts stop the shop when they are missing."""

    name: str
    enables: str
    get: str
    needed: bool = False
    program: bool = False


_INSTALL = "pip install 'shopkeeper[console]'"
_REINSTALL = "make setup (or pip install shopkeeper)"
PARTS = (
    Part("fastapi", "the API", _REINSTALL, needed=True),
    Part("uvicorn", "the server", _REINSTALL, needed=True),
    Part("sqlalchemy", "the store", _REINSTALL, needed=True),
    Part("polars", "imports and training rows", _REINSTALL, needed=True),
    Part("fastexcel", "importing xlsx files", "pip install fastexcel"),
    Part("xgboost", "the ranker xgb", "pip install xgboost-cpu"),
    Part("lightgbm", "forecasts, the ranker lgbm", "pip install lightgbm; Debian: apt-get install libgomp1"),
    Part("statsforecast", "the forecast autoets", "pip install statsforecast"),
    Part("uvloop", "a faster server", "pip install 'uvicorn[standard]'"),
    Part("onnxruntime", "ONNX forms and uploaded graphs", _REINSTALL, needed=True),
    Part("pymysql", "training rows from MySQL and Doris", "pip install 'shopkeeper[mysql]'"),
    Part("psycopg", "training rows from PostgreSQL", "pip install 'shopkeeper[postgres]'"),
    Part("obstore", "buckets (S3, OSS): training rows, archives", "pip install 'shopkeeper[s3]'"),
    Part("faiss", "fast search among more than 100,000 vectors", "pip install 'shopkeeper[ann]'"),
    Part("torch", "training the fused score of profiles", "pip install 'shopkeeper[deep]'"),
    Part("shap", "audits of explanations", "pip install 'shopkeeper[shap]'"),
    Part("grpc", "the inference protocol over gRPC", "pip install 'shopkeeper[grpc]'"),
    Part("streamlit", "the console in the browser", _INSTALL),
    Part("plotly", "the console's charts", _INSTALL),
    Part("chromium", "the console's tests", "apt-get install chromium", program=True),
)


@click.command("doctor")
@json_option
@home_option
def command(as_json: bool, home: Path | None) -> None:
    """What is installed, what is missing, what each missing part would enable, and how to get it."""
    settings = read_settings(home)
    parts, shop = [_look(part) for part in PARTS], _shop(settings)
    found: dict[str, Any] = {"parts": parts, "shop": shop, "machine": _machine()}
    Screen(as_json=as_json).show(found, lambda console: _draw(console, found))
    if shop["problems"] or any(part["needed"] and not part["version"] for part in parts):
        raise click.exceptions.Exit(7)


def _look(part: Part) -> dict[str, Any]:
    return {
        "name": part.name,
        "version": _program(part.name) if part.program else _version(part.name),
        "needed": part.needed,
        "enables": part.enables,
        "get": part.get,
    }


def _version(module: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, packages_distributions, version
    from importlib.util import find_spec

    if find_spec(module) is None:
        return None
    try:
        return version(packages_distributions()[module][0])
    except (KeyError, PackageNotFoundError):
        return "unknown"


def _program(name: str) -> str | None:
    from shutil import which

    return which(name)


def _shop(settings: Settings) -> dict[str, Any]:
    """The home, and what stands in its way."""
    from shopkeeper.cli.preflight import problems
    from shopkeeper.stores.home import Home

    home = Home(settings.home)
    url = home.live_url()
    return {
        "home": str(home.path),
        "exists": home.exists,
        "live_url": url,
        "problems": [] if url else problems(settings),
    }


def _machine() -> dict[str, Any]:
    import os
    import platform
    import sys

    import psutil

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = psutil.virtual_memory()
    return {
        "python": platform.python_version(),
        "executable": sys.executable,
        "system": platform.platform(),
        "cores": cores,
        "memory_mb": memory.total >> 20,
        "memory_free_mb": memory.available >> 20,
    }


def _draw(console: Console, found: dict[str, Any]) -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table("", "part", "version", "what it is for", "how to get it", box=None, header_style="bold")
    for part in found["parts"]:
        there = part["version"] is not None
        mark = "[green]ok[/]" if there else ("[red]missing[/]" if part["needed"] else "[yellow]missing[/]")
        table.add_row(mark, part["name"], part["version"] or "", part["enables"], "" if there else escape(part["get"]))
    console.print(table)
    shop, machine = found["shop"], found["machine"]
    state = f"served at {shop['live_url']}" if shop["live_url"] else ("closed" if shop["exists"] else "not opened yet")
    console.print(f"\nshop     {shop['home']}: {state}")
    console.print(f"machine  {machine['cores']} cores, {machine['memory_free_mb']} MB free, Python {machine['python']}")
    for problem in shop["problems"]:
        console.print(f"[red]{problem}[/]")
