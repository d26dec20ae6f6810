"""Rules that come from elsewhere: read whole before anything is written, each bad one told with its place."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shopkeeper.core.errors import Invalid, ShopkeeperError
from shopkeeper.core.records import Rule
from shopkeeper.rules.schema import Schema
from shopkeeper.rules.unomi import translate


@dataclass(frozen=True, order=True, slots=True)
class RejectedRule:
    """`index`: place in the list."""

    index: int
    name: str
    reason: str


@dataclass
class Import:
    """`rules` can be made; `places` say where each stood in the list."""

    rules: list[Rule] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    rejected: list[RejectedRule] = field(default_factory=list)

    def done(self, made: Sequence[Rule | ShopkeeperError]) -> tuple[list[Rule], list[RejectedRule]]:
        """What was created and what was rejected, in the order of the list; `made` is what became of `rules`."""
        created = [one for one in made if isinstance(one, Rule)]
        refused = [
            RejectedRule(place, rule.name, one.message)
            for one, rule, place in zip(made, self.rules, self.places, strict=True)
            if isinstance(one, ShopkeeperError)
        ]
        return created, sorted([*self.rejected, *refused])


def read_unomi(entries: Sequence[Mapping[str, Any]], schema: Schema, segments: Mapping[str, str]) -> Import:
    """Reads `{name, condition, description?, weight?, action?}`, or rules and segments as Unomi keeps them.

    May take a while: run it on a thread of its own. Changes nothing.
    """
    found = Import()
    for index, entry in enumerate(entries):
        name = ""
        try:
            name = _name(entry)
            found.rules.append(_rule(name, entry, schema, segments))
            found.places.append(index)
        except Invalid as error:
            found.rejected.append(RejectedRule(index, name, error.message))
    return found


def _rule(name: str, entry: Mapping[str, Any], schema: Schema, segments: Mapping[str, str]) -> Rule:
    metadata = _metadata(entry)
    if metadata.get("enabled") is False:
        raise Invalid("metadata.enabled: it is switched off; switch it on, or leave it out")
    if entry.get("actions"):
        raise Invalid(
            "actions: what Unomi does when a rule fires is not done here; leave them out, or write an `action`"
        )
    return Rule(
        name=name,
        condition=translate(entry.get("condition"), schema, segments),
        description=_text(entry, "description", metadata.get("description")),
        weight=_weight(entry.get("weight", 1.0)),
        action=_text(entry, "action", None),
    )


def _name(entry: Mapping[str, Any]) -> str:
    metadata = _metadata(entry)
    name = entry.get("name") or metadata.get("name") or metadata.get("id")
    if not isinstance(name, str):
        raise Invalid("name: expected a text under name, metadata.name or metadata.id")
    return name


def _metadata(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata = entry.get("metadata")
    if metadata is not None and not isinstance(metadata, Mapping):
        raise Invalid("metadata: expected an object")
    return metadata or {}


def _text(entry: Mapping[str, Any], name: str, otherwise: Any) -> str:
    value = entry.get(name, otherwise)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Invalid(f"{name}: expected a text, got {repr(value)[:60]}")
    return value


def _weight(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Invalid(f"weight: expected a number, got {repr(value)[:60]}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise Invalid("weight: the number is too large")
    return number
