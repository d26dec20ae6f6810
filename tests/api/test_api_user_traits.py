"""What is said of a user counts in suggestions: somebody who never bought anything is known by a record alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from api_server import Running, serving

from shopkeeper import plugins
from shopkeeper.core.records import Event

V1 = "/api/v1"
KINDS = {"tea": [f"cup-{at}" for at in range(5)], "garden": [f"hose-{at}" for at in range(5)]}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Forty users whose record says what they buy, and a champion `two_tower` that has learned it."""
    pytest.importorskip("torch")
    now = datetime.now(UTC)
    with serving(tmp_path_factory.mktemp("traits"), filled=False) as running:
        for at in range(40):
            put(running, f"u-{at}", list(KINDS)[at % 2])
        sold = [
            Event(
                event_type="order", user_id=f"u-{at}", item_id=KINDS[list(KINDS)[at % 2]][(at // 2 + step) % 5],
                time=now - timedelta(days=30 - 2 * step, minutes=at), quantity=1.0, unit_price=5.0,
            )
            for at in range(40)
            for step in range(4)
        ]  # fmt: skip
        running.shop.log.append(sold).result()
        brief = plugins.algorithm("two_tower").brief  # type: ignore[attr-defined]
        job = running.shop.releases.train("two_tower", "two_tower", params=brief)
        ended = running.shop.jobs.wait(job.job_id, 280)
        assert ended.status == "done", ended.error
        running.shop.registry.promote("two_tower", 1, force=True)
        body = {"recall": [{"channel": "two_tower", "quota": 20}], "filters": [], "ranker": None}
        made = running.http.put(f"{V1}/personalization/scenarios/towers", json=body)
        assert made.status_code == 201, made.text
        yield running


def put(shop: Running, user: str, likes: str) -> None:
    answer = shop.http.put(f"{V1}/users/{user}", json={"attributes": {"likes": likes}})
    assert answer.status_code in (200, 201), answer.text


def slate(shop: Running, user: str) -> list[str]:
    body = {"user_id": user, "scenario": "towers", "n_recommendations": 5}
    answer = shop.http.post(f"{V1}/personalization/recommend", json=body)
    assert answer.status_code == 200, answer.text
    return [item["item_id"] for item in answer.json()["recommendations"]]


def test_a_new_user_gets_what_the_record_speaks_for_and_a_changed_record_counts_at_once(shop: Running) -> None:
    for likes in ("tea", "garden", "tea"):
        put(shop, "newcomer", likes)
        assert set(slate(shop, "newcomer")) == set(KINDS[likes])


def test_a_record_that_was_taken_away_says_nothing_more(shop: Running) -> None:
    put(shop, "gone", "tea")
    assert set(slate(shop, "gone")) == set(KINDS["tea"])
    assert shop.http.delete(f"{V1}/users/gone").status_code == 204
    assert slate(shop, "gone") == slate(shop, "nobody we know")


def test_who_refuses_to_be_known_is_answered_as_a_stranger(shop: Running) -> None:
    put(shop, "shy", "garden")
    assert set(slate(shop, "shy")) == set(KINDS["garden"])
    refused = shop.http.put(f"{V1}/users/shy/consent", json={"personalization": False})
    assert refused.status_code == 200, refused.text
    assert slate(shop, "shy") == slate(shop, "nobody we know")
