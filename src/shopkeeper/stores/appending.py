"""What waits to be appended: lists of checked events, written together, each told its own share."""

from __future__ import annotations

from concurrent.futures import Future
from typing import TypeAlias

from shopkeeper.core.clock import Clock, micros
from shopkeeper.core.records import Accepted, Event, Rejection, StoredEvent
from shopkeeper.stores import event_rows
from shopkeeper.stores.event_check import validate_event
from shopkeeper.telemetry import metrics

EventRow: TypeAlias = tuple[
    str, str | None, str | None, str, str, str, str | None, int,
    float | None, float | None, float | None, str | None, str | None,
]  # fmt: skip
"""The bulk form of an event: (event_id, user_id, anonymous_id, event_type, target_kind, target_id, store_id, time in
microseconds, quantity, unit_price, value, promotion, context as JSON text). Whoever makes it has checked it."""


class Appended(Accepted, kw_only=True):
    """What became of a list. The accepted events have the numbers `first_seq` to `last_seq` (0, 0: none)."""

    first_seq: int = 0
    last_seq: int = 0


class Entry:
    """One list that waits: what was accepted so far and who is told."""

    def __init__(self, events: list[Event], clock: Clock) -> None:
        self.events: list[Event] = []
        self.rejected: list[Rejection] = []
        self.future: Future[Appended] = Future()
        for index, event in enumerate(events):
            checked = validate_event(event, clock)
            if isinstance(checked, str):
                self.rejected.append(Rejection(index=index, reason=checked))
            else:
                self.events.append(checked)

    def answer(self, new: list[bool], first: int) -> Appended:
        accepted = sum(new)
        return Appended(
            accepted=accepted,
            duplicates=len(self.events) - accepted,
            rejected=self.rejected,
            first_seq=first if accepted else 0,
            last_seq=first + accepted - 1 if accepted else 0,
        )


class Group:
    """Lists that are written together."""

    def __init__(self, entry: Entry) -> None:
        self.entries = [entry]

    def shares(self, new: list[int], first: int) -> list[tuple[list[bool], int]]:
        """For each list: which of its events are new, and the number of its first new one."""
        fresh = set(new)
        shares = []
        at = 0
        for entry in self.entries:
            mine = [position in fresh for position in range(at, at + len(entry.events))]
            shares.append((mine, first))
            first += sum(mine)
            at += len(entry.events)
        return shares

    def settle(self, shares: list[tuple[list[bool], int]]) -> None:
        for entry, (new, first) in zip(self.entries, shares, strict=True):
            answer = entry.answer(new, first)
            if answer.duplicates:
                metrics.events_duplicate_total.inc(answer.duplicates)
            if entry.future.set_running_or_notify_cancel():
                entry.future.set_result(answer)

    def fail(self, error: BaseException) -> None:
        for entry in self.entries:
            if entry.future.set_running_or_notify_cancel():
                entry.future.set_exception(error)


def bulk_row(event: Event) -> EventRow:
    assert event.event_id is not None
    assert event.target_id is not None
    assert event.time is not None
    return (
        event.event_id,
        event.user_id,
        event.anonymous_id,
        event.event_type,
        event.target_kind,
        event.target_id,
        event.store_id,
        micros(event.time),
        event.quantity,
        event.unit_price,
        event.value,
        event.promotion,
        event_rows.context_text(event.context),
    )


def numbered(event: Event, seq: int) -> StoredEvent:
    return StoredEvent(seq=seq, **{name: getattr(event, name) for name in Event.__struct_fields__})
