"""Which column is which: guessed from headers and values, with a confidence and a reason, and every guess overridable.

A mapping is `{field: column}`; `=text` instead of a column is a constant. Options stand beside the fields with an `@`:
`@decimal` (`.` or `,`), `@dates` (day_first or month_first), `@timezone`, `@encoding`, `@delimiter`, `@integer_ids`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Struct
from msgspec import field as struct_field

from shopkeeper.core.errors import Invalid
from shopkeeper.sources import values
from shopkeeper.sources.kinds import KINDS, Field, Kind

if TYPE_CHECKING:
    import polars as pl

OPTIONS = {
    "@decimal": (".", ","),
    "@dates": ("day_first", "month_first"),
    "@integer_ids": ("yes", "no"),
    "@timezone": None,
    "@encoding": None,
    "@delimiter": None,
}
_NUMBER = r"^-?(?:0|[1-9]\d{0,14})(?:\.\d+)?$"
_SURE, _LIKELY, _POOR, _DOUBTFUL = 0.95, 0.7, 0.35, 0.3


class Guess(Struct, kw_only=True):
    """One column found for a field; confidence 0 to 1."""

    field: str
    column: str
    confidence: float
    reason: str


class Plan(Struct, kw_only=True):
    """How the rows of a file are read: what the import's row in SQL keeps, and what a person sees before starting.

    `numeric`: columns that become attributes and hold numbers throughout the sample.
    """

    kind: str
    mapping: dict[str, str]
    numeric: list[str] = struct_field(default_factory=list)
    options: dict[str, str] = struct_field(default_factory=dict)
    guesses: list[Guess] = struct_field(default_factory=list)
    notes: list[str] = struct_field(default_factory=list)

    def wire(self) -> dict[str, str]:
        """Fields and options in one dict, as a client may send it back."""
        return {**self.mapping, **self.options}


def guess(sample: pl.DataFrame, *, kind: str | None = None, given: Mapping[str, str | None] | None = None) -> Plan:
    """The likeliest plan for a sample of rows, with `given` overrides in it. Raises Invalid when no kind fits."""
    if kind is not None and kind not in KINDS:
        raise Invalid(
            f"kind {kind[:40]!r} is unknown; there are: {', '.join(KINDS)}", code="unknown_kind", field="kind"
        )
    given = given or {}
    look = _Look(sample)
    names = [kind] if kind else [one.name for one in KINDS.values() if one.guessed]
    plans = [_with(_plan(KINDS[name], look), given, sample) for name in names]
    best = max(plans, key=lambda plan: _fitness(plan, look))
    if kind is None and _fitness(best, look) <= 0:
        raise Invalid(
            f"the columns {', '.join(sample.columns)[:300]} do not look like orders, sales, users, items, events or"
            " stock; name the kind and a mapping such as item_id=COLUMN",
            code="unknown_columns",
            field="kind",
        )
    return override(best, given, sample) if given else best


def override(plan: Plan, given: Mapping[str, str | None], sample: pl.DataFrame) -> Plan:
    """The plan with a person's changes: null takes a field away. Raises Invalid naming the unknown field or column.

    Options that the plan has against what its file shows were said before, and stay.
    """
    kind = KINDS[plan.kind]
    mapping, options = dict(plan.mapping), dict(plan.options)
    shown, _ = _read_options(kind, mapping, sample)
    said = {key for key, value in options.items() if shown.get(key) != value} | given.keys()
    for key, value in given.items():
        if key.startswith("@"):
            options[key] = _option(key, value)
        elif kind.field(key) is None:
            known = ", ".join(field.name for field in kind.fields)
            raise Invalid(
                f"{kind.name} have no field {key[:64]!r}; there are: {known}", code="unknown_field", field=key
            )
        elif value is None:
            mapping.pop(key, None)
        elif value.startswith("=") or value in sample.columns:
            mapping[key] = value
        else:
            raise Invalid(
                f"the file has no column {value[:64]!r} for {key}; it has: {', '.join(sample.columns)[:500]}",
                code="unknown_column",
                field=key,
            )
    found, notes = _read_options(kind, mapping, sample)
    notes = [note for note in notes if not any(key in note for key in said)]
    guesses = [g for g in plan.guesses if mapping.get(g.field) == g.column]
    chosen = {key: value for key, value in options.items() if key in said}
    return Plan(
        kind=kind.name,
        mapping=mapping,
        numeric=_numeric(kind, mapping, sample),
        options={**found, **chosen},
        guesses=guesses,
        notes=notes,
    )


def missing_fields(plan: Plan) -> list[str]:
    """Required fields that no column gives."""
    return [f.name for f in KINDS[plan.kind].fields if f.required and f.name not in plan.mapping]


def check_complete(plan: Plan) -> None:
    """Raises Invalid when a required field has no column."""
    if missing := missing_fields(plan):
        raise Invalid(
            f"{plan.kind} need {', '.join(missing)}, and no column was found; map it, such as {missing[0]}=COLUMN",
            code="incomplete_mapping",
            field=missing[0],
        )


def check_width(columns: Sequence[str], given: Mapping[str, str | None], *, delimiter: str) -> None:
    """Raises Invalid for a file of one column that bears no known name: its delimiter was not found.

    `delimiter`: what was taken to part the columns; empty for formats that have none.
    """
    if len(columns) != 1 or not delimiter or columns[0] in given.values():
        return
    (column,) = columns
    if any(_plain(column) == _plain(name) for kind in KINDS.values() for field in kind.fields for name in field.names):
        return
    mark = next(iter(re.findall(r"[^\w\s\"'.-]", column)), "MARK")
    raise Invalid(
        f"the file has one column, {column[:200]!r}, when {delimiter!r} parts its columns; name the right delimiter,"
        f" such as --map @delimiter={mark}, or map the column, such as --map user_id=COLUMN",
        code="one_column",
        field="@delimiter",
    )


class _Look:
    """A sample and what was found out about its columns; each question is answered once."""

    def __init__(self, sample: pl.DataFrame) -> None:
        self.sample = sample
        self._fits: dict[tuple[str, str], float] = {}

    def share_that_fits(self, holds: str, column: str) -> float:
        """Which part of a column's values, 0 to 1, can be read as what a field holds."""
        key = (holds, column)
        if key not in self._fits:
            self._fits[key] = _share_that_fits(holds, self.sample[column])
        return self._fits[key]


def _plan(kind: Kind, look: _Look) -> Plan:
    sample = look.sample
    mapping: dict[str, str] = {}
    guesses: list[Guess] = []
    candidates = [
        Guess(field=field.name, column=column, confidence=confidence, reason=reason)
        for field in kind.fields
        for column in sample.columns
        for confidence, reason in [_confidence(field, column, look)]
        if confidence > 0
    ]
    for candidate in sorted(candidates, key=lambda g: -g.confidence):
        if candidate.field not in mapping and candidate.column not in mapping.values():
            mapping[candidate.field] = candidate.column
            guesses.append(candidate)
    options, notes = _read_options(kind, mapping, sample)
    return Plan(
        kind=kind.name,
        mapping=mapping,
        numeric=_numeric(kind, mapping, sample),
        options=options,
        guesses=guesses,
        notes=notes,
    )


def _with(plan: Plan, given: Mapping[str, str | None], sample: pl.DataFrame) -> Plan:
    """The plan with those of the overrides that its kind knows, to see which kind fits them."""
    kind = KINDS[plan.kind]
    known = {key: value for key, value in given.items() if not key.startswith("@") and kind.field(key)}
    return override(plan, known, sample) if known else plan


def _fitness(plan: Plan, look: _Look) -> float:
    """How well a plan explains the file; 0 or less when a required field is missing."""
    if missing_fields(plan):
        return 0.0
    by_hand = len(plan.mapping) - len(plan.guesses)
    score = by_hand + sum(g.confidence for g in plan.guesses) / (1 + 0.02 * len(KINDS[plan.kind].fields))
    has = plan.mapping.keys()
    if plan.kind == "sales":  # the same columns as orders, but nobody ordered
        return score + 0.5 if not _has_user(look) else score - 2
    if plan.kind == "orders":
        return score + (1.0 if has & {"user_id", "order_id"} else -0.5)
    if plan.kind in ("users", "items"):  # lists of things carry no time
        return score - 2 * _has(look, "time") - (2 * _has_user(look) if plan.kind == "items" else 0)
    return score + 1.0


def _has_user(look: _Look) -> bool:
    return _has(look, "user_id") or _has(look, "order_id")


def _has(look: _Look, field: str) -> bool:
    found = KINDS["orders"].field(field)
    assert found is not None
    return any(_confidence(found, column, look)[0] >= _LIKELY for column in look.sample.columns)


def _confidence(field: Field, column: str, look: _Look) -> tuple[float, str]:
    """How sure it is that a column is a field: by its name first, then by what its values look like."""
    by_name, reason = _by_name(field, column)
    if by_name == 0.0:
        return (_POOR, "its values are dates") if field.holds == "time" and _are_dates(column, look) else (0.0, "")
    fits = look.share_that_fits(field.holds, column)
    if fits >= 0.9:
        return by_name, reason
    if fits < _DOUBTFUL and by_name < _SURE:
        return 0.0, ""
    # A column that bears the very name stays mapped: its rows are refused in the open, not read without it.
    return round(max(by_name * fits, _DOUBTFUL), 3), f"{reason}, but only {fits:.0%} of its values fit"


def _are_dates(column: str, look: _Look) -> bool:
    values_of = look.sample[column]
    if values_of.dtype.is_numeric() or look.share_that_fits("time", column) < 1.0:
        return False
    return bool(values.text(values_of).drop_nulls().str.contains(r"[-/.年:]").all())


def _by_name(field: Field, column: str) -> tuple[float, str]:
    said = _plain(column)
    for place, name in enumerate(field.names):
        if said == _plain(name):
            return max(_SURE, 1.0 - 0.001 * place), f"the header says {column!r}"
    words = set(_words(column))
    for name in field.names:
        parts = set(_words(name))
        if parts and parts <= words:
            return _LIKELY, f"the header {column!r} contains {name!r}"
    return 0.0, ""


def _share_that_fits(holds: str, column: pl.Series) -> float:
    present = values.text(column).drop_nulls()
    if not len(present):
        return 0.5
    if holds == "number":
        good = values.number(column, decimal=values.decimal_mark(column)).is_not_null().sum()
    elif holds == "time":
        good = values.moment(column, zone="UTC", order=values.date_order(column)[0]).is_not_null().sum()
    elif holds == "flag":
        good = values.flag(column).is_not_null().sum()
    elif holds == "json":
        good = present.str.starts_with("{").sum()
    elif holds == "id":
        good = (present.str.len_chars() <= 128).sum()
    else:
        return 1.0
    return int(good) / len(present)


def _read_options(kind: Kind, mapping: Mapping[str, str], sample: pl.DataFrame) -> tuple[dict[str, str], list[str]]:
    """How the mapped columns write numbers, dates and ids, with a note for what the values do not prove."""
    options: dict[str, str] = {}
    notes: list[str] = []
    for name, column in mapping.items():
        field = kind.field(name)
        if field is None or column not in sample.columns:
            continue
        if field.holds == "number" and values.decimal_mark(sample[column]) == ",":
            options["@decimal"] = ","
        if field.holds == "time":
            order, proven = values.date_order(sample[column])
            if order:
                options["@dates"] = order
            if not proven:
                notes.append(
                    f"dates in {column!r} such as {_first(sample[column])!r} are read as {options['@dates']};"
                    " nothing proves it: set @dates if that is wrong"
                )
        if field.holds == "id" and _integer_ids(sample[column]):
            options["@integer_ids"] = "yes"
    return options, notes


def _numeric(kind: Kind, mapping: Mapping[str, str], sample: pl.DataFrame) -> list[str]:
    """Attribute columns of numbers. `007` is no number: what begins with a zero is a code."""
    if not kind.rest:
        return []
    numeric = []
    for column in sample.columns:
        present = values.text(sample[column]).drop_nulls()
        if column not in mapping.values() and len(present) and bool(present.str.contains(_NUMBER).all()):
            numeric.append(column)
    return numeric


def _integer_ids(column: pl.Series) -> bool:
    plain = values.text(column)
    return not plain.equals(values.integer_text(plain))


def _first(column: pl.Series) -> str:
    present = values.text(column).drop_nulls()
    return str(present[0]) if len(present) else ""


def _option(key: str, value: Any) -> str:
    if key not in OPTIONS:
        raise Invalid(f"unknown option {key[:40]!r}; there are: {', '.join(OPTIONS)}", code="unknown_option", field=key)
    allowed: Sequence[str] | None = OPTIONS[key]
    if not isinstance(value, str) or (allowed is not None and value not in allowed):
        raise Invalid(f"{key} is {value!r}; expected {' or '.join(allowed or ('text',))}", code="bad_option", field=key)
    if key == "@timezone":
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise Invalid(
                f"unknown time zone {value[:60]!r}; try Europe/London", code="bad_option", field=key
            ) from error
    return value


def _plain(name: str) -> str:
    return "".join(_words(name))


def _words(name: str) -> list[str]:
    """`InvoiceNo`, `invoice_no`, `Invoice No.` and `INVOICE-NO` are the same words."""
    spaced = re.sub(r"(?<=[a-zäöüß])(?=[A-Z])", " ", name)
    return [word for word in re.split(r"[\W_]+", spaced.lower()) if word]
