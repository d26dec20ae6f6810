"""Commands without a live server: each opens the shop itself; with `--json` each can be read by a program."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from shopkeeper.cli.main import COMMANDS, EXIT_CODES, exit_code, main
from shopkeeper.core.errors import Conflict, Invalid, NotFound, Overloaded, Refused, ShopkeeperError, Unavailable

ORDERS = "order date,customer,sku,qty,price\n" + "".join(
    f"2026-{month:02d}-{day:02d},c-{day % 5},sku-{(day + month) % 7},{1 + day % 3},4.5\n"
    for month in range(1, 4)
    for day in range(1, 28)
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed shop with three months of orders, brought in by the command itself."""
    folder = tmp_path_factory.mktemp("closed")
    file = folder / "orders.csv"
    file.write_text(ORDERS + "never,c-1,sku-1,x,1\n")
    done = run("import", str(file), "--home", str(folder / "home"), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["accepted"] == 81
    return folder / "home"


def run(*args: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "shopkeeper", *args]
    env = os.environ | environment
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False, cwd=cwd, env=env)


def read(home: Path, capsys: pytest.CaptureFixture[str], *args: str) -> Any:
    """The JSON that a command prints, run in this process."""
    main([*args, "--home", str(home), "--json"])
    return json.loads(capsys.readouterr().out)


def test_help_names_every_command_and_loads_none() -> None:
    told = run("--help")
    assert told.returncode == 0
    assert all(name in told.stdout for name in COMMANDS)
    heavy = (
        "import sys, shopkeeper.cli.main; print([m for m in ('numpy','fastapi','rich','httpx') if m in sys.modules])"
    )
    loaded = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"


def test_a_command_that_asks_a_live_server_loads_no_database_and_no_server() -> None:
    heavy = (
        "import sys, shopkeeper.cli.reach, shopkeeper.client, shopkeeper.stores.home;"
        "print([m for m in ('sqlalchemy','numpy','fastapi') if m in sys.modules])"
    )
    loaded = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    main([name, "--help"])
    told = capsys.readouterr().out
    assert "Usage: shopkeeper" in told
    assert "--json" in told


def test_the_shop_answers_without_a_server(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    slate = read(home, capsys, "recommend", "stranger", "-n", "3")
    assert len(slate["recommendations"]) == 3
    assert read(home, capsys, "explain", "c-1")["user_id"] == "c-1"
    assert len(read(home, capsys, "forecast", "sku-1", "--horizon", "7")["forecast"]) == 7
    assert read(home, capsys, "forecast")["item_id"] is None
    assert read(home, capsys, "models") == []
    jobs = read(home, capsys, "jobs")
    assert [job["kind"] for job in jobs] == ["import"]
    assert read(home, capsys, "jobs", jobs[0]["job_id"])["status"] == "done"


def test_a_basket_is_answered_by_what_goes_with_it(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    basket = ("--basket", "sku-1", "--basket", "sku-3")
    slate = read(home, capsys, "recommend", "c-1", "-n", "3", *basket)
    items = [item["item_id"] for item in slate["recommendations"]]
    assert slate["scenario"] == "basket"
    assert 1 <= len(items) <= 3
    assert not {"sku-1", "sku-3"} & set(items)
    assert read(home, capsys, "recommend", "c-1", *basket, "--category", "none such")["recommendations"] == []
    told = " ".join(shown(home, capsys, "recommend", "c-1", *basket))
    assert items[0] in told
    assert "answer " in told
    with pytest.raises(SystemExit) as ended:
        read(home, capsys, "recommend", "c-1", *("--basket", "sku-1") * 51)
    assert ended.value.code == 4


def test_people_get_tables(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for args in (["recommend", "c-1"], ["explain", "c-1"], ["forecast", "sku-1"], ["jobs"], ["models"]):
        main([*args, "--home", str(home)])
        assert capsys.readouterr().out.strip()


def shown(home: Path, capsys: pytest.CaptureFixture[str], *args: str) -> list[str]:
    """The lines that people see."""
    main([*args, "--home", str(home)])
    return capsys.readouterr().out.splitlines()


def test_an_empty_list_of_models_names_a_command_that_works(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = shown(home, capsys, "models")
    command = line.partition("train one: shopkeeper ")[2].split()
    assert command == ["train", "popularity"]
    job = read(home, capsys, *command)
    assert (job["status"], job["params"]["algorithm"]) == ("done", "popularity")


def test_without_orders_the_list_of_models_sends_people_to_the_import(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "users.csv"
    file.write_text("user_id,country\nu-1,UK\n")
    read(tmp_path / "home", capsys, "import", str(file), "--kind", "users")
    assert "shopkeeper import FILE" in shown(tmp_path / "home", capsys, "models")[0]


def test_a_slate_says_what_it_does_without(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    slate = read(home, capsys, "recommend", "c-1")
    assert slate["degraded"]
    assert slate["explanation"].split()[0] in " ".join(shown(home, capsys, "recommend", "c-1"))


def test_a_job_is_shown_whole_and_named_by_its_first_letters(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trained = read(home, capsys, "train", "favourites", "--algorithm", "popularity")["job_id"]
    line = next(line for line in shown(home, capsys, "jobs") if trained in line)
    assert "train favourites" in line
    assert "100 %" in line
    jobs = [job["job_id"] for job in read(home, capsys, "jobs")]
    length = next(n for n in range(1, 27) if sum(job.startswith(trained[:n]) for job in jobs) == 1)
    assert read(home, capsys, "jobs", trained[:length].lower())["job_id"] == trained
    assert shown(home, capsys, "jobs", trained[:length])[0] == f"train favourites {trained}: done, 100 %"
    with pytest.raises(SystemExit) as ended:
        main(["jobs", jobs[0][0], "--cancel", "--home", str(home)])
    assert ended.value.code == 4
    assert "give more letters" in capsys.readouterr().err


def test_training_promoting_and_rolling_back(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        job = read(home, capsys, "train", "favourites", "--algorithm", "popularity")
        assert job["status"] == "done"
    versions = read(home, capsys, "models", "favourites")
    numbers = [one["version"] for one in versions]
    assert numbers == list(range(len(numbers), 0, -1))
    lines = shown(home, capsys, "models", "favourites")
    assert len(lines) == len(versions) + 2  # the header, one line a version, and where the rest is
    assert all(len(line) <= 80 for line in lines)
    assert "recall@20" in lines[0]
    everything = "\n".join(shown(home, capsys, "models", "favourites", "v1"))
    assert all(name in everything for name in versions[-1]["metrics"])
    assert read(home, capsys, "promote", "favourites", "1", "--force", "--reason", "test")["new_version"] == 1
    assert read(home, capsys, "promote", "favourites", "2", "--force")["old_version"] == 1
    assert read(home, capsys, "rollback", "favourites")["new_version"] == 1


def test_a_forecast_may_name_its_model(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    read(home, capsys, "train", "plain", "--algorithm", "seasonal_naive")
    for address in ("plain/1", "plain@candidate", "plain/v1"):
        made = read(home, capsys, "forecast", "sku-1", "--horizon", "3", "--model", address)
        assert (made["model"], made["version"], made["fallback"]) == ("plain", 1, None)


def test_a_second_import_changes_nothing(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    again = read(home, capsys, "import", str(home.parent / "orders.csv"), "--kind", "orders")
    assert (again["accepted"], again["duplicates"]) == (0, 81)


def test_a_preview_stores_nothing(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "more.csv"
    file.write_text("when,who,what,how many\n2026-05-01,c-1,sku-1,2\n")
    mapping = [part for field in ("time=when", "user_id=who", "item_id=what") for part in ("--map", field)]
    seen = read(
        home, capsys, "import", str(file), "--kind", "orders", *mapping, "--map", "quantity=how many", "--preview"
    )
    assert seen["rows"]
    assert len(read(home, capsys, "jobs", "--kind", "import")) == 2


def told_by_import(home: Path, file: Path, text: str, capsys: pytest.CaptureFixture[str], *args: str) -> str:
    file.write_text(text)
    main(["import", str(file), "--home", str(home), "--yes", *args])
    return " ".join(capsys.readouterr().out.split())


def test_a_preview_tells_what_nothing_proves_and_how_sure_each_guess_is(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "date,customer,sku,qty\n03/04/2026,c-1,sku-1,1\n"
    told = told_by_import(home, tmp_path / "f.csv", text, capsys, "--preview")
    assert "nothing proves it: set @dates" in told
    assert "why" in told
    assert "100%" in told or "99%" in told
    assert "the header says 'qty'" in told
    said = told_by_import(home, tmp_path / "f.csv", text, capsys, "--preview", "--map", "@dates=day_first")
    assert "nothing proves it" not in said


def test_an_import_tells_where_every_row_went(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "date,sku,units\n2026-01-05,sku-1,1\n2026-01-06,sku-1,0\n"
    first = told_by_import(home, tmp_path / "s.csv", text, capsys)
    assert "1 row stored, 0 here already, 0 rejected, 1 row without a sale" in first
    again = told_by_import(home, tmp_path / "s.csv", text, capsys)
    assert "0 rows stored, 1 here already, 0 rejected, 1 row without a sale" in again


def test_a_delimiter_can_be_named(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "order date^customer^sku^qty\n2026-01-05^c-1^sku-1^2\n"
    with pytest.raises(SystemExit) as ended:
        told_by_import(home, tmp_path / "o.csv", text, capsys)
    assert ended.value.code == 4
    assert "--map @delimiter=^" in " ".join(capsys.readouterr().err.split())
    named = told_by_import(home, tmp_path / "o.csv", text, capsys, "--map", "@delimiter=^")
    assert "read as orders" in named
    assert "1 row stored" in named


def test_the_rejects_of_a_file_of_bad_rows_are_kept(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "bad.csv"
    file.write_text("date,customer,sku,qty\nnever,c-1,sku-1,1\n")
    done = run("import", str(file), "--kind", "orders", "--yes", "--home", str(home), cwd=tmp_path)
    assert done.returncode == 1
    assert "none of 1 row could" in " ".join(done.stderr.split())
    (kept,) = tmp_path.glob("rejects-*.csv")
    assert kept.name in done.stdout
    assert "never" in kept.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["explain", "nobody"], 3),
        (["forecast", "nothing"], 3),
        (["recommend", "c-1", "-n", "1000"], 4),
        (["train", "new-model"], 4),
        (["train", "m", "--algorithm", "magic"], 4),
        (["jobs", "none"], 3),
        (["jobs", "--logs"], 2),
        (["promote", "favourites", "99"], 3),
        (["nonsense"], 2),
        (["recommend"], 2),
    ],
)
def test_errors_have_a_message_and_a_code(
    home: Path, args: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*args, *([] if args == ["nonsense"] else ["--home", str(home), "--json"])])
    assert ended.value.code == code
    told = capsys.readouterr().err
    assert told.strip()
    assert "Traceback" not in told
    if code > 2:
        assert json.loads(told)["exit_code"] == code


def test_a_home_without_a_shop_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["models", "--home", str(tmp_path / "empty")])
    assert ended.value.code == 3
    assert "shopkeeper up" in capsys.readouterr().err
    assert not (tmp_path / "empty").exists()


def test_a_bad_setting_is_one_sentence(tmp_path: Path) -> None:
    for variable, value, expected in (("PORT", "abc", "integer"), ("LOG_LEVEL", "loud", "'warning'")):
        done = run("models", cwd=tmp_path, **{f"SHOPKEEPER_{variable}": value})
        assert done.returncode == 4
        assert done.stderr.startswith(f"shopkeeper: SHOPKEEPER_{variable}={value!r}")
        assert expected in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_a_home_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = run("up", "--no-console", "--port", "0", "--home", str(tmp_path / "file" / "home"))
    assert done.returncode == 4
    assert "give another home" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_doctor_looks_without_touching(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from shopkeeper.cli.doctor import command

    told = command.main(["--home", str(tmp_path / "none"), "--json"], standalone_mode=False)
    found = json.loads(capsys.readouterr().out)
    assert told in (None, 7)
    assert {part["name"] for part in found["parts"]} >= {"fastapi", "streamlit", "xgboost", "onnxruntime"}
    extras = {part["get"] for part in found["parts"] if "[" in part["get"]}
    assert {f"pip install 'shopkeeper[{extra}]'" for extra in ("grpc", "mysql", "postgres", "s3", "console")} <= extras
    assert all(part["get"] and part["enables"] for part in found["parts"])
    assert not (tmp_path / "none").exists()


def test_doctor_prints_the_command_as_it_has_to_be_typed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from shopkeeper.cli import doctor

    monkeypatch.setattr(doctor, "PARTS", (doctor.Part("not_there", "a test", "pip install 'shopkeeper[grpc]'"),))
    doctor.command.main(["--home", str(tmp_path / "none")], standalone_mode=False)
    assert "pip install 'shopkeeper[grpc]'" in " ".join(capsys.readouterr().out.split())


def test_every_branch_has_an_exit_code() -> None:
    branches = [NotFound("x"), Invalid("x"), Refused("x"), Conflict("x"), Unavailable("x"), Overloaded("x")]
    assert [exit_code(error) for error in branches] == [3, 4, 5, 6, 7, 8]
    assert exit_code(ShopkeeperError("x")) == 1
    assert len({code for _, code in EXIT_CODES}) == len(EXIT_CODES)
