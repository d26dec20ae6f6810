"""Suggestions behind FastAPI with pydantic models, as most teams write it: the same pipeline, a TTL cache in front."""

import asyncio
import os
from datetime import datetime
from pathlib import Path
from typing import Any

import uvicorn
from cachetools import TTLCache
from fastapi import FastAPI
from pydantic import BaseModel, Field

from shopkeeper.bootstrap import open_shop
from shopkeeper.core.ids import ulid
from shopkeeper.core.records import Feedback as ShopFeedback
from shopkeeper.core.records import RecRequest, RecResponse
from shopkeeper.settings import Settings

_ENTRIES, _TTL_S = 10_000, 300.0


class Request(BaseModel):
    user_id: str = Field(min_length=1, max_length=128)
    context: dict[str, Any] = {}
    n_recommendations: int = Field(default=10, ge=1, le=100)
    scenario: str = "content"
    use_cache: bool = True


class Item(BaseModel):
    item_id: str
    score: float
    confidence: float | None
    explanation: str
    metadata: dict[str, Any]


class Response(BaseModel):
    request_id: str
    user_id: str
    recommendations: list[Item]
    latency_ms: float
    model_version: str
    scenario: str
    cache_hit: bool
    timestamp: datetime
    degraded: bool
    explanation: str | None
    stages: dict[str, float]


class Feedback(BaseModel):
    user_id: str
    item_id: str
    feedback_type: str
    feedback_value: float = 1.0


class Thanks(BaseModel):
    status: str
    message: str


app = FastAPI()
shop = open_shop(Settings(home=Path(os.environ["SHOPKEEPER_HOME"]), live_speed=0))
cache: TTLCache[tuple[Any, ...], Response] = TTLCache(_ENTRIES, _TTL_S)
keys: dict[str, set[tuple[Any, ...]]] = {}


@app.post("/api/v1/personalization/recommend")
async def recommend(request: Request) -> Response:
    key = (request.user_id, request.scenario, request.n_recommendations, tuple(sorted(request.context.items())))
    if request.use_cache and (found := cache.get(key)) is not None:
        return found.model_copy(update={"request_id": ulid(), "cache_hit": True})
    made = _response(shop.recommend.recommend(RecRequest(**request.model_dump())))
    if request.use_cache:
        cache[key] = made
        keys.setdefault(request.user_id, set()).add(key)
    return made


@app.post("/api/v1/personalization/feedback")
async def feedback(given: Feedback) -> Thanks:
    event = shop.recommend.feedback(ShopFeedback(**given.model_dump()))
    await asyncio.wrap_future(shop.log.append([event]))
    for key in keys.pop(given.user_id, ()):
        cache.pop(key, None)
    return Thanks(status="success", message="feedback is stored")


def _response(made: RecResponse) -> Response:
    items = [
        Item(
            item_id=one.item_id,
            score=one.score,
            confidence=one.confidence,
            explanation=one.explanation,
            metadata=one.metadata,
        )
        for one in made.recommendations
    ]
    return Response(
        request_id=made.request_id,
        user_id=made.user_id,
        recommendations=items,
        latency_ms=made.latency_ms,
        model_version=made.model_version,
        scenario=made.scenario,
        cache_hit=False,
        timestamp=made.timestamp,
        degraded=made.degraded,
        explanation=made.explanation,
        stages=made.stages,
    )


async def main() -> None:
    await shop.start(schedules=False)
    try:
        await uvicorn.Server(uvicorn.Config(app, port=int(os.environ["PORT"]), log_level="error")).serve()
    finally:
        await shop.stop()


if __name__ == "__main__":
    import uvloop

    uvloop.run(main())
