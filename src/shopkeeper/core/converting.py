"""Plain values as records, with the place of what is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from shopkeeper.core.errors import Invalid

T = TypeVar("T")


def converted(given: Mapping[str, Any], kind: type[T], *, within: str = "", code: str = "bad_param") -> T:
    """A record of this kind. Raises Invalid whose `field` is the dotted place, below `within` when that is given."""
    try:
        return msgspec.convert(dict(given), kind)
    except msgspec.ValidationError as error:
        what, place = placed(error)
        field = ".".join(part for part in (within, place) if part)
        raise Invalid(f"{field}: {what}" if field else what, code=code, field=field or None) from error


def placed(error: msgspec.ValidationError) -> tuple[str, str]:
    """(what is wrong, the dotted place of it or an empty text)."""
    what, _, place = str(error).partition(" - at `$")
    return what, place.removesuffix("`").removeprefix(".")
