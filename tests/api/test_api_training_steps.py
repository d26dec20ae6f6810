"""The steps of a training as a form says them, and a version measured anew, over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from api_server import Running

from shopkeeper.client import ShopkeeperClient

V1 = "/api/v1/models"


def test_a_form_leaves_out_registry_and_gate(live: Running) -> None:
    with ShopkeeperClient(live.url) as shop:
        only = shop.wait(shop.train("steps", "popularity", register=False).job_id)
        assert (only.status, (only.result or {})["registered"]) == ("done", False)
        assert live.http.get(f"{V1}/steps").status_code == 404
        first = shop.wait(shop.train("steps", "popularity").job_id)
        assert (first.result or {})["promoted"] is True
        second = shop.wait(shop.train("steps", "popularity", evaluate=False, promote=False).job_id)
        assert (second.result or {})["gate"] is None

        job = shop.wait(shop.evaluate("steps", 2).job_id)
        assert (job.status, job.kind, job.error) == ("done", "evaluate", None)
        version = shop.version("steps", 2)
        assert version.gate is not None
        assert (version.gate.verdict, version.data["against"]) == ((job.result or {})["gate"]["verdict"], 1)


@pytest.mark.parametrize(
    ("form", "status", "field"),
    [
        ({"register": False, "upload": "s3://models"}, 422, "upload"),
        ({"upload": "ftp://models"}, 422, "upload"),
        ({"evaluate": "no"}, 422, "evaluate"),
    ],
)
def test_a_form_that_cannot_be_done_is_refused(live: Running, form: dict[str, Any], status: int, field: str) -> None:
    answer = live.http.post(f"{V1}/wrong/train", json={"algorithm": "popularity", **form})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (status, field)


def test_what_cannot_be_measured_is_refused(live: Running) -> None:
    assert live.http.post(f"{V1}/nothing/versions/1/evaluate", json={}).status_code == 404
    with ShopkeeperClient(live.url) as shop:
        shop.wait(shop.train("alone", "popularity").job_id)
    answer = live.http.post(f"{V1}/alone/versions/champion/evaluate", json={})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "against")
