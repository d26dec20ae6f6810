"""The steps of a training that can be left out or added: the gate, the registry, the upload."""

import pytest

from shopkeeper.core.errors import Invalid, NotFound, Unavailable
from shopkeeper.lifecycle.orders import read_order
from shopkeeper.lifecycle.releasing import Releases


@pytest.fixture
def uploads():
    """What was handed over to be uploaded."""
    return []


@pytest.fixture
def train(make_jobs, registry, uploads):
    """Runs one training to its end and gives the job; uploads are jobs of a toy kind."""
    jobs = make_jobs(start=False)

    class Publisher:
        def check_url(self, url):
            if not url.startswith("s3://"):
                raise Invalid(f"{url} is no folder of a bucket")

        def upload(self, model, version, scope, url, by):
            uploads.append((model, version, scope, url, by))
            if url == "s3://full":
                raise Unavailable("the bucket does not answer")
            kind = "toy_deaf" if url == "s3://slow" else "toy_count"
            return jobs.submit(kind, {"steps": 1}, requested_by=by, work_key=url)

    releases = Releases(jobs, registry, publisher=Publisher())
    jobs.start()

    def run(truth=2.0, **more):
        source = {"kind": "toy", "truth": truth}
        return jobs.wait(releases.train("line", "toy_line", source=source, requested_by="anna", **more).job_id, 60)

    run.releases, run.jobs = releases, jobs
    return run


def test_without_the_gate_a_worse_model_is_promoted_and_this_is_written_down(train, registry):
    train(params={"weight": 2.0})
    job = train(params={"weight": 9.0}, evaluate=False)
    assert (job.result["promoted"], job.result["gate"], job.result["champion_metrics"]) == (True, None, None)
    version = registry.version("line")
    assert (version.version, version.gate) == (2, None)
    assert version.metrics["error"] > 1  # measured, not judged
    change = registry.history("line")[0]
    assert (change.version, change.forced, change.changed_by) == (2, True, "anna")
    assert "evaluation was skipped" in change.reason
    assert registry.history("line")[-1].forced is False


def test_without_the_gate_and_without_promotion_the_champion_stays(train, registry):
    train(params={"weight": 2.0})
    assert train(params={"weight": 9.0}, evaluate=False, promote=False).result["promoted"] is False
    assert registry.version("line").version == 1


def test_without_registration_there_are_measures_and_nothing_else(train, registry):
    job = train(params={"weight": 1.9}, register=False)
    assert (job.status, job.result["registered"], job.result["promoted"]) == ("done", False, False)
    assert job.result["metrics"]["error"] == pytest.approx(0.65)
    assert job.result["gate"]["verdict"] == "PROMOTE"
    with pytest.raises(NotFound):
        registry.model("line")
    assert not (train.jobs.folder(job.job_id) / "work" / job.result["folder"]).exists()
    again = train.releases._release(job, job.result)
    assert again["registered"] is False


def test_what_the_gate_passes_is_uploaded_by_a_job(train, uploads):
    job = train(upload="s3://models/line")
    assert uploads == [("line", 1, "all", "s3://models/line", "anna")]
    assert train.jobs.wait(job.result["upload_job_id"], 60).status == "done"


def test_what_the_gate_rejects_is_not(train, uploads):
    train(params={"weight": 2.0})
    job = train(params={"weight": 9.0}, upload="s3://models/line")
    assert (job.result["gate"]["verdict"], uploads) == ("REJECT", [])
    assert "stays at home" in job.result["upload_skipped"]


def test_a_failed_upload_is_told_and_does_not_stop_the_promotion(train, registry):
    job = train(upload="s3://full")
    assert (job.status, job.result["promoted"]) == ("done", True)
    assert job.result["upload_error"] == "the bucket does not answer"


def test_finishing_twice_waits_for_the_upload_under_way(train):
    job = train(upload="s3://slow")
    upload = job.result["upload_job_id"]
    assert train.releases._release(train.jobs.get(job.job_id), job.result)["upload_job_id"] == upload
    train.jobs.cancel(upload)


def test_steps_that_contradict_each_other_are_refused(train, make_jobs, registry):
    with pytest.raises(Invalid, match="cannot be uploaded") as refused:
        train.releases.train("line", "toy_line", register=False, upload="s3://models")
    assert refused.value.field == "upload"
    with pytest.raises(Invalid, match="no folder of a bucket") as refused:
        train.releases.train("line", "toy_line", upload="models")
    assert refused.value.field == "upload"
    with pytest.raises(Unavailable, match="uploads nothing"):
        Releases(make_jobs(start=False), registry).train("line", "toy_line", upload="s3://models")


@pytest.mark.parametrize(
    ("given", "field"),
    [({"algorithm": "x"}, None), ({"model": "m", "algorithm": "x", "seed": -1}, "seed"), ({"models": "m"}, None)],
)
def test_an_order_is_read_strictly(given, field):
    with pytest.raises(Invalid) as refused:
        read_order(given)
    assert refused.value.field == field
