"""The step of a series: a local day, or a week of seven of them that begins on a weekday of one's choice."""

from __future__ import annotations

from typing import Literal, NamedTuple

Period = Literal["day", "week"]


class Step(NamedTuple):
    """`days` in a step; `first` weekday (0 Monday) of a week. Days are days since 1970-01-01, a Thursday."""

    days: int = 1
    first: int = 0

    @property
    def period(self) -> Period:
        return "day" if self.days == 1 else "week"

    @property
    def season(self) -> int:
        """Steps after which the pattern comes again: 7 days; 52 weeks."""
        return 7 if self.days == 1 else 52

    def start_of(self, day: int) -> int:
        """The first day of the step in which `day` lies."""
        return day - (day + 3 - self.first) % self.days


DAY = Step()


def week(first: int = 0) -> Step:
    """Weeks that begin on weekday `first`, 0 Monday."""
    return Step(7, first)
