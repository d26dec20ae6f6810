"""Clusters: what k-means finds, what it calls it, and a training from the log."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from profile_world import NOW, World

from shopkeeper import plugins
from shopkeeper.checks.clusters import small_habits
from shopkeeper.checks.coverage import every_check
from shopkeeper.core.clock import DAY, HOUR, moment
from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import TrainingContext, silent
from shopkeeper.core.records import Event
from shopkeeper.profiles.clusters.family import ClusterFamily
from shopkeeper.profiles.clusters.habits import HABITS
from shopkeeper.profiles.clusters.kmeans import KMeansModel, KMeansTrainer
from shopkeeper.profiles.clusters.measures import davies_bouldin, silhouette
from shopkeeper.profiles.clusters.names import WORDS, named
from shopkeeper.stores.sql import sqlite_url

OURS = [name for name in plugins.names("algorithm") if plugins.algorithm(name).family == "clusters"]


@pytest.mark.parametrize("check", [c for name in OURS for c in every_check("algorithm", name)], ids=str)
def test_every_cluster_algorithm_passes(check) -> None:
    check()


def centre(**habits: float) -> np.ndarray:
    return np.array([habits.get(name, 0.0) for name in HABITS])


def test_names_are_words_for_what_sets_a_cluster_apart() -> None:
    assert set(WORDS) == set(HABITS)
    names = named([
        centre(orders=1.5, average_order=0.9, weekend=0.2),
        centre(orders=-1.2, evening=-2.0),
        centre(weekend=2.0),
        centre(orders=0.1),
    ])  # fmt: skip
    assert names == ("frequent, large baskets", "few orders", "weekends", "average")


def test_equal_names_get_a_further_word_or_a_number() -> None:
    alike = centre(orders=1.5, average_order=1.0)
    names = named([alike, centre(orders=1.5, average_order=1.0, weekend=0.8), alike])
    assert names == ("frequent, large baskets", "frequent, large baskets, weekends", "frequent, large baskets 2")
    assert named([centre()] * 3) == ("average", "average 2", "average 3")


def test_the_measures_are_those_of_the_books() -> None:
    """Worked by hand: two pairs on a line, at 0, 1 and 10, 11."""
    points, label = np.array([[0.0], [1.0], [10.0], [11.0]]), np.array([0, 0, 1, 1])
    outer, inner = (10.5 - 1) / 10.5, (9.5 - 1) / 9.5
    assert silhouette(points, label, 0) == pytest.approx((outer + inner) / 2)
    assert davies_bouldin(points, label) == pytest.approx((0.5 + 0.5) / 10)
    # One that is alone counts 0; of the others, at 0, 1, 10: a 5.5, 5, 9.5 and b 11, 10, 1.
    three = (1 - 5.5 / 11) + (1 - 5 / 10) + (1 / 9.5 - 1)
    assert silhouette(points, np.array([0, 0, 0, 1]), 0) == pytest.approx(three / 4)
    assert silhouette(points, np.zeros(4, dtype=np.int64), 0) == 0.0
    assert np.isnan(davies_bouldin(points, np.zeros(4, dtype=np.int64)))


def test_the_number_of_clusters_is_chosen_or_given() -> None:
    rows, _ = small_habits()
    assert len(KMeansTrainer(KMeansTrainer.Params(), 1).fit(rows, silent).names) == 3
    assert len(KMeansTrainer(KMeansTrainer.Params(k=5), 1).fit(rows, silent).names) == 5
    few = KMeansTrainer(KMeansTrainer.Params(max_customers=100), 1).fit(rows, silent)
    assert len(few.names) == 3
    with pytest.raises(Invalid, match="everybody would be alike"):
        KMeansTrainer(KMeansTrainer.Params(k=1), 1).fit(rows, silent)
    with pytest.raises(Invalid, match="2 customers cannot be put into 4"):
        KMeansTrainer(KMeansTrainer.Params(k=4), 1).fit(rows[:2], silent)


def test_customers_who_are_all_alike_make_clusters_all_the_same() -> None:
    rows = np.ones((60, len(HABITS)))
    model = KMeansTrainer(KMeansTrainer.Params(), 1).fit(rows, silent)
    assert len(set(model.assign(rows).tolist())) == 1
    assert len(set(model.names)) == len(model.names)


def test_clusters_of_other_habits_are_not_loaded(tmp_path: Path) -> None:
    model = KMeansTrainer(KMeansTrainer.Params(), 1).fit(small_habits()[0], silent)
    KMeansModel(model.space, model.centres, model.names, ("shoe size",)).save(tmp_path)
    with pytest.raises(Invalid, match="made from other habits"):
        KMeansModel.load(tmp_path)


def test_a_training_from_the_log_finds_who_comes_when(world: World, tmp_path: Path) -> None:
    """Half of the customers order often, a little, in the evening; the others seldom, much, in the morning."""
    morning = NOW - NOW % DAY + 9 * HOUR
    events = []
    for user in range(80):
        often = user % 2 == 0
        for n in range(20 if often else 3):
            at = morning - (n + 1) * (7 if often else 60) * DAY + (10 * HOUR if often else 0)
            quantity, value = (1, 5.0 + user / 10) if often else (40, 300.0 + user)
            events.append(
                Event(
                    user_id=f"u{user}",
                    event_type="order",
                    item_id=f"i{n % 7}",
                    time=moment(at),
                    quantity=quantity,
                    value=value,
                )
            )
    for start in range(0, len(events), 500):
        assert world.log.append(events[start : start + 500]).result().accepted
    context = TrainingContext(tmp_path, sqlite_url(tmp_path), {}, NOW, "Europe/London", 1, "clusters")
    family = ClusterFamily()
    data = family.data(context, None, silent)
    assert (len(data.train), len(data.holdout)) == (64, 16)
    model = KMeansTrainer(KMeansTrainer.Params(k=2), 1).fit(data.train, silent)
    label = model.assign(data.holdout)
    evening = data.holdout[:, HABITS.index("evening")] > 0.5
    assert len({(int(cluster), bool(late)) for cluster, late in zip(label, evening, strict=True)}) == 2
    metrics = family.evaluate(model, data.holdout)
    assert metrics["silhouette"] > 0.5
    assert family.judge(metrics, None).verdict == "PROMOTE"
    assert family.judge({**metrics, "silhouette": 0.3}, metrics).verdict == "REJECT"


def test_a_shop_with_few_customers_is_told_how_many_are_needed(world: World, tmp_path: Path) -> None:
    world.order("ada", 1)
    context = TrainingContext(tmp_path, sqlite_url(tmp_path), {}, NOW, "Europe/London", 1, "clusters")
    with pytest.raises(Invalid, match="at least 50"):
        ClusterFamily().data(context, None, silent)
