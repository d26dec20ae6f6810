"""The files of a home, cleaned of one person. The SQL side is in tests/stores, the whole in tests/api."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from shopkeeper.operations.erasing_files import Found, clean_file, home_files
from shopkeeper.stores.holdings import Person
from shopkeeper.stores.words import BLOT, Words

ANNA = Person((1,), ("17",), ("visitor-anna-1",))


def plan(columns: list[str], delimiter: str = ",", **mapping: str) -> dict[str, Any]:
    return {"mapping": mapping, "layout": {"columns": columns, "encoding": "utf-8", "delimiter": delimiter}}


def clean(home: Path, plans: dict[str, Any] | None = None, person: Person = ANNA) -> Found:
    found = Found()
    for path in list(home_files(home)):
        clean_file(home, path, person, Words(person.ids), plans or {}, found)
    return found


def put(home: Path, name: str, content: bytes | str) -> Path:
    path = home / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_a_short_id_is_looked_for_in_the_columns_of_ids_only(tmp_path: Path) -> None:
    path = put(tmp_path, "imports/A/source.csv", "who,item,pieces\n17,lamp,1\n18,lamp,17\n17.0,mug,2\n171,mug,3\n")
    found = clean(tmp_path, {"A": plan(["who", "item", "pieces"], user_id="who", item_id="item")})
    assert path.read_text() == "who,item,pieces\n18,lamp,17\n171,mug,3\n"
    assert found.rewritten == ["imports/A/source.csv"]
    assert clean(tmp_path, {"A": plan(["who", "item", "pieces"], user_id="who")}) == Found()


def test_a_record_of_several_lines_goes_as_one(tmp_path: Path) -> None:
    text = 'who;note\n18;"a ""quoted""\nnote"\n17;"first\nsecond, 18"\n19;x\n'
    path = put(tmp_path, "imports/A/source.csv", text)
    clean(tmp_path, {"A": plan(["who", "note"], ";", user_id="who")})
    assert path.read_text() == 'who;note\n18;"a ""quoted""\nnote"\n19;x\n'


def test_a_long_id_goes_wherever_it_stands(tmp_path: Path) -> None:
    lines = ['{"user_id": "18", "note": "of visitor-anna-1"}', '{"user_id": "18", "note": "17 pieces"}', '{"u": "19"}']
    path = put(tmp_path, "imports/A/source.jsonl", "\n".join(lines) + "\n")
    clean(tmp_path, person=Person((1,), (), ANNA.anonymous_ids))
    assert path.read_text().splitlines() == lines[1:]


def test_a_short_id_is_looked_for_in_the_fields_of_ids_only(tmp_path: Path) -> None:
    lines = ['{"who": "18", "pieces": 17}', '{"who": 17, "pieces": 1}', '{"who": "171"}', '{"who": "1"}']
    path = put(tmp_path, "imports/A/source.jsonl", "\n".join(lines) + "\n")
    clean(tmp_path, {"A": plan(["who", "pieces"], user_id="who")})
    assert path.read_text().splitlines() == [lines[0], *lines[2:]]


def test_a_short_id_does_not_spoil_what_a_job_has_made(tmp_path: Path) -> None:
    model = put(tmp_path, "jobs/J/work/model.txt", "split_feature=17 3\nthreshold=0.17 17\n")
    arrays = put(tmp_path, "jobs/J/work/arrays.npy", b"\0\1 17 \0")
    process = put(tmp_path, "jobs/J/process.json", '{"pid":17}')
    result = put(tmp_path, "jobs/J/result.json", '{"users":17,"user_id":"17","of":["visitor-anna-1",17]}')
    half = put(tmp_path, "jobs/J/half.json", '{"user_id":"17')
    found = clean(tmp_path)
    assert model.read_text() == "split_feature=17 3\nthreshold=0.17 17\n"
    assert arrays.exists()
    assert process.read_text() == '{"pid":17}'
    assert half.exists()
    assert msgspec.json.decode(result.read_bytes()) == {"users": 17, "user_id": BLOT, "of": [BLOT, 17]}
    assert found == Found(rewritten=["jobs/J/result.json"])


def test_refused_rows_are_cleaned_by_the_same_columns(tmp_path: Path) -> None:
    path = put(tmp_path, "imports/A/rejects-0000000001.csv", "3,17 is odd,18,lamp\n17,no item,17,\n")
    clean(tmp_path, {"A": plan(["who", "item"], user_id="who")})
    assert path.read_text() == "3,17 is odd,18,lamp\n"


def packed(frame: pl.DataFrame) -> bytes:
    out = io.BytesIO()
    frame.write_parquet(out)
    return out.getvalue()


def test_a_packed_file_with_the_person_goes_and_one_without_stays(tmp_path: Path) -> None:
    gone = put(tmp_path, "imports/A/source.parquet", packed(pl.DataFrame({"who": ["17", "18"], "n": [1, 2]})))
    stays = put(tmp_path, "imports/B/source.parquet", packed(pl.DataFrame({"who": ["171"], "n": [1]})))
    numbers = put(tmp_path, "imports/C/source.parquet", packed(pl.DataFrame({"who": [17.0, 18.0]})))
    found = clean(tmp_path)
    assert (gone.exists(), stays.exists(), numbers.exists()) == (False, True, False)
    assert found.removed == ["imports/A/source.parquet", "imports/C/source.parquet"]


def test_a_file_that_nobody_can_read_is_not_kept_on_trust(tmp_path: Path) -> None:
    broken = put(tmp_path, "imports/A/source.parquet", b"PAR1 and no more \0")
    empty = put(tmp_path, "imports/B/source.parquet", b"")
    clean(tmp_path)
    assert (broken.exists(), empty.exists()) == (False, True)


def test_logs_keep_their_length_and_everything_else(tmp_path: Path) -> None:
    text = "x" * (1 << 20) + " user visitor-anna-1 and 17, not 171\n" + "y" * 100
    path = put(tmp_path, "logs/server.log", text)
    appending = path.open("a")
    found = clean(tmp_path)
    appending.write("later\n")
    appending.close()
    assert path.read_text() == text.replace("visitor-anna-1", "*" * 14).replace(" 17,", " **,") + "later\n"
    assert found.starred == ["logs/server.log"]


def test_an_id_across_two_blocks_is_found(tmp_path: Path) -> None:
    for shift in range(16):
        path = put(tmp_path, "jobs/J/log.txt", "x" * ((1 << 20) - shift) + " visitor-anna-1 end")
        clean(tmp_path)
        assert b"visitor" not in path.read_bytes()


def test_models_and_files_of_the_shopkeeper_are_named_and_left(tmp_path: Path) -> None:
    model = put(tmp_path, "artifacts/m/all/v1/ids.json", '["17", "visitor-anna-1"]')
    source = put(tmp_path, "sources/own.csv", "visitor-anna-1\n")
    put(tmp_path, "shop.db", "visitor-anna-1")
    found = clean(tmp_path)
    assert found.models == ["artifacts/m/all/v1/ids.json"]
    assert found.left == ["sources/own.csv"]
    assert model.read_text() == '["17", "visitor-anna-1"]'
    assert source.exists()


def test_links_are_not_followed_out_of_the_home(tmp_path: Path) -> None:
    outside = put(tmp_path, "outside/note.txt", "visitor-anna-1")
    home = tmp_path / "home"
    (home / "logs").mkdir(parents=True)
    (home / "logs" / "link.log").symlink_to(outside)
    assert clean(home) == Found()
    assert outside.read_text() == "visitor-anna-1"


def test_what_a_try_that_was_cut_off_left_goes(tmp_path: Path) -> None:
    half = put(tmp_path, "imports/A/source.csv.new", "who,item\n18,lamp\n")
    clean(tmp_path)
    assert not half.exists()
