"""A model of several tasks orders a slate: what a scenario aims at are the tasks, each by its weight."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from api_server import Running, serving

from shopkeeper.core.records import Event

V1 = "/api/v1"
SCENARIO = f"{V1}/personalization/scenarios/aims"
PRICES = {f"item-{at}": 2.0 * at for at in range(1, 7)}
SMALL = {
    "epochs": 10, "batch_size": 64, "experts": 2, "expert_layers": [16], "tower_layers": [8], "embedding": 2,
    "spans": 6, "learning_rate": 0.02,
}  # fmt: skip
CHEAP = sorted(PRICES, key=lambda item: PRICES[item])

pytestmark = pytest.mark.slow


def table() -> pl.DataFrame:
    """What is cheap is clicked, what is dear brings more when it is, and 6 is watched longest."""
    dice = np.random.default_rng(3)
    price = dice.uniform(1, 13, 1500).round(2)
    click = (dice.random(1500) < 0.9 - 0.05 * price).astype(int)
    watched = 100.0 - 10 * np.abs(price - 6)
    return pl.DataFrame({"item_price": price, "click": click, "watch_time": watched, "gmv": click * price**2})


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Six items that were sold once each, and a champion `mmoe` that has learned from the table."""
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("tasks")
    table().write_csv(folder / "rows.csv")
    now = datetime.now(UTC)
    sold = [
        Event(event_type="order", user_id=f"user-{item}", item_id=item, time=now - timedelta(days=3), quantity=1.0,
              unit_price=price)
        for item, price in PRICES.items()
    ]  # fmt: skip
    with serving(folder / "home", filled=False, recommend_deadline_ms=5000) as running:
        running.shop.log.append(sold).result()
        body = {
            "algorithm": "mmoe",
            "params": SMALL,
            "source": {"kind": "file", "path": str(folder / "rows.csv")},
        }
        queued = running.http.post(f"{V1}/models/mmoe/train", json=body)
        assert queued.status_code == 202, queued.text
        ended = running.shop.jobs.wait(queued.json()["job_id"], 280)
        assert ended.status == "done", ended.error
        running.shop.registry.promote("mmoe", 1, force=True)
        yield running


def slate(shop: Running, objectives: dict[str, float], **more: Any) -> dict[str, Any]:
    body = {
        "recall": [{"channel": "trending", "quota": 20}], "filters": [], "ranker": "mmoe", "objectives": objectives,
    }  # fmt: skip
    made = shop.http.put(SCENARIO, json=body | more)
    assert made.status_code in (200, 201), made.text
    asked = {"user_id": "somebody", "scenario": "aims", "n_recommendations": 6, "use_cache": False, "debug": True}
    answer = shop.http.post(f"{V1}/personalization/recommend", json=asked)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    assert not found["degraded"], found
    assert found["debug_info"]["versions"]["mmoe"] == 1
    return found


def order(found: dict[str, Any]) -> list[str]:
    return [item["item_id"] for item in found["recommendations"]]


def test_each_task_gives_an_order_of_its_own(shop: Running) -> None:
    assert order(slate(shop, {"ctr": 1.0})) == CHEAP
    assert order(slate(shop, {"gmv": 1.0})) == CHEAP[::-1]
    assert order(slate(shop, {"watch_time": 1.0}))[0] == "item-3"
    assert order(slate(shop, {})) == CHEAP  # the first task is what the model ranks by
    assert order(slate(shop, {"relevance": 1.0, "gmv": 100.0})) == CHEAP[::-1]


def test_weights_blend_the_tasks_and_facts_of_items(shop: Running) -> None:
    orders = {tuple(order(slate(shop, {"ctr": weight, "gmv": 1.0}))) for weight in (0.1, 0.9, 1.1, 10.0)}
    assert len(orders) >= 2
    assert order(slate(shop, {"gmv": -1.0})) == CHEAP
    told = slate(shop, {"ctr": 1.0, "gmv": 1.0, "novelty": 0.5})["debug_info"]["items"]
    assert all({"ctr", "gmv", "value"} <= set(one) for one in told)


def test_what_the_ranker_does_not_tell_is_refused(shop: Running) -> None:
    body = {"recall": [{"channel": "trending", "quota": 20}], "ranker": "mmoe", "objectives": {"fame": 1.0}}
    answer = shop.http.put(SCENARIO, json=body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["detail"].startswith("objectives.fame: is not known; there are: ")
    assert "ctr, watch_time, gmv" in answer.json()["detail"]
    answer = shop.http.put(SCENARIO, json=body | {"ranker": None, "objectives": {"ctr": 1.0}})
    assert answer.status_code == 422


def test_relevance_stands_for_what_the_next_version_does_not_tell(shop: Running) -> None:
    slate(shop, {"gmv": 1.0})
    shop.shop.registry.forget("mmoe", force=True)
    told = shop.http.get(SCENARIO).json()
    assert any("gmv" in problem for problem in told["problems"])
