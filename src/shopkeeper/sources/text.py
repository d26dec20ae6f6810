"""How a text file is written: its encoding and its delimiter, found by reading it, never by asking the system."""

from __future__ import annotations

import codecs
import csv
from pathlib import Path

from shopkeeper.core.errors import Invalid

_BLOCK = 1 << 20
_DELIMITERS = (",", ";", "\t", "|")
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def find_encoding(path: Path) -> str:
    """`utf-8-sig`, `utf-16`, `utf-8`, `gb18030` or `cp1252` (the superset of Latin-1 that spreadsheets write)."""
    with path.open("rb") as file:
        head = file.read(4)
        for mark, encoding in _BOMS:
            if head.startswith(mark):
                return encoding
        file.seek(0)
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            while block := file.read(_BLOCK):
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            file.seek(0)
            return _chinese_or_western(file.read(_BLOCK))
    return "utf-8"


def check_encoding(name: str) -> str:
    """The codec's own name. Raises Invalid for an unknown one."""
    try:
        return codecs.lookup(name).name
    except LookupError:
        raise Invalid(
            f"unknown encoding {name[:40]!r}; try utf-8, gb18030 or cp1252", code="bad_encoding", field="encoding"
        ) from None


def find_delimiter(line: str) -> str:
    """The delimiter that splits the header into most columns; a comma when there is one column only."""
    return max(_DELIMITERS, key=lambda mark: (len(next(csv.reader([line], delimiter=mark), [])), mark == ","))


def check_delimiter(mark: str) -> str:
    mark = {"tab": "\t", "\\t": "\t"}.get(mark, mark)
    if len(mark) != 1 or mark.isalnum() or mark in '"\r\n':
        raise Invalid(
            f"delimiter {mark[:10]!r} must be one character such as , ; | or tab",
            code="bad_delimiter",
            field="delimiter",
        )
    return mark


def _chinese_or_western(block: bytes) -> str:
    """Chinese characters are pairs of high bytes; accents of western languages stand alone between ASCII letters."""
    high = pairs = at = 0
    while at < len(block):
        if block[at] < 0x80:
            at += 1
        elif at + 1 < len(block) and block[at] >= 0x81 and block[at + 1] >= 0xA1:
            high, pairs, at = high + 2, pairs + 2, at + 2
        else:
            high, at = high + 1, at + 1
    return "gb18030" if high and pairs >= 0.8 * high else "cp1252"
