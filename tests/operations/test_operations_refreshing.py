"""What a refresh is asked for: stages, scope, bounds."""

import pytest

from shopkeeper.core.errors import Invalid
from shopkeeper.operations.refresh import scope_of
from shopkeeper.operations.refreshing import RefreshOrder, read_order
from shopkeeper.profiles.graph.algorithm import Hgt


def test_a_model_is_trained_only_when_that_is_asked_for():
    assert RefreshOrder().stages == ["embed", "fusion"]
    assert RefreshOrder(mode="full_retrain").stages == ["train", "embed", "fusion"]


@pytest.mark.parametrize(
    ("asked", "ratio", "seed", "timed"),
    [
        ({}, 1.0, 0, True),
        ({"sample_ratio": 0.2}, 1.0, 0, True),
        ({"graph_scope": "sampled"}, 0.5, 0, True),
        ({"graph_scope": "sampled", "sample_ratio": 0.2, "random_seed": 7}, 0.2, 7, True),
        ({"include_edge_timestamp": False}, 1.0, 0, False),
    ],
)
def test_the_scope_is_the_whole_log_unless_a_sample_is_asked_for(asked, ratio, seed, timed):
    scope = scope_of(read_order(asked))
    assert (scope.ratio, scope.seed, scope.timed) == (ratio, seed, timed)


@pytest.mark.parametrize("wrong", [{"mode": "all"}, {"retrain_epochs": 0}, {"fusion": 1}, {"temperature": 0}])
def test_what_is_out_of_bounds_is_told_by_field(wrong):
    with pytest.raises(Invalid) as refused:
        read_order(wrong)
    assert refused.value.field == next(iter(wrong)) or "fusion" in refused.value.message


def test_a_new_model_begins_warm_where_it_can() -> None:
    order = read_order({"mode": "full_retrain"})
    assert order.training({"timed": True, "epochs": 8}) == {"epochs": 2, "timed": True, "warm_start": True}
    assert order.training(None) == {"timed": True, "warm_start": False}
    timeless = read_order({"mode": "full_retrain", "include_edge_timestamp": False})
    assert timeless.training({"timed": True, "epochs": 8}) == {"timed": False, "warm_start": False}
    told = read_order({"mode": "full_retrain", "warm_start": True, "retrain_epochs": 5, "temperature": 0.3})
    assert told.training(None) == {"epochs": 5, "temperature": 0.3, "timed": True, "warm_start": True}


def test_from_the_start_a_model_is_not_trained_for_the_few_epochs_of_a_warm_one() -> None:
    order = read_order({"mode": "full_retrain", "warm_start": False})
    assert order.training({"epochs": 8, "warm_start": False}) == {"timed": True, "warm_start": False}
    epochs = order.training({"epochs": 2, "warm_start": True})["epochs"]
    assert epochs == Hgt.Params().epochs > 2
