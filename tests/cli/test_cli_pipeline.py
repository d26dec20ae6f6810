"""`shopkeeper pipeline` on a closed shop, uploads to a real S3 server."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "sources"))
from s3servers import KEYS, client, moto_server

from shopkeeper.cli.main import main


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("orders")
    days = [
        f"2026-{month:02d}-{day:02d},c-{day % 5},sku-{(day + month) % 7},{1 + day % 3},4.5\n"
        for month in range(1, 4)
        for day in range(1, 28)
    ]
    (folder / "orders.csv").write_text("order date,customer,sku,qty,price\n" + "".join(days))
    main(["import", str(folder / "orders.csv"), "--home", str(folder / "home"), "--json"])
    return folder / "home"


@pytest.fixture
def home(imported: Path, tmp_path: Path) -> Path:
    """A closed shop with three months of orders, and no model."""
    return shutil.copytree(imported, tmp_path / "home")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with moto_server("models") as address:
        yield address


def pipeline(home: Path, *args: str, code: int = 0, **environment: str) -> dict[str, dict[str, Any]]:
    """The steps that it tells, by name, after it ended with the code. With an environment it is another process."""
    words = ["pipeline", *args, "--home", str(home), "--json"]
    if environment:
        command = [sys.executable, "-m", "shopkeeper", *words]
        env = os.environ | environment
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False, env=env)
        ended, out = done.returncode, done.stdout
    else:
        said = BytesIO()
        with redirect_stdout(TextIOWrapper(said)) as wrapper:
            try:
                main(words)
                ended = 0
            except SystemExit as leaving:
                ended = leaving.code
            wrapper.flush()
        out = said.getvalue().decode()
    assert ended == code, out
    told = [json.loads(line) for line in out.splitlines()]
    assert len({one["step"] for one in told}) == len(told)
    return {one["step"]: one for one in told}


def outcomes(steps: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {name: one["outcome"] for name, one in steps.items()}


POPULARITY = ("popularity", "--algorithm", "popularity")


def test_from_data_to_bucket_and_champion(home: Path, endpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    keys = {"AWS_ACCESS_KEY_ID": KEYS["access_key"], "AWS_SECRET_ACCESS_KEY": KEYS["secret_key"]}
    store = {"AWS_ENDPOINT_URL_S3": endpoint, "S3_BUCKET": "models", **keys}
    steps = pipeline(home, *POPULARITY, "--version", "spring", **store)
    assert list(steps) == ["data", "train", "gate", "register", "upload", "promote"]
    assert outcomes(steps) == {**dict.fromkeys(steps, "done"), "gate": "PROMOTE"}
    keys_there = [one["Key"] for one in client(endpoint).list_objects_v2(Bucket="models")["Contents"]]
    assert "popularity/model-1.tar.gz" in keys_there
    assert steps["upload"]["message"] == "s3://models/popularity/model-1.tar.gz"

    capsys.readouterr()
    main(["models", "popularity", "spring", "--home", str(home), "--json"])
    version = json.loads(capsys.readouterr().out)
    assert (version["version"], version["aliases"]) == (1, ["champion"])

    def current() -> bytes:
        found: bytes = client(endpoint).get_object(Bucket="models", Key="popularity/.current_version")["Body"].read()
        return found

    assert current() == b"1\n", "another shop that asks for the current version gets the new champion"

    again = pipeline(home, "popularity", "--existing", "1", "--no-promote", **store)
    assert outcomes(again) == {
        "data": "skipped", "train": "skipped", "gate": "PROMOTE", "register": "skipped", "upload": "done",
        "promote": "skipped",
    }  # fmt: skip

    pipeline(home, *POPULARITY, "--no-promote", **store)
    assert current() == b"1\n"
    pipeline(home, "popularity", "--existing", "2", **store)
    assert current() == b"2\n"


def test_a_bucket_that_is_not_there_fails_after_the_promotion(home: Path, endpoint: str) -> None:
    keys = {"AWS_ACCESS_KEY_ID": KEYS["access_key"], "AWS_SECRET_ACCESS_KEY": KEYS["secret_key"]}
    steps = pipeline(home, *POPULARITY, "--upload", "s3://nowhere", code=1, AWS_ENDPOINT_URL_S3=endpoint, **keys)
    assert (steps["upload"]["outcome"], steps["promote"]["outcome"]) == ("failed", "done")


def test_steps_can_be_left_out(home: Path) -> None:
    measured = pipeline(home, *POPULARITY, "--skip-register")
    assert outcomes(measured) == {"data": "done", "train": "done", "gate": "PROMOTE", "register": "skipped"}
    assert measured["gate"]["metrics"]["recall@20"] > 0
    held = pipeline(home, *POPULARITY, "--skip-eval", "--no-promote")
    assert (held["register"]["version"], held["gate"]["outcome"], held["promote"]["outcome"]) == (
        1,
        "skipped",
        "skipped",
    )
    # It was never measured, so the gate holds it back, until somebody says that it shall not be asked.
    refused = pipeline(home, "popularity", "--existing", "1", code=1)
    assert "never measured" in refused["promote"]["message"]
    assert pipeline(home, "popularity", "--existing", "1", "--skip-eval")["promote"]["outcome"] == "done"
    forced = pipeline(home, *POPULARITY, "--skip-eval")
    assert (forced["register"]["version"], forced["promote"]["outcome"]) == (2, "done")
    # Another champion by now: it is measured anew, beside that one.
    back = pipeline(home, "popularity", "--existing", "1")
    assert (back["data"]["message"], back["gate"]["outcome"]) == ("measured anew", "PROMOTE")
    assert back["promote"]["outcome"] == "done"


def test_the_gates_no_is_told_and_ends_with_one(home: Path) -> None:
    """The last month of this shop has no sales: nothing can be measured, and nothing is promoted."""
    steps = pipeline(home, "sales_daily", "--algorithm", "seasonal_naive", "--upload", "s3://models", code=1)
    assert outcomes(steps) == {
        "data": "done", "train": "done", "gate": "REJECT", "register": "done", "upload": "skipped", "promote": "refused"
    }  # fmt: skip
    assert "stays at home" in steps["upload"]["message"]
    assert "wape is missing" in steps["promote"]["message"]
    again = pipeline(home, "sales_daily", "--existing", "1", code=1)
    assert (again["gate"]["outcome"], again["promote"]["outcome"]) == ("REJECT", "refused")


def test_a_failed_training_is_told_with_its_step(home: Path) -> None:
    file = home / "other.csv"
    file.write_text("x,y\n1,2\n")
    steps = pipeline(home, *POPULARITY, "--source", str(file), code=1)
    assert outcomes(steps) == {"data": "failed"}


def test_what_cannot_begin_tells_no_step(home: Path) -> None:
    assert pipeline(home, "x", "--algorithm", "nonsense", code=4) == {}
    assert pipeline(home, "x", "--existing", "1", code=3) == {}


def test_what_trains_and_what_is_there_exclude_each_other(home: Path) -> None:
    for args in (["--set", "a=1"], ["--skip-register"], ["--version", "x"], ["--algorithm", "ease"]):
        pipeline(home, "popularity", "--existing", "1", *args, code=2)


def test_a_version_is_measured_anew_and_the_answer_is_an_exit_code(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        pipeline(home, *POPULARITY)
    capsys.readouterr()
    main(["evaluate", "popularity", "1", "--home", str(home), "--json"])
    assert json.loads(capsys.readouterr().out)["gate"]["verdict"] == "PROMOTE"
    main(["evaluate", "popularity", "--version", "1", "--current-version", "2", "--home", str(home)])
    assert "popularity v1: PROMOTE" in capsys.readouterr().out
    for args, code in ((["2"], 4), (["1", "--version", "1"], 2), (["9"], 3)):
        with pytest.raises(SystemExit) as ended:
            main(["evaluate", "popularity", *args, "--home", str(home)])
        assert ended.value.code == code


def test_people_see_lines(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    main(["pipeline", *POPULARITY, "--skip-register", "--home", str(home)])
    lines = capsys.readouterr().out
    assert "gate      PROMOTE" in lines
    assert "recall@20" in lines
