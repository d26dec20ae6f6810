"""The calendar: promotions, holidays and closed days, past and planned."""

from __future__ import annotations

from shopkeeper.client.wire import Page, Wire, escaped
from shopkeeper.core.records import CalendarEntry

_CALENDAR = "/api/v1/calendar"


class CalendarDoors(Wire):
    """One method a door."""

    def calendar(
        self,
        *,
        first: str | None = None,
        last: str | None = None,
        kind: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[CalendarEntry]:
        """Entries that touch the days from `first` to `last` (ISO dates), by first day."""
        query = {"from": first, "to": last, "kind": kind, "limit": limit, "cursor": cursor}
        return self.get(_CALENDAR, Page[CalendarEntry], query)

    def enter(self, entry: CalendarEntry) -> CalendarEntry:
        """A new entry, with its id. Raises Invalid naming the field."""
        return self.call("POST", _CALENDAR, CalendarEntry, entry)

    def change_entry(self, entry: CalendarEntry) -> CalendarEntry:
        """Everything that `entry` says takes the place of what the shop knows under its id. Raises NotFound."""
        return self.call("PUT", f"{_CALENDAR}/{escaped(entry.id)}", CalendarEntry, entry)

    def delete_entry(self, id: str) -> None:
        """Raises NotFound."""
        self.send_request("DELETE", f"{_CALENDAR}/{escaped(id)}")
