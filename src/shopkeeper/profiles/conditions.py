"""Stored conditions, compiled. One that no longer fits the schema is kept, with the reason; it matches nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid
from shopkeeper.core.language import Lang
from shopkeeper.rules.columns import Columns, compile_columns
from shopkeeper.rules.one import compile_one
from shopkeeper.rules.parser import parse
from shopkeeper.rules.schema import Schema
from shopkeeper.rules.trace import Trace, trace
from shopkeeper.rules.tree import Node, fields

# The problem itself is written in English only: it is left out of the other language.
_CANNOT_RUN: Mapping[Lang, tuple[str, str]] = {
    "en": ("cannot run: {}", "correct the rule"),
    "zh": ("无法运行：规则与现有字段不符", "请改正规则"),
}


@dataclass(frozen=True, slots=True)
class Condition:
    """`one` takes a row, `many` columns. `problem`: why it cannot run (a field that the schema does not have)."""

    tree: Node | None
    fields: frozenset[str]
    one: Callable[[Mapping[str, Any]], bool]
    many: Callable[[Columns], NDArray[np.bool_]]
    problem: str | None = None

    def trace(self, row: Mapping[str, Any], lang: Lang = "en") -> Trace:
        if self.tree is None:
            why, change = _CANNOT_RUN[lang]
            return Trace(False, why.format(self.problem), change, (), ())
        return trace(self.tree, row, lang)


def compiled(text: str, schema: Schema) -> Condition:
    try:
        tree = parse(text, schema)
    except Invalid as error:
        return Condition(
            None, frozenset(), lambda _: False, lambda columns: np.zeros(columns.n, dtype=np.bool_), error.message
        )
    return Condition(tree, fields(tree), compile_one(tree), compile_columns(tree))


def fields_of(conditions: Iterable[Condition]) -> frozenset[str]:
    """All fields that any of them reads."""
    return frozenset().union(*(condition.fields for condition in conditions))
