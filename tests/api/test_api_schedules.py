from __future__ import annotations

from typing import Any

import pytest
from api_server import Running

from shopkeeper.client import ShopkeeperClient

URL = "/api/v1/schedules"


def form(name: str, **more: Any) -> dict[str, Any]:
    params = {"model": "popularity", "algorithm": "popularity"}
    return {"name": name, "cron": "0 2 * * *", "kind": "train", "params": params, **more}


def test_a_new_shop_has_one_that_is_off(live: Running) -> None:
    found = live.http.get(f"{URL}/nightly").json()
    assert (found["enabled"], found["next_run"], found["kind"]) == (False, None, "train")
    assert found["params"] == {"model": "home_ranker", "algorithm": "xgb"}


def test_it_is_made_read_changed_and_taken_away(live: Running) -> None:
    made = live.http.post(URL, json=form("life", condition={"metric": "ctr", "drop": 0.05, "days": 7}))
    assert (made.status_code, made.headers["location"]) == (201, f"{URL}/life")
    assert made.json()["next_run"].endswith("T02:00:00Z")
    assert live.http.post(URL, json=form("life")).status_code == 409
    read = live.http.get(f"{URL}/life")
    assert (read.json(), read.headers["etag"]) == (made.json(), made.headers["etag"])
    assert "life" in [one["name"] for one in live.http.get(URL).json()["items"]]
    page = live.http.get(URL, params={"limit": 1}).json()
    assert (len(page["items"]), page["next_cursor"] is not None) == (1, True)

    tag = {"if-match": made.headers["etag"]}
    off = live.http.put(f"{URL}/life", json=form("life", enabled=False), headers=tag)
    assert (off.status_code, off.json()["next_run"], off.json()["version"]) == (200, None, 2)
    stale = live.http.put(f"{URL}/life", json=form("life"), headers=tag)
    assert (stale.status_code, stale.json()["code"]) == (412, "stale")
    assert live.http.delete(f"{URL}/life", headers=tag).status_code == 412
    assert live.http.delete(f"{URL}/life").status_code == 204
    for method in ("get", "delete"):
        assert getattr(live.http, method)(f"{URL}/life").status_code == 404
    assert live.http.put(f"{URL}/life", json=form("life")).status_code == 404
    assert live.http.post(f"{URL}/life/run").status_code == 404


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": "A b"}, "name"),
        ({"cron": "sometimes"}, "cron"),
        ({"cron": "99 * * * *"}, "cron"),
        ({"kind": "import"}, "kind"),
        ({"params": {"model": "popularity"}}, "params"),
        ({"params": {"model": "m", "algorithm": "nonsense"}}, "params"),
        ({"params": {"model": "m", "algorithm": "xgb", "params": {"trees": -1}}}, "params.trees"),
        ({"params": {"model": "m", "algorithm": "xgb", "source": {"password": "x"}}}, "params.source.password"),
        ({"params": {"model": "m", "algorithm": "xgb", "version": "monthly"}}, "params.version"),
        ({"params": {"model": "m", "algorithm": "xgb", "upload": "ftp://x"}}, "params.upload"),
        ({"kind": "backtest", "params": {"windows": 0}}, "params.windows"),
        ({"kind": "cleanup", "params": {"policies": ["nonsense"]}}, "params.policies"),
        ({"kind": "upload", "params": {"model": "m", "url": 1}}, "params.url"),
        ({"condition": {"metric": "luck"}}, "condition.metric"),
        ({"retries": 101}, "retries"),
        ({"enabled": "yes"}, "enabled"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused_with_its_place(live: Running, changes: dict[str, Any], field: str) -> None:
    answer = live.http.post(URL, json={**form("wrong"), **changes})
    assert (answer.status_code, [one["field"] for one in answer.json()["errors"]]) == (400, [field]), answer.text
    assert live.http.get(f"{URL}/wrong").status_code == 404


def test_it_runs_by_hand_through_the_services_of_the_doors(live: Running) -> None:
    with ShopkeeperClient(live.url) as shop:
        made = shop.create_schedule("hand", "0 2 * * *", "train", form("")["params"], enabled=False)
        job = shop.wait(shop.run_schedule("hand").job_id)
        assert (job.status, job.kind, job.params["model"]) == ("done", "train", "popularity")
        assert job.requested_by.startswith("schedule:hand:")
        made.enabled = True
        assert shop.change_schedule(made).next_run is not None
        assert shop.schedule("hand").version == 2
        shop.delete_schedule("hand")
        assert "hand" not in [one.name for one in shop.schedules()]


@pytest.mark.parametrize(
    ("kind", "params"),
    [("cleanup", {"dry_run": True}), ("backtest", {"models": ["seasonal_naive"], "horizon": 3, "windows": 1})],
)
def test_other_kinds_run_too(live: Running, kind: str, params: dict[str, Any]) -> None:
    with ShopkeeperClient(live.url) as shop:
        shop.create_schedule(f"do-{kind}", "0 2 * * *", kind, params, enabled=False)
        job = shop.wait(shop.run_schedule(f"do-{kind}").job_id)
        assert (job.status, job.kind, job.error) == ("done", kind, None)


def test_a_key_without_the_scope_sees_nothing(locked: Running) -> None:
    assert locked.http.get(URL).status_code == 401
    outside = {"kind": "backtest", "params": {"source": {"kind": "csv", "path": "/etc/passwd"}}}
    headers = {"x-api-key": "a-key-that-nobody-guesses"}
    answer = locked.http.post(URL, json={**form("outside"), **outside}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "source_not_allowed")
