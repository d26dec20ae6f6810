"""Who takes part in an experiment: its layer, and lists of people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from shopkeeper.console.words import say
from shopkeeper.core.experiments import Experiment


def fields(key: str, one: Experiment | None, names: Sequence[str]) -> dict[str, Any]:
    """`layer`, `allow` and `deny` as a plan has them."""
    place, kind = st.columns([1, 2])
    layer = place.text_input(
        say("layer"), "default" if one is None else one.layer, key=f"{key}_layer", help=say("layer_help")
    )
    held = {} if one is None else one.allow
    ways = {"all": say("who_all"), "only": say("who_only"), "fixed": say("who_fixed")}
    now = "all" if not held else "fixed" if isinstance(held, Mapping) else "only"
    way = kind.selectbox(
        say("who_takes_part"), list(ways), list(ways).index(now), format_func=ways.__getitem__, key=f"{key}_who"
    )
    allow: list[str] | dict[str, str] = []
    if way == "only":
        before = "\n".join(held) if now == "only" else ""
        allow = _lines(st.text_area(say("only_these"), before, key=f"{key}_only", height=90))
    elif way == "fixed":
        before = "\n".join(f"{id} {name}" for id, name in held.items()) if isinstance(held, Mapping) else ""
        text = st.text_area(
            say("fixed_variants"), before, key=f"{key}_fixed", height=90, help=say("fixed_help", names=", ".join(names))
        )
        allow = _fixed(text, names)
    deny = _lines(
        st.text_area(say("never_these"), "" if one is None else "\n".join(one.deny), key=f"{key}_deny", height=68)
    )
    return {"layer": layer.strip(), "allow": allow, "deny": deny}


def _lines(text: str) -> list[str]:
    """One id a line: blanks and commas may be part of it."""
    return [line.strip() for line in text.split("\n") if line.strip()]


def _fixed(text: str, names: Sequence[str]) -> dict[str, str]:
    """A person and then a variant a line. Blanks may be part of either: the longest of `names` that a line ends with is
    its variant, or else its last word, of which the server says what is wrong."""
    found = {}
    for line in _lines(text):
        ends = [name for name in names if line.endswith((f" {name}", f",{name}", f"\t{name}"))]
        variant = max(ends, key=len) if ends else line.rpartition(" ")[2] if " " in line else ""
        found[line.removesuffix(variant).rstrip().removesuffix(",").rstrip()] = variant
    return found
