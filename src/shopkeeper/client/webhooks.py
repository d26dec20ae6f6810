"""Webhooks: who is told when somebody enters or leaves a segment."""

from __future__ import annotations

from collections.abc import Sequence

from shopkeeper.client.wire import Page, Wire, escaped
from shopkeeper.core.webhooks import Delivery, NewWebhook, Webhook

_WEBHOOKS = "/api/v1/webhooks"


class WebhookDoors(Wire):
    """One method a door."""

    def webhooks(self) -> list[Webhook]:
        """Oldest first."""
        return self.get(_WEBHOOKS, Page[Webhook], {"limit": 1000}).items

    def create_webhook(
        self, url: str, events: Sequence[str], *, segment: str | None = None, secret: str | None = None
    ) -> NewWebhook:
        """`events`: segment.entered, segment.left. Without a secret the answer has the one that was made.

        Raises Invalid for an address that may not be told anything.
        """
        body = {"url": url, "events": list(events), "segment": segment, "secret": secret}
        return self.call("POST", _WEBHOOKS, NewWebhook, body)

    def change_webhook(
        self,
        webhook_id: str,
        url: str,
        events: Sequence[str],
        *,
        segment: str | None = None,
        secret: str | None = None,
    ) -> Webhook:
        """Everything is said anew, but for a secret that is left out: the present one stays."""
        body = {"url": url, "events": list(events), "segment": segment, "secret": secret}
        return self.call("PUT", f"{_WEBHOOKS}/{escaped(webhook_id)}", Webhook, body)

    def delete_webhook(self, webhook_id: str) -> None:
        self.send_request("DELETE", f"{_WEBHOOKS}/{escaped(webhook_id)}")

    def deliveries(self, webhook_id: str, *, limit: int = 50, cursor: str | None = None) -> Page[Delivery]:
        """Newest first."""
        query = {"limit": limit, "cursor": cursor}
        return self.get(f"{_WEBHOOKS}/{escaped(webhook_id)}/deliveries", Page[Delivery], query)

    def test_webhook(self, webhook_id: str) -> Delivery:
        """Queues a test; `deliveries` tells how it went."""
        return self.call("POST", f"{_WEBHOOKS}/{escaped(webhook_id)}/test", Delivery)
