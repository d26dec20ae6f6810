"""What an event must be to enter the log."""

from __future__ import annotations

import math

import msgspec

from shopkeeper.core.clock import SECOND, Clock, micros, moment
from shopkeeper.core.errors import Invalid
from shopkeeper.core.ids import check_event_type, check_id, check_name, ulid
from shopkeeper.core.records import Event

FUTURE_LIMIT = 300 * SECOND
AMOUNT_LIMIT = 1e12
CONTEXT_LIMIT = 16 * 1024
_AMOUNTS = ("quantity", "unit_price", "value")


def validate_event(event: Event, clock: Clock) -> Event | str:
    """The event as it will be stored (id, time and target filled in), or the reason why it is refused.

    A time in the future is stored as the shop's present while it is at most 300 s beyond real time; the client's
    present is the shop's present.
    """
    try:
        return _complete(event, clock)
    except Invalid as error:
        return error.message


def _complete(event: Event, clock: Clock) -> Event:
    check_event_type(event.event_type)
    check_name(event.target_kind, "target_kind")
    for field in ("user_id", "anonymous_id", "store_id", "event_id"):
        value = getattr(event, field)
        if value is not None:
            check_id(value, field)
    for field in _AMOUNTS:
        _check_amount(getattr(event, field), field)
    if event.promotion is not None and (len(event.promotion) > 128 or not event.promotion.isprintable()):
        raise Invalid("promotion must be at most 128 printable characters", field="promotion")
    _check_context(event)
    target = _target(event)
    return msgspec.structs.replace(
        event,
        target_id=target,
        item_id=target if event.target_kind == "product" else None,
        event_id=event.event_id or ulid(),
        time=moment(_time(event, clock)),
    )


def _target(event: Event) -> str:
    if event.item_id is not None and event.target_kind != "product":
        raise Invalid(f"item_id names a product; give target_id for a {event.target_kind}", field="item_id")
    if event.item_id is not None and event.target_id is not None and event.item_id != event.target_id:
        raise Invalid("item_id and target_id name different targets; give one of them", field="item_id")
    target = event.target_id if event.target_id is not None else event.item_id
    if target is None:
        raise Invalid("the event has no target; give item_id, or target_kind and target_id", field="target_id")
    return check_id(target, "target_id")


def _time(event: Event, clock: Clock) -> int:
    now = clock.now()
    if event.time is None:
        return now
    time = micros(event.time)
    if time > clock.wall() + FUTURE_LIMIT:
        raise Invalid(f"time {event.time.isoformat()} lies in the future; check the sender's clock", field="time")
    if time < 0:
        raise Invalid(f"time {event.time.isoformat()} lies before 1970", field="time")
    return min(time, now)


def _check_amount(value: float | None, field: str) -> None:
    if value is not None and not (math.isfinite(value) and abs(value) <= AMOUNT_LIMIT):
        raise Invalid(f"{field} must be a finite number of at most 1e12 in size", field=field)


def _check_context(event: Event) -> None:
    if not event.context:
        return
    try:
        size = len(msgspec.json.encode(event.context))
    except (TypeError, ValueError, RecursionError) as error:
        raise Invalid(f"context cannot be written as JSON: {error}", field="context") from error
    if size > CONTEXT_LIMIT:
        raise Invalid(f"context takes {size} bytes, at most {CONTEXT_LIMIT} are kept", field="context")
