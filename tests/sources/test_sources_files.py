"""Files as they come: formats, encodings, delimiters, and those that cannot be read."""

from datetime import datetime

import polars as pl
import pytest

from shopkeeper.core.errors import Invalid
from shopkeeper.sources.files import CsvSource, open_source, survey

FRAME = pl.DataFrame({"item": ["A1", "B2", "C3"], "qty": [1, 2, 3], "when": [datetime(2024, 1, 5, 12)] * 3})


def write(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl", "xlsx"])
def test_every_format_gives_the_same_rows(tmp_path, suffix):
    path = tmp_path / f"orders.{suffix}"
    {"csv": FRAME.write_csv, "parquet": FRAME.write_parquet, "jsonl": FRAME.write_ndjson, "xlsx": FRAME.write_excel}[
        suffix
    ](path)
    seen = survey(path)
    assert (seen.rows, seen.layout.columns) == (3, ("item", "qty", "when"))
    assert seen.sample["item"].to_list() == ["A1", "B2", "C3"]
    assert [int(value) for value in seen.sample["qty"]] == [1, 2, 3]
    assert all(str(value).startswith("2024-01-05") for value in seen.sample["when"])


@pytest.mark.parametrize(
    ("encoding", "found", "text"),
    [
        ("utf-8", "utf-8", "名称,数量\n杯子,1\n"),
        ("utf-8-sig", "utf-8-sig", "名称,数量\n杯子,1\n"),
        ("gb18030", "gb18030", "名称,数量\n杯子,1\n"),
        ("utf-16", "utf-16", "名称,数量\n杯子,1\n"),
        ("latin-1", "cp1252", "Stück,Café\nKöln,1\n"),
        ("cp1252", "cp1252", "Preis €,Größe\nKöln,1\n"),
    ],
)
def test_encodings_are_found(tmp_path, encoding, found, text):
    seen = survey(write(tmp_path / "a.csv", text, encoding))
    assert seen.layout.encoding == found
    assert seen.layout.columns == tuple(text.split("\n")[0].split(","))


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_delimiters_are_found(tmp_path, mark):
    seen = survey(write(tmp_path / "a.csv", mark.join("abc") + "\n" + mark.join(["1,5", "2", "3"]) + "\n"))
    assert seen.layout.delimiter == mark if mark != "," else True
    assert seen.layout.columns == ("a", "b", "c")


def test_what_was_found_can_be_overridden(tmp_path):
    path = write(tmp_path / "a.csv", "a;b,c\n1;2,3\n")
    assert CsvSource(delimiter=";").layout(path).columns == ("a", "b,c")
    with pytest.raises(Invalid, match="unknown encoding"):
        CsvSource(encoding="klingon").layout(path)
    with pytest.raises(Invalid, match="one character"):
        CsvSource(delimiter="ab").layout(path)


def test_rows_with_other_widths_are_told_by_number(tmp_path):
    path = write(tmp_path / "a.csv", 'a,b\n1,2\n3\n\n"x\ny",5\n6,7,8\n9,10,,\n')
    (part,) = CsvSource().slices(path, CsvSource().layout(path))
    assert part.frame.rows() == [("1", "2"), ("x\ny", "5"), ("9", "10")]
    assert part.rows.to_list() == [1, 3, 5]
    assert [(broken.row, broken.reason) for broken in part.broken] == [
        (2, "has 1 fields, the header has 2"),
        (4, "has 3 fields, the header has 2"),
    ]
    assert part.next_row == 6


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl", "xlsx"])
def test_reading_goes_on_from_any_slice(tmp_path, suffix):
    frame = pl.DataFrame({"item": [f"I{n}" for n in range(1, 26)]})
    path = tmp_path / f"a.{suffix}"
    {"csv": frame.write_csv, "parquet": frame.write_parquet, "jsonl": frame.write_ndjson, "xlsx": frame.write_excel}[
        suffix
    ](path)
    source = open_source(path)
    layout = source.layout(path)
    whole = [(part.first_row, part.frame["item"].to_list()) for part in source.slices(path, layout, size=10)]
    assert [first for first, _ in whole] == [1, 11, 21]
    rest = [(p.first_row, p.frame["item"].to_list()) for p in source.slices(path, layout, first_row=11, size=10)]
    assert rest == whole[1:]


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("a.csv", b"", "empty_file"),
        ("a.csv", b" \n\n", "empty_file"),
        ("a.csv", b"\xef\xbb\xbf", "empty_file"),
        ("a.csv", b"a,b\n", "no_rows"),
        ("a.csv", b'a,b\n"' + b"x" * 200_000, "bad_csv"),
        ("a.csv", b"a,b\n\x00\x01\x02", "unsupported_file"),
        ("a.xls", b"\xd0\xcf\x11\xe0....", "unsupported_file"),
        ("a.csv", b"\x1f\x8b\x08\x00....", "unsupported_file"),
        ("a.parquet", b"PAR1 is not all", "bad_parquet"),
        ("a.xlsx", b"PK\x03\x04 is not all", "bad_xlsx"),
        ("a.json", b"[1, 2]", "bad_jsonl"),
        ("a.csv", b",".join(b"c" for _ in range(600)) + b"\n1\n", "too_many_columns"),
    ],
)
def test_what_cannot_be_read_says_why(tmp_path, name, content, code):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(Invalid) as caught:
        survey(path)
    assert caught.value.code == code


def test_header_names_are_made_usable(tmp_path):
    seen = survey(write(tmp_path / "a.csv", " a ,,a,a_2\n1,2,3,4\n"))
    assert seen.layout.columns == ("a", "column_2", "a_2", "a_2_2")


def test_json_lines_that_are_no_objects_are_told(tmp_path):
    path = write(tmp_path / "a.jsonl", '{"item":"A"}\n[1]\n{"item":\n\n{"item":"B","deep":{"x":1}}\n')
    source = open_source(path)
    (part,) = source.slices(path, source.layout(path))
    assert part.frame.rows() == [("A", None), ("B", '{"x":1}')]
    assert [broken.row for broken in part.broken] == [2, 3]


def test_a_sample_is_spread_over_the_whole_file(tmp_path):
    path = write(tmp_path / "a.csv", "n\n" + "".join(f"{n}\n" for n in range(1, 10_001)))
    seen = survey(path)
    numbers = [int(value) for value in seen.sample["n"]]
    assert seen.rows == 10_000
    assert 1_000 <= len(numbers) <= 2_000
    assert min(numbers) == 1
    assert max(numbers) > 9_900
