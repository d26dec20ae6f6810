"""Reading JSON bodies, one way for both lanes: NaN, infinities, deep nesting and wrong types are told by field."""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec
import msgspec.inspect
import numpy as np
from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive

from shopkeeper.api.errors import FieldProblem, Malformed

DEPTH_LIMIT = 32
T = TypeVar("T")

_AT = re.compile(r"^(?P<what>.*) - at `(?P<path>[^`]*)`$", re.DOTALL)
_STEP = re.compile(r"\[[^\]]*\]|[^.\[]+")
_ESCAPE = re.compile(rb"\\.", re.DOTALL)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEPS = bytes.maketrans(b"[{]}", bytes([1, 1, 255, 255]))


async def drain(receive: Receive) -> bytes:
    """The whole body of a plain ASGI request. Raises ClientDisconnect when the client goes away before its end."""
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body"):
        return bytes(message.get("body", b""))
    parts = []
    while message["type"] == "http.request":
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)
        message = await receive()
    raise ClientDisconnect


async def read(request: Request, kind: type[T]) -> T:
    """A FastAPI request's body as `kind`. Raises Malformed."""
    return decode(await request.body(), kind)


def decode(body: bytes, kind: type[T]) -> T:
    """JSON bytes as `kind` (a Struct or any type that msgspec knows). Raises Malformed."""
    if nesting(body) > DEPTH_LIMIT:
        raise Malformed(f"the body is nested deeper than {DEPTH_LIMIT} levels", code="too_deep")
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise _wrong_value(str(error), kind) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _not_json(body, error) from error


def nesting(body: bytes) -> int:
    """How deep arrays and objects are nested: exact beyond the limit, an upper bound below it."""
    bound = body.count(b"[") + body.count(b"{")
    if bound <= DEPTH_LIMIT:
        return bound
    plain = _ESCAPE.sub(b"", body) if b"\\" in body else body
    outside_strings = b"".join(plain.split(b'"')[::2])
    steps = np.frombuffer(outside_strings.translate(_STEPS, _NOT_BRACKETS), dtype=np.int8)
    return int(steps.cumsum(dtype=np.int64).max(initial=0))


def _wrong_value(text: str, kind: Any) -> Malformed:
    found = _AT.match(text)
    what, field = (found["what"], found["path"].removeprefix("$").lstrip(".")) if found else (text, "")
    words = _words(kind, field) if what.startswith("Invalid enum value") else []
    if words:
        what = f"{what}, expected one of: {', '.join(words)}"
    message = f"{field or 'body'}: {what}"
    return Malformed(message, code="wrong_value", errors=[FieldProblem(field or "body", what)])


def _words(kind: Any, field: str) -> list[str]:
    """What a field of words may be, by its path (`events[0].mode`); empty where the path leads nowhere."""
    kinds: list[Any] = [msgspec.inspect.type_info(kind)]
    for step in _STEP.findall(field):
        kinds = [inner for outer in kinds for inner in _inside(outer, step)]
    return [str(word) for found in kinds for word in _choices(found)]


def _inside(kind: Any, step: str) -> list[Any]:
    """What may stand at one step of a path: `name`, `[0]` of a list or `[...]` of a mapping."""
    if isinstance(kind, msgspec.inspect.UnionType | msgspec.inspect.Metadata):
        return [inner for one in _kinds(kind) for inner in _inside(one, step)]
    if isinstance(kind, msgspec.inspect.StructType):
        return [field.type for field in kind.fields if field.encode_name == step]
    if isinstance(kind, msgspec.inspect.DictType):
        return [kind.value_type]
    return [kind.item_type] if isinstance(kind, msgspec.inspect.ListType) else []


def _choices(kind: Any) -> list[Any]:
    if isinstance(kind, msgspec.inspect.UnionType | msgspec.inspect.Metadata):
        return [word for one in _kinds(kind) for word in _choices(one)]
    return list(kind.values) if isinstance(kind, msgspec.inspect.LiteralType) else []


def _kinds(kind: msgspec.inspect.UnionType | msgspec.inspect.Metadata) -> tuple[Any, ...]:
    return kind.types if isinstance(kind, msgspec.inspect.UnionType) else (kind.type,)


def _not_json(body: bytes, error: Exception) -> Malformed:
    if not body:
        return Malformed("the body is empty; send JSON", code="no_body")
    return Malformed(f"the body is not JSON: {str(error)[:200]}", code="not_json")
