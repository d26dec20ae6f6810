"""Scenarios on a running shop: what is written counts at the next request, what is wrong is told with its place."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from api_server import Running, serving

from shopkeeper.client import ShopkeeperClient
from shopkeeper.core.errors import Conflict, Invalid, NotFound

BASE = "/api/v1/personalization"
RECALL = [{"channel": "trending", "quota": 50}]


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with serving(tmp_path_factory.mktemp("scenarios")) as running:
        for k in range(4):
            body = {
                "name": f"Thing {k}",
                "category": f"c{k % 2}",
                "price": 10.0 * (k + 1),
                "attributes": {"vegan": k == 3},
            }
            assert running.http.put(f"/api/v1/items/item-{k}", json=body).status_code in (200, 201)
        yield running


def slate(live: Running, scenario: str, user: str = "nobody", **more: Any) -> dict[str, Any]:
    body = {"user_id": user, "scenario": scenario, "n_recommendations": 10, **more}
    answer = live.http.post(f"{BASE}/recommend", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def ids(live: Running, scenario: str, user: str = "nobody", **more: Any) -> list[str]:
    return [item["item_id"] for item in slate(live, scenario, user, **more)["recommendations"]]


def put(live: Running, name: str, **body: Any) -> Any:
    return live.http.put(f"{BASE}/scenarios/{name}", json={"recall": RECALL, "ranker": None, **body})


def refused(live: Running, **body: Any) -> tuple[int, str, str]:
    answer = put(live, "wrong", **body)
    problem = answer.json()
    return answer.status_code, problem["code"], problem["detail"]


def test_the_built_in_ones_are_listed(live: Running) -> None:
    found = live.http.get(f"{BASE}/scenarios").json()["scenarios"]
    names = [one["name"] for one in found]
    asked = {"home", "product", "basket", "search", "mail", "feed", "content", "content_discovery", "search_results"}
    assert asked <= set(names)
    assert all(one["built_in"] or one["name"] not in asked for one in found)
    one = live.http.get(f"{BASE}/scenarios/home")
    assert one.json() == found[names.index("home")]
    assert one.headers["etag"]


def test_a_scenario_is_made_changed_and_taken_away(live: Running) -> None:
    made = put(live, "mine")
    assert (made.status_code, made.json()["version"], made.json()["built_in"]) == (201, 1, False)
    assert set(ids(live, "mine")) == {"item-0", "item-1", "item-2", "item-3"}
    changed = put(live, "mine", filters=["sellable", "category == 'c1'"])
    assert (changed.status_code, changed.json()["version"]) == (200, 2)
    assert set(ids(live, "mine")) == {"item-1", "item-3"}
    assert live.http.delete(f"{BASE}/scenarios/mine").status_code == 204
    gone = live.http.post(f"{BASE}/recommend", json={"user_id": "a", "scenario": "mine"})
    assert (gone.status_code, gone.json()["code"]) == (422, "unknown_scenario")
    assert live.http.get(f"{BASE}/scenarios/mine").status_code == 404
    assert put(live, "mine").json()["version"] == 4, "a number is never given twice"
    live.http.delete(f"{BASE}/scenarios/mine")


def test_a_built_in_one_can_be_changed_and_comes_back(live: Running) -> None:
    before = live.http.get(f"{BASE}/scenarios/reorder").json()
    assert live.http.delete(f"{BASE}/scenarios/reorder").status_code == 409
    changed = live.http.put(f"{BASE}/scenarios/reorder", json={**before, "ttl_s": 7})
    assert (changed.status_code, changed.json()["version"], changed.json()["ttl_s"]) == (200, 2, 7)
    assert not changed.json()["built_in"]
    assert live.http.delete(f"{BASE}/scenarios/reorder").status_code == 204
    after = live.http.get(f"{BASE}/scenarios/reorder").json()
    assert after == {**before, "version": 3}
    assert live.http.delete(f"{BASE}/scenarios/reorder").status_code == 409


def test_only_who_saw_the_present_one_changes_it(live: Running) -> None:
    first = put(live, "shared")
    tag = {"if-match": first.headers["etag"]}
    second = live.http.put(f"{BASE}/scenarios/shared", json={"recall": RECALL}, headers=tag)
    assert second.status_code == 200
    stale = live.http.put(f"{BASE}/scenarios/shared", json={"recall": RECALL}, headers=tag)
    assert (stale.status_code, stale.json()["code"]) == (412, "stale")
    assert live.http.delete(f"{BASE}/scenarios/shared", headers=tag).status_code == 412
    new = live.http.put(f"{BASE}/scenarios/not-there", json={"recall": RECALL}, headers={"if-match": "*"})
    assert new.status_code == 412
    assert live.http.delete(f"{BASE}/scenarios/shared", headers={"if-match": second.headers["etag"]}).status_code == 204


def test_whoever_writes_at_once_hears_of_their_own_version(live: Running) -> None:
    def write(k: int) -> tuple[int, str, str]:
        answer = put(live, "crowd", help=str(k))
        assert answer.json()["help"] == str(k)
        return answer.json()["version"], answer.headers["etag"], str(k)

    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(write, range(24)))
    assert sorted(number for number, _, _ in told) == list(range(1, 25))
    last = live.http.get(f"{BASE}/scenarios/crowd")
    assert (last.json()["version"], last.headers["etag"], last.json()["help"]) == max(told)
    live.http.delete(f"{BASE}/scenarios/crowd")


@pytest.mark.parametrize(
    ("body", "code", "told"),
    [
        ({"recall": [{"channel": "trend", "quota": 5}]}, "unknown_channel", "recall[0].channel: no channel 'trend'"),
        ({"recall": [*RECALL, *RECALL]}, "bad_scenario", "recall[1].channel: 'trending' is named by recall[0]"),
        ({"ranker": "nope"}, "unknown_ranker", "ranker: no ranker 'nope'; there are: "),
        ({"ranker": "no name!@candidate"}, "unknown_ranker", "ranker: no ranker 'no name!@candidate'"),
        ({"ranker": "home_ranker/99"}, "unknown_ranker", "ranker: no model 'home_ranker'; train it first"),
        (
            {"filters": ["sellabel"]},
            "unknown_filter",
            "filters[0]: no filter 'sellabel'; there are: sellable, in_stock",
        ),
        ({"filters": ["sellable", "price >"]}, "bad_rule", "filters[1]: at 8: "),
        ({"filters": ["prise > 3"]}, "bad_rule", "filters[0]: at 1: unknown field 'prise'; did you mean 'price'?"),
        ({"objectives": {"profit": 1}}, "bad_scenario", "objectives.profit: is not known; there are: relevance"),
        ({"objectives": {"relevance": -1}}, "out_of_bounds", "objectives.relevance: is -1, expected 0 to 100"),
        ({"objectives": {"novelty": 0}}, "bad_scenario", "objectives: all weigh 0"),
        ({"boosts": [{"rule": "price + 1", "factor": 2}]}, "bad_rule", "boosts[0].rule: at 7: a rule is a condition"),
        ({"deadlines": {"rank": 0}}, "out_of_bounds", "deadlines.rank: is 0, expected 1 to 5000"),
        ({"deadlines": {"sleep": 10}}, "bad_scenario", "deadlines.sleep: is not known; there are: total, recall"),
        ({"explore": {"policy": "luck"}}, "unknown_policy", "explore.policy: is 'luck'; there are: epsilon_greedy"),
        ({"explore": {"policy": "ucb", "share": 1.1}}, "out_of_bounds", "explore.share: is 1.1, expected 0 to 1"),
        ({"explore": {"policy": "ucb", "pool": 1}}, "out_of_bounds", "explore.pool: is 1, expected 2 to 100"),
        ({"explore": {"policy": "ucb", "floor": "much"}}, "bad_scenario", "explore.floor: is 'much'"),
        ({"explore": {"policy": "ucb", "held_out": 0.6}}, "out_of_bounds", "explore.held_out"),
        ({"explore": {"policy": "linear", "context": ["x"]}}, "unknown_feature", "explore.context[0]: no feature 'x'"),
        ({"explore": {"policy": "ucb", "params": {"c": -1}}}, "bad_param", "explore.params: ucb1"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(live: Running, body: dict[str, Any], code: str, told: str) -> None:
    status, found, detail = refused(live, **body)
    assert status == 422
    assert found == code
    assert told in detail
    assert live.http.get(f"{BASE}/scenarios/wrong").status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {"recall": []},
        {"diversity": 1.5},
        {"recall": [{"channel": "trending", "quota": 0}]},
        {"boosts": [{"rule": "is_new", "factor": -1}]},
        {"filters": "sellable"},
        {"ttl_s": -1},
    ],
)
def test_values_out_of_their_bounds_are_told_by_field(live: Running, body: dict[str, Any]) -> None:
    answer = put(live, "wrong", **body)
    assert answer.status_code == 422
    assert next(iter(body)) in answer.json()["detail"]
    assert put(live, "No Name!").status_code == 422


def test_a_change_drops_what_was_kept_of_the_old_one(live: Running) -> None:
    put(live, "kept", ttl_s=300)
    assert len(ids(live, "kept")) == 4
    assert len(ids(live, "kept")) == 4
    put(live, "kept", ttl_s=300, filters=["sellable", "price > 25"])
    assert set(ids(live, "kept")) == {"item-2", "item-3"}
    live.http.delete(f"{BASE}/scenarios/kept")


def test_rules_read_prices_attributes_and_stock_as_they_are_now(live: Running) -> None:
    fields = {one["name"]: one["type"] for one in live.http.get(f"{BASE}/item-fields").json()}
    assert fields["price"] == "number"
    assert fields["vegan"] == "bool"
    put(live, "vegan", filters=["sellable", "vegan"])
    assert ids(live, "vegan") == ["item-3"]
    body = {"name": "Thing 0", "category": "c0", "price": 5, "attributes": {"vegan": True}}
    assert live.http.put("/api/v1/items/item-0", json=body).status_code == 200
    assert set(ids(live, "vegan", use_cache=False)) == {"item-0", "item-3"}
    live.http.put("/api/v1/items/item-0", json={**body, "price": 10, "attributes": {}})
    live.http.delete(f"{BASE}/scenarios/vegan")


def test_boosts_and_objectives_change_the_order(live: Running) -> None:
    put(live, "plain")
    plain = ids(live, "plain")
    put(live, "plain", boosts=[{"rule": f"item_id == '{plain[-1]}'", "factor": 50}])
    told = slate(live, "plain", debug=True)
    assert told["recommendations"][0]["item_id"] == plain[-1]
    put(live, "plain", boosts=[{"rule": f"item_id == '{plain[0]}'", "factor": 0}])
    assert ids(live, "plain")[0] != plain[0]
    put(live, "plain", objectives={"relevance": 0.01, "revenue": 1})
    assert ids(live, "plain")[0] == "item-3"
    live.http.delete(f"{BASE}/scenarios/plain")


def test_what_a_user_hides_is_not_shown_and_what_they_like_rises(live: Running) -> None:
    assert "item-1" in ids(live, "search", "user-1", use_cache=False)
    url = f"{BASE}/preferences"
    said = {"user_id": "user-1", "hidden_categories": ["c1"], "hidden_items": "item-2", "color": "red"}
    assert live.http.put(url, json=said).status_code == 200
    assert set(ids(live, "search", "user-1")) == {"item-0"}
    assert "item-1" in ids(live, "search", "user-2")
    assert live.http.post(f"{url}/reset", json={"user_id": "user-1"}).status_code == 200
    assert "item-1" in ids(live, "search", "user-1")


def test_scenarios_outlive_a_restart_and_the_client_speaks_of_them(tmp_path: Path) -> None:
    with serving(tmp_path) as running, ShopkeeperClient(running.url) as shop:
        made = shop.put_scenario("night", {"recall": RECALL, "objectives": {"novelty": 1.0}})
        assert made["version"] == 1
        with pytest.raises(Invalid, match=r"filters\[0\]"):
            shop.put_scenario("night", {"recall": RECALL, "filters": ["nothing >"]})
        with pytest.raises(Conflict):
            shop.delete_scenario("home")
        with pytest.raises(NotFound):
            shop.scenario("day")
        assert {"price", "sold_7d"} <= {one["name"] for one in shop.item_fields()}
    with serving(tmp_path, filled=False) as running, ShopkeeperClient(running.url) as shop:
        assert shop.scenario("night") == made
        assert "night" in [one["name"] for one in shop.scenarios()]
        shop.delete_scenario("night")
        assert "night" not in [one["name"] for one in shop.scenarios()]
