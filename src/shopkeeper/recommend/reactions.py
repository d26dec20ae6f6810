"""What somebody did with an answer, by the answer's id: events that know where the item stood and what brought it.

Without an item the whole answer is meant, one event an item. Said twice it is stored once: the id of an event is made
of what it says.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from shopkeeper.core.records import Event
from shopkeeper.recommend.feedback import REWARDS, reward
from shopkeeper.recommend.slatelog import Shown

Reaction: TypeAlias = Literal["accept", "dismiss", "rating"]
_AS: Mapping[str, str] = {"accept": "click", "dismiss": "dislike"}
"""What a reaction is worth: as much as the feedback that it stands for."""


def reactions(
    shown: Shown,
    reaction: Reaction,
    item_id: str | None = None,
    *,
    rating: int | None = None,
    comment: str | None = None,
) -> list[Event]:
    """The events to append. `rating` 1 to 5. Raises NotFound when the item was not in the answer."""
    places = range(len(shown.items)) if item_id is None else [shown.position(item_id)]
    worth = reward("rating", float(rating)) if rating is not None else REWARDS[_AS[reaction]]
    said = {"rating": rating, "comment": comment, "whole_answer": True if item_id is None else None}
    more = {name: value for name, value in said.items() if value is not None}
    mark = "" if rating is None else f"-{rating}-{zlib.crc32((comment or '').encode()):08x}"
    return [_event(shown, reaction, place, worth, more, mark) for place in places]


def _event(
    shown: Shown, reaction: Reaction, place: int, worth: float | None, more: Mapping[str, Any], mark: str
) -> Event:
    item = shown.items[place]
    return Event(
        event_id=f"{shown.request_id}-{reaction}-{place}{mark}",
        event_type=reaction,
        user_id=shown.user_id or None,
        item_id=item.item_id,
        target_id=item.item_id,
        value=worth,
        context={
            "source": "slate",
            "reward": worth,
            "request_id": shown.request_id,
            "position": place,
            "scenario": shown.scenario,
            "channels": item.channels,
            "versions": shown.versions,
            **more,
        },
    )
