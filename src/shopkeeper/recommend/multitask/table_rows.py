"""Rows from a table with a label column for each task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import Report
from shopkeeper.learning.checking import Finding, check_table, fingerprint, summary
from shopkeeper.learning.dealing import lots, stratified
from shopkeeper.learning.fitting import fit_schema
from shopkeeper.learning.labels import LEAST_ROWS
from shopkeeper.recommend.multitask.params import MultitaskParams
from shopkeeper.recommend.multitask.rows import TaskRows, strata
from shopkeeper.recommend.multitask.tasks import FROM_TABLES, Task, check_labels, found_in, read_labels, read_tasks
from shopkeeper.recommend.ranking.rows import RankRows
from shopkeeper.recommend.ranking.table_rows import (
    HELD,
    check_columns,
    features_of,
    not_features,
    read_roles,
    tell,
    weight_of,
)
from shopkeeper.sources.tables import read_table

if TYPE_CHECKING:
    import polars as pl


def table_rows(
    source: Mapping[str, Any], zone: str, seed: int, params: MultitaskParams, report: Report
) -> tuple[TaskRows, TaskRows, dict[str, Any]]:
    """(rows to learn from, held-out fifth, facts), as rankers get them, except that every task has a label of its own.

    The tasks are those of the parameter, else those that the source's `label` names with commas between, else
    FROM_TABLES. Raises NotFound without the table, Invalid for one that nothing can be learned from.
    """
    asked = read_tasks(params.tasks or [one for one in str(source.get("label") or "").split(",") if one.strip()]
                       or FROM_TABLES)  # fmt: skip
    table = read_table(source, zone=zone, report=report)
    name = str(table.facts.get("name") or source.get("kind"))
    if table.frame.height < LEAST_ROWS:
        raise Invalid(f"{name} has {table.frame.height} rows, at least {LEAST_ROWS} are needed", code="too_few_rows")
    tasks, labels = read_labels(table.frame, found_in(table.frame.columns, asked, name), name)
    columns = [task.column for task in tasks]
    roles = read_roles({**source, "label": columns[0]})
    if both := [column for column in columns if column in roles.features]:
        raise Invalid(f"{both[0]!r} is a label, it cannot be a feature too", code="bad_option", field="features")
    frame = table.frame.drop(columns[1:])
    check_columns(frame, roles, name)
    features = features_of(frame, roles, name)
    report(1, 2, message="checking the rows")
    findings = [*features.findings, *_checked(frame, tasks, labels, features.names, roles.categorical)]
    tell(findings, name)
    learned, held = _split(frame.drop(columns[0]), tasks, labels, roles.time, seed)
    weight = weight_of(frame, roles, name)
    check_labels(tasks, labels[learned], weight[learned], "to learn from")
    check_labels(tasks, labels[held], np.ones(len(held), dtype=np.float32), "held out to measure on")
    nothing = np.zeros(len(learned), dtype=np.float32)  # codes are looked up, so their order means nothing
    schema = fit_schema(frame[learned], nothing, features.names, features.categorical, missing=params.missing)
    values = schema.encode_frame(frame)
    if params.normalize:
        schema = schema.with_scaling(values[learned])

    def part(places: NDArray[np.int64], kept: pl.DataFrame | None) -> TaskRows:
        first = labels[places, 0]
        rows = RankRows(schema, values[places], first, weight[places], roles.time is not None, frame=kept)
        return TaskRows(tasks, rows, labels[places])

    train, rest = part(learned, None), part(held, frame.select(features.names)[held])
    used = [*features.names, *not_features(roles)]
    facts = {
        **table.facts,
        "rows": len(train),
        "holdout_rows": len(rest),
        "label": ",".join(columns),
        "tasks": msgspec.to_builtins(tasks),
        "features": summary(frame, features.names),
        "columns_left_out": [column for column in frame.columns if column not in used],
        "content": fingerprint(table.frame.select([*used, *columns[1:]])),
        "findings": msgspec.to_builtins(findings),
    }
    return train, rest, facts


def _checked(
    frame: pl.DataFrame,
    tasks: Sequence[Task],
    labels: NDArray[np.float32],
    names: Sequence[str],
    categorical: Sequence[str],
) -> list[Finding]:
    """What the check of a table says of each task, each finding once; of an amount by whether there is one."""
    import polars as pl

    found: list[Finding] = []
    for at, task in enumerate(tasks):
        known = np.isfinite(labels[:, at])
        if gone := int((~known).sum()):
            message = f"{task.column} is not known in {gone:,} rows: the task {task.name} does not learn from them"
            found.append(Finding(severity="warn", message=message, column=task.column))
        said = (labels[known, at] > 0).astype(np.float32)
        if len(said) and said.min() < said.max():
            found += check_table(frame.filter(pl.Series(known)), said, task.column, names, categorical)
    return list({finding.message: finding for finding in found}.values())


def _split(
    frame: pl.DataFrame, tasks: tuple[Task, ...], labels: NDArray[np.float32], time: str | None, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(places to learn from, places held out), in order of time where there is one; else drawn by what stands in a row,
    a fifth of each combination of labels."""
    if time is None:
        held = stratified(strata(tasks, labels), HELD, lots(frame, seed))
        return np.flatnonzero(~held), np.flatnonzero(held)
    order = frame[time].arg_sort().to_numpy().astype(np.int64)
    cut = len(order) - int(len(order) * HELD)
    return order[:cut], order[cut:]
