"""Rows from a table with a label column: what `POST /predictions/{model}` serves is learned from such rows."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import Report
from shopkeeper.learning.checking import Finding, check_table, fingerprint, looks_like_an_id, summary
from shopkeeper.learning.dealing import lots, stratified
from shopkeeper.learning.fitting import fit_schema, is_text
from shopkeeper.learning.labels import read_label
from shopkeeper.learning.tabular import numbers, texts
from shopkeeper.recommend.ranking.params import RankingParams
from shopkeeper.recommend.ranking.rows import RankRows
from shopkeeper.sources.tables import read_table

if TYPE_CHECKING:
    import polars as pl

log = logging.getLogger(__name__)
HELD = 0.2


class Roles(msgspec.Struct, kw_only=True):
    """What the columns of the source mean. `features`: only these; `categorical`: codes that are not quantities.

    `time` orders the rows, `group` says whose they are (for GAUC), `weight` how many of the population one stands for.
    """

    label: str = "label"
    time: str | None = None
    group: str | None = None
    weight: str | None = None
    features: list[str] = []
    categorical: list[str] = []


@dataclass(frozen=True)
class Features:
    """`names` in the order of the table (or as asked), those among them that are `categorical`, and what was left."""

    names: list[str]
    categorical: set[str]
    findings: list[Finding]


def table_rows(
    source: Mapping[str, Any], zone: str, seed: int, params: RankingParams, report: Report
) -> tuple[RankRows, RankRows, dict[str, Any]]:
    """(rows to learn from, held-out fifth, facts).

    With a time column the last fifth is held out, else a random one of each label, drawn by `seed` and by what stands
    in the rows (`learning/dealing.py`). All else is fitted on the rows to learn from. Raises NotFound without the
    table, Invalid for one that nothing can be learned from, after telling the log what the check found.
    """
    roles = read_roles(source)
    table = read_table(source, zone=zone, report=report)
    frame, name = table.frame, str(table.facts.get("name") or source.get("kind"))
    check_columns(frame, roles, name)
    label = read_label(frame[roles.label], name)
    features = features_of(frame, roles, name)
    report(1, 2, message="checking the rows")
    findings = [*features.findings, *check_table(frame, label, roles.label, features.names, roles.categorical)]
    tell(findings, name)
    learned, held = _split(frame, label, roles, seed)
    weight, group = weight_of(frame, roles, name), group_of(frame, roles)
    _check_both(label, weight, learned, held, name)
    schema = fit_schema(frame[learned], label[learned], features.names, features.categorical, missing=params.missing)
    values = schema.encode_frame(frame)
    if params.normalize:
        schema = schema.with_scaling(values[learned])
    by_time = roles.time is not None
    train = RankRows(schema, values[learned], label[learned], weight[learned], by_time)
    kept = RankRows(
        schema,
        values[held],
        label[held],
        weight[held],
        by_time,
        group=None if group is None else group[held],
        frame=frame.select(features.names)[held],
    )
    used = [*features.names, *not_features(roles)]
    facts = {
        **table.facts,
        "rows": len(train),
        "holdout_rows": len(kept),
        "label": roles.label,
        "features": summary(frame, features.names),
        "columns_left_out": [column for column in frame.columns if column not in used],
        "content": fingerprint(frame.select(used)),
        "findings": msgspec.to_builtins(findings),
    }
    return train, kept, facts


def read_roles(source: Mapping[str, Any]) -> Roles:
    given = {key: source[key] for key in Roles.__struct_fields__ if source.get(key) is not None}
    try:
        return msgspec.convert(given, Roles)
    except msgspec.ValidationError as error:
        raise Invalid(f"the training source: {error}", code="bad_option", field="source") from error


def not_features(roles: Roles) -> list[str]:
    """The named columns that are no features unless they are asked for as such."""
    named = [name for name in (roles.label, roles.time, roles.group, roles.weight) if name is not None]
    return [name for name in dict.fromkeys(named) if name not in roles.features]


def check_columns(frame: pl.DataFrame, roles: Roles, table: str) -> None:
    if roles.label in roles.features:
        raise Invalid(f"{roles.label!r} is the label, it cannot be a feature too", code="bad_option", field="features")
    for name in (*not_features(roles), *roles.features, *roles.categorical):
        if name not in frame.columns:
            raise Invalid(f"{table} has no column {name!r}; it has: {', '.join(frame.columns[:50])}", code="no_column")
    if roles.time is not None and (gone := frame[roles.time].null_count()):
        raise Invalid(f"{roles.time} is missing in {gone:,} rows of {table}: they have no place in time", field="time")


def features_of(frame: pl.DataFrame, roles: Roles, table: str) -> Features:
    """Those asked for, else every column that numbers can be made of. Raises Invalid when there is none."""
    asked = list(dict.fromkeys(roles.features))
    names, findings = [], []
    for name in asked or [column for column in frame.columns if column not in not_features(roles)]:
        why = _unfit(frame[name], name in roles.categorical or name in asked)
        if why is None:
            names.append(name)
        else:
            findings.append(Finding(severity="warn", message=f"{name} is left out: {why}", column=name))
    if not names:
        raise Invalid(
            f"{table} has no column to learn from beside {', '.join(not_features(roles))}",
            code="no_features",
            field="features",
        )
    return Features(names, {name for name in names if name in roles.categorical or is_text(frame[name])}, findings)


def _unfit(column: pl.Series, wanted: bool) -> str | None:
    """Why a column is no feature; None when it is. `wanted`: somebody named it."""
    import polars as pl

    if column.null_count() == len(column):
        return "it is empty"
    if not (is_text(column) or column.dtype.is_numeric() or column.dtype == pl.Boolean):
        return f"it holds {column.dtype}; give numbers, such as days since then"
    if not wanted and looks_like_an_id(column):
        return "it is another text in nearly every row, like an id; name it in categorical to keep it"
    return None


def tell(findings: Sequence[Finding], table: str) -> None:
    """To the job's log. Raises Invalid (`bad_data`) when one of them stops the training."""
    levels = {"ok": logging.INFO, "warn": logging.WARNING, "stop": logging.ERROR}
    for finding in findings:
        log.log(levels[finding.severity], "data check of %s: %s", table, finding.message)
    if stops := [finding.message for finding in findings if finding.severity == "stop"]:
        raise Invalid(f"{table} is not learned from: {'; '.join(stops[:5])}", code="bad_data", field="source")


def _split(
    frame: pl.DataFrame, label: NDArray[np.float32], roles: Roles, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(rows to learn from, rows held out) as places, in order of time where there is one."""
    if roles.time is None:
        held = stratified(label, HELD, lots(frame.drop(roles.label), seed))
        return np.flatnonzero(~held), np.flatnonzero(held)
    order = frame[roles.time].arg_sort().to_numpy().astype(np.int64)
    cut = len(order) - int(len(order) * HELD)
    return order[:cut], order[cut:]


def _check_both(
    label: NDArray[np.float32],
    weight: NDArray[np.float32],
    learned: NDArray[np.int64],
    held: NDArray[np.int64],
    table: str,
) -> None:
    """Raises Invalid where either part has rows of one label only, which happens where labels changed with time."""
    parts = (("to learn from", label[learned[weight[learned] > 0]]), ("held out to measure on", label[held]))
    for spoken, those in parts:
        if not len(those) or those.min() == those.max():
            only = f"only {those[0]:g}" if len(those) else "nothing that has a weight"
            raise Invalid(
                f"of the rows of {table} those {spoken} hold {only} as label; take rows of a longer time, or leave "
                "the time column out for a random split",
                code="bad_label",
                field="label",
            )


def weight_of(frame: pl.DataFrame, roles: Roles, table: str) -> NDArray[np.float32]:
    if roles.weight is None:
        return np.ones(frame.height, dtype=np.float32)
    weight = numbers(frame[roles.weight])
    if not np.isfinite(weight).all() or (weight < 0).any() or not weight.any():
        raise Invalid(
            f"column {roles.weight!r} of {table} must hold a weight of 0 or more in every row", field="weight"
        )
    return weight


def group_of(frame: pl.DataFrame, roles: Roles) -> NDArray[np.int64] | None:
    """A number for each different value, -1 for none."""
    if roles.group is None:
        return None
    names = texts(frame[roles.group])
    number: NDArray[np.int64] = names.rank("dense").fill_null(0).to_numpy().astype(np.int64) - 1
    return number
