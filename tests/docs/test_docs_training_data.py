"""docs/training-data.md says what the code does."""

import json
import re
import shlex
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from shopkeeper import plugins
from shopkeeper.api.forms import Source, TrainForm
from shopkeeper.cli import train
from shopkeeper.cli.datasource import source_options
from shopkeeper.settings import Settings
from shopkeeper.sources.tables import LEARNING, base, files, options_of, sql

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "training-data.md").read_text()
KINDS = dict(re.findall(r"^\| `(\w+)` \| [^|]* \| ([^|]*)\|$", PAGE, re.M))
COMMANDS = re.findall(r"^shopkeeper train .*$", PAGE, re.M)


def test_every_kind_stands_in_the_table():
    assert set(KINDS) == {"shop", *plugins.names("table")}


@pytest.mark.parametrize("kind", plugins.names("table"))
def test_every_option_of_a_kind_stands_in_its_row(kind):
    told = set(re.findall(r"`(\w+)`", KINDS[kind]))
    assert told == set(plugins.load("table", kind).Options.__struct_fields__)


def test_the_form_has_every_option_of_every_kind_and_the_page_all_that_columns_mean():
    known = {name for kind in plugins.names("table") for name in plugins.load("table", kind).Options.__struct_fields__}
    assert set(Source.__struct_fields__) == known | set(LEARNING) | {"kind", "options"}
    assert all(f"`{name}`" in PAGE for name in LEARNING)


@pytest.mark.parametrize("command", COMMANDS, ids=range(len(COMMANDS)))
def test_every_command_makes_a_source_that_its_kind_takes(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in re.findall(r"\w+\.csv", command):
        (tmp_path / name).write_text("x\n1\n")
    said = []

    @click.command()
    @click.argument("model")
    @click.option("--algorithm")
    @click.option("--version")
    @click.option("--normalize", is_flag=True)
    @click.option("--epochs")
    @click.option("--batch-size")
    @click.option("--lr")
    @source_options
    def told(data, **_):
        said.append(data)

    done = CliRunner().invoke(told, shlex.split(command)[2:])
    assert done.exit_code == 0, done.output
    options_of(said[0])
    train.command.make_parser(click.Context(train.command)).parse_args(shlex.split(command)[2:])


def test_the_form_of_the_page_is_one():
    import msgspec

    (body,) = re.findall(r"-d '(\{.*?\})'", PAGE, re.S)
    form = msgspec.json.decode(json.dumps(json.loads(body)).encode(), type=TrainForm)
    assert (form.version, form.source.kind, form.source.time) == ("autumn", "mysql", "at")


def test_every_variable_is_a_setting():
    names = {
        str(name) for field in Settings.model_fields.values() for name in getattr(field.validation_alias, "choices", ())
    }
    told = set(re.findall(r"`((?:MYSQL|DORIS|PG|AWS|OSS|SHOPKEEPER)_?[A-Z_]*)[`=]", PAGE)) - {"SHOPKEEPER_"}
    assert len(told) > 20
    assert sorted(told - names) == []


def test_the_bounds_are_those_of_the_code():
    assert (base.MAX_ROWS, base.MAX_BYTES, files.MAX_FILE_BYTES) == (20_000_000, 4 << 30, 2 << 30)
    assert "20 million rows, 4 GiB in memory, 2 GiB of files" in PAGE
    assert f"chunks of {sql.CHUNK:,}" in PAGE
    assert f"within {sql.CONNECT_S:g} s (connecting) or {sql.ANSWER_S:g} s" in PAGE
