"""A version measured anew beside the champion of today, and what its verdict is worth then."""

import shutil

import pytest

from shopkeeper.core.errors import Busy, Conflict, Invalid, NotFound
from shopkeeper.lifecycle.evaluations import Evaluations
from shopkeeper.lifecycle.releasing import Releases


@pytest.fixture
def shop(make_jobs, registry):
    """Trains and evaluates the toy line to the end; gives the job."""
    jobs = make_jobs(start=False)
    releases, evaluations = Releases(jobs, registry), Evaluations(jobs, registry)
    jobs.start()

    class Shop:
        def train(self, weight, **more):
            source = {"kind": "toy", "truth": 2.0}
            asked = releases.train("line", "toy_line", params={"weight": weight}, source=source, **more)
            return jobs.wait(asked.job_id, 60)

        def evaluate(self, *args, **more):
            return jobs.wait(evaluations.submit("line", *args, by="anna", **more).job_id, 60)

    found = Shop()
    found.jobs, found.evaluations = jobs, evaluations
    return found


def test_a_verdict_against_an_earlier_champion_is_made_good_again(shop, registry):
    shop.train(1.5)
    shop.train(1.7, promote=False)
    shop.train(1.9)
    with pytest.raises(Conflict, match="it was measured against v1, the champion is v3"):
        registry.promote("line", 2)
    job = shop.evaluate(2)
    assert (job.status, job.requested_by, job.params["against"]) == ("done", "anna", 3)
    assert (job.result["version"], job.result["against"]) == (2, 3)
    assert job.result["metrics"]["error"] == pytest.approx(1.95)
    assert job.result["champion_metrics"]["error"] == pytest.approx(0.65)
    version = registry.version("line", 2)
    assert (version.gate.verdict, version.data["against"]) == ("REJECT", 3)
    with pytest.raises(Conflict, match="the gate says REJECT"):
        registry.promote("line", 2)

    assert shop.evaluate(3, against=2).result["gate"]["verdict"] == "PROMOTE"
    registry.promote("line", 2, force=True)
    assert registry.promote("line", 3).gate.verdict == "PROMOTE"


def test_a_version_that_was_never_measured_gets_a_verdict(shop, registry):
    shop.train(1.5)
    shop.train(1.9, evaluate=False, promote=False)
    assert registry.version("line", 2).gate is None
    assert shop.evaluate("candidate").result["gate"]["verdict"] == "PROMOTE"
    registry.promote("line", 2)


def test_a_champion_that_cannot_be_loaded_is_a_hold_and_a_version_a_failure(shop, registry):
    shop.train(1.5)
    shop.train(1.9, promote=False)
    shutil.rmtree(registry.folder(registry.version("line", 1)))
    gate = shop.evaluate(2).result["gate"]
    assert (gate["verdict"], "v1 could not be measured" in gate["reasons"][-1]) == ("HOLD", True)
    job = shop.evaluate(1, against=2)
    assert (job.status, "v1 could not be measured" in job.error) == ("failed", True)
    assert registry.version("line", 1).data["against"] is None


def test_what_cannot_be_compared_is_refused_at_once(shop):
    with pytest.raises(NotFound):
        shop.evaluations.submit("line", 1)
    shop.train(1.5)
    with pytest.raises(Invalid, match="against itself"):
        shop.evaluations.submit("line", 1)
    with pytest.raises(NotFound):
        shop.evaluations.submit("line", 9)
    shop.train(1.9, promote=False)
    first = shop.evaluations.submit("line", 2)
    with pytest.raises(Busy) as busy:
        shop.evaluations.submit("line", 2)
    assert busy.value.job_id == first.job_id


def test_a_version_that_came_from_elsewhere_is_measured_on_the_shops_log(shop, registry, add_version):
    add_version(1.9)
    registry.promote("line", 1)
    add_version(1.5)
    assert shop.evaluate(2).result["gate"]["verdict"] == "REJECT"


def test_a_version_that_came_from_elsewhere_is_measured_on_its_rivals_rows(shop, registry, add_version):
    order = {"model": "line", "algorithm": "toy_line", "params": {"weight": 1.3}}
    trained = shop.jobs.submit("train", {**order, "source": {"kind": "toy", "truth": 1.0}})
    assert shop.jobs.wait(trained.job_id, 60).result["promoted"]
    add_version(1.0)  # right where the truth is 1, far worse than the champion where it is 2
    assert shop.evaluate(2).result["gate"]["verdict"] == "PROMOTE"
