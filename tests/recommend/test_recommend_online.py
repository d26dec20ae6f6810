"""A shop's learner takes each slate in once, whoever dies, and its versions go through gate and traffic."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from online_world import ITEMS, MODEL, PLACES, WINDOW_S, World
from sqlalchemy import Connection, func, select

from shopkeeper.core.clock import DAY, HOUR, SECOND
from shopkeeper.core.errors import Conflict, Invalid, NotFound
from shopkeeper.core.learning import OnlineSettings
from shopkeeper.core.protocols import TrainingContext
from shopkeeper.recommend.online.algorithm import FtrlTrainer
from shopkeeper.recommend.online.joined import is_held
from shopkeeper.recommend.online.learner import OnlineLearner
from shopkeeper.recommend.online.rows import snapshot_rows
from shopkeeper.recommend.ranking.family import RankingFamily
from shopkeeper.stores import exploring, online, schema
from shopkeeper.stores.audit import Actor
from shopkeeper.stores.erasing import erase_person
from shopkeeper.stores.holdings import person_at
from shopkeeper.stores.rows import RowGiver


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    one = World(tmp_path)
    one.version()
    yield one
    one.now.close()


def row(world: World) -> online.LearnerRow:
    with world.now.db.read() as connection:
        return online.get(connection, MODEL)


def done_with(world: World) -> int:
    with world.now.db.read() as connection:
        return connection.scalar(select(func.count()).select_from(schema.online_learned)) or 0


def test_slates_are_taken_in_when_their_time_is_over(world: World) -> None:
    world.begin(held_out=0.4)
    world.slate(take=(1,))
    world.clock.advance(round(WINDOW_S * SECOND) - 1)
    assert world.now.online.turn() == 0
    world.clock.advance(1)
    assert world.now.online.turn() == 1
    assert world.now.online.turn() == 0
    world.day(60)
    assert world.now.online.turn() == 60
    told = world.now.online.get(MODEL)
    assert (told.slates + told.held, told.examples) == (61, told.slates * PLACES)
    assert told.updates == told.examples // 20
    assert told.pending == told.examples % 20
    assert 0 < told.held_taken < told.held
    assert told.began_with == 1
    assert told.log_loss is not None
    assert told.rate == 0.05
    assert told.problem is None


def test_labels_are_what_was_taken(world: World) -> None:
    world.begin(held_out=0.01, trust=False)
    ids = []
    for at in range(20):
        ids.append(world.slate(take=(at % PLACES,)))
        world.clock.advance(SECOND)
    world.clock.advance(round(WINDOW_S * SECOND))
    world.now.online.turn()
    state = row(world).state
    assert state is not None
    newest = OnlineLearner.restore(state, OnlineSettings()).newest
    learned = [at for at, one in enumerate(ids) if not is_held(one, 0.01)]
    expected = np.concatenate([np.eye(PLACES)[at % PLACES] for at in learned])
    np.testing.assert_array_equal(newest.label, expected)


def test_a_killed_learner_has_learned_a_turn_or_nothing_of_it(world: World, tmp_path: Path) -> None:
    world.begin()
    world.day(60)
    world.now.online.turn()
    world.day(60)
    before, known = row(world), done_with(world)

    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        raise Killed

    other = world.process()
    world.clock.advance(2 * exploring.LEASE)  # of the process that is gone
    world.day(1)
    broken, other.online._follow_up = other.online._saved, die  # type: ignore[method-assign]
    other.online._saved = die  # type: ignore[assignment]
    with pytest.raises(Killed):
        other.online.turn()  # killed when all was learned, and before it was written
    assert (row(world).state, done_with(world)) == (before.state, known)
    other.online._saved = broken  # type: ignore[method-assign]
    with pytest.raises(Killed):
        other.online.turn()  # and once it was written
    assert done_with(world) == known + 61
    written = row(world).state
    third = world.process()
    world.clock.advance(2 * exploring.LEASE)
    assert third.online.turn() == 0  # nothing twice
    assert row(world).state == written
    for one in (other, third):
        one.close()


def test_one_process_learns_at_a_time_and_another_takes_over(world: World) -> None:
    world.begin()
    world.day(30)
    other = world.process()
    assert world.now.online.turn() == 30
    world.day(30)
    world.clock.at -= round(WINDOW_S * SECOND) + 30 * 20 * SECOND - 10 * SECOND  # the lease is fresh still
    assert other.online.turn() == 0
    world.clock.at += round(WINDOW_S * SECOND) + 30 * 20 * SECOND
    assert other.online.turn() == 30
    assert world.now.online.turn() == 0
    world.day(10)
    assert world.now.online.turn() == 10  # it lapsed again; what the other has learned is gone on from
    assert world.now.online.get(MODEL).slates + world.now.online.get(MODEL).held == 70
    other.close()


def test_who_lost_the_lease_while_learning_writes_nothing(world: World) -> None:
    world.begin()
    world.day(30)
    other = world.process()
    learned = world.now.online._taken_in

    def slow(*given: object) -> object:
        world.clock.advance(2 * exploring.LEASE)
        assert other.online.turn() == 30
        return learned(*given)  # type: ignore[arg-type]

    world.now.online._taken_in = slow  # type: ignore[assignment, method-assign]
    assert world.now.online.turn() == 0
    assert "took over" in (world.now.online.get(MODEL).problem or "")
    assert done_with(world) == 30
    world.now.online._taken_in = learned  # type: ignore[method-assign]
    world.clock.advance(2 * exploring.LEASE)
    world.day(5)
    assert world.now.online.turn() == 5
    assert world.now.online.get(MODEL).problem is None
    other.close()


def test_steps_of_the_clock_lose_nothing_and_teach_nothing_twice(world: World) -> None:
    world.begin()
    world.day(20)
    assert world.now.online.turn() == 20
    world.clock.at -= 6 * HOUR  # set back: these slates look older than what was learned
    world.day(20)
    assert world.now.online.turn() == 20
    world.clock.at += 30 * DAY
    assert world.now.online.turn() == 0
    world.slate(take=(0,))
    world.clock.at -= 2 * HOUR  # the slate lies ahead now
    assert world.now.online.turn() == 0
    world.clock.at += 2 * HOUR + round(WINDOW_S * SECOND)
    assert world.now.online.turn() == 1
    assert done_with(world) == 41


def test_feedback_that_cannot_count_changes_nothing(world: World) -> None:
    world.begin(held_out=0.01)
    shown = world.slate()
    taken = [int(at) for at in range(ITEMS)]
    world.says("click", 3, taken[0], "no-such-answer")
    world.says("click", 3, taken[1], f"{0:026d}")
    world.says("rating", 3, taken[2], shown, value=9e9)
    world.says("click", 3, taken[3], shown, after_s=WINDOW_S + 1)
    world.says("wink", 3, taken[4], shown)
    world.clock.advance(round(2 * WINDOW_S * SECOND))
    assert world.now.online.turn() == 1
    state = row(world).state
    assert state is not None
    assert not OnlineLearner.restore(state, OnlineSettings()).newest.label.any()


def test_a_number_beyond_all_floats_counts_for_nothing_and_stops_nobody(world: World) -> None:
    world.begin(held_out=0.01)
    shown = world.slate(user=0)
    for kind, said in (("click", {"reward": 10**400}), ("dwell", {"feedback_value": 10**400})):
        world.says(kind, 0, 3, shown, value=1.0, context=said)
    world.clock.advance(round(2 * WINDOW_S * SECOND))
    assert world.now.online.turn() == 1


def test_a_replayed_reaction_and_a_reward_out_of_range_count_once_and_within_bounds(world: World) -> None:
    world.begin(held_out=0.01, target="reward", trust=False)
    shown = world.slate(user=2)
    with world.now.db.read() as connection:
        first = int(np.frombuffer(connection.scalar(select(schema.served_vectors.c.item_rows)), dtype=np.int32)[0])
    for _ in range(4):
        world.says("like", 2, first, shown)
    world.says("comment", 2, first, shown, context={"reward": 1e9})
    world.clock.advance(round(WINDOW_S * SECOND))
    world.now.online.turn()
    state = row(world).state
    assert state is not None
    label = OnlineLearner.restore(state, OnlineSettings()).newest.label
    assert label.tolist() == [1.0, 0.0, 0.0, 0.0, 0.0]


def test_a_robot_teaches_little(world: World) -> None:
    world.begin(held_out=0.01)
    for _ in range(30):
        world.slate(take=(0, 1, 2, 3, 4), user=7)
        world.clock.advance(40 * SECOND)
    world.clock.advance(round(WINDOW_S * SECOND))
    world.now.online.turn()
    state = row(world).state
    assert state is not None
    newest = OnlineLearner.restore(state, OnlineSettings()).newest
    assert newest.weight.max() <= 0.2
    assert world.now.online.get(MODEL).distrusted == 30 * PLACES


def test_of_an_erased_person_nothing_is_kept_in_the_learner(world: World) -> None:
    world.begin(held_out=0.01)
    world.slate(user=4, take=(0,))
    world.slate(user=5)
    world.clock.advance(round(WINDOW_S * SECOND))
    world.now.online.turn()
    gone = world.now.vocab.users.row("u4")
    assert gone is not None

    with world.now.db.read() as connection:
        person = person_at(connection, gone)
    give = RowGiver(world.now.vocab, world.clock)

    def erase(connection: Connection) -> None:
        erase_person(connection, world.now.vocab, give, person, "erase", Actor("anna", None), world.clock.wall())

    world.now.db.writer.run(erase)
    world.now.online.turn()
    state = row(world).state
    assert state is not None
    assert OnlineLearner.restore(state, OnlineSettings()).users == {world.now.vocab.users.row("u5")}


# -- versions


def context(world: World) -> TrainingContext:
    now = world.now
    return TrainingContext(
        home=now.home.path, sql_url=now.home.sql_url, source={"kind": "online"}, now=now.clock.now(), zone="UTC",
        seed=1, model=MODEL,
    )  # fmt: skip


def test_a_snapshot_is_what_the_learner_knows_measured_on_what_it_never_saw(world: World) -> None:
    world.begin(held_out=0.4)
    world.day(250)
    while world.now.online.turn():
        pass
    family = RankingFamily()
    data = family.data(context(world), FtrlTrainer.Params(), lambda *_, **__: None)
    model = FtrlTrainer(FtrlTrainer.Params(), 1).fit(data.train, lambda *_, **__: None)
    state = row(world).state
    assert state is not None
    learner = OnlineLearner.restore(state, row(world).settings)
    np.testing.assert_array_equal(model.score(data.holdout.values), learner.ranker().score(data.holdout.values))
    told = world.now.online.get(MODEL)
    assert len(data.holdout) == told.held * PLACES
    assert data.facts["updates"] == told.updates
    measures = family.evaluate(model, data.holdout)
    assert 0 <= measures["auc"] <= 1
    assert measures["log_loss"] > 0


def test_too_little_to_measure_on_is_told(world: World) -> None:
    world.begin()
    with pytest.raises(Conflict, match="not learned anything"):
        world.now.online.snapshot(MODEL)
    world.day(30)
    world.now.online.turn()
    with pytest.raises(Invalid, match="held out"):
        snapshot_rows(context(world))
    with pytest.raises(NotFound, match="no learner"):
        world.now.online.snapshot("other")


def test_a_version_comes_by_itself_after_so_many_updates(world: World) -> None:
    world.begin(snapshot_every=20, rolling="promote", held_out=0.4)
    world.day(250)
    while world.now.online.turn():
        pass
    told = world.now.online.get(MODEL)
    jobs, _, _ = world.now.jobs.list(kind="train")
    assert [job.job_id for job in jobs] == [told.snapshot_job]
    assert jobs[0].params["source"] == {"kind": "online"}
    assert jobs[0].params["promote"] is True
    assert jobs[0].params["algorithm"] == "ftrl"
    assert told.snapshot_updates >= 20
    world.now.jobs.cancel(jobs[0].job_id)
    world.now.online.turn()
    assert world.now.online.get(MODEL).snapshot_job is None


def test_what_a_learner_needs(world: World) -> None:
    with pytest.raises(Conflict, match="no version of ftrl"):
        world.now.online.put("nothing", OnlineSettings())
    with pytest.raises(Invalid, match="buffer"):
        world.now.online.put(MODEL, OnlineSettings(every=2000))
    with pytest.raises(NotFound):
        world.now.online.get(MODEL)
    with pytest.raises(NotFound):
        world.now.online.remove(MODEL)


def test_settings_change_and_learners_go(world: World) -> None:
    world.begin()
    world.day(20)
    world.now.online.turn()
    examples = world.now.online.get(MODEL).examples
    world.begin(rate=0.001, enabled=False)
    world.day(20)
    assert world.now.online.turn() == 0
    world.begin(rate=0.001)
    assert world.now.online.turn() == 20
    told = world.now.online.get(MODEL)
    assert told.rate == pytest.approx(0.001)
    assert told.examples > examples
    assert [one.model for one in world.now.online.all()] == [MODEL]
    world.now.online.remove(MODEL)
    assert world.now.online.turn() == 0
    assert world.now.online.all() == []
    assert done_with(world) == 0


def test_one_that_cannot_learn_keeps_no_other_from_it(world: World) -> None:
    world.begin()
    world.day(10)
    world.now.online.turn()
    settings = OnlineSettings(window_s=WINDOW_S)

    def ruin(connection: Connection) -> None:
        online.put(connection, "a_broken", settings, now=1, by="")
        broken = online.get(connection, "a_broken")
        online.save(connection, broken, b"nonsense", {}, {})

    world.now.db.writer.run(ruin)
    world.day(10)
    assert world.now.online.turn() == 10
    told = {one.model: one.problem for one in world.now.online.all()}
    assert "cannot be read" in (told["a_broken"] or "")
    assert told[MODEL] is None


def test_what_nobody_foresaw_in_one_learner_keeps_no_other_from_it(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world.begin()
    settings = OnlineSettings(window_s=WINDOW_S)
    world.now.db.writer.run(lambda connection: online.put(connection, "a_broken", settings, now=1, by=""))
    learned = world.now.online._learned

    def stumbling(row: online.LearnerRow) -> int:
        if row.model == "a_broken":
            raise OverflowError("int too large to convert to float")
        return learned(row)

    monkeypatch.setattr(world.now.online, "_learned", stumbling)
    world.day(10)
    assert world.now.online.turn() == 10
    told = {one.model: one.problem for one in world.now.online.all()}
    assert told == {"a_broken": "OverflowError: int too large to convert to float", MODEL: None}
    assert "a_broken" in caplog.text
