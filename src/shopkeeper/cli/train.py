"""`shopkeeper train MODEL`"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shopkeeper.cli.datasource import source_options
from shopkeeper.cli.pairs import pairs
from shopkeeper.cli.screen import Screen, with_shop

if TYPE_CHECKING:
    from rich.console import Console

    from shopkeeper.client import ShopkeeperClient
    from shopkeeper.core.records import Job


_SHORT: dict[str, type] = {
    "epochs": int,
    "batch-size": int,
    "lr": float,
    "mode": str,
    "dim": int,
    "num-walks": int,
    "walk-length": int,
    "window": int,
    "min-count": int,
    "workers": int,
    "user-col": str,
    "sequence-col": str,
}
"""Parameters with an option of their own: what the training scripts of single models were called with."""


def short_options(function: Callable[..., None]) -> Callable[..., None]:
    """Decorator: the command gets `short`, what was said of the parameters in _SHORT."""

    @functools.wraps(function)
    def run(*args: Any, **options: Any) -> None:
        given = {name: options.pop(name) for name in map(_dest, _SHORT)}
        function(*args, short={name: value for name, value in given.items() if value is not None}, **options)

    for name, kind in reversed(_SHORT.items()):
        run = click.option(f"--{name}", type=kind, help=f"Short for --set {_dest(name)}=...")(run)
    return run


def _dest(name: str) -> str:
    return name.replace("-", "_")


@click.command("train")
@click.argument("model")
@click.option("--algorithm", help="How; else as its newest version, or as a new shop trains it.")
@click.option(
    "--set", "params", multiple=True, metavar="NAME=VALUE", help="A parameter of the algorithm; may be repeated."
)
@short_options
@click.option("--normalize", is_flag=True, help="Short for --set normalize=true.")
@click.option("--version", metavar="NAME", help="What the new version is called beside its number; else a time stamp.")
@click.option("--start-from", metavar="VERSION", help="Go on with what this version has learned: v3, or an alias.")
@source_options
@click.option("--seed", default=42, show_default=True, help="One seed gives one model.")
@click.option("--scope", default="all", show_default=True, help="Part of the shop that the model is for.")
@click.option("--no-promote", is_flag=True, help="Leave the champion where it is, whatever the gate says.")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the vectors there: JSON, id -> vector."
)
@click.option("--no-gen", is_flag=True, hidden=True, help="Read for older scripts: rows are never made up here.")
@click.option("--detach", is_flag=True, help="Begin and return; needs a live server.")
@with_shop()
def command(
    shop: ShopkeeperClient,
    screen: Screen,
    model: str,
    algorithm: str | None,
    params: tuple[str, ...],
    short: dict[str, Any],
    normalize: bool,
    version: str | None,
    start_from: str | None,
    data: dict[str, Any] | None,
    seed: int,
    scope: str,
    no_promote: bool,
    out: Path | None,
    no_gen: bool,
    detach: bool,
) -> None:
    """Train MODEL, measure it on untouched rows beside the champion, and let the gate decide.

    Rows come from the shop's own log, or from where --data-source and its options say.
    """
    del no_gen
    if out is not None and detach:
        raise click.UsageError("--out is written when the training is done: leave --detach out")
    how = algorithm or short.get("mode") or usual(shop, model, scope)
    job = shop.train(
        model,
        how,
        params={
            **_named(shop, how, short),
            **({"normalize": True} if normalize else {}),
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
    if out is not None:
        _write_vectors(shop, model, (job.result or {})["version"], scope, out)
    screen.show(job, lambda console: _draw(console, job))


def _named(shop: ShopkeeperClient, algorithm: str, short: dict[str, Any]) -> dict[str, Any]:
    """`lr` under the name that the algorithm has for it."""
    if "lr" not in short:
        return short
    known = next((one.params_schema for one in shop.algorithms() if one.name == algorithm), {})
    name = "lr" if "lr" in known.get("properties", {}) else "learning_rate"
    return {name if each == "lr" else each: value for each, value in short.items()}


def _write_vectors(shop: ShopkeeperClient, model: str, version: int, scope: str, out: Path) -> None:
    """Raises Invalid (`no_vectors`) for an algorithm without such a file; the version is there all the same."""
    import tarfile
    import tempfile

    from shopkeeper.core.errors import Invalid

    with tempfile.TemporaryDirectory(prefix="shopkeeper-") as folder:
        archive = Path(folder, "legacy.tar.gz")
        shop.export_version(model, version, archive, scope=scope, format="legacy")
        with tarfile.open(archive) as tar:
            name = next((one for one in tar.getnames() if one.endswith("_vectors.json")), None)
            content = tar.extractfile(name) if name is not None else None
            if content is None:
                raise Invalid(f"{model} v{version} has no vectors to write to {out}", code="no_vectors", field="out")
            out.write_bytes(content.read())


def usual(shop: ShopkeeperClient, model: str, scope: str) -> str:
    """The algorithm of the newest version, else the one a new shop trains MODEL with, else the one that is called so.
    Raises Invalid without any."""
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
    names = [one.name for one in shop.algorithms()]
    if model in names:
        return model
    raise Invalid(f"{model} is new: say how with --algorithm, one of {', '.join(names)}", code="no_algorithm")


def _draw(console: Console, job: Job) -> None:
    result = job.result or {}
    if job.status != "done":
        console.print(f"job {job.job_id} is {job.status}; watch it: shopkeeper jobs {job.job_id} --follow")
        return
    gate = result.get("gate") or {}
    console.print(f"{job.params['model']} v{result.get('version')}: {gate.get('verdict')}")
    for reason in gate.get("reasons", []):
        console.print(f"  {reason}")
