"""The client's side of the operations: what it sends, what it gives back, what it raises."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shopkeeper.client import ShopkeeperClient
from shopkeeper.core.errors import Conflict, Invalid, NotFound

if TYPE_CHECKING:
    from api_server import Running


@pytest.fixture
def shop(live: Running):
    with ShopkeeperClient(live.url) as client:
        yield client


def test_a_refresh_that_cannot_begin_is_a_conflict(shop: ShopkeeperClient) -> None:
    with pytest.raises(Conflict) as refused:
        shop.refresh()
    assert refused.value.code == "no_model"


def test_a_form_that_is_wrong_is_told_by_field(shop: ShopkeeperClient) -> None:
    for ask in (lambda: shop.refresh("full_retrain", temperature=9), lambda: shop.train_hgt(temperature=9)):
        with pytest.raises(Invalid) as refused:
            ask()
        assert refused.value.field == "temperature"


def test_a_training_is_a_job_that_can_be_cancelled(shop: ShopkeeperClient) -> None:
    job = shop.train_hgt(epochs=200)
    assert (job.kind, job.params["model"], job.params["params"]["epochs"]) == ("train", "hgt", 200)
    shop.cancel_job(job.job_id)
    assert shop.wait(job.job_id).status in ("cancelled", "failed")


def test_loops_are_switched(shop: ShopkeeperClient) -> None:
    with pytest.raises(Conflict) as refused:
        shop.start_ingestion()
    assert refused.value.code == "no_live_source"
    assert "stopped" in shop.stop_ingestion()
    shop.stop_incremental()
    assert shop.operations_status()["incremental_loop"]["running"] is False
    assert "running" in shop.start_incremental()


def test_the_stream_begins_with_the_metrics_and_goes_on_with_changes(shop: ShopkeeperClient) -> None:
    stream = shop.operations_stream()
    number, first = next(stream)
    assert first.keys() == shop.operations_metrics().keys()
    shop.stop_incremental()
    after, change = next(stream)
    stream.close()
    shop.start_incremental()
    assert after == number + 1
    assert change["channel"] == "incremental_loop"
    again, missed = next(resumed := shop.operations_stream(after))
    resumed.close()
    assert (again, missed["payload"]["event"]) == (after + 1, "start")


def test_the_graph_is_looked_at(shop: ShopkeeperClient) -> None:
    told = shop.graph_statistics()
    assert "user / order / product" in told["edge_types"]
    near = shop.graph_neighbors("user", "user-1", limit=3)
    assert len(near) == 3
    assert {one["type"] for one in near} == {"product"}
    with pytest.raises(NotFound):
        shop.graph_neighbors("user", "nobody")
    with pytest.raises(Invalid):
        shop.graph_neighbors("planet", "user-1")
    assert shop.embeddings() == []


def test_a_form_is_as_the_server_describes_it(shop: ShopkeeperClient) -> None:
    form = shop.form("/api/v1/operations/training/hgt")
    assert (form["metis_num_parts"]["minimum"], form["metis_num_parts"]["maximum"]) == (2, 100)
    with pytest.raises(NotFound, match="no form for POST /api/v1/nowhere"):
        shop.form("/api/v1/nowhere")


def test_the_fused_score_is_tuned_by_a_job_that_the_list_of_jobs_shows_page_by_page(shop: ShopkeeperClient) -> None:
    with pytest.raises(Invalid) as refused:
        shop.train_fusion(batch_size=4)
    assert refused.value.field == "batch_size"
    job = shop.train_fusion(sample_size=64, epochs=1)
    assert (job.params["model"], job.params["params"]["sample_size"]) == ("fusion", 64)
    shop.wait(job.job_id)
    first = shop.jobs_page(limit=1)
    assert first.items[0].job_id == job.job_id
    assert job.job_id not in {one.job_id for one in shop.jobs_page(limit=50, cursor=first.next_cursor).items}
