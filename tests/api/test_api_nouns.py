from __future__ import annotations

import io
from typing import Any

import pytest
from api_server import Running

V1 = "/api/v1"


def send(live: Running, *events: dict[str, Any]) -> dict[str, Any]:
    answer = live.http.post(f"{V1}/events", json=list(events))
    assert answer.status_code == 202, answer.text
    return answer.json()


def test_an_event_is_stored_once_and_shows_in_profile_and_features(live: Running) -> None:
    event = {"event_id": "once", "event_type": "view", "user_id": "new-1", "item_id": "item-1"}
    assert send(live, event) == {"accepted": 1, "duplicates": 0, "rejected": []}
    assert send(live, event) == {"accepted": 0, "duplicates": 1, "rejected": []}
    listed = live.http.get(f"{V1}/events", params={"user_id": "new-1"}).json()["items"]
    assert [one["event_id"] for one in listed] == ["once"]
    profile = live.http.get(f"{V1}/user/new-1").json()
    assert profile["profile"]["event_counts"] == {"view": 1}
    features = live.http.get(f"{V1}/features/realtime/new-1").json()
    assert features["aggregated"]["events_view_all"] == 1.0
    assert live.http.get(f"{V1}/personalization/features/realtime/new-1").status_code == 200


def test_a_bad_event_is_told_with_its_place(live: Running) -> None:
    good = {"event_type": "view", "user_id": "new-2", "item_id": "item-1"}
    done = send(live, {"event_type": "view"}, good, {"event_type": 1}, {**good, "time": "2999-01-01T00:00:00Z"})
    assert done["accepted"] == 1
    assert [one["index"] for one in done["rejected"]] == [0, 2, 3]


def test_events_come_in_pages_newest_first(live: Running) -> None:
    first = live.http.get(f"{V1}/events", params={"user_id": "user-1", "limit": 30}).json()
    rest = live.http.get(f"{V1}/events", params={"user_id": "user-1", "cursor": first["next_cursor"]}).json()
    numbers = [one["seq"] for one in first["items"] + rest["items"]]
    assert numbers == sorted(numbers, reverse=True)
    assert len(set(numbers)) == 40
    assert rest["next_cursor"] is None
    assert live.http.get(f"{V1}/events", params={"cursor": "x"}).status_code == 400


def test_a_user_is_changed_only_by_who_saw_it(live: Running) -> None:
    url = f"{V1}/users/anna"
    made = live.http.put(url, json={"attributes": {"city": "Ulm"}})
    assert made.status_code == 201
    again = live.http.put(url, json={"attributes": {}}, headers={"if-match": made.headers["etag"]})
    assert again.status_code == 200
    stale = live.http.put(url, json={"attributes": {}}, headers={"if-match": made.headers["etag"]})
    assert (stale.status_code, stale.json()["code"]) == (412, "stale")
    assert live.http.delete(url).status_code == 204
    assert live.http.get(url).status_code == 404


def test_items_are_listed_searched_and_taken_away(live: Running) -> None:
    item = {"name": "Blue lamp", "category": "lamps", "price": 12.5}
    assert live.http.put(f"{V1}/items/lamp", json=item).status_code == 201
    found = live.http.get(f"{V1}/items", params={"q": "blue", "category": "lamps"}).json()
    assert [one["item_id"] for one in found["items"]] == ["lamp"]
    assert live.http.delete(f"{V1}/items/lamp").status_code == 204
    assert live.http.get(f"{V1}/items/lamp").json()["active"] is False
    assert live.http.put(f"{V1}/items/lamp", json={**item, "price": -1}).status_code == 400
    many = live.http.post(f"{V1}/items", json=[{"item_id": "a1", "name": "A"}, {"item_id": 1}, {"name": "no id"}])
    assert many.json()["created"] == 1
    assert [one["index"] for one in many.json()["rejected"]] == [1, 2]


@pytest.mark.parametrize("name", ["..%2f..%2fetc", "%00", "a%0ab", "x" * 200])
def test_path_tricks_find_nothing(live: Running, name: str) -> None:
    for path in (f"{V1}/users/{name}", f"{V1}/items/{name}", f"{V1}/models/{name}", f"{V1}/jobs/{name}"):
        assert live.http.get(path).status_code in (400, 404, 422)
        assert live.http.put(path, json={"name": "x"}).status_code in (400, 404, 405, 422)
    assert live.http.post(f"/predictions/{name}", json={"data": [{"a": 1}]}).status_code in (404, 422)


def test_a_rule_lives_from_post_to_delete(live: Running) -> None:
    rule = {"name": "many views", "condition": "orders >= 10", "weight": 0.5}
    made = live.http.post(f"{V1}/rules", json=rule)
    assert made.status_code == 201
    assert live.http.post(f"{V1}/rules", json=rule).status_code == 400
    bad = live.http.put(f"{V1}/rules/many views", json={"condition": "orders >= "})
    assert bad.status_code == 400
    assert bad.json()["detail"].startswith("at ")
    changed = live.http.put(f"{V1}/rules/many views", json={"weight": 2.0})
    assert changed.json()["rule"]["weight"] == 2.0
    assert changed.json()["rule"]["condition"] == "orders >= 10"
    explained = live.http.get(f"{V1}/explain/user-1").json()
    assert "many views" in explained["shap_values"]
    assert explained["base_value"] + sum(explained["shap_values"].values()) == pytest.approx(explained["final_score"])
    assert live.http.delete(f"{V1}/rules/many views").status_code == 204
    assert live.http.delete(f"{V1}/rules/many views").status_code == 404


def test_a_segment_has_members(live: Running) -> None:
    made = live.http.post(f"{V1}/segments", json={"name": "regulars", "condition": "orders >= 30"})
    assert made.status_code == 201
    assert live.http.post(f"{V1}/segments", json={"name": "regulars", "condition": "orders >= 1"}).status_code == 409
    members = live.http.get(f"{V1}/segments/regulars/users", params={"limit": 2}).json()
    assert members["total"] == 3
    rest = live.http.get(f"{V1}/segments/regulars/users", params={"cursor": members["next_cursor"]}).json()
    assert {one["user_id"] for one in members["items"] + rest["items"]} == {"user-0", "user-1", "user-2"}
    assert len(live.http.get(f"{V1}/users", params={"segment": "regulars"}).json()["items"]) == 3
    assert live.http.get(f"{V1}/segments/nobody/users").status_code == 404


def test_features_of_many_tell_who_is_unknown(live: Running) -> None:
    for body in ({"user_ids": ["user-1", "nobody"]}, ["user-1", "nobody"]):
        found = live.http.post(f"{V1}/features/compute", json=body).json()
        assert "behavioral" in found["user-1"]
        assert "nobody" in found["nobody"]["error"]
    assert live.http.post(f"{V1}/features/compute", json={"user_ids": []}).status_code == 422


def test_asking_for_too_much_is_told_with_the_bound(live: Running) -> None:
    url = f"{V1}/personalization/recommend"
    for wrong in (
        {"n_recommendations": 101},
        {"n_recommendations": 0},
        {"deadline_ms": 1},
        {"diversity_weight": 2},
        {"scenario": "nowhere"},
        {"filters": {"exclude_items": ["x"] * 1001}},
    ):
        answer = live.http.post(url, json={"user_id": "user-1", **wrong})
        assert answer.status_code == 422, wrong
    assert "1 to 100" in live.http.post(url, json={"user_id": "u", "n_recommendations": 101}).json()["detail"]


def test_an_unknown_user_gets_a_slate_but_no_profile(live: Running) -> None:
    slate = live.http.post(f"{V1}/personalization/recommend", json={"user_id": "stranger"})
    assert slate.status_code == 200
    assert slate.json()["recommendations"]
    for path in ("user", "explain", "users", "features/realtime"):
        assert live.http.get(f"{V1}/{path}/stranger").status_code == 404


def test_feedback_becomes_an_event(live: Running) -> None:
    body = {"user_id": "user-2", "item_id": "item-3", "feedback_type": "like", "request_id": "r-1"}
    assert live.http.post(f"{V1}/personalization/feedback", json=body).json()["status"] == "success"
    newest = live.http.get(f"{V1}/events", params={"user_id": "user-2", "event_type": "like"}).json()["items"][0]
    assert newest["context"]["request_id"] == "r-1"
    assert newest["value"] == pytest.approx(0.3)
    wrong = live.http.post(f"{V1}/personalization/feedback", json={**body, "feedback_type": "shrug"})
    assert wrong.status_code == 422


def test_a_forecast_is_of_an_item_or_of_all(live: Running) -> None:
    one = live.http.get(f"{V1}/forecast/item-1", params={"horizon": 7, "history_days": 10}).json()
    assert (len(one["forecast"]), one["item_id"]) == (7, "item-1")
    assert list(one["forecast"][0]["quantiles"]) == [
        "0.025",
        "0.05",
        "0.1",
        "0.25",
        "0.5",
        "0.75",
        "0.9",
        "0.95",
        "0.975",
    ]
    total = live.http.get(f"{V1}/forecast", params={"horizon": 3}).json()
    assert total["item_id"] is None
    assert live.http.get(f"{V1}/forecast/nothing").status_code == 404
    assert live.http.get(f"{V1}/forecast/item-1", params={"horizon": 366}).status_code == 400


def test_the_stock_paths_predict(live: Running) -> None:
    body = {"product_id": "item-1", "future_days": 5, "analyze_result": True}
    data = live.http.post("/api/prediction", json=body).json()["data"]
    assert len(data["predictions"]) == 5
    assert data["analysis"]["trend"]["type"] in ("up", "down", "flat")
    later = live.http.post("/api/prediction", json={**body, "start_date": data["predictions"][2]["date"]}).json()
    assert later["data"]["predictions"][0]["date"] == data["predictions"][2]["date"]
    assert live.http.post("/api/prediction", json={**body, "model_uid": "none_v1"}).status_code == 404
    assert live.http.post("/api/prediction", json={"future_days": 5}).status_code == 400
    assert live.http.post("/api/training", json={"model_type": "xgb", "product_id": "item-1"}).status_code == 400
    sales = live.http.get("/api/products/item-1/sales").json()["data"]
    assert sum(row["sales"] for row in sales) > 0
    detail = live.http.get("/api/products/item-1").json()["data"]
    assert detail["data_points"] == sum(row["sales"] > 0 for row in sales)
    assert {one["name"] for one in live.http.get("/api/models/types").json()["data"]} >= {"seasonal_naive", "lightgbm"}


def test_training_forms_are_checked_at_once(live: Running) -> None:
    url = f"{V1}/models/mine/train"
    for wrong in (
        {"algorithm": "magic"},
        {"algorithm": "xgb", "params": {"dept": 3}},
        {"algorithm": "xgb", "seed": -1},
    ):
        assert live.http.post(url, json=wrong).status_code == 422, wrong
    assert live.http.post(f"{V1}/models/status/train", json={"algorithm": "xgb"}).status_code == 422
    assert live.http.get(f"{V1}/models/mine").status_code == 404
    assert live.http.post("/predictions/mine", json={"data": [{"a": 1}]}).status_code == 404
    assert live.http.post("/predictions/mine", json={"data": []}).status_code == 400
    assert live.http.post("/predict", json={}).status_code == 422


def test_a_file_goes_from_upload_to_sales(live: Running) -> None:
    rows = "order date,customer,sku,qty,price\n" + "".join(f"2026-01-{d:02d},c-1,new-sku,2,3.5\n" for d in range(1, 11))
    files = {"file": ("orders.csv", io.BytesIO((rows + "never,c-1,new-sku,x,1\n").encode()))}
    made = live.http.post(f"{V1}/data/imports", files=files, data={"kind": "orders"})
    assert made.status_code == 201, made.text
    brought = made.json()
    assert (brought["kind"], brought["rows"]) == ("orders", 11)
    url = f"{V1}/data/imports/{brought['import_id']}"
    seen = live.http.post(f"{url}/preview", json={}).json()
    assert seen["missing"] == []
    assert len(seen["rejects"]) == 1
    begun = live.http.post(f"{url}/start", json={})
    assert begun.status_code == 202
    assert live.shop.jobs.wait(begun.json()["job_id"], 120).status == "done"
    done = live.http.get(url).json()
    assert (done["status"], done["accepted"], done["rejected"]) == ("done", 10, 1)
    assert "never" in live.http.get(f"{url}/rejects").text
    assert live.http.get("/api/products/new-sku").json()["data"]["data_points"] == 10
    assert live.http.post(f"{url}/start", json={}).status_code == 409
    assert live.http.delete(url).status_code == 204
    unread = live.http.post(f"{V1}/data/imports", files={"file": ("a.exe", b"MZ")})
    assert unread.status_code == 415


def test_an_upload_takes_corrections_and_tells_what_nothing_proves(live: Running) -> None:
    url, rows = f"{V1}/data/imports", b"date;customer;what\n03/04/2026;c-1;sku\n"
    form = {"kind": "orders", "mapping": '{"item_id": "what"}'}
    brought = live.http.post(url, files={"file": ("o.csv", rows)}, data=form).json()
    assert brought["mapping"]["item_id"] == "what"
    assert (len(brought["notes"]), brought["without_sale"]) == (1, 0)
    echo = {"mapping": brought["mapping"], "kind": brought["kind"]}
    seen = live.http.post(f"{url}/{brought['import_id']}/preview", json=echo).json()
    assert seen["notes"] == brought["notes"]
    wrong = live.http.post(url, files={"file": ("o.csv", rows)}, data={"mapping": "item_id=what"})
    assert (wrong.status_code, wrong.json()["code"]) == (400, "bad_mapping")


def test_health_tells_what_is(live: Running) -> None:
    assert live.http.get("/health").json()["ok"] is True
    assert live.http.get("/livez").json() == {"status": "alive"}
    ready = live.http.get("/readyz")
    assert ready.status_code == 503
    assert any("home_ranker" in reason for reason in ready.json()["reasons"])
    assert live.http.get("/ping").status_code == 503
    assert live.http.get("/").json()["service"] == "shopkeeper"
    assert live.http.get("/", headers={"accept": "text/html"}).headers["location"] == "/docs"
    names = [one["name"] for one in live.http.get(f"{V1}/data/datasets").json()]
    assert names == ["events", "users", "items", "stores", "stock"]
    assert live.http.get(f"{V1}/operations/status").json()["incremental_loop"]["running"] is True
    assert live.http.get(f"{V1}/operations/metrics").json()["resources"]["pid"]
