"""What is kept of slates and how fast they are answered: looking at it, dropping it, putting it in order."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from fastapi import Response
from sqlalchemy import Connection

from shopkeeper.api.door import Doors, ShopDep, reply
from shopkeeper.bootstrap import Shop
from shopkeeper.core.ids import check_id

doors = Doors("Personalisation")
_V1 = "/api/v1"


class CacheStats(msgspec.Struct):
    """Since the start. `total_requests` might have been answered from a cache, `cache_hits` were: by what this process
    keeps, by what others computed, or by one computation for all who asked at the same time; see `levels`."""

    hit_rate: float
    total_requests: int
    cache_hits: int
    cache_misses: int
    levels: dict[str, dict[str, Any]]


class Invalidated(msgspec.Struct):
    status: str
    message: str
    removed: int


class Speed(msgspec.Struct):
    """Of the last minute, as the server saw it; percentiles of all answers, exact to 2 %."""

    avg_latency_ms: float
    p50_latency_ms: float
    p95_latency_ms: float
    p99_latency_ms: float
    qps: float
    error_rate: float
    cache_hit_rate: float
    circuit_breaker_open: bool


class Optimized(msgspec.Struct):
    status: str
    optimizations: list[str]


@doors.add("GET", f"{_V1}/personalization/cache/stats", scope="r", answer=CacheStats)
async def stats(shop: ShopDep) -> Response:
    """How often slates were answered from a cache, by level"""
    facts = shop.slates.facts()
    hits = facts.local_hits + facts.shared_hits + facts.coalesced
    asked = facts.total_requests - facts.bypassed
    local = {
        "hits": facts.local_hits, "entries": facts.entries, "bytes": facts.bytes, "limit_bytes": facts.limit,
        "evicted": facts.evicted, "expired": facts.expired, "invalidated": facts.invalidated, "renewed": facts.renewed,
    }  # fmt: skip
    levels: dict[str, dict[str, Any]] = {
        "local": local,
        "coalesced": {"hits": facts.coalesced},
        "ahead": msgspec.to_builtins(shop.ahead.facts()),
    }
    if shop.slates.shared is not None:
        levels["shared"] = shop.slates.shared.facts()
    return reply(
        CacheStats(
            hit_rate=round(hits / asked, 6) if asked else 0.0,
            total_requests=asked,
            cache_hits=hits,
            cache_misses=asked - hits,
            levels=levels,
        )
    )


@doors.add("POST", f"{_V1}/personalization/cache/invalidate/{{user_id}}", scope="o", answer=Invalidated)
async def invalidate(shop: ShopDep, user_id: str) -> Response:
    """Drops what is kept for one user, here and in what processes share"""
    removed = shop.slates.forget_user(check_id(user_id, "user_id"))
    return reply(Invalidated("success", f"{removed} kept slates of {user_id} were dropped", removed))


@doors.add("GET", f"{_V1}/personalization/metrics", scope="r", answer=Speed)
async def metrics(shop: ShopDep) -> Response:
    """How fast slates are answered, of the last minute"""
    slates = shop.slates
    facts = slates.facts()
    asked = facts.total_requests - facts.bypassed
    hits = facts.local_hits + facts.shared_hits + facts.coalesced
    shared = slates.shared
    is_open = bool(shop.recommend.left_alone()) or (shared is not None and shared.facts()["state"] != "closed")
    speed = msgspec.structs.asdict(slates.speed())
    rate = round(hits / asked, 6) if asked else 0.0
    return reply(Speed(**speed, cache_hit_rate=rate, circuit_breaker_open=is_open))


@doors.add("POST", f"{_V1}/monitoring/optimize", scope="o", answer=Optimized, errors=(429,))
async def optimize(shop: ShopDep) -> Response:
    """Drops slates that are over, computes ahead what is asked most, and brings SQL's statistics up to date"""
    return reply(Optimized("success", await _optimized(shop)))


async def _optimized(shop: Shop) -> list[str]:
    done = []
    if over := shop.slates.sweep():
        done.append(f"dropped {over} kept slates whose time was over")
    if ahead := await shop.suggesting.queue_asked():
        done.append(f"{ahead} slates that were asked most often are computed while nothing else is to do")
    await asyncio.wrap_future(shop.db.writer.submit(_analyze))
    done.append("brought the statistics up to date by which SQL plans its queries")
    return done


def _analyze(connection: Connection) -> None:
    """Where the statistics are old; at most a few hundred rows of each index are read, so that events do not wait."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA analysis_limit=400")
        connection.exec_driver_sql("PRAGMA optimize")
    else:
        connection.exec_driver_sql("ANALYZE")
