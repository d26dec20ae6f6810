"""`shopkeeper train` as the training scripts of single models were called."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from shopkeeper.cli import train
from shopkeeper.cli.main import main


@pytest.mark.parametrize(
    ("args", "params"),
    [
        ("", {}),
        ("--epochs 50 --batch-size 32", {"epochs": 50, "batch_size": 32}),
        ("--epochs 20 --batch-size 64 --lr 1e-3", {"epochs": 20, "batch_size": 64, "lr": 0.001}),
        ("--dim 64 --num-walks 50 --walk-length 20", {"dim": 64, "num_walks": 50, "walk_length": 20}),
        (
            "--mode item2vec --window 5 --min-count 1 --workers 4 --user-col u --sequence-col s",
            {"mode": "item2vec", "window": 5, "min_count": 1, "workers": 4, "user_col": "u", "sequence_col": "s"},
        ),
    ],
)
def test_short_options_are_parameters(args: str, params: dict[str, Any]) -> None:
    import click

    @click.command()
    @train.short_options
    def told(short: dict[str, Any]) -> None:
        click.echo(json.dumps(short))

    done = CliRunner().invoke(told, args.split())
    assert done.exit_code == 0, done.output
    assert json.loads(done.output) == params


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed shop with a few orders."""
    folder = tmp_path_factory.mktemp("trained")
    file = folder / "orders.csv"
    file.write_text("order date,customer,sku,qty,price\n2026-01-02,c-1,sku-1,1,4.5\n2026-01-03,c-2,sku-1,1,4.5\n")
    main(["import", str(file), "--home", str(folder / "home"), "--json"])
    return folder / "home"


@pytest.fixture
def sequences(tmp_path: Path) -> Path:
    rows = [f'u{user},"{",".join(f"i{user % 3 * 4 + (user + step) % 4}" for step in range(8))}"' for user in range(30)]
    path = tmp_path / "sequences.csv"
    path.write_text("\n".join(["user,taken", *rows]))
    return path


@pytest.mark.slow
def test_vectors_are_written_as_json(
    home: Path, sequences: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "vectors.json"
    options = "--dim 8 --epochs 20 --window 5 --min-count 1 --workers 2 --seed 42 --no-gen --sequence-col taken"
    main(["train", "item2vec", "--data", str(sequences), *options.split(), "--out", str(out),
          "--home", str(home), "--json"])  # fmt: skip
    assert json.loads(capsys.readouterr().out)["status"] == "done"
    vectors = json.loads(out.read_text())
    assert set(vectors) == {f"i{at}" for at in range(12)}
    assert {len(vector) for vector in vectors.values()} == {8}


@pytest.mark.slow
def test_edges_give_the_same_vectors_to_the_last_bit_with_any_number_of_workers(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edges = tmp_path / "edges.csv"
    pairs = [(f"u{user}", f"i{user % 3 * 6 + (5 * user + step) % 6}") for user in range(60) for step in range(4)]
    edges.write_text("from_id,to_id\n" + "".join(f"{user},{item}\n" for user, item in pairs))
    options = "--dim 8 --num-walks 5 --walk-length 10 --epochs 3 --seed 7"
    told = []
    for workers in ("2", "4"):
        out = tmp_path / f"{workers}.json"
        main(["train", "node2vec", "--edges", str(edges), *options.split(), "--workers", workers, "--out", str(out),
              "--home", str(home), "--json"])  # fmt: skip
        assert json.loads(capsys.readouterr().out)["status"] == "done"
        told.append(out.read_bytes())
    assert told[0] == told[1]
    assert set(json.loads(told[0])) == {one for pair in pairs for one in pair}


def test_what_cannot_be_written(home: Path, sequences: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train", "item2vec", "--data", str(sequences), "--out", "x.json", "--detach", "--home", str(home)])
    assert "--detach" in capsys.readouterr().err
