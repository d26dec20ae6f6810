"""One method a door."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec

from shopkeeper.client.archives import ArchiveDoors
from shopkeeper.client.bandit import BanditDoors
from shopkeeper.client.calendar import CalendarDoors
from shopkeeper.client.experiments import ExperimentDoors
from shopkeeper.client.features import FeatureDoors
from shopkeeper.client.forecasts import ForecastDoors
from shopkeeper.client.forms import FormDoors
from shopkeeper.client.identities import IdentityDoors
from shopkeeper.client.imports import ImportDoors
from shopkeeper.client.learning import LearningDoors
from shopkeeper.client.models import ModelDoors
from shopkeeper.client.operations import OperationDoors
from shopkeeper.client.privacy import PrivacyDoors
from shopkeeper.client.qlearning import AgentDoors
from shopkeeper.client.rules import RuleDoors
from shopkeeper.client.scenarios import ScenarioDoors
from shopkeeper.client.schedules import ScheduleDoors
from shopkeeper.client.segments import SegmentDoors
from shopkeeper.client.simulation import SimulationDoors
from shopkeeper.client.stock import StockDoors
from shopkeeper.client.suggestions import SuggestionDoors
from shopkeeper.client.traffic import TrafficDoors
from shopkeeper.client.webhooks import WebhookDoors
from shopkeeper.client.wire import Page, decoded, escaped
from shopkeeper.core.ids import ulid
from shopkeeper.core.language import Lang
from shopkeeper.core.records import (
    Accepted,
    Event,
    Explanation,
    Feedback,
    Item,
    RecFilters,
    RecRequest,
    RecResponse,
    StoredEvent,
    User,
)

_V1 = "/api/v1"


class ShopkeeperClient(
    ModelDoors,
    ArchiveDoors,
    TrafficDoors,
    ExperimentDoors,
    ScheduleDoors,
    WebhookDoors,
    RuleDoors,
    ScenarioDoors,
    FeatureDoors,
    SegmentDoors,
    IdentityDoors,
    PrivacyDoors,
    OperationDoors,
    FormDoors,
    ImportDoors,
    SimulationDoors,
    SuggestionDoors,
    ForecastDoors,
    StockDoors,
    CalendarDoors,
    AgentDoors,
    LearningDoors,
    BanditDoors,
):
    """A shop, seen through its HTTP doors. Safe to share between threads; close it, or use it in a `with`."""

    # -- health and operations

    def health(self) -> dict[str, Any]:
        return self.get("/health", dict[str, Any])

    def ready(self) -> tuple[bool, list[str]]:
        """Whether the shop serves everything, and what is missing."""
        answer = self.send_request("GET", "/readyz", accept=(200, 503), repeat=False)
        body = decoded(answer, dict[str, Any])
        return bool(body.get("ready")), list(body.get("reasons", [body.get("detail")]))

    def datasets(self) -> list[dict[str, Any]]:
        return self.get(f"{_V1}/data/datasets", list[dict[str, Any]])

    # -- events

    def send(self, events: Event | Iterable[Event]) -> Accepted:
        """Stores up to 1000 events durably. Each gets its id here, so a repeated sending cannot count twice."""
        listed = [events] if isinstance(events, Event) else list(events)
        for event in listed:
            event.event_id = event.event_id or ulid()
        return self.call("POST", f"{_V1}/events", Accepted, listed, repeat=True)

    def events(
        self,
        *,
        user_id: str | None = None,
        item_id: str | None = None,
        event_type: str | None = None,
        from_: datetime | None = None,
        to: datetime | None = None,
        after_seq: int | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[StoredEvent]:
        """Newest first."""
        query = {
            "user_id": user_id,
            "item_id": item_id,
            "event_type": event_type,
            "from": from_ and from_.isoformat(),
            "to": to and to.isoformat(),
            "after_seq": after_seq,
            "limit": limit,
            "cursor": cursor,
        }
        return self.get(f"{_V1}/events", Page[StoredEvent], query)

    def live_events(self, after_seq: int | None = None) -> Iterator[StoredEvent]:
        """Events as they come, without end; resumes by itself after a broken connection."""
        for name, _, data in self.follow(f"{_V1}/events/stream", after_seq):
            if name == "event":
                yield msgspec.json.decode(data, type=StoredEvent)

    # -- users and items

    def user(self, user_id: str) -> User:
        return self.get(f"{_V1}/users/{escaped(user_id)}", User)

    def users(
        self, q: str | None = None, *, segment: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[User]:
        return self.get(f"{_V1}/users", Page[User], {"q": q, "segment": segment, "limit": limit, "cursor": cursor})

    def put_user(self, user_id: str, attributes: Mapping[str, Any]) -> User:
        return self.call("PUT", f"{_V1}/users/{escaped(user_id)}", User, {"attributes": attributes}, repeat=True)

    def delete_user(self, user_id: str) -> None:
        self.send_request("DELETE", f"{_V1}/users/{escaped(user_id)}")

    def item(self, item_id: str) -> Item:
        return self.get(f"{_V1}/items/{escaped(item_id)}", Item)

    def items(
        self,
        q: str | None = None,
        *,
        kind: str | None = None,
        category: str | None = None,
        active: bool | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Item]:
        query = {"q": q, "kind": kind, "category": category, "active": active, "limit": limit, "cursor": cursor}
        return self.get(f"{_V1}/items", Page[Item], query)

    def put_item(self, item: Item) -> Item:
        body = {name: getattr(item, name) for name in ("name", "kind", "category", "price", "active", "attributes")}
        return self.call("PUT", f"{_V1}/items/{escaped(item.item_id)}", Item, body, repeat=True)

    def delete_item(self, item_id: str) -> None:
        self.send_request("DELETE", f"{_V1}/items/{escaped(item_id)}")

    # -- know

    def profile(self, user_id: str) -> dict[str, Any]:
        """Raises NotFound for a user that no event and no record names."""
        return self.get(f"{_V1}/user/{escaped(user_id)}", dict[str, Any])

    def what_if(self, user_id: str, events: Iterable[Event], *, n: int = 10, scenario: str = "home") -> dict[str, Any]:
        """`{user_id, before, after, change, accepted, duplicates}`: score, segments and top items, had the user done
        these 1 to 20 events. Nothing is stored. Raises NotFound, Invalid."""
        body = {"events": list(events), "n": n, "scenario": scenario}
        return self.call("POST", f"{_V1}/user/{escaped(user_id)}/what-if", dict[str, Any], body, repeat=True)

    def explain(self, user_id: str, k: int = 5, *, level: str = "groups", lang: Lang = "en") -> Explanation:
        """`level`: two, groups, inputs, audit, see docs/explanations.md. Raises NotFound, and Unavailable for an audit
        where the server has no shap."""
        return self.get(f"{_V1}/explain/{escaped(user_id)}", Explanation, {"k": k, "level": level, "lang": lang})

    def clear_explanations(self) -> str:
        """The server forgets the explanations that it keeps; says how many."""
        return self.call("POST", f"{_V1}/operations/explainer/clear", dict[str, str], repeat=True)["message"]

    # -- suggest

    def recommend(
        self,
        user_id: str,
        n: int = 10,
        *,
        scenario: str = "content",
        context: Mapping[str, Any] | None = None,
        filters: RecFilters | None = None,
        **more: Any,
    ) -> RecResponse:
        """A slate. `more`: use_cache, diversity_weight, deadline_ms, model, debug. An unknown user gets one too."""
        request = RecRequest(
            user_id=user_id,
            n_recommendations=n,
            scenario=scenario,
            context=dict(context or {}),
            filters=filters,
            **more,
        )
        return self.call("POST", f"{_V1}/personalization/recommend", RecResponse, request, repeat=True)

    def feedback(self, feedback: Feedback) -> None:
        self.send_request("POST", f"{_V1}/personalization/feedback", feedback)
