"""Policies are judged on logged rounds: of a world whose truth is known, of tables, and of the shop's own log."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from policy_world import ARMS, BASE, FALLS, Even, Knows, rounds, truth, worth

from shopkeeper import plugins
from shopkeeper.core.errors import Cancelled, Invalid
from shopkeeper.core.protocols import TrainingContext, silent
from shopkeeper.recommend.explore.evaluating import Judging, estimate_of, judge, rounds_of
from shopkeeper.recommend.explore.expected import cross_fitted, fit
from shopkeeper.recommend.explore.family import PolicyFamily, golden_of, newest
from shopkeeper.recommend.explore.files import table_rounds
from shopkeeper.recommend.explore.params import PolicyParams
from shopkeeper.recommend.explore.rows import PolicyRows

OPEN_BANDIT = Path(__file__).resolve().parents[3] / "shared" / "data" / "open-bandit"


# -- rows


def test_rows_are_taken_and_offer_their_pools():
    rows = rounds(9)
    some = rows.take(np.array([1, 4]))
    assert len(some) == 2
    assert some.arm_ids == rows.arm_ids
    assert some.offered(1).tolist() == rows.pool[4, :5].tolist()
    assert replace(rows, pool=None).offered(0).tolist() == list(range(8))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"propensity": 0.0}, "bad_propensity"),
        ({"propensity": np.nan}, "bad_propensity"),
        ({"propensity": 1.1}, "bad_propensity"),
        ({"reward": np.inf}, "bad_reward"),
        ({"arm": 8}, "bad_round"),
        ({"arm": -1}, "bad_round"),
    ],
)
def test_rows_that_are_wrong_are_refused(change, code):
    rows = rounds(6)
    (name, value), *_ = change.items()
    column = getattr(rows, name).copy()
    column[2] = value
    with pytest.raises(Invalid) as caught:
        replace(rows, **{name: column}).check()
    assert caught.value.code == code


def test_rows_must_belong_together():
    rows = rounds(6)
    other = (rows.arm[0] + 1) % 8
    pool = rows.pool.copy()
    pool[0] = np.where(pool[0] == rows.arm[0], -1, pool[0])
    for wrong, code in (
        (rows.take(np.arange(0)), "no_rounds"),
        (replace(rows, slot=rows.slot[:5]), "bad_round"),
        (replace(rows, pool=pool), "bad_round"),
        (replace(rows, pool=rows.pool + 5), "bad_round"),
        (replace(rows, context=np.full((6, 2), np.nan)), "bad_round"),
    ):
        with pytest.raises(Invalid) as caught:
            wrong.check()
        assert caught.value.code == code
    assert other != rows.arm[0]


# -- the model of rewards


def test_the_model_finds_rates_of_arms_and_places():
    rows = rounds(20_000, tastes=False, share=1.0)
    model = fit(rows)
    told = model.of(np.broadcast_to(np.arange(8, dtype=np.int32), (3, 8)), np.arange(3, dtype=np.int32), None)
    np.testing.assert_allclose(told[1], BASE * 0.8, atol=0.03)
    assert told[0].mean() - told[2].mean() == pytest.approx(BASE.mean() * 0.4, abs=0.02)


def test_the_model_reads_the_context():
    rows = rounds(20_000, share=1.0)
    told = fit(rows).of(
        np.broadcast_to(np.arange(8, dtype=np.int32), (2, 8)),
        np.ones(2, dtype=np.int32),
        np.array([[1.0, -1.0], [1.0, 1.0]]),
    )
    np.testing.assert_allclose(told[0], worth(-1.0) * 0.8, atol=0.05)
    np.testing.assert_allclose(told[1], worth(1.0) * 0.8, atol=0.05)


def test_the_model_sees_nothing_where_there_is_nothing():
    rows = rounds(2000, tastes=False, share=1.0)
    random = np.random.default_rng(4)
    noise = replace(rows, reward=(random.random(2000) < 0.2).astype(float))
    model = fit(noise)
    assert np.abs(model.arms).max() < 0.03
    assert np.abs(model.slots).max() < 0.03


def test_no_round_is_told_by_what_it_brought_itself():
    rows = rounds(300)
    pool = np.maximum(rows.pool, 0)
    before = cross_fitted(rows).of(slice(0, 300), pool, rows.slot, rows.context)
    changed = rows.reward.copy()
    changed[30:33] = 1 - changed[30:33]  # the slate of three rounds
    after = cross_fitted(replace(rows, reward=changed)).of(slice(0, 300), pool, rows.slot, rows.context)
    np.testing.assert_array_equal(after[30:33], before[30:33])
    assert (after != before).any()


def test_a_single_slate_is_told_by_nothing():
    rows = rounds(3)
    assert (
        cross_fitted(rows).of(slice(0, 3), np.maximum(rows.pool, 0), rows.slot, rows.context).tolist() == [[0] * 6] * 3
    )


# -- judging


@pytest.mark.parametrize("policy", [Even(), Knows()], ids=["even", "knows"])
def test_estimates_are_about_the_truth(policy):
    rows = rounds(6000)
    found = judge(policy, rows, Judging(estimators=("ips", "snips", "dr")))
    exact = truth(policy, rows)
    for one in found.estimates:
        assert abs(one.value - exact) < 3.5 * one.error, one
        assert one.low < one.value < one.high
    errors = {one.estimator: one.error for one in found.estimates}
    assert errors["dr"] < errors["ips"]
    assert found.support.clusters == 2000
    assert found.support.mean_weight == pytest.approx(1, abs=0.1)


def test_what_stands_beside_is_right_too():
    rows = rounds(6000, tastes=False)
    found = judge(Even(), rows)
    assert found.logged.value == pytest.approx(rows.reward.mean())
    even = np.mean([BASE[rows.offered(at)].mean() * FALLS[rows.slot[at]] for at in range(6000)])
    greedy = np.mean(BASE[rows.greedy] * FALLS[rows.slot])
    assert abs(found.random.value - even) < 3.5 * found.random.error
    assert abs(found.greedy.value - greedy) < 3.5 * found.greedy.error


def test_chances_fill_a_pool_whatever_its_width_and_strangers_count():
    rows = rounds(30)
    policy = Even(arm_ids=("I3", "nothing", "I5"))
    found = rounds_of(policy, rows)
    for at in range(30):
        arms = rows.offered(at)
        places = np.array([{3: 0, 5: 2}.get(int(arm), -1) for arm in arms])
        chances = policy.chances(places, None)
        assert found.chance[at] == pytest.approx(chances[list(arms).index(rows.arm[at])])


def test_arms_that_no_round_shows_are_unsupported():
    rows = rounds(300)
    blind = rows.take(~np.isin(rows.arm, [6, 7]))
    found = rounds_of(Even(), blind)
    exact = []
    for at in range(len(blind)):
        arms = blind.offered(at)
        exact.append(Even().chances(arms, None)[np.isin(arms, [6, 7])].sum())
    np.testing.assert_allclose(found.outside, exact)
    assert judge(Even(), blind).support.unsupported == pytest.approx(np.mean(exact))


def test_judging_can_be_stopped():
    def stop(*_, **__):
        raise Cancelled("stop")

    with pytest.raises(Cancelled):
        judge(Even(), rounds(60), report=stop)


def test_dr_is_asked_for_beside_only_where_it_was_asked_for():
    found = judge(Even(), rounds(300), Judging(estimators=("snips",), interval="bootstrap", draws=100))
    assert found.random.estimator == "snips"
    assert estimate_of(found.estimates, "dr") is None
    assert estimate_of(found.estimates, "snips").interval == "bootstrap"


# -- the family


def test_the_newest_slates_are_held_out_whole():
    rows = rounds(300)
    held = newest(rows, 0.3)
    assert held.sum() == 90
    assert not held[:210].any()
    for share in (0.05, 0.9, 0.333):
        held = newest(rows, share)
        assert set(rows.cluster[held]) & set(rows.cluster[~held]) == set()
        assert abs(held.mean() - share) < 0.02
    assert newest(rounds(6), 0.05).sum() == newest(rounds(6), 0.9).sum() == 3
    with pytest.raises(Invalid):
        newest(rounds(3), 0.3)


def test_a_policy_that_learned_is_promoted_and_a_bad_one_is_not():
    family = PolicyFamily()
    rows = rounds(12_000, tastes=False, share=1.0)
    held = newest(rows, 0.5)
    model = plugins.algorithm("thompson_beta")(plugins.algorithm("thompson_beta").Params(), 1).fit(
        rows.take(~held), silent
    )
    good = family.evaluate(model, rows.take(held))
    assert good["dr_low"] > good["logged"]
    assert good["dr_low"] > good["naive_random_high"]
    assert good["replay"] == pytest.approx(good["snips"])
    assert family.judge(good, None).verdict == "PROMOTE"
    bad = family.evaluate(_Worst(), rows.take(held))
    assert family.judge(bad, None).verdict == "REJECT"
    assert family.judge(bad, good).verdict == "REJECT"
    assert family.judge(good, bad).verdict == "PROMOTE"


class _Worst(Even):
    def chances(self, arms, _context):
        return (arms == arms.min()).astype(float)


def test_golden_rounds_are_probed_by_the_names_of_their_arms():
    rows = rounds(60)
    golden = golden_of(rows)
    assert len(golden["rounds"]) == 4
    outputs = PolicyFamily().probe(Knows(), golden)
    assert len(outputs) == 4 * 2 * 5
    first = [ARMS.index(arm) for arm in golden["rounds"][0]["arms"]]
    assert outputs[:5] == pytest.approx(Knows().chances(np.array(first), rows.context[0]).tolist())


# -- tables


def _written(rows: PolicyRows, path: Path, **renamed: str) -> Path:
    frame = pl.DataFrame(
        {
            "item_id": [rows.arm_ids[arm] for arm in rows.arm],
            "click": rows.reward,
            "propensity_score": rows.propensity,
            "position": rows.slot + 1,
            "visit": rows.cluster,
            "at": rows.time,
            "taste": ["new" if each > 0 else "old" for each in rows.context[:, 1]],
            "age": np.arange(len(rows), dtype=np.float64),
        }
    ).with_columns(pl.col("at").cast(pl.Datetime("us", "UTC")))
    frame.rename(renamed).write_parquet(path)
    return path


def _read(path: Path, params: PolicyParams | None = None, **source):
    return table_rounds({"kind": "file", "path": str(path), **source}, "UTC", params or PolicyParams(), silent)


def test_a_table_with_the_usual_names_needs_no_telling(tmp_path):
    rows = rounds(60)
    found, facts = _read(_written(rows, tmp_path / "rounds.parquet"), group="visit", time="at")
    assert [found.arm_ids[arm] for arm in found.arm] == [ARMS[arm] for arm in rows.arm]
    np.testing.assert_array_equal(found.reward, rows.reward)
    np.testing.assert_array_equal(found.propensity, rows.propensity)
    np.testing.assert_array_equal(found.slot, rows.slot)
    np.testing.assert_array_equal(found.cluster, rows.cluster)
    np.testing.assert_array_equal(found.time, rows.time)
    assert (found.pool, found.context) == (None, None)
    assert facts["columns_left_out"] == ["taste", "age"]


def test_columns_of_other_names_are_told(tmp_path):
    rows = rounds(60)
    path = _written(
        rows, tmp_path / "rounds.parquet", item_id="which", click="earned", propensity_score="odds", position="place"
    )
    params = PolicyParams(arm_column="which", propensity_column="odds", slot_column="place")
    found, _ = _read(path, params, label="earned", features=["taste", "age"])
    np.testing.assert_array_equal(found.reward, rows.reward)
    assert set(found.context_names) == {"bias", "taste=new", "taste=old", "age"}
    new = found.context[:, found.context_names.index("taste=new")]
    np.testing.assert_array_equal(new, rows.context[:, 1] > 0)
    age = found.context[:, found.context_names.index("age")]
    assert (age.mean(), age.std()) == (pytest.approx(0, abs=1e-6), pytest.approx(1, abs=1e-6))
    assert (found.context[:, 0] == 1).all()


def test_rounds_of_a_table_are_put_in_order_of_time(tmp_path):
    rows = rounds(60)
    path = _written(rows.take(np.random.default_rng(1).permutation(60)), tmp_path / "rounds.parquet")
    found, _ = _read(path, time="at")
    np.testing.assert_array_equal(found.time, rows.time)
    np.testing.assert_array_equal(found.reward, rows.reward)


@pytest.mark.parametrize(
    ("renamed", "source", "says"),
    [
        ({"item_id": "x"}, {}, "no column arm or action or item_id"),
        ({"propensity_score": "x"}, {}, "no column propensity or propensity_score or pscore"),
        ({}, {"label": "sales"}, "no column sales"),
        ({}, {"time": "hour"}, "no column hour"),
        ({}, {"group": "session"}, "no column session"),
        ({}, {"features": ["mood"]}, "no column mood"),
        ({}, {"label": "taste"}, "must be a finite number in every row"),
    ],
)
def test_a_table_that_lacks_something_is_refused_by_name(tmp_path, renamed, source, says):
    path = _written(rounds(30), tmp_path / "rounds.parquet", **renamed)
    with pytest.raises(Invalid, match=says):
        _read(path, **source)


def _context(source, scope="all"):
    return TrainingContext(
        home=Path(), sql_url="", source=source, now=0, zone="UTC", seed=1, model="policies", scope=scope
    )


def test_the_family_trains_on_a_table(tmp_path):
    path = _written(rounds(900), tmp_path / "rounds.parquet")
    data = PolicyFamily().data(
        _context({"kind": "file", "path": str(path), "time": "at"}), PolicyParams(holdout=0.2), silent
    )
    assert (len(data.train), len(data.holdout)) == (720, 180)
    assert data.facts["arms"] == 8
    assert data.facts["to"] < "2024-10-04T00:12:00Z"
    for name in ("epsilon_greedy", "linucb"):
        trainer = plugins.algorithm(name)
        if trainer.contextual:
            source = {"kind": "file", "path": str(path), "time": "at", "features": ["taste"]}
            data = PolicyFamily().data(_context(source), trainer.Params(), silent)
        model = trainer(trainer.Params(), 1).fit(data.train, silent)
        measures = PolicyFamily().evaluate(model, data.holdout)
        assert {"ips", "snips", "dr_low", "effective", "rewarded", "logged", "naive_random"} <= set(measures)


def test_too_few_rounds_are_refused(tmp_path):
    path = _written(rounds(18), tmp_path / "rounds.parquet")
    with pytest.raises(Invalid, match="at least 20"):
        PolicyFamily().data(_context({"kind": "file", "path": str(path)}), PolicyParams(), silent)


@pytest.mark.skipif(not OPEN_BANDIT.is_dir(), reason="the public data sets are not here")
def test_open_bandit_reads_as_it_is_published():
    path = OPEN_BANDIT / "random" / "men" / "men.parquet"
    rows, facts = _read(path, time="timestamp")
    assert (len(rows), len(rows.arm_ids)) == (10_000, 34)
    assert (facts["arm"], facts["propensity"], facts["slot"]) == ("item_id", "propensity_score", "position")
    assert rows.reward.sum() == 46
    assert sorted(set(rows.slot.tolist())) == [0, 1, 2]
    assert np.ptp(rows.propensity) == 0
