"""Fields for an algorithm's parameters, made from the schema that the server tells."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import streamlit as st

from shopkeeper.console.words import say
from shopkeeper.core.errors import Invalid
from shopkeeper.core.records import AlgorithmInfo


def fields(algorithm: AlgorithmInfo) -> tuple[dict[str, Any], str]:
    """A field for every parameter that is a number, a choice, a text or a switch, and one for all others, as JSON.
    Gives only what was changed, and that text; `together` joins them."""
    changed: dict[str, Any] = {}
    others: dict[str, str] = {}
    columns = st.columns(3)
    switches = st.container(horizontal=True, gap="large")  # as wide as their names: a column would cut them off
    shown = 0
    for name, rule in algorithm.params_schema.get("properties", {}).items():
        switch = rule.get("type") == "boolean"
        with switches if switch else columns[shown % len(columns)]:
            value = _field(f"{algorithm.name}.{name}", name, rule)
        if value is None:
            others[name] = str(rule.get("description", ""))
            continue
        shown += not switch
        if value != rule.get("default"):
            changed[name] = value
    return changed, _rest(algorithm, others)


def together(changed: Mapping[str, Any], rest: str) -> dict[str, Any]:
    """All parameters that differ from what is usual. Raises Invalid when the text is no JSON object."""
    if not rest.strip():
        return dict(changed)
    try:
        more = json.loads(rest)
    except ValueError as error:
        raise Invalid(say("not_json", reason=error), code="bad_param") from error
    if not isinstance(more, dict):
        raise Invalid(say("not_json", reason=type(more).__name__), code="bad_param")
    return {**changed, **more}


def _rest(algorithm: AlgorithmInfo, others: Mapping[str, str]) -> str:
    if not others:
        return ""
    about = "\n".join(f"- `{name}`: {text}" for name, text in others.items())
    example = json.dumps({name: algorithm.params_schema["properties"][name].get("default") for name in others})
    text = st.text_area(
        say("other_params"), placeholder=example, help=about, height=68, key=f"{algorithm.name}.other"
    )  # fmt: skip
    return str(text)


def _field(key: str, name: str, rule: dict[str, Any]) -> Any:
    """What stands in the field; None for a parameter without a simple one."""
    default, about = rule.get("default"), rule.get("description")
    if "enum" in rule:
        place = rule["enum"].index(default) if default in rule["enum"] else 0
        return st.selectbox(name, rule["enum"], index=place, help=about, key=key)
    if rule.get("type") == "boolean":
        return st.toggle(name, value=bool(default), help=about, key=key)
    if rule.get("type") == "string":
        return st.text_input(name, str(default or ""), help=about, key=key)
    if rule.get("type") == "integer" and default is not None:
        low, high = rule.get("minimum"), rule.get("maximum")
        return int(st.number_input(name, low, high, int(default), step=1, help=about, key=key))
    if rule.get("type") == "number" and default is not None:
        low, high = rule.get("minimum"), rule.get("maximum")
        low, high = (None if bound is None else float(bound) for bound in (low, high))
        return float(st.number_input(name, low, high, float(default), step=None, format="%g", help=about, key=key))
    return None
