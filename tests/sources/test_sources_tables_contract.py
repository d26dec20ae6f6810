"""Every registered kind of training table goes through its suite, against real servers."""

from __future__ import annotations

from functools import partial

import pytest
import tablewriters

from shopkeeper import plugins
from shopkeeper.checks.coverage import every_check
from shopkeeper.checks.tables import TableKind, gives_what_was_written, knows_the_same_rows_again, small_frame
from shopkeeper.core.errors import Invalid
from shopkeeper.sources.tables.base import Table
from shopkeeper.sources.tables.files import FileTable

SERVERS = {"file": "tmp_path", "oss": "bucket", "mysql": "mariadb", "doris": "mariadb", "postgres": "postgres"}
"""Doris speaks MySQL's protocol: its kind is tested against MariaDB, for want of a Doris."""


def putting(name, request):
    where = request.getfixturevalue(SERVERS[name])
    if name == "file":
        return partial(tablewriters.into_files, where)
    if name == "oss":
        return partial(tablewriters.into_bucket, where)
    return partial(tablewriters.into_database, where, kind=name)


@pytest.mark.parametrize(
    ("name", "place"),
    [
        pytest.param(name, place, id=str(check))
        for name in plugins.names("table")
        for place, check in enumerate(every_check("table", name))
    ],
)
def test_every_registered_kind_passes(name, place, request):
    every_check("table", name, putting(name, request))[place]()


def test_a_kind_needs_something_that_writes():
    (check, *_) = every_check("table", "file")
    with pytest.raises(Invalid, match="write"):
        check()


class Careless(FileTable):
    """Forgets the last row, and takes every table for the same one."""

    def read(self, options, zone, report):
        table = super().read(options, zone, report)
        return Table(table.frame.head(-1), {**table.facts, "fingerprint": "0"})


@pytest.mark.parametrize("check", [gives_what_was_written, knows_the_same_rows_again], ids=lambda check: check.__name__)
def test_a_kind_that_cheats_is_caught(check, tmp_path, monkeypatch):
    monkeypatch.setattr(plugins, "load", lambda *_: Careless)
    with pytest.raises(AssertionError):
        check(TableKind(Careless, partial(tablewriters.into_files, tmp_path)))


def test_the_small_frame_has_gaps_and_signs():
    assert all(small_frame()[name].null_count() for name in ("pieces", "price", "name"))
