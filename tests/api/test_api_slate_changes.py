"""What a slate was made of is told to have changed by the doors that change it, and the slates it concerns go."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from api_server import Running, serving

from shopkeeper.core.records import StockLevel, Store

V1 = "/api/v1"


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Running]:
    with serving(tmp_path / "home") as running:
        yield running


def ask(shop: Running, user: str = "user-1", **more: Any) -> dict[str, Any]:
    answer = shop.http.post(
        f"{V1}/personalization/recommend", json={"user_id": user, "scenario": "home", "n_recommendations": 3, **more}
    )
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def kept(shop: Running, user: str, **more: Any) -> dict[str, Any]:
    """Until it is answered from the cache: what happened before may still be on its way."""
    for _ in range(50):
        answer = ask(shop, user, **more)
        if answer["cache_hit"]:
            return answer
    raise AssertionError("never kept")


def gone(shop: Running, user: str, slate: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The first answer that is another slate; some changes are told a moment after their answer."""
    deadline = time.monotonic() + 60
    while (answer := ask(shop, user, **more))["request_id"][:26] == slate["request_id"][:26]:
        assert time.monotonic() < deadline, "the slate from before is still answered"
        time.sleep(0.01)
    return answer


def ended(shop: Running, job_id: str) -> None:
    with shop.http.stream("GET", f"{V1}/jobs/{job_id}/events", timeout=240) as told:
        for _ in told.iter_lines():
            pass
    job = shop.http.get(f"{V1}/jobs/{job_id}").json()
    assert job["status"] == "done", job["error"]


def stays(shop: Running, user: str, slate: dict[str, Any]) -> None:
    assert ask(shop, user)["request_id"][:26] == slate["request_id"][:26]


def ids(answer: dict[str, Any]) -> list[str]:
    return [item["item_id"] for item in answer["recommendations"]]


def test_an_item_that_is_no_longer_sold_leaves_the_slates_that_show_it(shop: Running) -> None:
    slate = kept(shop, "user-1")
    first = ids(slate)[0]
    assert shop.http.delete(f"{V1}/items/{first}").status_code == 204
    assert first not in ids(gone(shop, "user-1", slate))


def test_the_last_piece_that_goes_takes_the_item_out_of_slates(shop: Running) -> None:
    slate = kept(shop, "user-1")
    first = ids(slate)[0]
    shop.shop.shops.put(Store(store_id="s1")).result()
    done = shop.shop.stock.put_many([StockLevel(store_id="s1", item_id=first, on_hand=0)]).result()
    assert (done.updated, done.rejected) == (1, [])
    assert first not in ids(gone(shop, "user-1", slate))


def test_who_is_merged_is_answered_as_one(shop: Running) -> None:
    one, two, other = (kept(shop, user) for user in ("user-1", "user-2", "user-3"))
    merged = shop.http.post(f"{V1}/identities/merge", json={"from_user_id": "user-2", "into_user_id": "user-1"})
    assert merged.status_code < 300, merged.text
    gone(shop, "user-1", one)
    gone(shop, "user-2", two)
    stays(shop, "user-3", other)


def test_who_is_erased_is_a_stranger(shop: Running) -> None:
    slate, other = kept(shop, "user-1"), kept(shop, "user-2")
    job = shop.http.delete(f"{V1}/personalization/data", params={"user_id": "user-1"})
    assert job.status_code == 202, job.text
    ended(shop, job.json()["job_id"])
    gone(shop, "user-1", slate)
    assert other["request_id"]


def test_a_feature_version_that_is_activated_drops_all(shop: Running) -> None:
    versions = f"{V1}/features/versions"
    made = shop.http.post(versions, json={"description": "as it is"})
    assert made.status_code == 201, made.text
    slate = kept(shop, "user-1")
    activated = shop.http.post(f"{versions}/{made.json()['version']}/activate")
    assert activated.status_code == 200, activated.text
    gone(shop, "user-1", slate)


def test_a_rule_drops_all(shop: Running) -> None:
    slate = kept(shop, "user-1")
    rule = {"name": "early", "condition": "orders > 1", "action": "say hello", "weight": 0.1}
    made = shop.http.post(f"{V1}/rules", json=rule)
    assert made.status_code == 201, made.text
    gone(shop, "user-1", slate)


def test_a_scenario_drops_its_own(shop: Running) -> None:
    slate, feed = kept(shop, "user-1"), kept(shop, "user-1", scenario="mail")
    place = shop.http.get(f"{V1}/personalization/scenarios/home").json()
    put = shop.http.put(f"{V1}/personalization/scenarios/home", json={**place, "diversity": 0.5})
    assert put.status_code == 200, put.text
    gone(shop, "user-1", slate)
    assert ask(shop, "user-1", scenario="mail")["request_id"][:26] == feed["request_id"][:26]


def test_a_champion_drops_all(shop: Running) -> None:
    slate = kept(shop, "user-1")
    job = shop.http.post(f"{V1}/models/popularity/train", json={"algorithm": "popularity"})
    assert job.status_code in (200, 202), job.text
    ended(shop, job.json()["job_id"])
    assert gone(shop, "user-1", slate)["model_version"] != slate["model_version"]
