"""Content that could carry code, whatever its name says: pickles, programs, scripts, and zip files that hold them.

No load in this shop runs what it reads; this is the second fence, at the gate where strangers' files come in.
"""

from __future__ import annotations

import lzma
import pickletools
import zipfile
import zlib
from pathlib import Path
from typing import Any

from shopkeeper.core.errors import Invalid
from shopkeeper.stores.artifacts import CODE

HEAD = 64 * 1024
_MAGIC = (
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"\xcf\xfa\xed\xfe", "a program"),
    (b"\xca\xfe\xba\xbe", "a program"),
    (b"#!", "a script"),
    (b"\x89HDF", "an HDF5 file, which may hold code"),
)
_IMPORTS = frozenset({"GLOBAL", "STACK_GLOBAL", "INST"})
_CALLS = frozenset({"INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "REDUCE", "BUILD"})


def check_head(name: str, head: bytes) -> None:
    """Raises Invalid when a file that begins like this could carry code. `head`: its first HEAD bytes, or all."""
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            raise _refused(name, kind)
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        raise _refused(name, "a pickle")
    if _imports(head):
        raise _refused(name, "a pickle")
    if _holds_objects(head):
        raise _refused(name, "an array of pickled objects")


def check_zip(name: str, path: Path) -> None:
    """Raises Invalid for a zip (npz is one) that holds such a file. Other files pass."""
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            for inner in archive.infolist():
                spoken = f"{name}/{inner.filename[:80]}"
                if Path(inner.filename).suffix.lower() in CODE:
                    raise _refused(spoken, "code by its name")
                with archive.open(inner) as file:
                    check_head(spoken, file.read(HEAD))
    except (zipfile.BadZipFile, RuntimeError, ValueError, OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise _refused(name, f"a zip file that cannot be looked into ({error})") from error


def _holds_objects(head: bytes) -> bool:
    """Whether the first array of a file (npy, or npz not compressed) is one of objects, by its own header: the same two
    letters may stand among the numbers of any array."""
    at = head.find(b"\x93NUMPY", 0, 256)
    if at < 0:
        return False
    begin = at + (10 if head[at + 6 : at + 7] == b"\x01" else 12)
    size = int.from_bytes(head[at + 8 : begin], "little")
    return b"|O" in head[begin : begin + size]


def _imports(head: bytes) -> bool:
    """Whether pickle instructions from the first byte on import something and call it, or end with it.

    The stack is followed as a reader would: text and other formats run out of it, or of instructions, at once.
    """
    stack: list[Any] = []
    imported = False
    try:
        for opcode, _, _ in pickletools.genops(head):
            if not _taken(stack, opcode.stack_before):
                return False
            stack += opcode.stack_after
            if imported and opcode.name in _CALLS:
                return True
            imported = imported or opcode.name in _IMPORTS
    except Exception:  # noqa: BLE001  the parser raises whatever it stumbles over: then it is no pickle
        return False
    return imported


def _taken(stack: list[Any], before: list[Any]) -> bool:
    """Takes an instruction's operands off the stack; False when they are not there."""
    count = len(before)
    if (mark := pickletools.markobject) in before:
        if mark not in stack:
            return False
        del stack[len(stack) - 1 - stack[::-1].index(mark) :]
        count = before.index(mark)
    if count > len(stack):
        return False
    del stack[len(stack) - count :]
    return True


def _refused(name: str, kind: str) -> Invalid:
    return Invalid(
        f"{name} is {kind}; only data is taken (json, npz, safetensors, onnx, parquet)",
        code="artifact_refused",
        field="file",
    )
