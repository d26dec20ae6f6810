"""Several slates at once, baskets, items alike, and what is said about an answer by its id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from shopkeeper.client.wire import Wire, error_from, escaped
from shopkeeper.core.errors import ShopkeeperError
from shopkeeper.core.records import RecFilters, RecItem, RecRequest, RecResponse

_V1 = "/api/v1"
_SAID = f"{_V1}/personalization/recommendations"


class Similar(msgspec.Struct):
    item_id: str
    items: list[RecItem]
    versions: dict[str, Any] = msgspec.field(default_factory=dict)


class _Responses(msgspec.Struct):
    responses: list[msgspec.Raw]


class _Kind(msgspec.Struct):
    request_id: str
    user_id: str | None = None


class SuggestionDoors(Wire):
    """One method a door."""

    def cache_stats(self) -> dict[str, Any]:
        """`{hit_rate, total_requests, cache_hits, cache_misses, levels}` since the start."""
        return self.get(f"{_V1}/personalization/cache/stats", dict[str, Any])

    def drop_slates(self, user_id: str) -> int:
        """Of one user. Returns how many were kept."""
        path = f"{_V1}/personalization/cache/invalidate/{escaped(user_id)}"
        removed: int = self.call("POST", path, dict[str, Any], repeat=True)["removed"]
        return removed

    def recommend_metrics(self) -> dict[str, Any]:
        """Latencies in ms, answers a second and share of errors of the last minute; hit rate; is a breaker open?"""
        return self.get(f"{_V1}/personalization/metrics", dict[str, Any])

    def optimize(self) -> list[str]:
        """Puts caches and SQL in order; says what was done."""
        done: list[str] = self.call("POST", f"{_V1}/monitoring/optimize", dict[str, Any], repeat=True)["optimizations"]
        return done

    def recommend_many(self, requests: Iterable[RecRequest]) -> list[RecResponse | ShopkeeperError]:
        """1 to 100 slates in the order of the requests; one that fails has its error in its place, which is not raised.
        Raises Invalid for another number."""
        path = f"{_V1}/personalization/recommend/batch"
        answer = self.call("POST", path, _Responses, {"requests": list(requests)}, repeat=True)
        return [_slate_or_error(bytes(one)) for one in answer.responses]

    def basket(
        self,
        item_ids: Sequence[str],
        n: int = 10,
        *,
        user_id: str | None = None,
        scenario: str = "basket",
        context: Mapping[str, Any] | None = None,
        filters: RecFilters | None = None,
        **more: Any,
    ) -> RecResponse:
        """What goes with 1 to 50 items. `more` as `recommend` takes it. Raises Invalid."""
        body = {
            "item_ids": list(item_ids),
            "n_recommendations": n,
            "user_id": user_id,
            "scenario": scenario,
            "context": dict(context or {}),
            "filters": filters,
            **more,
        }
        return self.call("POST", f"{_V1}/personalization/basket", RecResponse, body, repeat=True)

    def similar(self, item_id: str, n: int = 10, *, channel: str = "fused", user_id: str | None = None) -> Similar:
        """Items that go with one, by all channels or by one. Raises NotFound, Invalid."""
        query = {"n": n, "channel": channel, "user_id": user_id}
        return self.get(f"{_V1}/items/{escaped(item_id)}/similar", Similar, query)

    def accept(self, request_id: str, item_id: str | None = None) -> None:
        """An item of an answer was taken up; None: all of it. Raises NotFound when the answer is not known any more."""
        self._say(request_id, "accept", {"item_id": item_id})

    def dismiss(self, request_id: str, item_id: str | None = None) -> None:
        """It was waved away, and does not come back to this user. Raises NotFound."""
        self._say(request_id, "dismiss", {"item_id": item_id})

    def rate(self, request_id: str, rating: int, comment: str | None = None, *, item_id: str | None = None) -> None:
        """1 to 5 stars. Raises NotFound, Invalid."""
        self._say(request_id, "feedback", {"rating": rating, "comment": comment, "item_id": item_id})

    def _say(self, request_id: str, what: str, body: dict[str, Any]) -> None:
        """Said twice it counts once, so it may be repeated."""
        self.send_request("POST", f"{_SAID}/{escaped(request_id)}/{what}", body, repeat=True)


def _slate_or_error(body: bytes) -> RecResponse | ShopkeeperError:
    """A slate names its user, an error does not."""
    if msgspec.json.decode(body, type=_Kind).user_id is None:
        return error_from(body)
    return msgspec.json.decode(body, type=RecResponse)
