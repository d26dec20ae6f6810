"""Training in a child, judged beside the champion, released by the parent."""

import pytest

from shopkeeper.core.errors import Busy, Invalid, NotFound, Refused, Unavailable
from shopkeeper.lifecycle.releasing import Releases
from shopkeeper.lifecycle.serving import Serving
from shopkeeper.lifecycle.sourcing import SourceAccess


@pytest.fixture
def train(make_jobs, registry):
    """Runs one training to its end and gives the job."""
    jobs = make_jobs(start=False)
    releases = Releases(jobs, registry)
    jobs.start()

    def run(algorithm="toy_line", **more):
        source = {"kind": "toy", "truth": more.pop("truth", 2.0)}
        return jobs.wait(releases.train("line", algorithm, source=source, requested_by="anna", **more).job_id, 60)

    run.releases, run.jobs = releases, jobs
    return run


def test_a_first_good_model_becomes_champion_and_serves(train, registry):
    job = train(params={"weight": 1.9}, seed=7)
    assert (job.status, job.error) == ("done", None)
    assert (job.result["version"], job.result["promoted"]) == (1, True)
    version = registry.version("line")
    assert version.params == {"weight": 1.9, "steps": 3, "seconds": 0.0}
    assert version.data == {"rows": 8, "seed": 7, "against": None}
    assert version.gate.verdict == "PROMOTE"
    assert version.metrics["error"] == pytest.approx(0.65)
    assert (version.job_id, version.created_by) == (job.job_id, "anna")
    assert Serving(registry).score("line", [{"x": 10.0}]).predictions == [19.0]
    events = train.jobs.events(job.job_id)
    percents = [e.data["percent"] for e in events if e.type in ("progress", "epoch")]
    assert percents == sorted(percents)
    assert [e.data["epoch"] for e in events if e.type == "epoch"] == [1, 2, 3]


def test_a_worse_model_is_kept_and_does_not_serve(train, registry):
    train(params={"weight": 1.9})
    job = train(params={"weight": 1.0})
    assert (job.status, job.result["promoted"]) == ("done", False)
    assert "the gate says REJECT" in job.result["why_not"]
    assert job.result["champion_metrics"]["error"] == pytest.approx(0.65)
    assert registry.model("line").aliases == {"champion": 1, "candidate": 2}
    better = train(params={"weight": 2.0})
    assert better.result["promoted"]
    assert registry.model("line").aliases == {"champion": 3, "previous": 1}


def test_one_that_loses_to_the_baseline_is_held(train, registry):
    job = train(params={"weight": -5.0})
    assert job.result["gate"]["verdict"] == "HOLD"
    assert registry.model("line").aliases == {"candidate": 1}


@pytest.mark.parametrize("path", ["/etc/passwd", "sources/../../secret.csv", "sources-of-another/rows.csv"])
def test_behind_a_key_a_training_reads_files_below_one_folder_only(make_jobs, registry, tmp_path, path):
    releases = Releases(make_jobs(start=False), registry, sources=SourceAccess(folder=tmp_path / "sources"))
    with pytest.raises(Refused, match="may read files below"):
        releases.train("line", "toy_line", source={"kind": "toy", "path": str(tmp_path / path)})
    assert releases.train("line", "toy_line", source={"kind": "toy", "path": str(tmp_path / "sources" / "rows.csv")})


def test_promotion_can_be_left_to_a_person(train, registry):
    job = train(promote=False)
    assert job.result["why_not"] == "promotion was not asked for"
    assert registry.promote("line", "candidate", by="anna").new_version == 1


def test_a_champion_that_cannot_be_measured_holds_the_candidate(train, registry):
    train(params={"weight": 1.9})
    (registry.folder(registry.version("line")) / "line.json").write_text("{}")
    job = train(params={"weight": 2.0})
    assert job.result["gate"]["verdict"] == "HOLD"
    assert "champion v1 could not be measured" in job.result["gate"]["reasons"][-1]


@pytest.mark.parametrize(
    ("algorithm", "words"),
    [("toy_liar", "off by up to"), ("toy_blank", "NaN or infinity")],
)
def test_a_model_that_is_not_the_same_after_saving_or_gives_nan_fails(train, registry, algorithm, words):
    job = train(algorithm)
    assert job.status == "failed"
    assert words in job.error
    assert registry.models() == []


def test_bad_requests_are_refused_before_a_job_is_made(train):
    ask = train.releases.train
    with pytest.raises(Invalid, match="did you mean 'weight'"):
        ask("line", "toy_line", params={"wieght": 1})
    with pytest.raises(Invalid, match="steps"):
        ask("line", "toy_line", params={"steps": 0})
    with pytest.raises(Invalid, match="reserved"):
        ask("predict", "toy_line")
    with pytest.raises(Invalid, match="scope"):
        ask("line", "toy_line", scope="../x")
    with pytest.raises(NotFound, match="no algorithm 'nonsense'"):
        ask("line", "nonsense")
    assert train.jobs.list()[2] == 0


def test_one_name_holds_one_family(train):
    train()
    with pytest.raises(Invalid, match="family 'toy'"):
        train.releases.train("line", "popularity")


def test_two_trainings_of_one_model_do_not_meet(train):
    first = train.releases.train("line", "toy_line", params={"steps": 1000, "seconds": 0.05})
    with pytest.raises(Busy) as caught:
        train.releases.train("line", "toy_line")
    assert caught.value.job_id == first.job_id
    train.releases.train("line", "toy_line", scope="store:1")
    train.jobs.cancel(first.job_id)
    assert train.jobs.wait(first.job_id, 30).status == "cancelled"


def test_finishing_twice_registers_once(train, registry):
    job = train(params={"weight": 1.9})
    again = train.releases._release(train.jobs.get(job.job_id), job.result)
    assert again == {"registered": True, "version": 1, "promoted": True}
    assert registry.model("line").versions == 1


def test_a_disk_that_is_full_while_saving_leaves_the_champion_and_no_version(train, registry):
    assert train().status == "done"
    failed = train("toy_bulky")
    assert (failed.status, failed.result) == ("failed", None)
    assert "No space left on device" in failed.error
    assert [version.version for version in registry.versions("line")[0]] == [1]
    assert registry.model("line").aliases["champion"] == 1


def test_a_training_goes_on_from_a_version_and_says_so(train, registry):
    train("toy_heir", params={"weight": 1.0})
    job = train("toy_heir", params={"weight": 0.5}, start_from="champion")
    assert (job.status, job.error) == ("done", None)
    version = registry.version("line", 2)
    assert version.data["start_from"] == 1
    assert registry.version("line", 1).data.get("start_from") is None
    assert Serving(registry).score("line", [{"x": 10.0}], "v2").predictions == [15.0]
    train("toy_heir", params={"weight": 0.25}, start_from=1)
    assert Serving(registry).score("line", [{"x": 10.0}], "v3").predictions == [12.5]


def test_a_version_that_nothing_can_go_on_from_is_told_at_once(train, registry):
    with pytest.raises(NotFound):
        train("toy_heir", start_from=1)
    train()
    for algorithm, words in (("toy_line", "always begins anew"), ("toy_heir", "v1 is of toy_line")):
        with pytest.raises(Invalid, match=words) as caught:
            train(algorithm, start_from="v1")
        assert (caught.value.code, caught.value.field) == ("cannot_continue", "start_from")
    train("toy_heir", params={"weight": 5.0})
    registry.remove(registry.version("line", 2), let_go=True)
    with pytest.raises(Invalid, match="files of v2 were removed"):
        train("toy_heir", start_from=2)
    assert registry.model("line").versions == 2


def test_a_beginning_whose_files_are_broken_fails_the_job_and_nothing_else(train, registry):
    train("toy_heir", params={"weight": 1.9})
    (registry.folder(registry.version("line", 1)) / "line.json").write_text("{}")
    job = train("toy_heir", start_from=1)
    assert job.status == "failed"
    assert "is broken" in job.error
    assert registry.model("line").versions == 1


def test_what_lacks_a_library_is_refused_with_what_to_install(train):
    with pytest.raises(Unavailable, match="install the extra nothing") as caught:
        train("toy_bare")
    assert caught.value.code == "not_installed"
