"""Training tables from files of this machine and from an object store: formats, types, folders, patterns, refusals."""

from __future__ import annotations

import gzip
from datetime import UTC, date, datetime

import polars as pl
import pytest
import s3servers
import tablewriters

from shopkeeper import plugins
from shopkeeper.core.errors import Invalid, NotFound, Refused, Unavailable
from shopkeeper.sources.tables import base, files, options_of, reach_of, read_table
from shopkeeper.sources.tables.columns import typed

FRAME = pl.DataFrame(
    {
        "n": [1, 2, None],
        "x": [0.5, None, -3.25],
        "name": ["Mug", "杯子", None],
        "code": ["007", "010", "100"],
        "at": ["2024-07-05 10:00:00", "2024-07-06 11:30:00", None],
    }
)
WRITERS = {
    "t.csv": FRAME.write_csv,
    "t.parquet": FRAME.write_parquet,
    "t.jsonl": FRAME.write_ndjson,
    "t.json": FRAME.write_json,
    "t.xlsx": FRAME.write_excel,
}


def read(path, zone="Europe/Berlin", **more):
    return read_table({"kind": "file", "path": str(path), **more}, zone=zone)


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_table(name, tmp_path):
    WRITERS[name](tmp_path / name)
    table = read(tmp_path / name)
    assert table.frame.schema == {
        "n": pl.Int64, "x": pl.Float64, "name": pl.String, "code": pl.String, "at": pl.Datetime("us", "UTC")
    }  # fmt: skip
    assert table.frame["at"][0] == datetime(2024, 7, 5, 8, tzinfo=UTC)
    assert table.frame.drop("at").rows() == FRAME.drop("at").rows()
    assert table.facts["rows"] == 3
    assert table.facts["name"] == name


@pytest.mark.parametrize(("name", "format"), [(name, name.removeprefix("t.")) for name in WRITERS])
def test_a_format_can_be_said(name, format, tmp_path):
    WRITERS[name](tmp_path / name)
    (tmp_path / name).rename(tmp_path / "unnamed")
    assert read(tmp_path / "unnamed", format=format).frame.height == 3


def test_a_format_that_is_not_there(tmp_path):
    FRAME.write_csv(tmp_path / "t.csv")
    with pytest.raises(Invalid, match=r"(?i)parquet"):
        read(tmp_path / "t.csv", format="parquet")
    with pytest.raises(Invalid, match="format"):
        read(tmp_path / "t.csv", format="avro")


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1", "2", ""], [1, 2, None]),
        (["1", "2.5"], [1.0, 2.5]),
        (["1e3", "-.5"], [1000.0, -0.5]),
        (["1,5", "2,25"], [1.5, 2.25]),
        (["1,000", "12,345.5"], [1000.0, 12345.5]),
        (["1.234,5", "2,5"], [1234.5, 2.5]),
        (["007", "8"], ["007", "8"]),
        (["0", "0.5"], [0.0, 0.5]),
        (["12345678901234567890"], ["12345678901234567890"]),
        (["true", "FALSE", ""], [True, False, None]),
        (["yes", "no"], ["yes", "no"]),
        (["1", "one"], ["1", "one"]),
        (["2024-01-05", "2024-12-31"], [date(2024, 1, 5), date(2024, 12, 31)]),
        (["2024-01-05T10:00:00+02:00"], [datetime(2024, 1, 5, 8, tzinfo=UTC)]),
        (["31/12/2024 10:00", "01/02/2024 10:00"],
         [datetime(2024, 12, 31, 10, tzinfo=UTC), datetime(2024, 2, 1, 10, tzinfo=UTC)]),
        (["2024-01-05", "soon"], ["2024-01-05", "soon"]),
        (["  a ", "b"], ["a", "b"]),
        (["", ""], [None, None]),
        (["1.2.3", "4.5.6"], ["1.2.3", "4.5.6"]),
        (["£3.50", "£4.00"], ["£3.50", "£4.00"]),
    ],
    ids=lambda values: "|".join(map(str, values)),
)  # fmt: skip
def test_what_a_column_of_text_is(cells, expected):
    assert typed(pl.Series("c", cells), "UTC").to_list() == expected


def test_one_late_word_makes_a_column_text():
    cells = ["1"] * 5000 + ["n/a?"]
    assert typed(pl.Series("c", cells), "UTC").to_list() == cells


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("name;n\nCafé;1\n".encode("cp1252"), "Café"),
        ("name\tn\n杯子\t1\n".encode("gb18030"), "杯子"),
        ("name,n\nx,1\n".encode("utf-16"), "x"),
        (b"\xef\xbb\xbfname|n\nx|1\n", "x"),
        (b'name,n\n"a\nb, ""c""",1\n', 'a\nb, "c"'),
        (b"name,n\r\nx,1\r\n", "x"),
    ],
)
def test_text_files_as_people_write_them(content, expected, tmp_path):
    (tmp_path / "t.csv").write_bytes(content)
    assert read(tmp_path / "t.csv").frame.rows() == [(expected, 1)]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", b""),
        ("t.csv", b"a,b\n"),
        ("t.csv", b"a,b\n1,2,3\n"),
        ("t.parquet", b"PAR1 not really"),
        ("t.xlsx", b"PK\x03\x04 not really"),
        ("t.jsonl", b'{"a": 1}\n{"a": \n'),
        ("t.json", b'[{"a": 1}, 2]'),
        ("t.json", b"[]"),
        ("t.csv", gzip.compress(b"a,b\n1,2\n", mtime=0)),
        ("t.bin", b"\0\1\2" * 100),
    ],
)
def test_a_file_that_is_none_is_refused_with_words(name, content, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(Invalid) as caught:
        read(tmp_path / name)
    assert caught.value.message


def test_nested_values_are_json_text_and_bytes_are_refused(tmp_path):
    pl.DataFrame({"l": [[1, 2], None], "s": [{"a": 1}, {"a": 2}]}).write_parquet(tmp_path / "n.parquet")
    assert read(tmp_path / "n.parquet").frame.rows() == [("[1,2]", '{"a":1}'), (None, '{"a":2}')]
    pl.DataFrame({"b": [b"\0"]}).write_parquet(tmp_path / "b.parquet")
    with pytest.raises(Invalid, match="'b' holds binary"):
        read(tmp_path / "b.parquet")


def test_types_that_learners_do_not_know_become_some_that_they_do(tmp_path):
    from datetime import timedelta
    from decimal import Decimal

    frame = pl.DataFrame({"d": [Decimal("1.5")], "t": [timedelta(seconds=90)], "c": ["a"], "f": [float("nan")]})
    frame.with_columns(pl.col("c").cast(pl.Categorical), u=pl.lit(2**63, pl.UInt64)).write_parquet(
        tmp_path / "t.parquet"
    )
    assert read(tmp_path / "t.parquet").frame.rows() == [(1.5, 90.0, "a", None, float(2**63))]


def folder(path):
    path.mkdir()
    for day in (1, 2):
        pl.DataFrame({"n": [day], "code": [f"{day}a" if day == 2 else "1"]}).write_csv(path / f"2024-01-0{day}.csv")
    (path / "README").write_text("not data")
    (path / ".hidden.csv").write_text("x\n1\n")
    return path


def test_a_folder_and_a_pattern_are_one_table(tmp_path):
    whole = read(folder(tmp_path / "days"))
    assert whole.frame.rows() == [(1, "1"), (2, "2a")]  # what a column is, all files say together
    assert whole.facts["files"] == 2
    assert read(tmp_path / "days" / "*.csv").frame.equals(whole.frame)
    assert read(tmp_path / "d*" / "2024-01-0[2-9].csv").frame.height == 1


def test_a_file_with_a_name_like_a_pattern_is_that_file(tmp_path):
    FRAME.write_csv(tmp_path / "t[1].csv")
    assert read(tmp_path / "t[1].csv").frame.height == 3


def test_columns_may_stand_in_another_order_but_not_be_others(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    (tmp_path / "b.csv").write_text("y,x\n4,3\n")
    assert read(tmp_path / "*.csv").frame.rows() == [(1, 2), (3, 4)]
    (tmp_path / "c.csv").write_text("x,z\n1,2\n")
    with pytest.raises(Invalid, match=r"c\.csv has other columns than a\.csv: it adds z and lacks y"):
        read(tmp_path / "*.csv")


def test_one_column_of_two_types_is_refused(tmp_path):
    pl.DataFrame({"x": [1]}).write_parquet(tmp_path / "a.parquet")
    pl.DataFrame({"x": [[1]]}).write_parquet(tmp_path / "b.parquet")
    with pytest.raises(Invalid, match="different types"):
        read(tmp_path / "*.parquet")


@pytest.mark.parametrize("path", ["nowhere.csv", "*.csv", "", "empty"])
def test_nothing_there(path, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises((NotFound, Invalid), match=r"path|no file"):
        read(tmp_path / path if path else "")


def test_bounds(tmp_path, monkeypatch):
    FRAME.write_csv(tmp_path / "t.csv")
    monkeypatch.setattr(base, "MAX_ROWS", 2)
    with pytest.raises(Invalid, match="more than 2 rows"):
        read(tmp_path / "t.csv")
    monkeypatch.setattr(files, "MAX_FILE_BYTES", 10)
    with pytest.raises(Invalid, match="larger than"):
        read(tmp_path / "t.csv")


def test_a_kind_that_is_not_there_is_told_with_those_that_are():
    with pytest.raises(Invalid, match="doris, file, mysql, oss, postgres"):
        read_table({"kind": "cobol"}, zone="UTC")


@pytest.mark.parametrize("kind", plugins.names("table"))
def test_options_have_bounds(kind):
    with pytest.raises(Invalid):
        options_of({"kind": kind, "path": 7, "query": 7})
    with pytest.raises(Invalid):
        options_of({"kind": kind, "path": "x" * 5000, "query": "x" * 200_000, "table": "x" * 1000})


# -- object stores


def from_bucket(endpoint, path, **more):
    return read_table({"kind": "oss", "path": path, "endpoint": endpoint, **s3servers.KEYS, **more}, zone="UTC")


def test_an_object_a_folder_and_a_pattern(bucket):
    for day in (1, 2):
        tablewriters.into_bucket(bucket, pl.DataFrame({"n": [day]}), f"days/2024/0{day}.csv")
    tablewriters.into_bucket(bucket, pl.DataFrame({"n": [9]}), "days/2024/more/09.csv")
    s3servers.client(bucket).put_object(Bucket="shop", Key="days/2024/README", Body=b"not data")
    one = from_bucket(bucket, "s3://shop/days/2024/01.csv")
    assert one.frame["n"].to_list() == [1]
    assert one.facts["server"] == bucket.removeprefix("http://")
    assert from_bucket(bucket, "s3://shop/days/*/0[12].csv").frame["n"].to_list() == [1, 2]
    assert from_bucket(bucket, "s3://shop/days/2024/*.csv").facts["files"] == 2
    assert from_bucket(bucket, "s3://shop/days/2024/").frame["n"].to_list() == [1, 2, 9]
    assert from_bucket(bucket, "s3://shop/days/2024").frame["n"].to_list() == [1, 2, 9]


def test_oss_takes_the_same_path(bucket):
    tablewriters.into_bucket(bucket, pl.DataFrame({"n": [1]}), "oss/t.csv")
    assert from_bucket(bucket, "oss://shop/oss/t.csv", addressing="path").frame["n"].to_list() == [1]


@pytest.mark.parametrize(
    ("path", "more", "kind", "word"),
    [
        ("s3://shop/nothing/here.csv", {}, NotFound, "nothing/here.csv"),
        ("s3://shop/nothing/*.csv", {}, NotFound, "nothing"),
        ("s3://other-bucket/t.csv", {}, NotFound, "other-bucket"),
        ("/etc/passwd", {}, Invalid, "s3://"),
        ("file:///etc/passwd", {}, Invalid, "s3://"),
        ("s3://key:secret@shop/t.csv", {}, Invalid, "never in it"),
        ("s3://shop/t.csv", {"secret_key": None}, Invalid, "belong together"),
        ("s3://shop/t.csv", {"endpoint": "http://127.0.0.1:1"}, Unavailable, "127.0.0.1:1"),
        ("s3://shop/t.csv", {"addressing": "sideways"}, Invalid, "addressing"),
        ("s3://shop/t.csv", {"acess_key": "x"}, Invalid, "access_key"),
        ("oss://shop/t.csv", {"endpoint": None}, Invalid, "endpoint"),
    ],
)
def test_what_is_wrong_with_a_store_is_said(path, more, kind, word, bucket):
    with pytest.raises(kind) as caught:
        from_bucket(more.pop("endpoint", bucket), path, **more)
    assert word in caught.value.message
    assert s3servers.KEYS["secret_key"] not in caught.value.message


def test_keys_that_are_wrong(bucket):
    tablewriters.into_bucket(bucket, pl.DataFrame({"n": [1]}), "guarded/t.csv")
    s3servers.post(f"{bucket}/moto-api/reset-auth", b"0")
    try:
        with pytest.raises(Refused) as caught:
            from_bucket(bucket, "s3://shop/guarded/t.csv", secret_key="wrong-secret")
    finally:
        s3servers.post(f"{bucket}/moto-api/reset-auth", b"1000000000")
    assert "wrong-secret" not in caught.value.message


@pytest.mark.parametrize(
    ("source", "host"),
    [
        ({"path": "s3://b22/t.csv"}, "s3.us-east-1.amazonaws.com:443"),
        ({"path": "s3://b22/t.csv", "region": "eu-west-1"}, "s3.eu-west-1.amazonaws.com:443"),
        ({"path": "oss://b22/t.csv", "region": "cn-hangzhou"}, "oss-cn-hangzhou.aliyuncs.com:443"),
        ({"path": "s3://b22/t.csv", "endpoint": "http://minio.local:9000"}, "minio.local:9000"),
        ({"path": "s3://b22/t.csv", "endpoint": "http://minio.local"}, "minio.local:80"),
    ],
)
def test_the_server_of_a_store_is_known_before(source, host):
    assert reach_of({"kind": "oss", **source}).hosts == (host,)
