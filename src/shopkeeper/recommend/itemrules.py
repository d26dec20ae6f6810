"""Rules over items: compiled once, and their answers kept until something that they read has changed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid
from shopkeeper.recommend.itemcolumns import ItemColumns
from shopkeeper.rules.columns import Columns, compile_columns
from shopkeeper.rules.parser import parse
from shopkeeper.rules.schema import Schema
from shopkeeper.rules.tree import fields

_LOGGER = logging.getLogger(__name__)
_KEPT = 1000


@dataclass
class _Compiled:
    schema: Schema
    names: frozenset[str]
    run: Callable[[Columns], NDArray[np.bool_]] | None
    token: object = None
    holds: NDArray[np.bool_] | None = None


class ItemRules:
    """Used on the thread that owns the feature state."""

    def __init__(self, columns: ItemColumns) -> None:
        self._columns = columns
        self._compiled: dict[str, _Compiled] = {}

    def token(self, texts: tuple[str, ...], now: int) -> tuple[object, ...]:
        """Equal tokens: `holds` of these texts says the same."""
        schema = self._columns.schema()
        names = frozenset[str]().union(*(self._of(text).names for text in texts))
        return (id(schema), *self._columns.token(names, now))

    def holds(self, text: str, now: int) -> NDArray[np.bool_]:
        """bool (n_items,), read only. A rule that cannot run any more (a field is gone) holds for nothing."""
        rule = self._of(text)
        token = self._columns.token(rule.names, now)
        if rule.holds is None or rule.token != token:
            n = len(self._columns)
            rule.token = token
            rule.holds = np.zeros(n, np.bool_) if rule.run is None else rule.run(self._columns.columns(rule.names, now))
        return rule.holds

    def _of(self, text: str) -> _Compiled:
        schema = self._columns.schema()
        found = self._compiled.get(text)
        if found is None or found.schema is not schema:
            self._compiled.pop(text, None)
            while len(self._compiled) >= _KEPT:
                del self._compiled[next(iter(self._compiled))]
            found = self._compiled[text] = _compiled(text, schema)
        return found


def problem_of(text: str, schema: Schema) -> str | None:
    """Why a rule over items cannot run, with "at N:" first; None: it can."""
    try:
        parse(text, schema)
    except Invalid as error:
        return error.message
    return None


def _compiled(text: str, schema: Schema) -> _Compiled:
    try:
        tree = parse(text, schema)
    except Invalid as error:
        _LOGGER.warning("the rule %r over items cannot run and holds for nothing: %s", text[:200], error.message)
        return _Compiled(schema, frozenset(), None)
    return _Compiled(schema, fields(tree), compile_columns(tree))
