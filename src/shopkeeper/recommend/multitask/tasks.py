"""What is foretold of one row: a chance or an amount for each task, learned from a column of its own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid
from shopkeeper.learning.labels import NO, YES
from shopkeeper.learning.tabular import numbers, texts

if TYPE_CHECKING:
    import polars as pl

Kind: TypeAlias = Literal["binary", "amount"]
_SPEC = re.compile(r"(?:(?P<name>[A-Za-z_]\w*)=)?(?P<column>[^=]+?)(?::(?P<kind>binary|amount))?", re.ASCII)
_MOST = 16
_SHOWN = 3


class Task(msgspec.Struct, kw_only=True, frozen=True):
    """`name` is what answers call it, `column` where it was learned from. Of kind `binary` the answer is a chance, of
    kind `amount` what is to be expected, in the unit of the column. None: the rows tell which."""

    name: str
    column: str
    kind: Kind | None = None


FROM_TABLES = ("ctr=click", "watch_time", "gmv")
FROM_SHOP = ("ctr=click", "gmv")


def read_tasks(specs: Iterable[str]) -> tuple[Task, ...]:
    """From `column`, `name=column`, `column:kind` or `name=column:kind`. Raises Invalid (`bad_task`)."""
    tasks = tuple(_task(spec) for spec in specs)
    names = [task.name for task in tasks]
    columns = [task.column for task in tasks]
    if not tasks or len(tasks) > _MOST:
        raise _wrong(f"1 to {_MOST} tasks are learned together, not {len(tasks)}")
    for what, those in (("name", names), ("column", columns)):
        if twice := sorted({one for one in those if those.count(one) > 1}):
            raise _wrong(f"two tasks have the {what} {twice[0]!r}")
    return tasks


def _task(spec: str) -> Task:
    found = _SPEC.fullmatch(spec.strip())
    if found is None:
        raise _wrong(f"the task {spec[:80]!r} is not [name=]column[:binary|:amount]")
    column = found["column"].strip()
    name = found["name"] or re.sub(r"\W+", "_", column).strip("_")
    if not name:
        raise _wrong(f"the task {spec[:80]!r} needs a name of letters: name={column}")
    kind: Kind | None = "binary" if found["kind"] == "binary" else "amount" if found["kind"] == "amount" else None
    return Task(name=name, column=column, kind=kind)


def found_in(columns: Sequence[str], tasks: Sequence[Task], table: str) -> tuple[Task, ...]:
    """The tasks by the columns that there are: one that has no `column` takes the column of its own name.

    Raises Invalid (`no_column`)."""
    result = []
    for task in tasks:
        column = task.column if task.column in columns else task.name
        if column not in columns:
            raise Invalid(
                f"{table} has no column {task.column!r} to learn {task.name} from; it has: {', '.join(columns[:50])}. "
                "Say which columns are the tasks: parameter tasks, or label with commas between",
                code="no_column",
                field="tasks",
            )
        result.append(msgspec.structs.replace(task, column=column))
    return read_tasks(f"{task.name}={task.column}" + (f":{task.kind}" if task.kind else "") for task in result)


def read_labels(frame: pl.DataFrame, tasks: Sequence[Task], table: str) -> tuple[tuple[Task, ...], NDArray[np.float32]]:
    """(tasks with their kind, labels (n, t)); NaN where a task of a row is not known. Raises Invalid (`bad_label`)."""
    read = [_read(frame[task.column], task, table) for task in tasks]
    kinds = tuple(msgspec.structs.replace(task, kind=kind) for task, (kind, _) in zip(tasks, read, strict=True))
    return kinds, np.column_stack([values for _, values in read])


def check_labels(tasks: Sequence[Task], labels: NDArray[np.float32], weight: NDArray[np.float32], where: str) -> None:
    """Raises Invalid (`bad_label`) for a task of which `labels` (n, t) say nothing: one class or one amount only."""
    for at, task in enumerate(tasks):
        known = labels[np.isfinite(labels[:, at]) & (weight > 0), at]
        if not len(known) or known.min() == known.max():
            only = f"only {known[0]:g}" if len(known) else "nothing"
            raise Invalid(
                f"of the task {task.name} (column {task.column!r}) the rows {where} hold {only}: nothing to tell apart",
                code="bad_label",
                field="tasks",
            )


def _read(column: pl.Series, task: Task, table: str) -> tuple[Kind, NDArray[np.float32]]:
    told = _yes_or_no(column)
    kind = task.kind or ("binary" if told is not None else "amount")
    if kind == "binary":
        if told is None:
            raise _odd(column, task, table, "0 or 1 (yes and no, true and false)", _words(column).is_null())
        return kind, told
    values = numbers(column)
    odd = ~np.isfinite(values) & column.is_not_null().to_numpy()
    if odd.any():
        raise _odd(column, task, table, "an amount", odd)
    return kind, values


def _yes_or_no(column: pl.Series) -> NDArray[np.float32] | None:
    """(n,) of 0, 1 and NaN for what is missing; None where the column holds anything else."""
    label = _words(column)
    if label.null_count() > column.null_count():
        return None
    found: NDArray[np.float32] = label.fill_null(float("nan")).to_numpy()
    return found


def _words(column: pl.Series) -> pl.Series:
    import polars as pl

    words = texts(column).str.strip_chars().str.to_lowercase()
    return words.replace_strict(
        {**dict.fromkeys(YES, 1.0), **dict.fromkeys(NO, 0.0)}, default=None, return_dtype=pl.Float32
    )


def _odd(column: pl.Series, task: Task, table: str, wanted: str, odd: pl.Series | NDArray[np.bool_]) -> Invalid:
    there = column.filter(odd)
    shown = ", ".join(repr(value)[:40] for value in there.drop_nulls().unique(maintain_order=True).head(_SHOWN))
    return Invalid(
        f"column {column.name!r} of {table}, the task {task.name}, must hold {wanted} or nothing; "
        f"{len(there.drop_nulls())} rows hold others, such as {shown}",
        code="bad_label",
        field="tasks",
    )


def _wrong(message: str) -> Invalid:
    return Invalid(message, code="bad_task", field="tasks")
