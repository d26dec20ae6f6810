"""What a training may read, whose password goes where, and that a secret is kept in memory only."""

from __future__ import annotations

import os

import pytest

from shopkeeper.core.errors import Invalid, Refused, Unavailable
from shopkeeper.lifecycle.child import _environment
from shopkeeper.lifecycle.sourcing import SourceAccess
from shopkeeper.settings import Settings

MINE = {"host": "db.shop", "port": 3307, "user": "reader", "password": "env-password"}


def mysql(**more):
    return {"kind": "mysql", "table": "visits", **more}


def access(hosts=(), folder=None, **known):
    return SourceAccess(folder=folder, hosts=hosts, connections=lambda _: known)


# -- servers


@pytest.mark.parametrize(
    ("hosts", "source", "allowed"),
    [
        (None, {"host": "anywhere.example"}, True),
        ((), {"host": "anywhere.example"}, False),
        (("anywhere.example",), {"host": "anywhere.example"}, True),
        (("anywhere.example",), {"host": "ANYWHERE.example", "port": 9999}, True),
        (("anywhere.example:3306",), {"host": "anywhere.example"}, True),
        (("anywhere.example:3307",), {"host": "anywhere.example"}, False),
        (("*.example",), {"host": "a.b.example"}, True),
        (("*.example",), {"host": "example"}, False),
        (("*.example",), {"host": "a.example.evil"}, False),
        (("10.0.0.*",), {"host": "10.0.0.7"}, True),
        (("10.0.0.*",), {"host": "10.0.1.7"}, False),
        (("10.0.0.*",), {"host": "10.0.0.evil.example"}, False),
        (("10.*.*.*",), {"host": "10.0.1.7"}, True),
        (("*",), {"host": "169.254.169.254"}, True),
        (("[::1]:3306",), {"host": "::1"}, True),
        (("::1",), {"host": "::1"}, True),
        (("a.b",), {"host": "axb"}, False),
        ((" db , ", "db"), {"host": "db"}, True),
        ((), {}, False),
    ],
)
def test_only_servers_that_are_named(hosts, source, allowed):
    rule = access(hosts)
    if allowed:
        rule.check(mysql(**source))
    else:
        with pytest.raises(Refused, match="SHOPKEEPER_SOURCE_HOSTS"):
            rule.check(mysql(**source))


@pytest.mark.parametrize(
    ("source", "allowed"),
    [
        ({}, True),
        ({"host": "db.shop"}, True),
        ({"host": "db.shop", "port": 3307}, True),
        ({"host": "db.shop", "port": 22}, False),
        ({"host": "other.shop"}, False),
    ],
)
def test_the_server_of_the_environment_is_allowed(source, allowed):
    rule = access((), **MINE)
    if allowed:
        rule.check(mysql(**source))
    else:
        with pytest.raises(Refused):
            rule.check(mysql(**source))


@pytest.mark.parametrize("kind", ["mysql", "doris", "postgres"])
@pytest.mark.parametrize("host", ["/run/socket", "db.shop,evil.example", "evil.example/db.shop", "anna@evil.example"])
def test_a_host_is_one_host(kind, host):
    with pytest.raises(Invalid, match="host"):
        access(None).check({"kind": kind, "table": "visits", "host": host})


@pytest.mark.parametrize(
    ("source", "allowed"),
    [
        ({"path": "s3://bucket/a.csv"}, False),
        ({"path": "s3://bucket/a.csv", "endpoint": "http://minio:9000"}, True),
        ({"path": "oss://bucket/a.csv", "endpoint": "minio:9000"}, True),
        ({"path": "s3://bucket/a.csv", "endpoint": "http://minio:9001"}, False),
        ({"path": "s3://bucket/a.csv", "endpoint": "http://169.254.169.254"}, False),
        ({"path": "s3://bucket/a.csv", "endpoint": "http://minio:9000@evil.example"}, None),
        ({"path": "s3://bucket/a.csv", "endpoint": "http://evil.example/?http://minio:9000"}, None),
    ],
)
def test_the_endpoint_of_a_store_is_a_server_too(source, allowed):
    rule = access(("minio:9000",))
    if allowed:
        rule.check({"kind": "oss", **source})
    else:
        with pytest.raises(Refused if allowed is False else Invalid):
            rule.check({"kind": "oss", **source})


# -- files


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "/etc/*", "{folder}/../secret.csv", "{folder}/*/../../secret.csv", "{folder}2/t.csv",
             "{folder}/link/*.csv", "{folder}/link.csv", "{folder}/*.csv", "{folder}"],
)  # fmt: skip
def test_files_of_one_folder_only_also_by_pattern_and_link(path, tmp_path):
    folder, outside = tmp_path / "sources", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    (outside / "t.csv").write_text("x\n1\n")
    (tmp_path / "secret.csv").write_text("x\n1\n")
    (folder / "mine.csv").write_text("x\n1\n")
    (folder / "link").symlink_to(outside)
    (folder / "link.csv").symlink_to(outside / "t.csv")
    rule = access(folder=folder)
    rule.check({"kind": "file", "path": str(folder / "mine.csv")})
    rule.check({"kind": "file", "path": str(folder / "not-there-yet.csv")})
    with pytest.raises(Refused, match="may read files below"):
        rule.check({"kind": "file", "path": path.format(folder=folder)})


def test_an_option_that_the_kind_has_not_is_told_before():
    with pytest.raises(Invalid, match="did you mean 'table'"):
        access(None).check({"kind": "mysql", "tabel": "visits"})
    access().check({"kind": "shop"})
    access().check({"kind": "a family's own"})


# -- whose password goes where


@pytest.mark.parametrize(
    ("hosts", "source", "user", "password"),
    [
        ((), {}, "reader", "env-password"),
        ((), {"host": "db.shop"}, "reader", "env-password"),
        ((), {"user": "reader"}, "reader", "env-password"),
        ((), {"user": "root"}, "root", None),
        ((), {"password": "given"}, None, "given"),
        (("evil.example",), {"host": "evil.example"}, None, None),
        (("db.shop",), {"host": "db.shop", "port": 22}, None, None),
        (None, {"host": "other.shop"}, "reader", "env-password"),
        (None, {"host": "other.shop", "user": "root"}, "root", None),
    ],
)
def test_the_environments_password_goes_to_its_own_server(hosts, source, user, password):
    whole = access(hosts, **MINE).whole(mysql(**source), None)
    assert (whole.get("user"), whole.get("password")) == (user, password)


def test_the_rest_of_the_place_comes_along():
    assert access((), **MINE).whole(mysql(), None) == mysql(**MINE)
    assert access((), **MINE).whole(mysql(port=9), None) == mysql(port=9, host="db.shop")


def test_what_the_settings_know(monkeypatch):
    for name in [name for name in os.environ if name.startswith(("MYSQL_", "DORIS_", "OSS_", "AWS_", "PG"))]:
        monkeypatch.delenv(name)
    given = {
        "MYSQL_HOST": "my", "MYSQL_PORT": "3333", "MYSQL_USER": "u", "MYSQL_PASSWORD": "p1", "DORIS_HOST": "do",
        "DORIS_PASSWORD": "p2", "PGHOST": "pg", "PGPASSWORD": "p3", "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "s", "OSS_ENDPOINT_URL": "http://oss", "OSS_ACCESS_KEY_ID": "oa",
        "OSS_SECRET_ACCESS_KEY": "os",
    }  # fmt: skip
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    known = Settings().connection
    assert known({"kind": "mysql"}) == {"host": "my", "port": 3333, "user": "u", "password": "p1"}
    assert known({"kind": "doris"}) == {"host": "do", "port": None, "user": None, "password": "p2"}
    assert known({"kind": "postgres"}) == {"host": "pg", "port": None, "user": None, "password": "p3"}
    oss = known({"kind": "oss", "path": "oss://b/x"})
    assert (oss["endpoint"], oss["access_key"], oss["secret_key"]) == ("http://oss", "oa", "os")
    aws = known({"kind": "oss", "path": "s3://b/x"})
    assert (aws["endpoint"], aws["region"], aws["access_key"]) == (None, "us-east-1", "a")
    assert known({"kind": "file"}) == known({"kind": "shop"}) == {}
    shown = repr(Settings())
    assert not [value for value in ("p1", "p2", "p3", "'oa'", "'os'", "'s'") if value in shown]


@pytest.mark.parametrize(
    ("hosts", "key", "allowed"),
    [(None, None, None), (None, "k", ()), ("a, b:1,", None, ("a", "b:1")), ("a", "k", ("a",)), ("", None, ())],
)
def test_without_a_key_every_server_may_be_asked(hosts, key, allowed):
    assert Settings(source_hosts=hosts, api_key=key).allowed_hosts() == allowed


@pytest.mark.parametrize("kind", ["mysql", "doris", "postgres", "oss"])
def test_behind_a_key_an_environment_that_names_no_server_allows_none(kind, monkeypatch):
    for name in [name for name in os.environ if name.startswith(("MYSQL_", "DORIS_", "OSS_", "AWS_", "PG"))]:
        monkeypatch.delenv(name)
    known = Settings(api_key="k")
    rule = SourceAccess(hosts=known.allowed_hosts(), connections=known.connection)
    with pytest.raises(Refused):
        rule.check({"kind": kind, **({"path": "s3://bucket/x"} if kind == "oss" else {"table": "visits"})})


@pytest.mark.parametrize(
    "source",
    [
        {"path": "s3://bucket/x.csv", "region": "x@evil.example/"},
        {"path": "s3://bucket/x.csv", "region": "evil.example#"},
        {"path": "oss://bucket/x.csv", "region": "x.evil.example#"},
        {"path": "s3://bucket/x.csv", "endpoint": "http://evil.example\\.allowed.example"},
        {"path": "s3://bucket/x.csv", "endpoint": "http://evil.example%2f.allowed.example"},
        {"path": "s3://bucket/x.csv", "endpoint": "http://evil.example#.allowed.example"},
    ],
)
def test_no_region_and_no_sign_leads_to_another_server(source):
    """Whoever has a key for this shop alone must not send its requests, signed with the shop's keys, anywhere."""
    known = Settings(api_key="k", s3_access_key="a", s3_secret_key="s", source_hosts="*.allowed.example")
    rule = SourceAccess(hosts=known.allowed_hosts(), connections=known.connection)
    with pytest.raises((Invalid, Refused)):
        rule.check({"kind": "oss", **source})


def test_a_child_inherits_no_secret(monkeypatch):
    secret = [
        name
        for field in Settings.model_fields.values()
        if not field.repr
        for name in getattr(field.validation_alias, "choices", ())
    ]
    assert len(secret) > 15
    for name in secret:
        monkeypatch.setenv(str(name), "hush-hush")
    assert "hush-hush" not in _environment({}).values()


# -- where they are while a job waits


def test_secrets_are_taken_out_and_come_back_by_ticket():
    rule = access(None)
    given = mysql(host="h", password="hush", access_key="k")
    public, ticket = rule.keep(given)
    assert public == mysql(host="h")
    assert rule.whole(public, ticket) == given
    rule.forget(ticket)
    rule.forget(None)
    with pytest.raises(Unavailable, match="gone, because the shop was restarted"):
        rule.whole(public, ticket)


def test_without_a_secret_there_is_no_ticket():
    rule = access(None)
    assert rule.keep({"kind": "shop"}) == ({"kind": "shop"}, None)
    assert rule.keep({"kind": "unheard of", "password": "x"})[1] is not None


def test_after_a_restart_the_environment_is_asked():
    _, ticket = access(None).keep(mysql(password="hush"))
    whole = access(None, **MINE).whole(mysql(), ticket)
    assert whole["password"] == "env-password"
