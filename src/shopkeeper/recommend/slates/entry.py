"""One kept slate, encoded already: an answer is its bytes with id, time and duration put in front."""

from __future__ import annotations

from typing import Any, Final

import msgspec
import numpy as np

from shopkeeper.core.clock import rfc3339
from shopkeeper.core.records import RecItem, RecRequest
from shopkeeper.recommend.made import Made
from shopkeeper.recommend.slates.keys import Key

_DIGITS: Final = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_SHORT: Final = tuple(bytes((_DIGITS[n // 32], _DIGITS[n % 32])) for n in range(1024))
_OVERHEAD: Final = 1_100
_PER_ITEM: Final = 230
"""Bytes beside the encoded ones, of an entry and of each item that finds it (measured, see the tests)."""

_encode = msgspec.json.Encoder().encode


class _Lasting(msgspec.Struct):
    """The part of a RecResponse that is the same in every answer of a slate."""

    user_id: str
    recommendations: tuple[RecItem, ...]
    model_version: str
    scenario: str
    degraded: bool
    explanation: str | None
    stages: dict[str, float]
    debug_info: dict[str, Any] | None


class Entry:
    """`until` and `renew_at` on the clock of the loop (seconds). `made` until somebody was given it, then None.
    `began`: when what it is made of was looked at here, us of the wall's clock."""

    __slots__ = (
        "began", "bodies", "key", "made", "met", "renew_at", "request", "rows", "said", "scenario", "served", "size",
        "slate_id", "start", "tail", "until",
    )  # fmt: skip

    def __init__(
        self,
        key: Key,
        request: RecRequest,
        *,
        slate_id: str,
        tail: bytes,
        scenario: str,
        rows: tuple[int, ...],
        until: float,
        renew_at: float,
        served: int = 0,
    ) -> None:
        self.key, self.request, self.tail, self.scenario = key, request, tail, scenario
        self.slate_id, self.rows = slate_id, rows
        self.start = b'{"request_id":"%s-' % slate_id.encode()
        self.until, self.renew_at = until, renew_at
        self.served = served  # the number of the next answer's id
        self.met = 0  # answers that it gave here
        self.said = 0  # of which the log was told
        self.made: Made | None = None
        self.began: int | None = None
        self.bodies: list[bytes] = []
        # The context stands in the key and, as Python objects, in the request: about eight times as large there.
        self.size = len(tail) + 9 * len(key[1]) + _OVERHEAD + _PER_ITEM * len(rows)

    def answer(self, stamp: bytes, ms: float) -> bytes:
        """One more answer. `stamp` is the time of it, RFC 3339."""
        number = self.served = self.served + 1
        self.met += 1
        tag = _SHORT[number] if number < 1024 else tag_of(number)
        return b"".join(
            (self.start, tag, b'","latency_ms":', b"%.3f" % ms, b',"cache_hit":true,"timestamp":"', stamp, self.tail)
        )


def tail_of(made: Made) -> bytes:
    """All that follows the timestamp: `","user_id":...}`."""
    return b'",' + _encode(_lasting(made))[1:]


def first_answer(made: Made, tail: bytes) -> bytes:
    """The answer to the one for whom it was computed."""
    head = b'{"request_id":"%s","latency_ms":%.3f,"cache_hit":false,"timestamp":"%s'
    return head % (made.slate_id.encode(), made.taken_ms, rfc3339(made.made_at).encode()) + tail


def rows_of(made: Made) -> tuple[int, ...]:
    rows: list[int] = np.asarray(made.rows).tolist()
    return tuple(rows)


def tag_of(number: int) -> bytes:
    """A number in base 32, two digits at least."""
    digits = bytearray()
    while number or len(digits) < 2:
        number, digit = divmod(number, 32)
        digits.append(_DIGITS[digit])
    return bytes(reversed(digits))


def _lasting(made: Made) -> _Lasting:
    return _Lasting(
        made.user_id, made.items, made.model_version, made.scenario, made.degraded, made.explanation, made.stages,
        made.debug_info,
    )  # fmt: skip
