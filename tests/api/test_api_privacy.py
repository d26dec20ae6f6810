from __future__ import annotations

from pathlib import Path
from typing import Any

from api_server import Running, serving

V1 = "/api/v1"


def meet(live: Running, user_id: str) -> None:
    event = {"event_type": "view", "user_id": user_id, "item_id": "item-1"}
    assert live.http.post(f"{V1}/events", json=event).status_code == 202


def consent(live: Running, user_id: str) -> dict[str, Any]:
    answer = live.http.get(f"{V1}/users/{user_id}/consent")
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_consent_is_read_and_changed_in_part(live: Running) -> None:
    meet(live, "consent-1")
    assert consent(live, "consent-1") == {
        "personalization": True, "profiling": True, "marketing": True, "updated_at": None,
    }  # fmt: skip
    changed = live.http.put(f"{V1}/users/consent-1/consent", json={"marketing": False})
    assert changed.status_code == 200
    assert changed.json() == consent(live, "consent-1")
    assert (changed.json()["marketing"], changed.json()["profiling"]) == (False, True)
    for bad in ({"profiling": "no"}, {"profiling": None}, {"marketing": True, "profilling": False}, []):
        assert live.http.put(f"{V1}/users/consent-1/consent", json=bad).status_code == 400
    assert consent(live, "consent-1") == changed.json()
    sent_back = live.http.put(f"{V1}/users/consent-1/consent", json=changed.json())
    assert (sent_back.status_code, sent_back.json()["marketing"]) == (200, False)


def test_consent_of_a_stranger_is_404(live: Running) -> None:
    assert live.http.get(f"{V1}/users/stranger/consent").status_code == 404
    assert live.http.put(f"{V1}/users/stranger/consent", json={"profiling": False}).status_code == 404


def test_opting_out_and_in_by_query_or_body(live: Running) -> None:
    meet(live, "opted")
    assert live.http.post(f"{V1}/personalization/opt-out", json={"user_id": "opted"}).json() == {"success": True}
    said = consent(live, "opted")
    assert (said["personalization"], said["profiling"], said["marketing"]) == (False, False, True)
    assert live.http.post(f"{V1}/personalization/opt-in", params={"user_id": "opted"}).json() == {"success": True}
    said = consent(live, "opted")
    assert (said["personalization"], said["profiling"], said["marketing"]) == (True, True, True)


def test_who_opts_out_before_the_first_visit_is_not_forgotten(live: Running) -> None:
    assert live.http.post(f"{V1}/personalization/opt-out", json={"user_id": "early"}).status_code == 200
    meet(live, "early")
    assert consent(live, "early")["profiling"] is False


def test_opting_without_a_user_or_with_two_is_refused(live: Running) -> None:
    answer = live.http.post(f"{V1}/personalization/opt-out")
    assert (answer.status_code, answer.json()["code"]) == (400, "no_user")
    answer = live.http.post(f"{V1}/personalization/opt-out", json={"user_id": "a"}, params={"user_id": "b"})
    assert (answer.status_code, answer.json()["code"]) == (422, "two_users")
    assert live.http.post(f"{V1}/personalization/opt-out", json={"user_id": 5}).status_code == 422
    assert live.http.post(f"{V1}/personalization/opt-out", json=[1]).status_code == 422


def test_who_refuses_profiling_is_neither_scored_nor_explained(live: Running) -> None:
    meet(live, "quiet")
    assert live.http.get(f"{V1}/user/quiet").json()["scores"] is not None
    assert live.http.get(f"{V1}/explain/quiet").status_code == 200
    live.http.put(f"{V1}/users/quiet/consent", json={"profiling": False})
    profile = live.http.get(f"{V1}/user/quiet").json()
    assert (profile["scores"], profile["segments"], profile["consent"]["profiling"]) == (None, [], False)
    assert profile["profile"]["event_counts"] == {"view": 1}
    answer = live.http.get(f"{V1}/explain/quiet")
    assert (answer.status_code, answer.json()["code"]) == (403, "no_consent")


def test_features_of_who_refuses_profiling_are_those_of_a_stranger(live: Running) -> None:
    meet(live, "unread")
    live.http.put(f"{V1}/users/unseen", json={"attributes": {}})

    def features(user_id: str) -> dict[str, Any]:
        told = live.http.get(f"{V1}/features/realtime/{user_id}").json()
        computed = live.http.post(f"{V1}/features/compute", json=[user_id]).json()[user_id]
        assert computed["aggregated"] == told["aggregated"]
        return {"aggregated": told["aggregated"], "known": [name for name, age in told["ages"].items() if age]}

    stranger = features("unseen")
    assert features("unread") != stranger
    live.http.put(f"{V1}/users/unread/consent", json={"profiling": False})
    assert features("unread") == stranger


def test_past_segments_of_who_refuses_profiling_are_not_told(live: Running) -> None:
    assert live.http.post(f"{V1}/segments", json={"name": "lookers", "condition": "total_events >= 1"}).is_success
    meet(live, "formerly-looking")
    url = f"{V1}/user/formerly-looking/segments"
    asked = {"history": True}
    assert "lookers" in live.http.get(url).json()["segments"]
    live.shop.db.writer.run(lambda _: None)  # the stay was on its way
    assert "lookers" in [stay["segment"] for stay in live.http.get(url, params=asked).json()["history"]]
    live.http.put(f"{V1}/users/formerly-looking/consent", json={"profiling": False})
    assert live.http.get(url, params=asked).json() == {"segments": [], "history": []}
    live.http.put(f"{V1}/users/formerly-looking/consent", json={"profiling": True})


def test_who_refuses_personalisation_is_answered_as_a_stranger(live: Running) -> None:
    def slate(user_id: str, scenario: str) -> list[tuple[str, float, str]]:
        asked = {"user_id": user_id, "scenario": scenario, "n_recommendations": 4, "deadline_ms": 5000}
        answer = live.http.post(f"{V1}/personalization/recommend", json=asked)
        assert answer.status_code == 200, answer.text
        return [(one["item_id"], one["score"], one["explanation"]) for one in answer.json()["recommendations"]]

    # One item taken again and again: known, the user is told of it; a stranger is told what sells.
    bought = [
        {"event_type": "order", "user_id": "shy", "item_id": "item-3", "quantity": 1, "time": f"2026-0{m}-01T10:00:00Z"}
        for m in (1, 2, 3)
    ]  # fmt: skip
    assert live.http.post(f"{V1}/events", json=bought).status_code == 202
    scenarios = ("home", "content", "product")
    known = {scenario: slate("shy", scenario) for scenario in scenarios}
    stranger = {scenario: slate("never-seen", scenario) for scenario in scenarios}
    assert known != stranger
    live.http.put(f"{V1}/users/shy/consent", json={"personalization": False})
    assert {scenario: slate("shy", scenario) for scenario in scenarios} == stranger
    live.http.put(f"{V1}/users/shy/consent", json={"personalization": True})
    assert {scenario: slate("shy", scenario) for scenario in scenarios} == known


def test_a_shop_may_ask_first(tmp_path: Path) -> None:
    with serving(tmp_path, consent_default=False) as running:
        assert consent(running, "user-1")["profiling"] is False
        assert running.http.get(f"{V1}/user/user-1").json()["scores"] is None
        assert running.http.get(f"{V1}/explain/user-1").status_code == 403
        running.http.post(f"{V1}/segments", json={"name": "all", "condition": "total_events >= 1"})
        assert running.http.get(f"{V1}/segments/all/users").json()["items"] == []
        running.http.post(f"{V1}/personalization/opt-in", json={"user_id": "user-1"})
        assert running.http.get(f"{V1}/user/user-1").json()["scores"] is not None
        members = running.http.get(f"{V1}/segments/all/users").json()["items"]
        assert [one["user_id"] for one in members] == ["user-1"]
        meet(running, "newcomer")
        assert running.http.get(f"{V1}/user/newcomer").json()["scores"] is None
