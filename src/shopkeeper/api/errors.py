"""One table from the error tree to HTTP, and the body shapes that each family of paths promises.

Families, by prefix: profile (A) and our own paths, prediction wire (B), personalisation (C), stock (D). They differ in
the status of a bad request (400 or 422) and in D's envelope; everything else is the same everywhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import msgspec

from shopkeeper.core.errors import (
    Busy,
    Conflict,
    Invalid,
    NotFound,
    Overloaded,
    Refused,
    ShopkeeperError,
    Stale,
    Unavailable,
)

_FAMILIES = (
    ("B", re.compile(r"/(predictions|predict|recall|reload|v1|v2|[a-z]+_embedding)(/|$)")),
    (
        "C",
        re.compile(
            r"/api/v1/(personalization|features|models|model-registry|bandit|qlearning|experiments|monitoring|learning"
            r"|algorithms)(/|$)"
        ),
    ),
    ("D", re.compile(r"/api/(training|prediction|models|products|stores|data)(/|$)")),
)

_INFERENCE = re.compile(r"/v[12](/|$)")

# The most specific class first: its status, the word that `type` says, and its status over gRPC.
_TABLE: tuple[tuple[type[ShopkeeperError], int, str, str], ...] = (
    (NotFound, 404, "NotFound", "NOT_FOUND"),
    (Invalid, 400, "Invalid", "INVALID_ARGUMENT"),
    (Refused, 403, "Refused", "PERMISSION_DENIED"),
    (Stale, 412, "Conflict", "ABORTED"),
    (Conflict, 409, "Conflict", "FAILED_PRECONDITION"),
    (Overloaded, 429, "Overloaded", "RESOURCE_EXHAUSTED"),
    (Unavailable, 503, "Unavailable", "UNAVAILABLE"),
)

# Codes whose status is not their branch's.
_GRPC_BY_CODE = {"no_key": "UNAUTHENTICATED", "bad_key": "UNAUTHENTICATED", "deadline": "DEADLINE_EXCEEDED"}
_BY_CODE = {
    "no_key": 401,
    "bad_key": 401,
    "key_in_url": 400,
    "no_user": 400,
    "gate_refused": 409,
    "body_too_large": 413,
    "wrong_content_type": 415,
    "method_not_allowed": 405,
    "deadline": 504,
}

BROKEN = frozenset({"model_failed", "bad_output"})
"""A model that answers is broken inside: 500, as asking again would give the same. Lower rooms see it as Unavailable,
so that another version may answer instead."""

_NAME_CODES = frozenset({"bad_name", "bad_id", "bad_event_type"})


class FieldProblem(msgspec.Struct):
    field: str
    message: str


class Problem(msgspec.Struct, omit_defaults=True):
    """The body of every error. `code` is stable, `detail` is for people, `request_id` finds the log line."""

    detail: str
    code: str
    type: str
    request_id: str
    errors: list[FieldProblem] | None = None
    job_id: str | None = None
    job_url: str | None = None


class StockProblem(Problem, kw_only=True, omit_defaults=True):
    """The same under the D paths, in their envelope: `message` repeats `detail`."""

    status: str
    message: str


class InferenceProblem(Problem, kw_only=True, omit_defaults=True):
    """The same under /v1 and /v2, whose clients look for `error`, which repeats `detail`."""

    error: str


class Malformed(Invalid):
    """The request itself cannot be read: not JSON, a missing field, a wrong type, a query out of bounds."""

    code = "malformed"

    def __init__(self, message: str, *, code: str | None = None, errors: list[FieldProblem] | None = None) -> None:
        super().__init__(message, code=code, field=errors[0].field if errors else None)
        self.errors = errors


@dataclass(frozen=True, slots=True)
class Answer:
    """What the fast lane, the middleware and FastAPI's handlers all send."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()
    media: bytes = b"application/json"


def family(path: str) -> str:
    """`A`, `B`, `C` or `D`: whose promises a path keeps."""
    for letter, pattern in _FAMILIES:
        if pattern.match(path):
            return letter
    return "A"


def problem_of(path: str) -> type[Problem]:
    """The body of an error under this path."""
    if _INFERENCE.match(path):
        return InferenceProblem
    return StockProblem if family(path) == "D" else Problem


def bad_request(path: str) -> int:
    """The status of a malformed body, query or name under this path."""
    return 422 if family(path) in "BC" else 400


def answer(error: ShopkeeperError, path: str, request_id: str) -> Answer:
    """The HTTP answer to an error of the tree."""
    status, kind = _status(error, family(path))
    problem: dict[str, Any] = {
        "detail": error.message,
        "code": error.code,
        "type": kind,
        "request_id": request_id,
    }
    fields = getattr(error, "errors", None)
    if fields is None and error.field and isinstance(error, Invalid):
        fields = [FieldProblem(error.field, error.message)]
    if fields:
        problem["errors"] = fields
    if isinstance(error, Busy):
        problem |= {"job_id": error.job_id, "job_url": f"/api/v1/jobs/{error.job_id}"}
    return Answer(status, _body(problem, path), _headers(error, status))


def grpc_status(error: ShopkeeperError) -> str:
    """The name of the gRPC status that an error of the tree becomes."""
    if error.code in BROKEN:
        return "INTERNAL"
    branch = next((row[3] for row in _TABLE if isinstance(error, row[0])), "INTERNAL")
    return _GRPC_BY_CODE.get(error.code, branch)


def unexpected(path: str, request_id: str) -> Answer:
    """The answer to an error that nobody foresaw: nothing of its inside is told, the log has it."""
    problem = {
        "detail": f"something broke inside; the log has it under request id {request_id}",
        "code": "internal",
        "type": "Internal",
        "request_id": request_id,
    }
    return Answer(500, _body(problem, path))


def _status(error: ShopkeeperError, letter: str) -> tuple[int, str]:
    if error.code in BROKEN:
        return 500, "Internal"
    for branch, status, kind, _ in _TABLE:
        if isinstance(error, branch):
            if error.code in _BY_CODE:
                return _BY_CODE[error.code], kind
            if branch is Invalid:
                return _invalid_status(error, letter), kind
            return status, kind
    return 500, "Internal"


def _invalid_status(error: ShopkeeperError, letter: str) -> int:
    if letter == "C":
        return 422
    # The prediction wire tells a body that cannot be read (422) from values that cannot be scored (400).
    if letter == "B" and (isinstance(error, Malformed) or error.code in _NAME_CODES):
        return 422
    return 400


def _body(problem: dict[str, Any], path: str) -> bytes:
    if family(path) == "D":
        problem = {"status": "error", "message": problem["detail"]} | problem
    elif _INFERENCE.match(path):
        problem = {"error": problem["detail"]} | problem
    return msgspec.json.encode(problem)


def _headers(error: ShopkeeperError, status: int) -> tuple[tuple[bytes, bytes], ...]:
    if status == 401:
        return ((b"www-authenticate", b'Bearer realm="shopkeeper"'),)
    if status != 500 and isinstance(error, Unavailable | Overloaded):
        return ((b"retry-after", str(error.retry_after_s).encode()),)
    return ()
