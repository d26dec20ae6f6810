"""Rules, slates, graph and fusion on a simulated shop: nothing in them knows that it is not a retailer's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from api_server import Running, serving
from small_telecom import small_telecom

from shopkeeper.bootstrap import FIRST_MODELS
from shopkeeper.operations.telecom import made_of
from shopkeeper.profiles.graph.build import Things, build
from shopkeeper.sources.simulator.config import SimConfig

V1 = "/api/v1"
WORLD = SimConfig(user_count=200, product_count=20, app_count=10, avg_events_per_user=90, history_days=150)


@pytest.fixture(scope="module")
def telecom(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    home: Path = tmp_path_factory.mktemp("telecom") / "home"
    small_telecom(home, WORLD)
    with serving(home, kind="telecom", live_speed=0.0) as running:
        yield running


@pytest.fixture(scope="module")
def lines(telecom: Running) -> pl.DataFrame:
    world = made_of(telecom.shop.meta).world()
    return pl.concat([world.day(n) for n in range(WORLD.history_days)])


def trained(telecom: Running, *names: str) -> list[dict[str, Any]]:
    """Results of the trainings of these first models."""
    jobs = [telecom.shop.train_first(one, requested_by="test") for one in FIRST_MODELS if one.model in names]
    ended = [telecom.shop.jobs.wait(job.job_id, 240) for job in jobs]
    assert [job.error for job in ended if job.status != "done"] == []
    return [job.result or {} for job in ended]


def test_the_rules_run_verbatim_on_everybody(telecom: Running, lines: pl.DataFrame) -> None:
    counts = {(user, event): n for user, event, n in lines.group_by("user_id", "event_type").len().iter_rows()}
    matched = dict.fromkeys(("high_value_user", "loyal_user", "digital_enthusiast", "at_risk_churn"), 0)
    for user in made_of(telecom.shop.meta).world().users():
        a, id = user.attributes, user.user_id
        fee, tenure = a["monthly_fee"], a["tenure_months"]
        total = sum(counts.get((id, event), 0) for event in ("call", "order", "app_use", "click"))
        expected = {
            "high_value_user": 1.0 * (fee > 300 and tenure >= 24),
            "loyal_user": 0.8 * (tenure >= 36 and ("5G" in a["plan_type"] or "family" in a["plan_type"])),
            "digital_enthusiast": 0.6 * (counts.get((id, "app_use"), 0) + counts.get((id, "click"), 0) >= 10),
            "at_risk_churn": -0.7 * (total <= 2 and tenure >= 12 and fee < 80),
        }
        assert telecom.http.get(f"{V1}/user/{id}").json()["scores"]["rules"] == expected
        for name, value in expected.items():
            matched[name] += bool(value)
    assert all(0 < n < WORLD.user_count for n in matched.values()), matched


def test_what_to_do_is_what_the_strategies_say(telecom: Running, lines: pl.DataFrame) -> None:
    (user, *_) = [one for one in made_of(telecom.shop.meta).world().users() if one.attributes["monthly_fee"] < 100]
    uses = lines.filter((pl.col("user_id") == user.user_id) & (pl.col("event_type") == "app_use")).height
    said = telecom.shop.profiles.suggestions(user.user_id)
    assert "suggest an upgrade to a 5G plan" in said
    assert ("suggest a data pack" in said) == (uses > 5)
    assert telecom.shop.profiles.rulebook.problems() == {}


def test_segments_of_plan_and_habit_have_members(telecom: Running) -> None:
    sizes = {one["name"]: one["size"] for one in telecom.http.get(f"{V1}/segments").json()["segments"]}
    for name in ("premium_plan", "family_plan", "gone_quiet", "champions", "lost", "price_sensitive", "long_standing"):
        assert 0 < sizes[name] < WORLD.user_count, sizes


def test_the_graph_has_an_edge_of_every_event(telecom: Running, lines: pl.DataFrame) -> None:
    shop = telecom.shop
    types = shop.vocab.event_types
    made = build(
        shop.log.read(),
        n_users=len(shop.vocab.users),
        things=Things(shop.catalog.kind, shop.catalog.category),
        types=[types.id(row) for row in range(len(types))],
    )
    nodes = made.graph.nodes
    assert (nodes["user"], nodes["product"], nodes["app"]) == (WORLD.user_count, 20, 10)
    assert sum(made.dropped.values()) == 0
    edges = {str(relation): len(found.source) for relation, found in made.graph.edges.items()}
    for event, kind, n in lines.group_by("event_type", "target_kind").len().iter_rows():
        assert edges[f"user / {event} / {kind}"] == n
        assert edges[f"{kind} / rev_{event} / user"] == n


def test_slates_hold_products_and_no_apps(telecom: Running) -> None:
    trained(telecom, "popularity", "ease", "item_knn")
    products = {item.item_id for item in made_of(telecom.shop.meta).world().items() if item.kind == "product"}
    seen: set[str] = set()
    for number in range(30):
        body = {"user_id": f"u{number:06d}", "n_recommendations": 5, "deadline_ms": 5000}
        slate = telecom.http.post(f"{V1}/personalization/recommend", json=body).json()["recommendations"]
        seen |= {one["item_id"] for one in slate}
    assert seen <= products
    assert len(seen) > 5  # not the same for everybody


@pytest.mark.slow
def test_the_fusion_learns_from_rules_and_vectors(telecom: Running) -> None:
    (result,) = trained(telecom, "fusion")
    assert result["gate"]["verdict"] in ("PROMOTE", "REJECT")
    assert result["metrics"]["auc"] > 0.6
    if result["promoted"]:
        explained = telecom.http.get(f"{V1}/explain/u000002").json()
        assert explained["versions"]["fusion"]
        total = explained["base_value"] + sum(explained["shap_values"].values())
        assert np.isclose(total, explained["final_score"])
