"""When a cron line comes round next, in a shop's time zone.

Five fields: minute, hour, day of month, month, day of week. Where clocks are put forward, a time of day that does not
exist runs at the first minute after the gap; where they are put back, one that comes twice runs at its first coming.
Lines that begin with a star (every minute, every hour) run through both by elapsed time.
"""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from shopkeeper.core.clock import micros, moment
from shopkeeper.core.errors import Invalid


def next_run(cron: str, after: int, zone: ZoneInfo) -> int:
    """The first moment later than `after` (both microseconds UTC). Raises Invalid."""
    if len(cron.split()) != 5:
        raise _wrong(cron, "it has not five fields")
    try:
        for found in CronSim(cron, moment(after).astimezone(zone)):
            if (at := _utc(found)) > after:  # a time of day in a repeated hour may lie behind us
                return at
    except CronSimError as error:
        raise _wrong(cron, str(error)) from error
    raise _wrong(cron, "no day is like that")


def _utc(local: datetime) -> int:
    return micros(local)


def _wrong(cron: str, why: str) -> Invalid:
    return Invalid(
        f"cron {cron[:80]!r} cannot be read: {why}; write minute hour day month weekday, like 0 2 * * *",
        code="bad_cron",
        field="cron",
    )
