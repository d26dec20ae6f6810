"""How a value is written where it is read as a text: in training and in answers alike, so that 3, 3.0 and "3" are one.

It is how a column of a table is written (`learning.tabular.texts`), for one value.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

_WHOLE = 1e15
_SHOWN = 60


def spelled(value: str | float) -> str:
    """A text as it is, true as 1, whole numbers without a fraction. Raises ValueError for a whole number of thousands
    of digits."""
    if isinstance(value, str):
        return value
    if isinstance(value, int):  # never by way of a float: not each has room there
        return str(int(value))
    number = float(value)
    if number.is_integer() and abs(number) < _WHOLE:
        return str(int(number))
    digits, _, power = repr(number).partition("e")
    if power == "-05":
        return format(Decimal(repr(number)), "f")
    return f"{digits}e{int(power):+d}" if power else digits


def shown(value: Any) -> str:
    """The beginning of any value, for messages."""
    try:
        return repr(str(value)[:_SHOWN])
    except ValueError:
        return "a number of thousands of digits"
