"""Webhooks as records: who wants to be told of what, and what became of each telling."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from shopkeeper.core.records import Record

ENTERED, LEFT, TEST = "segment.entered", "segment.left", "webhook.test"
EVENTS = (ENTERED, LEFT)
"""What may be asked for. TEST is told only on demand."""


class Webhook(Record, kw_only=True):
    """`segment` null: of every segment. The secret that signs is never shown."""

    webhook_id: str
    url: str
    events: list[str]
    segment: str | None = None
    created_at: datetime
    updated_at: datetime
    updated_by: str = ""


class NewWebhook(Webhook, kw_only=True):
    """The answer to its making. `secret`: the one that the shop made because none was given; shown this once."""

    secret: str | None = None


class Delivery(Record, kw_only=True):
    """One telling to one webhook. `answer` is the last HTTP status, `error` why the last attempt was none.

    `next_try` null while it is pending: as soon as possible.
    """

    delivery_id: str
    webhook_id: str
    event: str
    status: Literal["pending", "delivered", "failed"]
    attempts: int
    next_try: datetime | None = None
    answer: int | None = None
    error: str | None = None
    created_at: datetime
    finished_at: datetime | None = None
    payload: dict[str, Any]
