"""Options of the form NAME=VALUE."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click


def pairs(texts: Iterable[str], option: str) -> dict[str, Any]:
    """`depth=6` and `params.depth=6` (one level deeper); a value that is JSON is read as such, else it is text."""
    import msgspec

    found: dict[str, Any] = {}
    for text in texts:
        path, equals, value = text.partition("=")
        if not equals or not path:
            raise click.BadParameter(f"{text!r} is not NAME=VALUE", param_hint=option)
        *outer, name = path.split(".")
        within = found
        for one in outer:
            within = within.setdefault(one, {})
            if not isinstance(within, dict):
                raise click.BadParameter(f"{text!r}: {one} has a value already", param_hint=option)
        try:
            within[name] = msgspec.json.decode(value)
        except msgspec.DecodeError:
            within[name] = value
    return found
