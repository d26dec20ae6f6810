"""Products, stores and uploads of the stock paths."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import pytest
from api_server import KEY, Running


def upload(stock: Running, name: str, content: bytes, **query: Any) -> Any:
    files = {"file": (name, io.BytesIO(content))}
    return stock.http.post("/api/data/upload", files=files, params={"wait": True, **query})


def sheet(rows: list[list[Any]]) -> bytes:
    from xlsxwriter import Workbook

    out = io.BytesIO()
    with Workbook(out) as book:
        page = book.add_worksheet()
        for place, row in enumerate(rows):
            page.write_row(place, 0, row)
    return out.getvalue()


def test_sales_come_with_what_is_known_of_the_day(stock: Running) -> None:
    rows = stock.http.get("/api/products/mug/sales").json()["data"]
    assert list(rows[0]) == [
        "date", "sales", "price", "weekday", "month", "is_weekend", "is_holiday", "is_promotion", "temperature",
    ]  # fmt: skip
    assert {row["price"] for row in rows} == {8.0}
    assert any(row["is_promotion"] for row in rows)
    assert not all(row["is_promotion"] for row in rows)
    day = rows[5]["date"]
    some = stock.http.get("/api/products/mug/sales", params={"start_date": day, "end_date": day}).json()["data"]
    assert some == [rows[5]]
    assert stock.http.get("/api/products/mug/sales", params={"store_id": "S2"}).json()["data"] == []
    assert stock.http.get("/api/products/mug/sales", params={"store_id": "moon"}).status_code == 404
    assert stock.http.get("/api/products/ghost/sales").json()["code"] == "unknown_item"
    assert stock.http.get("/api/products/mug/sales", params={"start_date": "soon"}).status_code == 400
    entry = {"kind": "holiday", "name": "Fair", "from": day, "to": day}
    made = stock.http.post("/api/v1/calendar", json=entry)
    assert made.status_code == 201
    again = stock.http.get("/api/products/mug/sales", params={"start_date": day, "end_date": day}).json()["data"]
    assert again[0]["is_holiday"] is True
    stock.http.delete(f"/api/v1/calendar/{made.json()['id']}")


def test_stores_are_managed(stock: Running) -> None:
    known = {"store_id": "S9", "name": "Ninth", "location": "Ulm", "size": 120.5, "type": "kiosk",
             "opening_date": "2024-03-01", "status": "open"}  # fmt: skip
    made = stock.http.post("/api/stores", json=known)
    assert (made.status_code, made.json()["data"], made.headers["location"]) == (201, known, "/api/stores/S9")
    assert stock.http.post("/api/stores", json=known).json()["code"] == "exists"
    assert stock.http.get("/api/stores/S9").json()["data"] == known
    changed = stock.http.put("/api/stores/S9", json={"name": "Ninth", "status": "closed"}).json()["data"]
    assert (changed["status"], changed["location"]) == ("closed", "")
    assert {one["store_id"] for one in stock.http.get("/api/stores").json()["data"]} >= {"S1", "S2", "S9"}
    assert stock.http.get("/api/stores/S9/products").json()["data"] == []
    assert stock.http.delete("/api/stores/S9").status_code == 200
    for call in (stock.http.get, stock.http.delete):
        assert call("/api/stores/S9").json()["code"] == "unknown_store"


def test_a_store_with_sales_stays_and_says_what_it_sold(stock: Running) -> None:
    told = stock.http.delete("/api/stores/S1")
    assert (told.status_code, told.json()["code"]) == (409, "has_sales")
    page = stock.http.get("/api/stores/S1/products", params={"limit": 1}).json()
    assert [one["product_id"] for one in page["data"]] == ["mug"]
    rest = stock.http.get("/api/stores/S1/products", params={"limit": 1, "cursor": page["next_cursor"]}).json()
    assert [one["product_id"] for one in rest["data"]] == ["tea"]
    assert [one["product_id"] for one in stock.http.get("/api/stores/S2/products").json()["data"]][:1] == ["tea"]
    assert stock.http.get("/api/stores/moon/products").json()["code"] == "unknown_store"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"name": "no id"}, "wrong_value"),
        ({"store_id": "a/b"}, "bad_id"),
        ({"store_id": "x", "size": -1}, "wrong_value"),
        ({"store_id": "x", "opening_date": "in May"}, "bad_date"),
        ({"store_id": "x", "name": "line\nbreak"}, "invalid"),
    ],
)
def test_a_store_that_cannot_be(stock: Running, body: dict[str, Any], code: str) -> None:
    answer = stock.http.post("/api/stores", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_a_sheet_with_chinese_headers_becomes_sales(stock: Running) -> None:
    rows = [["日期", "产品编号", "产品名称", "销量", "单价"]]
    rows += [[f"2026-09-{day:02d}", "茶-1", "绿茶", 3, 9.5] for day in range(1, 11)]
    rows.append(["2026-09-11", "茶-1", "绿茶", "viele", 9.5])
    done = upload(stock, "销售.xlsx", sheet(rows))
    assert done.status_code == 200, done.text
    told = done.json()["data"]
    assert (told["accepted"], told["rejected"]) == (10, 1)
    assert "viele" in stock.http.get(told["rejects_url"]).text
    sales = stock.http.get("/api/products/茶-1/sales").json()["data"]
    assert (sales[0]["sales"], sales[0]["price"]) == (3.0, 9.5)


def test_an_upload_is_a_job_unless_it_is_waited_for(stock: Running) -> None:
    text = b"date,product_id,product_name,sales,price\n" + b"".join(
        b"2026-08-%02d,cup,Cup,2,1.5\n" % day for day in range(1, 6)
    )
    begun = upload(stock, "sales.csv", text, wait=False)
    assert begun.status_code == 202
    data = begun.json()["data"]
    assert (data["status"], data["rows"], data["mapping"]["quantity"]) == ("queued", 5, "sales")
    assert stock.shop.jobs.wait(data["job_id"], 120).status == "done"
    assert stock.http.get("/api/products/cup").json()["data"]["data_points"] == 5


@pytest.mark.parametrize(
    ("name", "content", "status"),
    [
        ("sales.exe", b"MZ", 415),
        ("sales.csv", b"", 400),
        ("sales.csv", b"a,b\n1,2\n", 400),
        ("sales.xlsx", b"no sheet at all", 400),
        ("sales.xlsx", b"PK\x03\x04 broken", 400),
    ],
)
def test_what_is_no_table_of_sales(stock: Running, name: str, content: bytes, status: int) -> None:
    before = stock.http.get("/api/v1/data/imports").json()["total"]
    answer = upload(stock, name, content)
    assert (answer.status_code, answer.json()["status"]) == (status, "error"), answer.text
    assert stock.http.get("/api/v1/data/imports").json()["total"] == before


def test_a_sheet_that_is_a_bomb_or_has_only_bad_rows(stock: Running) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b"0" * (600 << 20 >> 1))
    bomb = upload(stock, "bomb.xlsx", out.getvalue())
    assert (bomb.status_code, bomb.json()["status"]) == (400, "error"), bomb.text
    useless = upload(stock, "useless.csv", b"date,product_id,sales\nnever,x,many\n")
    assert (useless.status_code, useless.json()["code"]) == (409, "job_failed")


def test_a_body_that_is_too_large_or_no_form(locked: Running) -> None:
    key = {"X-API-Key": KEY}
    for path in ("/api/data/upload", "/api/models/import"):
        large = locked.http.post(path, files={"file": ("a.csv", b"x" * 9000)}, headers=key)
        assert (large.status_code, large.json()["code"]) == (413, "body_too_large")
        plain = locked.http.post(path, json={}, headers=key)
        assert (plain.status_code, plain.json()["code"]) == (415, "wrong_content_type")
        assert locked.http.post(path, files={"file": ("a.csv", b"x")}).status_code == 401
