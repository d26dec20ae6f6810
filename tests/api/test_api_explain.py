"""Explanations over HTTP and the command line: a shop with a fusion model that was really trained."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from api_server import KEY, Running, serving

from shopkeeper.cli.main import main
from shopkeeper.client import ShopkeeperClient
from shopkeeper.core.errors import NotFound
from shopkeeper.core.records import Event
from shopkeeper.explain.contributions import Contributions

V1 = "/api/v1"
LEVELS = ("two", "groups", "inputs")


def history() -> list[Event]:
    """Eight months: even customers order often, odd ones seldom."""
    random, now = np.random.default_rng(3), datetime.now(UTC)
    found = []
    for user in range(60):
        day = float(random.uniform(1, 240))
        while day > 0:
            item = f"item-{2 * int(random.integers(0, 6)) + user % 2}"
            found.append(
                Event(
                    event_id=f"x{user}-{day}", user_id=f"x{user}", event_type="order", item_id=item,
                    time=now - timedelta(days=day), quantity=2.0, unit_price=5.0, value=10.0,
                )
            )  # fmt: skip
            day -= float(random.exponential(20.0 if user % 2 == 0 else 150.0)) + 1.0
    return found


@pytest.fixture(scope="module")
def fused(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with serving(tmp_path_factory.mktemp("explain")) as running:
        running.shop.log.append(history()).result()
        for at in range(12):
            body = {"name": "MUG" if at < 2 else f"THING {at}", "category": None if at == 11 else f"Shelf {at % 3}"}
            running.http.put(f"{V1}/items/item-{at}", json=body).raise_for_status()
        running.http.put(f"{V1}/users/fresh", json={"attributes": {"country": "Norway"}}).raise_for_status()
        told = running.http.post(f"{V1}/operations/fusion/train", params={"wait": True, "epochs": 10}, timeout=120)
        assert told.status_code == 200, told.text
        if running.shop.profiles.fuser.current() is None:
            running.http.post(f"{V1}/models/fusion/promote", json={"version": 1, "force": True}).raise_for_status()
        yield running


def ask(shop: Running, user: str, **query: Any) -> dict[str, Any]:
    answer = shop.http.get(f"{V1}/explain/{user}", params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("user", ["x0", "x1", "user-1", "fresh"])
def test_every_level_adds_up_to_the_score_of_the_profile(fused: Running, level: str, user: str) -> None:
    found = ask(fused, user, level=level)
    assert found["base_value"] + sum(found["shap_values"].values()) == pytest.approx(found["final_score"], abs=1e-9)
    assert found["versions"]["fusion"]
    assert found["level"] == level
    if user == "fresh":
        assert found["gate"] == 1.0
    scores = fused.http.get(f"{V1}/user/{user}").json()["scores"]
    assert found["final_score"] == pytest.approx(scores["final_score"], abs=1e-4)  # a moment later


def test_an_audit_by_shap_agrees_with_the_groups(fused: Running) -> None:
    pytest.importorskip("shap")
    answer = fused.http.get(f"{V1}/explain/x2", params={"level": "audit"}, timeout=180)
    found = answer.json()
    assert found["audit"]["largest_difference"] < 1e-9
    assert found["audit"]["shap_values"] == pytest.approx(found["shap_values"], abs=1e-9)
    assert found["shap_values"].keys() == ask(fused, "x2")["shap_values"].keys()


def test_without_shap_an_audit_is_unavailable_in_words(fused: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "shap", None)
    answer = fused.http.get(f"{V1}/explain/x4", params={"level": "audit"})
    assert answer.status_code == 503
    assert answer.json()["code"] == "shap_missing"
    assert "shopkeeper[shap]" in answer.json()["detail"]


def test_the_top_lists_are_as_long_as_was_asked(fused: Running) -> None:
    one, many = ask(fused, "x0", k=1, level="inputs"), ask(fused, "x0", k=20, level="inputs")
    assert len(one["top_positive"]) <= 1
    assert [name for name, _ in one["top_positive"]] == [name for name, _ in many["top_positive"][:1]]
    assert len(many["top_positive"]) > 1
    values = [value for _, value in many["top_positive"]]
    assert values == sorted(values, reverse=True)


@pytest.mark.parametrize(
    ("header", "query", "spoken"),
    [
        (None, None, "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", None, "zh"),
        ("fr, de;q=0.9, zh;q=0.3", None, "zh"),
        ("en-GB, zh;q=0.5", None, "en"),
        ("zh;q=0", None, "en"),
        ("zh;q=x,,;;=,*", None, "en"),
        ("zh", "en", "en"),
        ("en", "zh", "zh"),
    ],
)
def test_the_language_is_the_one_asked_for(fused: Running, header: str | None, query: str | None, spoken: str) -> None:
    headers = {} if header is None else {"accept-language": header}
    answer = fused.http.get(f"{V1}/explain/x0", params={} if query is None else {"lang": query}, headers=headers)
    assert answer.headers["content-language"] == spoken
    assert bool(re.search(r"[\u4e00-\u9fff]", " ".join(answer.json()["sentences"]))) is (spoken == "zh")


@pytest.mark.parametrize(
    "query", [{"level": "all"}, {"lang": "fr"}, {"k": 0}, {"k": 21}, {"k": "many"}, {"level": ""}, {"lang": ""}]
)
def test_what_cannot_be_asked_is_refused_by_name(fused: Running, query: dict[str, Any]) -> None:
    answer = fused.http.get(f"{V1}/explain/x0", params=query)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == next(iter(query))


def test_nobody_cannot_be_explained(fused: Running) -> None:
    assert fused.http.get(f"{V1}/explain/nobody").status_code == 404


def test_an_event_and_a_rule_are_in_the_next_answer(fused: Running) -> None:
    before = ask(fused, "x3")
    event = {"user_id": "x3", "event_type": "order", "item_id": "item-1", "quantity": 9, "unit_price": 50.0}
    fused.http.post(f"{V1}/events", json=event).raise_for_status()
    after = ask(fused, "x3")
    assert after["final_score"] != pytest.approx(before["final_score"], abs=1e-4)
    rule = {"name": "everybody", "condition": "orders >= 0", "weight": 0.25}
    fused.http.post(f"{V1}/rules", json=rule).raise_for_status()
    ruled = ask(fused, "x3")
    assert "everybody" in {trace["name"] for trace in ruled["rule_details"]}
    assert ruled["versions"]["rules"] != after["versions"]["rules"]
    assert ruled["base_value"] + sum(ruled["shap_values"].values()) == pytest.approx(ruled["final_score"], abs=1e-9)
    fused.http.delete(f"{V1}/rules/everybody").raise_for_status()
    assert "everybody" not in {trace["name"] for trace in ask(fused, "x3")["rule_details"]}


def test_clearing_says_how_many_and_changes_no_answer(fused: Running) -> None:
    ask(fused, "x5")
    with ShopkeeperClient(fused.url) as shop:
        assert re.fullmatch(r"[1-9]\d* explanations? forgotten", shop.clear_explanations())
        assert shop.clear_explanations() == "0 explanations forgotten"
        found = shop.explain("x5", 3, level="inputs", lang="zh")
        assert found.game == "gate frozen"
        assert Contributions.of(found).total == pytest.approx(found.final_score, abs=1e-9)
        with pytest.raises(NotFound):
            shop.explain("nobody")


def test_clearing_needs_the_scope_of_operations(locked: Running) -> None:
    path = f"{V1}/operations/explainer/clear"
    with httpx.Client(base_url=locked.url) as stranger:
        assert stranger.post(path).status_code == 401
        assert stranger.post(path, headers={"x-api-key": KEY}).status_code == 200


def test_the_command_line_tells_it_in_both_languages(
    fused: Running, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    home = str(fused.shop.home.path)

    def told(*args: str) -> str:
        capsys.readouterr()
        main(["explain", "x0", "--home", home, *args])
        return capsys.readouterr().out

    assert "purchases and behaviour" in told()
    assert "rules:" in told()
    assert "规则" in told("--lang", "zh")
    assert "activity:" in told("--level", "inputs", "-k", "20")
    found = json.loads(told("--level", "two", "--json"))
    assert found["shap_values"].keys() == {"rules", "neural"}


def test_a_wrong_level_on_the_command_line_names_the_right_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["explain", "x0", "--home", str(tmp_path), "--level", "all"])
    assert ended.value.code == 2
    assert "'two', 'groups', 'inputs', 'audit'" in capsys.readouterr().err
