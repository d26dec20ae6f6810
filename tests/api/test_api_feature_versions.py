"""Doors of features and their versions, over a real server."""

from __future__ import annotations

from api_server import Running

from shopkeeper.client import ShopkeeperClient
from shopkeeper.stores.paging import cursor_after

URL = "/api/v1/features"


def test_every_installed_feature_is_told_with_the_version_that_counts(live: Running) -> None:
    told = live.http.get(URL).json()
    hour = next(one for one in told["features"] if one["name"] == "context_hour")
    assert (hour["group"], hour["unit"], hour["default"], hour["version"]) == ("contextual", "hour", 0.0, 1)
    assert told["active_version"] >= 1


def test_a_version_is_made_compared_activated_rolled_back_exported_and_imported(live: Running) -> None:
    with ShopkeeperClient(live.url) as shop:
        before = shop.features()["active_version"]
        made = shop.create_feature_version("less", ["context_hour", "context_hour*context_weekend"])
        number = made["version"]
        assert (made["active"], number > before) == (False, True)
        assert "user_events_1h" in shop.compare_feature_versions(before, number)["removed"]
        assert shop.validate_feature_version(number) == {"version": number, "valid": True, "problems": []}
        assert shop.activate_feature_version(number)["active"]
        assert shop.features()["active_version"] == number
        assert shop.roll_back_feature_version()["version"] == before
        document = shop.export_feature_version(number)
        assert shop.import_feature_version({**document, "version": 0})["fingerprint"] == made["fingerprint"]
        assert shop.feature_versions(limit=1).total == number + 1
        following = shop.feature_versions(limit=1, cursor=shop.feature_versions(limit=1).next_cursor)
        assert following.items[0]["version"] == number


def test_what_cannot_be_is_answered_with_words(live: Running) -> None:
    http = live.http
    assert http.post(f"{URL}/versions/999/activate").status_code == 404
    assert http.get(f"{URL}/versions/999/export").status_code == 404
    assert http.get(f"{URL}/versions/compare", params={"a": 1, "b": 999}).status_code == 404
    for bad in ({"a": 1}, {"a": 0, "b": 1}, {"a": "x", "b": 1}):
        assert http.get(f"{URL}/versions/compare", params=bad).status_code == 422
    assert http.post(f"{URL}/versions/0/validate").status_code == 422
    for cursor in ("none", "²", "9" * 5000, "-1"):
        assert http.get(f"{URL}/versions", params={"cursor": cursor_after(cursor)}).status_code == 422
    refused = http.post(f"{URL}/versions", json={"features": ["nonsense"]})
    assert (refused.status_code, refused.json()["code"]) == (422, "unknown_feature")
    for body in ({"features": []}, {"features": 3}, {"description": "x" * 2001}):
        assert http.post(f"{URL}/versions", json=body).status_code == 422
    document = http.get(f"{URL}/versions/1/export").json()
    taken = http.post(f"{URL}/versions/import", json=document)
    assert (taken.status_code, taken.json()["code"]) == (409, "exists")
    nan = {**document, "version": 0, "fingerprint": "", "features": [{"name": "context_hour", "default": None}]}
    assert http.post(f"{URL}/versions/import", json=nan).status_code == 422
    last = {**document, "version": 2**31 - 1}  # those made after it could not be named
    assert http.post(f"{URL}/versions/import", json=last).status_code == 422
