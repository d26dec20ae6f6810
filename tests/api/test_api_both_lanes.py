"""What every door promises, asked of one door of the fast lane and one of FastAPI each."""

from __future__ import annotations

import httpx
import msgspec
import pytest
from api_server import Running

KEY = "a-key-that-nobody-guesses"
V1 = "/api/v1"
RECOMMEND, EVENTS, PREDICT = f"{V1}/personalization/recommend", f"{V1}/events", "/predictions/some_model"
RULES, ITEMS, PREVIEW = f"{V1}/rules", f"{V1}/items", f"{V1}/models/m/train"
BOTH = pytest.mark.parametrize("path", [RECOMMEND, EVENTS, PREDICT, RULES, ITEMS, PREVIEW])
MALFORMED = {RECOMMEND: 422, EVENTS: 400, PREDICT: 422, RULES: 400, ITEMS: 400, PREVIEW: 422}


def problem(answer: httpx.Response) -> dict[str, object]:
    """The error body, which is the same everywhere: four words, never a trace."""
    body: dict[str, object] = answer.json()
    assert {"detail", "code", "type", "request_id"} <= body.keys()
    assert body["request_id"] == answer.headers["x-request-id"]
    assert "Traceback" not in answer.text
    return body


@BOTH
def test_a_request_id_is_echoed_and_made(live: Running, path: str) -> None:
    echoed = live.http.post(path, json={}, headers={"x-request-id": "mine-1"})
    assert echoed.headers["x-request-id"] == "mine-1"
    made = live.http.post(path, json={}).headers["x-request-id"]
    assert made != live.http.post(path, json={}).headers["x-request-id"]
    assert len(live.http.post(path, json={}, headers={"x-request-id": "a b;c"}).headers["x-request-id"]) == 24


@BOTH
@pytest.mark.parametrize("body", [b"", b"{", b"nonsense", b'{"a": NaN}', b'{"a": Infinity}', b'{"a": "\xff"}'])
def test_a_body_that_is_not_json_is_refused(live: Running, path: str, body: bytes) -> None:
    answer = live.http.post(path, content=body, headers={"content-type": "application/json"})
    if path == EVENTS and b"\xff" in body:
        assert answer.status_code == 202
        return
    assert answer.status_code == MALFORMED[path]
    assert problem(answer)["type"] == "Invalid"


@BOTH
def test_deep_nesting_is_refused(live: Running, path: str) -> None:
    answer = live.http.post(
        path, content=b'{"a":' * 33 + b"1" + b"}" * 33, headers={"content-type": "application/json"}
    )
    assert answer.status_code == MALFORMED[path]
    assert problem(answer)["code"] == "too_deep"


@BOTH
def test_another_content_type_is_415(live: Running, path: str) -> None:
    answer = live.http.post(path, data={"a": "b"})
    assert answer.status_code == 415
    assert problem(answer)["code"] == "wrong_content_type"


@BOTH
def test_without_a_key_nothing_is_told(locked: Running, path: str) -> None:
    answer = locked.http.post(path, json={})
    assert answer.status_code == 401
    assert "www-authenticate" in answer.headers
    assert problem(answer)["code"] == "no_key"


@BOTH
@pytest.mark.parametrize(
    "headers",
    [
        {"x-api-key": "wrong"},
        {"authorization": "Bearer wrong"},
        {"authorization": "Basic !!!"},
        {"authorization": "Digest x"},
    ],
)
def test_a_wrong_key_is_401(locked: Running, path: str, headers: dict[str, str]) -> None:
    answer = locked.http.post(path, json={}, headers=headers)
    assert answer.status_code == 401
    assert problem(answer)["code"] == "bad_key"


@BOTH
def test_a_key_may_come_in_three_ways(locked: Running, path: str) -> None:
    ways = [
        locked.http.post(path, json={}, headers={"x-api-key": KEY}),
        locked.http.post(path, json={}, headers={"authorization": f"Bearer {KEY}"}),
        locked.http.post(path, json={}, auth=("anybody", KEY)),
    ]
    assert {way.status_code for way in ways} <= {MALFORMED[path], 202}


@BOTH
def test_a_key_in_the_url_is_refused(locked: Running, path: str) -> None:
    answer = locked.http.post(f"{path}?x=1&api_key={KEY}", json={})
    assert answer.status_code == 400
    assert problem(answer)["code"] == "key_in_url"


@BOTH
def test_another_sites_page_cannot_call(live: Running, path: str) -> None:
    answer = live.http.post(path, json={}, headers={"origin": "https://elsewhere.example"})
    assert answer.status_code == 403
    assert problem(answer)["code"] == "foreign_origin"
    assert live.http.post(path, json={}, headers={"host": "elsewhere.example"}).status_code == 403
    assert live.http.post(path, json={}, headers={"origin": live.url}).status_code != 403


@BOTH
@pytest.mark.parametrize("announced", [True, False])
def test_an_oversized_body_is_413(locked: Running, path: str, announced: bool) -> None:
    body = b'{"a":"' + b"x" * 5000 + b'"}'
    headers = {"content-type": "application/json", "x-api-key": KEY}
    answer = locked.http.post(path, content=body if announced else iter([body]), headers=headers)
    assert answer.status_code == 413
    assert problem(answer)["code"] == "body_too_large"


@BOTH
def test_requests_are_counted_by_template(live: Running, path: str) -> None:
    live.http.post(path, json={})
    counted = live.http.get("/metrics").text
    template = {PREDICT: "/predictions/{model}", PREVIEW: f"{V1}/models/{{model}}/train"}.get(path, path)
    assert f'http_requests_total{{method="POST",path="{template}"' in counted
    assert "some_model" not in counted


def test_public_doors_need_no_key(locked: Running) -> None:
    for path in ("/health", "/livez", "/readyz", "/docs", "/openapi.json"):
        assert locked.http.get(path).status_code in (200, 503), path
    assert locked.http.get("/metrics").status_code == 401


def test_an_unknown_door_is_404_and_a_wrong_method_405(live: Running) -> None:
    assert problem(live.http.get("/api/v1/nothing"))["code"] == "unknown_path"
    wrong = live.http.delete("/health")
    assert wrong.status_code == 405
    assert problem(wrong)["code"] == "method_not_allowed"
    assert wrong.headers["allow"] == "GET"


def test_an_error_nobody_foresaw_is_500_without_its_inside(live: Running) -> None:
    working = live.shop.recommend, live.shop.slates
    live.shop.recommend = live.shop.slates = None  # parts that are broken in a way no error of the tree describes
    try:
        for answer in (
            live.http.post(RECOMMEND, json={"user_id": "user-1"}),
            live.http.get(f"{V1}/items/item-1/similar"),
        ):
            assert answer.status_code == 500
            assert problem(answer)["code"] == "internal"
            assert "NoneType" not in answer.text
    finally:
        live.shop.recommend, live.shop.slates = working


def test_the_stock_paths_keep_their_envelope(live: Running) -> None:
    good = live.http.get("/api/products").json()
    assert good["status"] == "success"
    assert [one["product_id"] for one in good["data"]] == ["item-0", "item-1", "item-2", "item-3"]
    bad = live.http.get("/api/products/nothing")
    assert bad.status_code == 404
    body = problem(bad)
    assert (body["status"], body["message"]) == ("error", body["detail"])
    assert live.http.get("/api/products?limit=0").status_code == 400


def test_answers_are_records(live: Running) -> None:
    from shopkeeper.core.records import RecResponse

    answer = live.http.post(RECOMMEND, json={"user_id": "user-1", "n_recommendations": 2})
    slate = msgspec.json.decode(answer.content, type=RecResponse)
    assert answer.status_code == 200
    assert slate.user_id == "user-1"
    assert len(slate.recommendations) <= 2
