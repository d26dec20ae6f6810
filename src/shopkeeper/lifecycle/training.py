"""The job kind `train`: rows -> fit -> save -> load again -> measure beside the champion -> judge -> seal.

What is measured and judged is the model that was loaded back from the files, because that is what will serve. Runs in
the job's child; `releasing.py` is its other half, in the shop's process.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgspec

from shopkeeper import __version__, plugins
from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import Continuing, Family, JobContext, Params, Trainer, TrainingContext, TrainingData
from shopkeeper.core.records import FileEntry
from shopkeeper.lifecycle import indexing
from shopkeeper.lifecycle.loading import difference_of, load_model, write_golden
from shopkeeper.lifecycle.measuring import Rival, finite, judged, measured
from shopkeeper.lifecycle.orders import TrainOrder, cannot_continue
from shopkeeper.lifecycle.reporting import within
from shopkeeper.lifecycle.versions import Candidate
from shopkeeper.stores import artifacts

ARTIFACT = "artifact"
MOST_IMPORTANT = 50
"""Features of which a version tells how much its answers hang on them."""


class TrainParams(TrainOrder, kw_only=True, forbid_unknown_fields=False):
    """What was asked, and the champion of the moment the job starts. `source` {kind: shop}: the shop's event log.
    `begin`: the version that `start_from` names.

    `ticket` stands for the secrets of the source, which the shop keeps in memory; the child gets them in `source`.
    """

    champion: Rival | None = None
    begin: Rival | None = None
    ticket: str | None = None


def read_train_params(params: Any) -> TrainParams:
    """Raises Invalid."""
    try:
        return msgspec.convert(params, TrainParams)
    except msgspec.ValidationError as error:
        raise Invalid(f"cannot train with these parameters: {error}", code="bad_param") from error


def train(ctx: JobContext) -> dict[str, Any]:
    """The result is a `Candidate` as plain values, with the folder and the champion's measures beside."""
    asked = read_train_params(ctx.params)
    trainer = plugins.algorithm(asked.algorithm)
    params = plugins.read_params(trainer, asked.params)
    family = plugins.family(trainer.family)
    folder = _empty(ctx.workdir / ARTIFACT)

    data = family.data(_context(ctx, asked), params, within(ctx.report, 0, 20))
    model = _trainer(trainer, params, asked).fit(data.train, within(ctx.report, 20, 80))
    ctx.report(80, 100, message="saving")
    files = _save(model, family, data, folder)
    loaded, _ = load_model(asked.algorithm, folder, files)
    ctx.report(85, 100, message="measuring")
    measures = family.evaluate(loaded, data.holdout) | indexing.measures_of(indexing.index_of(loaded, folder))
    rival = asked.champion if asked.evaluate else None
    champion, trouble = measured(rival, data)
    ctx.report(95, 100, message="judging")
    gate = judged(family, measures, champion, trouble) if asked.evaluate else None

    candidate = Candidate(
        model=asked.model,
        scope=asked.scope,
        family=trainer.family,
        algorithm=asked.algorithm,
        files=[],
        params=msgspec.to_builtins(params),
        seed=asked.seed,
        feature_names=list(loaded.feature_names),
        data={**data.facts, **_beside(loaded, asked)},
        metrics=finite(measures),
        gate=gate,
        against=rival.version if rival is not None else None,
        code_version=__version__,
        label=asked.version or "",
    )
    candidate.files = artifacts.seal(folder, msgspec.to_builtins(candidate))
    compared = None if champion is None else finite(champion)
    about = {"folder": ARTIFACT, "champion_metrics": compared, "peak_memory_mb": _peak_memory_mb()}
    return {**msgspec.to_builtins(candidate), **about}


def _beside(model: Any, asked: TrainParams) -> dict[str, Any]:
    """What a version tells beside the facts of its rows: what it went on from, and what its answers hang on."""
    told: dict[str, Any] = {} if asked.begin is None else {"start_from": asked.begin.version}
    if hasattr(model, "importance"):
        told["importance"] = dict(list(model.importance().items())[:MOST_IMPORTANT])
    return told


def _trainer(algorithm: type[Trainer], params: Params, asked: TrainParams) -> Trainer:
    """Ready to fit, from what an earlier version has learned where that was asked for. Raises Invalid, Unavailable."""
    made = algorithm(params, asked.seed)
    if asked.begin is not None:
        begin, _ = load_model(asked.begin.algorithm, Path(asked.begin.folder), asked.begin.files)
        if not isinstance(made, Continuing):
            raise Invalid(cannot_continue(asked.algorithm), code="cannot_continue", field="start_from")
        made.continue_from(begin)
    return made


def _peak_memory_mb() -> float | None:
    """Of this process. Not getrusage: that begins with the peak of the process that started this one."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return None
    peaks = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    return round(int(peaks[0]) / 1024, 1) if peaks else None


def _context(ctx: JobContext, asked: TrainParams) -> TrainingContext:
    return TrainingContext(
        home=ctx.home,
        sql_url=ctx.sql_url,
        source=asked.source,
        now=ctx.now,
        zone=ctx.zone,
        seed=asked.seed,
        model=asked.model,
        scope=asked.scope,
    )


def _save(model: Any, family: Family, data: TrainingData, folder: Path) -> list[FileEntry]:
    """Save with golden rows. Raises Invalid when the model's own answers are not finite."""
    expected = family.probe(model, data.golden)
    if (problem := difference_of(expected, expected)) is not None:
        raise Invalid(f"the trained model cannot be used: {problem}", code="bad_model")
    model.save(folder)
    indexing.build(model, folder)
    write_golden(folder, data.golden, expected)
    return artifacts.seal(folder, {})


def _empty(folder: Path) -> Path:
    """A fresh folder: an earlier attempt of this job may have left half of one."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
