"""What must hold, besides the time, for a schedule to run: enough new events, or a measure of the shop that fell.

    {"new_events": 1000}                            events in the log since the schedule's last run that was done
    {"metric": "ctr", "drop": 0.05, "days": 7}      clicks per view of the last 7 days, against the 7 days before

Days are those of the shop's own clock, which is what events are dated in. With both parts, both must hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from sqlalchemy import Connection

from shopkeeper.core.clock import DAY, moment
from shopkeeper.core.converting import converted
from shopkeeper.core.errors import Invalid
from shopkeeper.core.schedules import ScheduleCheck
from shopkeeper.stores.event_counts import counts

# measure -> (event type above the line, event type below it)
METRICS = {"ctr": ("click", "view"), "conversion": ("order", "view")}


class Condition(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`drop` is relative: 0.05 is met by 5 % less. Spans with fewer than `min_views` views say nothing: not met."""

    new_events: Annotated[int, Meta(ge=1)] | None = None
    metric: Literal["ctr", "conversion"] | None = None
    drop: Annotated[float, Meta(gt=0, le=1)] = 0.05
    days: Annotated[int, Meta(ge=1, le=365)] = 7
    min_views: Annotated[int, Meta(ge=1)] = 100


def read_condition(given: Mapping[str, Any]) -> Condition:
    """Raises Invalid naming the field."""
    condition = converted(given, Condition, within="condition", code="bad_condition")
    if condition.new_events is None and condition.metric is None:
        raise Invalid(
            "condition names neither new_events nor metric; leave it out to run whenever it is time",
            code="bad_condition",
            field="condition",
        )
    return condition


def check(
    connection: Connection, condition: Condition, *, last_seq: int, done_seq: int, now: int, wall: int
) -> ScheduleCheck:
    """`last_seq` and `done_seq`: the log's end now and at the last run that was done; `now` is shop time."""
    values: dict[str, float] = {}
    said: list[tuple[bool, str]] = []
    if condition.new_events is not None:
        values["new_events"] = new = last_seq - done_seq
        said.append((new >= condition.new_events, f"{new} new events, {condition.new_events} are asked"))
    if condition.metric is not None:
        said.append(_fell(connection, condition, condition.metric, now, values))
    met = all(one for one, _ in said)
    return ScheduleCheck(time=moment(wall), met=met, why="; ".join(why for _, why in said), values=values)


def _fell(
    connection: Connection, condition: Condition, metric: str, now: int, values: dict[str, float]
) -> tuple[bool, str]:
    above, below = METRICS[metric]
    span = condition.days * DAY
    before, last = counts(connection, (above, below), (now - 2 * span, now - span, now))
    values |= {f"{below}s_before": before[below], f"{below}s": last[below]}
    fewest = min(before[below], last[below])
    if fewest < condition.min_views:
        return False, f"{fewest} {below}s in {condition.days} days say nothing, {condition.min_views} are asked"
    was, is_now = before[above] / before[below], last[above] / last[below]
    fell = 1 - is_now / was if was else 0.0
    values |= {f"{metric}_before": was, metric: is_now, "drop": fell}
    return (
        fell >= condition.drop,
        f"{metric} {is_now:.4g} after {was:.4g}: {fell:+.1%} fall, {condition.drop:.1%} is asked",
    )
