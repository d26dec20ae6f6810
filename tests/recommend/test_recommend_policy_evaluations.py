"""What a policy would have brought, asked of the shop's own log: as a function, as a job, and of what may be asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from policy_world import ARMS, rounds

from shopkeeper import plugins
from shopkeeper.core.clock import SECOND, StoppedClock, moment, rfc3339
from shopkeeper.core.errors import Busy, Invalid, NotFound
from shopkeeper.core.ids import ulid
from shopkeeper.core.protocols import JobContext, silent
from shopkeeper.core.records import Event
from shopkeeper.lifecycle.jobs import JobService
from shopkeeper.lifecycle.registry import Registry
from shopkeeper.lifecycle.releasing import Releases
from shopkeeper.recommend.explore.evaluation import evaluate_policy
from shopkeeper.recommend.explore.evaluations import PolicyEvaluations
from shopkeeper.recommend.explore.logged import shop_rounds
from shopkeeper.recommend.explore.orders import read_order
from shopkeeper.recommend.explore.rows import PolicyRows
from shopkeeper.stores import exploring
from shopkeeper.stores.artifacts import ArtifactStore
from shopkeeper.stores.events import EventLog
from shopkeeper.stores.exploring import ExploredRow, Learned
from shopkeeper.stores.home import Home
from shopkeeper.stores.sql import Database, open_database
from shopkeeper.stores.vocabulary import Vocabularies

START = 20_000 * 86_400 * SECOND


@dataclass
class Shop:
    home: Home
    db: Database
    arms: np.ndarray
    """Item rows of ARMS."""

    def explored(self, rows: PolicyRows, scenario: str = "home", *, rewarded: bool = True) -> None:
        """Writes rounds as a shop does, a row for each slate."""
        lines = []
        for number in np.unique(rows.cluster):
            its = np.flatnonzero(rows.cluster == number)
            pools = self.arms[rows.pool[its, :5]]
            context = None if rows.context is None else rows.context[its[0]]
            lines.append(
                ExploredRow(
                    slate_id=ulid(int(rows.time[its[0]]) // 1000),
                    user_row=None,
                    user_id=None,
                    made_at=int(rows.time[its[0]]),
                    noted_at=int(rows.time[its[0]]),
                    last_seq=0,
                    scenario=scenario,
                    scenario_version=1,
                    key="0" * 16,
                    policy="thompson_beta",
                    snapshot=1,
                    slots=rows.slot[its].astype(np.int32).tobytes(),
                    drawn=self.arms[rows.arm[its]].astype(np.int32).tobytes(),
                    pools=np.ascontiguousarray(pools, dtype=np.int32).tobytes(),
                    chances=rows.propensity[its].tobytes(),
                    asked={"context": list(rows.context_names[1:]), "params": {}},
                    context=None if context is None else context.tobytes(),
                )
            )
        self.db.writer.submit(lambda connection: exploring.add(connection, lines)).result()
        if rewarded:
            earned = {
                line.slate_id: rows.reward[rows.cluster == number].tobytes()
                for line, number in zip(lines, np.unique(rows.cluster), strict=True)
            }
            self.db.writer.submit(
                lambda connection: exploring.reward(connection, _numbered(connection, earned))
            ).result()

    def asked(self, **params: object) -> dict[str, object]:
        context = JobContext(
            job_id="J",
            params=params,
            home=self.home.path,
            workdir=self.home.path,
            sql_url=self.home.sql_url,
            now=START * 2,
            zone="UTC",
            report=silent,
            emit=lambda _: None,
        )
        return evaluate_policy(context)


def _numbered(connection, earned):
    from sqlalchemy import select

    from shopkeeper.stores import schema

    table = schema.explored.c
    return {
        seq: earned[slate] for seq, slate in connection.execute(select(table.seq, table.slate_id)) if slate in earned
    }


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    home = Home(tmp_path / "home").make()
    db = open_database(home.sql_url)
    log = EventLog(db, Vocabularies.load(db), StoppedClock(START))
    told = [Event(event_type="view", user_id="u", item_id=arm, time=moment(START - 1)) for arm in ("other", *ARMS)]
    log.append(told).result()
    items = Vocabularies.load(db).items
    yield Shop(home, db, np.append(items.rows(ARMS), -1))
    db.close()


# -- the log as rounds


def test_rounds_come_back_as_they_were_logged(shop):
    rows = rounds(60)
    shared = _one_context_a_slate(rows)
    shop.explored(shared)
    found, facts = shop_rounds(shop.home.sql_url, silent)
    assert len(found) == 60
    for name in ("reward", "propensity", "slot", "cluster", "context"):
        np.testing.assert_array_equal(getattr(found, name), getattr(shared, name))
    assert [found.arm_ids[arm] for arm in found.arm] == [ARMS[arm] for arm in rows.arm]
    assert [found.arm_ids[arm] for arm in found.greedy] == [ARMS[arm] for arm in rows.greedy]
    for at in range(60):
        assert {found.arm_ids[arm] for arm in found.offered(at)} == {ARMS[arm] for arm in rows.offered(at)}
    assert found.context_names == ("bias", "taste")
    assert facts["policies"] == {"thompson_beta": 20}
    assert facts["slates_left_out"] == 0


def test_rounds_are_chosen_by_moment_and_scenario_and_only_those_that_are_over(shop):
    rows = _one_context_a_slate(rounds(90))
    shop.explored(rows.take(slice(0, 30)))
    shop.explored(rows.take(slice(30, 60)), "cart")
    shop.explored(rows.take(slice(60, 90)), rewarded=False)
    assert len(shop_rounds(shop.home.sql_url, silent)[0]) == 60
    assert len(shop_rounds(shop.home.sql_url, silent, scenario="cart")[0]) == 30
    assert len(shop_rounds(shop.home.sql_url, silent, since=int(rows.time[15]), until=int(rows.time[33]))[0]) == 21
    with pytest.raises(Invalid, match="in the scenario 'search'") as caught:
        shop_rounds(shop.home.sql_url, silent, scenario="search")
    assert caught.value.code == "no_rounds"


def test_of_policies_that_read_differently_the_most_stay(shop):
    shop.explored(_one_context_a_slate(rounds(30)))
    plain = rounds(90, tastes=False)
    later = PolicyRows(**{**vars(plain), "time": plain.time + 3600 * SECOND})
    shop.explored(later)
    found, facts = shop_rounds(shop.home.sql_url, silent)
    assert (len(found), found.context, facts["slates_left_out"]) == (90, None, 10)


def _one_context_a_slate(rows: PolicyRows) -> PolicyRows:
    first = rows.context[(np.arange(len(rows)) // 3) * 3]
    return PolicyRows(**{**vars(rows), "context": first})


# -- the function


def test_an_algorithm_learns_the_older_rounds_and_is_judged_on_the_newer(shop):
    rows = rounds(900, tastes=False)
    shop.explored(rows)
    told = shop.asked(policy={"algorithm": "thompson_beta"}, estimators=["snips", "dr"], holdout=0.4)
    assert [one["estimator"] for one in told["estimates"]] == ["snips", "dr"]
    assert told["support"]["rounds"] == 360
    assert told["learned_from_these"] is False
    assert (told["from"], told["to"]) == (rfc3339(int(rows.time[540])), rfc3339(int(rows.time[897])))
    assert told["logged"]["value"] == pytest.approx(rows.reward[540:].mean())
    assert told["data"]["rows"] == 900
    assert told["greedy"]["value"] > 0


def test_from_and_to_bound_the_rounds(shop):
    rows = rounds(300, tastes=False)
    shop.explored(rows)
    bounds = {"from": rfc3339(int(rows.time[90])), "to": rfc3339(int(rows.time[209]))}
    told = shop.asked(policy={"algorithm": "ucb1"}, estimators=["ips"], holdout=0.5, **bounds)
    assert told["data"]["rows"] == 120
    with pytest.raises(Invalid, match="at least 20"):
        shop.asked(policy={"algorithm": "ucb1"}, estimators=["ips"], to=rfc3339(int(rows.time[9])))


def test_what_the_live_learner_knows_is_judged_and_said_to_have_learned_from_these(shop):
    rows = rounds(300, tastes=False)
    shop.explored(rows)
    with pytest.raises(NotFound, match="nothing was learned for the scenario 'home'"):
        shop.asked(policy={"scenario": "home"}, estimators=["dr"])
    learner = plugins.algorithm("epsilon_greedy")({}, 0).learner(plugins.algorithm("epsilon_greedy").Params())
    for arm, reward in zip(rows.arm.tolist(), rows.reward.tolist(), strict=True):
        learner.learn(learner.place(ARMS[arm]), reward, None)
    kept = Learned(
        scenario="home", key="0" * 16, policy="epsilon_greedy", asked={"context": [], "params": {}}, number=1,
        position=100, rounds=300, state=learner.state(), changed_at=START,
    )  # fmt: skip
    shop.db.writer.submit(lambda connection: exploring.keep(connection, kept, 0)).result()
    told = shop.asked(policy={"scenario": "home"}, estimators=["dr"])
    assert told["learned_from_these"] is True
    assert told["policy"]["scenario"] == "home"
    assert told["estimates"][0]["value"] > told["logged"]["value"]


def test_a_number_that_is_not_known_is_null(shop, tmp_path):
    rows = rounds(60, tastes=False)
    frame = tmp_path / "one.csv"
    lines = [
        f"{arm},{reward},{chance},one"
        for arm, reward, chance in zip(rows.arm, rows.reward, rows.propensity, strict=True)
    ]
    frame.write_text("\n".join(["arm,reward,propensity,visit", *lines, "0,1,0.5,two", "1,0,0.5,two"]))
    source = {"kind": "file", "path": str(frame), "group": "visit"}
    told = shop.asked(policy={"algorithm": "epsilon_greedy"}, estimators=["ips"], source=source)
    assert told["estimates"][0]["error"] is None
    assert told["support"]["clusters"] == 1


# -- the job


@pytest.fixture
def jobs(shop) -> Iterator[JobService]:
    service = JobService(shop.db, shop.home, StoppedClock(START * 2))
    yield service
    service.stop()


def test_a_version_is_judged_on_rounds_that_are_newer_than_what_it_learned(shop, jobs):
    rows = rounds(900, tastes=False)
    shop.explored(rows.take(slice(0, 600)))
    registry = Registry(shop.db, ArtifactStore(shop.home.artifacts), StoppedClock(START * 2))
    releases, evaluations = Releases(jobs, registry), PolicyEvaluations(jobs, registry)
    jobs.start()
    trained = jobs.wait(
        releases.train("draws", "thompson_beta", scope="scenario:home", params={"holdout": 0.5}).job_id, 60
    )
    assert trained.status == "done", trained.error
    version = registry.version("draws", 1, "scenario:home")
    assert version.metrics["rewarded"] > 5
    assert version.gate.verdict in ("PROMOTE", "HOLD")
    shop.explored(rows.take(slice(600, 900)))
    asked = {"policy": {"model": "draws", "version": 1, "scope": "scenario:home"}, "scenario": "home"}
    job = evaluations.submit(asked, by="anna")
    job = jobs.wait(job.job_id, 60)
    assert (job.status, job.requested_by) == ("done", "anna"), job.error
    assert job.result["learned_from_these"] is False
    assert job.result["data"]["rows"] == 600
    assert job.result["policy"] == {"model": "draws", "version": 1, "scope": "scenario:home"}


def test_the_same_question_is_not_worked_on_twice(shop, jobs):
    evaluations = PolicyEvaluations(jobs, Registry(shop.db, ArtifactStore(shop.home.artifacts), StoppedClock(START)))
    asked = {"policy": "thompson_beta", "estimators": ["ips", "snips", "dr"]}
    job = evaluations.submit(asked)
    assert job.params["policy"]["algorithm"] == "thompson_beta"
    with pytest.raises(Busy):
        evaluations.submit(asked)
    assert evaluations.submit({"policy": "ucb1"}).job_id != job.job_id
    with pytest.raises(NotFound):
        evaluations.submit({"policy": {"model": "nothing"}})


# -- what may be asked


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({}, None),
        ({"policy": {}}, "policy"),
        ({"policy": {"algorithm": "ucb1", "model": "m"}}, "policy"),
        ({"policy": {"algorithm": "xgb"}}, "policy.algorithm"),
        ({"policy": {"algorithm": "ucb1", "params": {"c": -1}}}, None),
        ({"policy": "ucb1", "estimators": []}, "estimators"),
        ({"policy": "ucb1", "estimators": ["guess"]}, "estimators[0]"),
        ({"policy": "ucb1", "from": "2026-01-01"}, "from"),
        ({"policy": "ucb1", "from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"}, "from"),
        ({"policy": "ucb1", "source": {"kind": "mysql", "password": "x"}}, "source.password"),
        ({"policy": "ucb1", "most_weight": 0}, "most_weight"),
        ({"policy": "ucb1", "confidence": 1}, "confidence"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(asked, field):
    with pytest.raises(Invalid) as caught:
        read_order(asked)
    assert field is None or caught.value.field == field


def test_an_unknown_policy_is_named():
    with pytest.raises(Invalid, match="no policy 'guess'; there are: ") as caught:
        read_order({"policy": "guess"})
    named = caught.value.message.split("there are: ")[1].split(", ")
    assert {plugins.algorithm(name).family for name in named} == {"policy"}, "only what may be asked for"
    assert read_order({"policy": "ucb"}).policy.algorithm == "ucb1"
