"""Experiments of servers that share one Redis: a person gets one variant at both, and counts once at each."""

from __future__ import annotations

import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from api_server import Running, serving
from sqlalchemy import select

sys.path.insert(0, str(Path(__file__).parents[1] / "stores"))

from redisservers import redis_server

from shopkeeper.stores import schema

V1 = "/api/v1"
PEOPLE = [f"person-{k}" for k in range(24)]


@pytest.fixture
def two(tmp_path: Path) -> Iterator[tuple[str, Running, Running]]:
    """A running experiment, and two servers of its shop: each has a copy of its data, and Redis is one."""
    with serving(tmp_path / "one") as first:
        views = [{"event_type": "view", "user_id": one, "item_id": "item-1"} for one in PEOPLE]
        assert first.http.post(f"{V1}/events?wait=applied", json=views).status_code < 300
        plan = {
            "name": "different", "target": {"scenario": "home"}, "metric": "orders",
            "variants": [{"name": "as it is"}, {"name": "diverse", "config": {"diversity": 0.5}}],
        }  # fmt: skip
        made = first.http.post(f"{V1}/experiments", json=plan)
        assert made.status_code == 201, made.text
        id: str = made.json()["experiment_id"]
        assert first.http.post(f"{V1}/experiments/{id}/start").status_code == 200
    shutil.copytree(tmp_path / "one", tmp_path / "other")
    with ExitStack() as held:
        redis = held.enter_context(redis_server())
        one, other = (
            held.enter_context(serving(tmp_path / name, filled=False, redis_url=redis.url, slate_prefetch=0))
            for name in ("one", "other")
        )
        for each in (one, other):
            wait(lambda each=each: level(each)["listening"])
        yield id, one, other


def wait(holds: Any) -> None:
    until = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.01)


def level(shop: Running) -> dict[str, Any]:
    found: dict[str, Any] = shop.http.get(f"{V1}/personalization/cache/stats").json()["levels"]["shared"]
    return found


def variant(shop: Running, user_id: str, experiment: str) -> str:
    answer = shop.http.post(f"{V1}/personalization/recommend", json={"user_id": user_id, "scenario": "home"})
    assert answer.status_code == 200, answer.text
    told = {one["metadata"]["experiments"][experiment] for one in answer.json()["recommendations"]}
    assert len(told) == 1
    return str(told.pop())


def exposed(shop: Running, experiment: str) -> dict[str, int]:
    """By user the variant, of the units that are written."""
    wait(lambda: not shop.shop.experimenting.trying.exposures.waiting)
    with shop.shop.db.read() as connection:
        mine = select(schema.experiment_units).where(schema.experiment_units.c.experiment_id == experiment)
        units = connection.execute(mine).all()
    assert len({one.user_row for one in units}) == len(units)
    return {shop.shop.vocab.users.id(one.user_row): one.variant for one in units}


def test_a_person_gets_one_variant_at_both_and_counts_once(two: tuple[str, Running, Running]) -> None:
    id, one, other = two
    names = ["as it is", "diverse"]
    seen = {user: variant(one, user, id) for user in PEOPLE}
    assert set(seen.values()) == set(names)
    assert {user: variant(other, user, id) for user in PEOPLE} == seen, "the same at the other, kept slate or not"
    assert {user: variant(one, user, id) for user in PEOPLE} == seen
    assert level(other)["hits"] + level(other)["misses"] + level(other)["outdated"] > 0, "it looked into Redis"
    for each in (one, other):
        counted = {user: names[at] for user, at in exposed(each, id).items()}
        # Whoever was given a slate that the first had made is counted there alone.
        assert len(counted) == len(PEOPLE) - (level(other)["hits"] if each is other else 0)
        assert counted.items() <= seen.items()
        told = each.http.get(f"{V1}/experiments/{id}/results").json()["variants"]
        assert {group["name"]: group["n"] for group in told if group["n"]} == Counter(counted.values())
