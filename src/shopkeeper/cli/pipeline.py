"""`shopkeeper pipeline MODEL`"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from shopkeeper.cli.datasource import source_options
from shopkeeper.cli.screen import Screen, read_settings, with_shop

if TYPE_CHECKING:
    from shopkeeper.client import ShopkeeperClient
    from shopkeeper.core.records import Gate, Job, Version

_GATE_SAYS_NO = 1
_ENDS_AT = {"data": 20, "train": 80}  # percent of a training at which a step is over


@click.command("pipeline")
@click.argument("model")
@click.option("--algorithm", help="How; else as its newest version, or as a new shop trains it.")
@click.option("--set", "params", multiple=True, metavar="NAME=VALUE", help="A parameter of the algorithm.")
@source_options
@click.option("--seed", default=42, show_default=True, help="One seed gives one model.")
@click.option("--scope", default="all", show_default=True, help="Part of the shop that the model is for.")
@click.option("--version", metavar="NAME", help="What the new version is called beside its number; else a time stamp.")
@click.option("--existing", metavar="VERSION", help="Train nothing: take this version through gate, upload, promotion.")
@click.option(
    "--skip-eval", is_flag=True, help="Do not ask the gate; the promotion is forced, and written down as such."
)
@click.option("--skip-register", is_flag=True, help="Train and measure only.")
@click.option("--upload", metavar="URL", help="s3://bucket/folder or oss://bucket/folder; else S3_BUCKET.")
@click.option("--no-upload", is_flag=True, help="Upload nothing, whatever S3_BUCKET says.")
@click.option("--no-promote", is_flag=True, help="Leave the champion where it is.")
@with_shop()
@click.pass_context
def command(
    ctx: click.Context,
    shop: ShopkeeperClient,
    screen: Screen,
    model: str,
    algorithm: str | None,
    params: tuple[str, ...],
    data: dict[str, Any] | None,
    seed: int,
    scope: str,
    version: str | None,
    existing: str | None,
    skip_eval: bool,
    skip_register: bool,
    upload: str | None,
    no_upload: bool,
    no_promote: bool,
) -> None:
    """Data check, train, gate, register, upload, promote: each step is told as it ends, with --json one line each.

    Ends with 0 when everything that was asked for happened, with 1 when the gate said no.
    """
    url = None if no_upload or skip_register else upload or read_settings(None).upload_url
    steps = Steps(screen)
    if existing is not None:
        if algorithm or params or data or version or skip_register:
            raise click.UsageError("--existing trains nothing: leave out what says how to train")
        passed = _existing(shop, screen, steps, model, existing, scope, url, ask=not skip_eval, promote=not no_promote)
    else:
        from shopkeeper.cli.pairs import pairs
        from shopkeeper.cli.train import usual

        wanted: dict[str, Any] = {
            "params": pairs(params, "--set"),
            "source": data,
            "seed": seed,
            "scope": scope,
            "promote": not no_promote,
            "evaluate": not skip_eval,
            "register": not skip_register,
        }
        wanted |= {name: value for name, value in (("upload", url), ("version", version)) if value is not None}
        passed = _trained(shop, screen, steps, model, algorithm or usual(shop, model, scope), wanted)
    if not passed:
        ctx.exit(_GATE_SAYS_NO)


class Steps:
    """Tells each step once, as it ends: a line for people, or a line of JSON."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._told: set[str] = set()

    def tell(self, step: str, outcome: str, text: str = "", **facts: Any) -> None:
        if step in self._told:
            return
        self._told.add(step)
        if self._screen.as_json:
            from shopkeeper.core.records import encode

            told = {"step": step, "outcome": outcome, **({"message": text} if text else {}), **facts}
            click.echo(encode(told))
        else:
            from rich.markup import escape

            self._screen.console.print(f"{step:<9} [bold]{outcome:<9}[/] {escape(text)}", soft_wrap=True)

    def unfinished(self, *steps: str) -> str:
        """The first of these that was not told."""
        return next(step for step in steps if step not in self._told)


def _trained(
    shop: ShopkeeperClient, screen: Screen, steps: Steps, model: str, algorithm: str, wanted: dict[str, Any]
) -> bool:
    from shopkeeper.cli.watch import watch
    from shopkeeper.core.errors import ShopkeeperError

    job = shop.train(model, algorithm, **wanted)

    def seen(now: Job) -> None:
        for step, percent in _ENDS_AT.items():
            if now.progress.percent >= percent:
                steps.tell(step, "done", algorithm if step == "train" else "rows read and checked", job_id=job.job_id)

    try:
        job = watch(shop, screen, job, f"training {model}", seen=seen)
    except ShopkeeperError as error:
        steps.tell(steps.unfinished("data", "train", "gate"), "failed", error.message, job_id=job.job_id)
        raise
    result = job.result or {}
    rows = result.get("data", {}).get("rows")
    steps.tell("data", "done", "rows read and checked" if rows is None else f"{rows} rows", job_id=job.job_id)
    steps.tell("train", "done", algorithm, job_id=job.job_id)
    passed = _tell_gate(steps, result.get("gate"), result.get("metrics", {}))
    if not result.get("registered"):
        steps.tell("register", "skipped", "only measured, as asked")
        for name, value in result.get("metrics", {}).items():
            screen.note(f"  {name:<20} {value}")
        return passed
    number = result["version"]
    steps.tell("register", "done", f"{model} v{number}", version=number)
    uploaded = _follow_upload(shop, screen, steps, model, result)
    promoted = _tell_promotion(steps, model, number, result.get("promoted", False), result.get("why_not", ""))
    if uploaded is not None:
        raise uploaded
    return passed and (promoted or not wanted["promote"])


def _existing(
    shop: ShopkeeperClient,
    screen: Screen,
    steps: Steps,
    model: str,
    ref: str,
    scope: str,
    url: str | None,
    *,
    ask: bool,
    promote: bool,
) -> bool:
    """The steps after the training, for a version that is there."""
    from shopkeeper.core.errors import Conflict

    version = shop.version(model, ref, scope=scope)
    measured = _measured_anew(shop, screen, version) if ask else None
    there = f"{model} v{version.version} is there already"
    steps.tell("data", "skipped" if measured is None else "done", there if measured is None else "measured anew")
    steps.tell("train", "skipped", there)
    gate, metrics = (
        (measured["gate"], measured["metrics"]) if measured else (version.gate if ask else None, version.metrics)
    )
    passed = _tell_gate(steps, gate, metrics)
    steps.tell("register", "skipped", f"{model} v{version.version} is there already", version=version.version)
    if not passed:
        steps.tell("upload", "skipped", "the gate rejects it: it stays at home")
        steps.tell("promote", "refused", "the gate rejects it")
        return False
    why_not = "" if promote else "promotion was not asked for"
    if promote:
        reason = "pipeline" if ask else "the gate was not asked: evaluation was skipped"
        try:
            shop.promote(model, version.version, force=not ask, reason=reason, scope=scope)
        except Conflict as error:
            why_not = error.message
    # Uploaded after it: the bucket is told which version is the champion.
    started = (
        {} if url is None else {"upload_job_id": shop.upload_version(model, version.version, url, scope=scope).job_id}
    )
    uploaded = _follow_upload(shop, screen, steps, model, started)
    promoted = _tell_promotion(steps, model, version.version, not why_not, why_not)
    if uploaded is not None:
        raise uploaded
    return promoted or not promote


def _measured_anew(shop: ShopkeeperClient, screen: Screen, version: Version) -> dict[str, Any] | None:
    """What an evaluation found, when the version's verdict says nothing about the champion of today."""
    from shopkeeper.cli.watch import watch
    from shopkeeper.core.errors import NotFound

    try:
        champion = shop.version(version.model, "champion", scope=version.scope).version
    except NotFound:
        return None
    if champion == version.version or (version.gate is not None and version.data.get("against") == champion):
        return None
    job = shop.evaluate(version.model, version.version, scope=version.scope)
    return watch(shop, screen, job, f"measuring {version.model} v{version.version}").result


def _tell_gate(steps: Steps, gate: Gate | dict[str, Any] | None, metrics: dict[str, Any]) -> bool:
    """False when the gate rejects."""
    if gate is None:
        steps.tell("gate", "skipped", "it was not asked", metrics=metrics)
        return True
    verdict, reasons = (gate["verdict"], gate["reasons"]) if isinstance(gate, dict) else (gate.verdict, gate.reasons)
    steps.tell("gate", verdict, "; ".join(reasons), metrics=metrics)
    return bool(verdict != "REJECT")


def _follow_upload(
    shop: ShopkeeperClient, screen: Screen, steps: Steps, model: str, result: dict[str, Any]
) -> Exception | None:
    """The error of an upload that failed: the steps after it are told first."""
    from shopkeeper.cli.watch import watch
    from shopkeeper.core.errors import ShopkeeperError

    if (problem := result.get("upload_error")) is not None:
        steps.tell("upload", "failed", problem)
        return ShopkeeperError(f"the upload did not begin: {problem}", code="failed")
    if (job_id := result.get("upload_job_id")) is None:
        steps.tell("upload", "skipped", result.get("upload_skipped") or "no place was given: --upload, or S3_BUCKET")
        return None
    try:
        done = watch(shop, screen, shop.job(job_id), f"uploading {model}").result or {}
    except ShopkeeperError as error:
        steps.tell("upload", "failed", error.message, job_id=job_id)
        return error
    steps.tell("upload", "done", str(done.get("url", "")), job_id=job_id)
    return None


def _tell_promotion(steps: Steps, model: str, number: int, promoted: bool, why_not: str) -> bool:
    if promoted:
        steps.tell("promote", "done", f"{model} v{number} answers now")
    else:
        steps.tell("promote", "refused" if "gate" in why_not else "skipped", why_not)
    return promoted
