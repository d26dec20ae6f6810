"""Releases step by step: to the end, stopped by the guard, cut off by the shop's own end."""

import threading

import pytest

from shopkeeper.core.clock import SystemClock
from shopkeeper.core.errors import Busy, Conflict, Invalid
from shopkeeper.lifecycle.gradual import Gradual
from shopkeeper.lifecycle.serving import Serving
from shopkeeper.lifecycle.traffic import Traffic
from shopkeeper.stores import traffic as table

QUICK = {"steps": [0.1, 0.5], "step_s": 0.05}
LONG = {"steps": [0.1, 0.5], "step_s": 600}


@pytest.fixture
def traffic(db, registry):
    return Traffic(db, registry, Serving(registry), SystemClock())


@pytest.fixture
def opened(db, registry, traffic, make_jobs, add_version):
    """(jobs, gradual) of a model with a champion v1 and a candidate v2."""
    add_version(2.0)
    registry.promote("line", 1)
    add_version(3.0, against=1)
    made = []
    jobs = make_jobs(hooks=lambda service: made.append(Gradual(service, db, registry, traffic)))
    return jobs, made[0]


def reasons(db):
    """Of all plans so far, oldest first."""
    with db.read() as connection:
        rows = connection.execute(table.traffic.select().order_by(table.traffic.c.position)).all()
    return [row.reason.split(",")[0] for row in rows]


def shared(traffic, share):
    """Wait until the candidate has this share."""
    turn = threading.Event()
    for _ in range(600):
        active = traffic.active("line")
        if active is not None and active.split.variants[-1].weight == pytest.approx(share):
            return
        turn.wait(0.05)
    raise AssertionError(f"never shared {share}")


def test_a_release_ends_with_a_new_champion(opened, registry, traffic, db):
    jobs, gradual = opened
    job = gradual.release("line", "candidate", config=QUICK, by="anna", reason="better on Mondays")
    done = jobs.wait(job.job_id, 60)
    assert (done.status, done.result["promoted"]) == ("done", True)
    assert reasons(db) == ["release to 10%", "release to 50%", "v2 became champion"]
    assert registry.history("line")[0].reason == "better on Mondays"
    assert traffic.active("line") is None


def test_what_the_guard_took_out_does_not_come_back(opened, registry, traffic, db):
    jobs, gradual = opened
    job = gradual.release("line", 2, config={"steps": [0.1, 0.5], "step_s": 1.0})
    shared(traffic, 0.1)
    traffic.take_out("line", 2, by="guard", reason="automatic rollback: it fails")
    done = jobs.wait(job.job_id, 60)
    assert done.status == "failed"
    assert done.error == "the release ends: v2 is in no split any more (automatic rollback: it fails)"
    assert registry.model("line").aliases["champion"] == 1
    assert reasons(db) == ["release to 10%", "automatic rollback: it fails"]


def test_what_the_guard_takes_out_while_a_step_is_taken_does_not_come_back(opened, registry, traffic, monkeypatch):
    jobs, gradual = opened
    job = gradual.release("line", 2, config={"steps": [0.1, 0.5], "step_s": 1.0})
    shared(traffic, 0.1)
    set_split = traffic.set_split

    def late(*asked, **more):
        traffic.take_out("line", 2, by="guard", reason="automatic rollback: it fails")
        return set_split(*asked, **more)

    monkeypatch.setattr(traffic, "set_split", late)
    done = jobs.wait(job.job_id, 60)
    assert (done.status, traffic.active("line")) == ("failed", None)
    assert "automatic rollback: it fails" in done.error


def test_another_champion_in_between_ends_the_release(opened, registry, add_version, traffic):
    jobs, gradual = opened
    job = gradual.release("line", 2, config={"steps": [0.1, 0.5], "step_s": 1.0})
    shared(traffic, 0.1)
    add_version(4.0, against=1)
    registry.promote("line", 3)
    done = jobs.wait(job.job_id, 60)
    assert (done.status, traffic.active("line")) == ("failed", None)
    assert done.error.endswith("(v3 became champion)")
    assert registry.model("line").aliases["champion"] == 3


def test_a_shop_that_was_closed_in_between_goes_on_where_it_was(opened, registry, traffic, db, make_jobs):
    jobs, gradual = opened
    job = gradual.release("line", 2, config={"steps": [0.1, 0.5, 0.9], "step_s": 600})
    shared(traffic, 0.1)
    with pytest.raises(Busy):
        gradual.release("line", 2, config=LONG)
    jobs.stop()
    traffic.set_split("line", traffic.active("line").split)
    again = make_jobs(hooks=lambda service: Gradual(service, db, registry, traffic))
    shared(traffic, 0.1)
    again.cancel(job.job_id)
    assert again.wait(job.job_id, 60).status == "cancelled"
    assert traffic.active("line").split.variants[-1].weight == pytest.approx(0.1)


def test_a_restart_does_not_put_back_what_was_taken_out(opened, registry, traffic, db, make_jobs):
    jobs, gradual = opened
    job = gradual.release("line", 2, config=LONG)
    shared(traffic, 0.1)
    jobs.stop()
    traffic.take_out("line", 2, by="guard", reason="automatic rollback")
    again = make_jobs(hooks=lambda service: Gradual(service, db, registry, traffic))
    assert again.wait(job.job_id, 60).status == "failed"
    assert traffic.active("line") is None


def test_what_may_not_be_released(opened, registry, add_version):
    _, gradual = opened
    add_version(4.0, verdict="REJECT", against=1)
    with pytest.raises(Conflict, match="the gate says REJECT"):
        gradual.release("line", 3)
    with pytest.raises(Conflict, match="champion already"):
        gradual.release("line", 1)
    add_version(1.0, model="other", verdict="HOLD")
    with pytest.raises(Conflict, match="no champion to release from"):
        gradual.release("other", 1)


@pytest.mark.parametrize(
    "config", [{"steps": []}, {"steps": [0.5, 0.1]}, {"steps": [0]}, {"steps": [1.5]}, {"speed": 3}, {"step_s": -1}, []]
)
def test_a_config_that_makes_no_sense_is_refused(opened, config):
    _, gradual = opened
    with pytest.raises(Invalid) as caught:
        gradual.release("line", 2, config=config or [0])
    assert caught.value.code == "bad_config"
