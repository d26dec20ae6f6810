"""The calendar over HTTP, and that the next forecast knows what was entered."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from api_server import Running, serving

from shopkeeper.client import ShopkeeperClient
from shopkeeper.core.errors import Invalid, NotFound
from shopkeeper.core.records import CalendarEntry

PATH = "/api/v1/calendar"
SALE = {"kind": "promotion", "name": "Sale", "from": "2030-06-03", "to": "2030-06-09", "item_ids": ["tea"]}


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with serving(tmp_path_factory.mktemp("calendar")) as running:
        yield running


def test_an_entry_is_made_changed_listed_and_taken_away(live: Running) -> None:
    made = live.http.post(PATH, json={**SALE, "discount": 0.2})
    assert made.status_code == 201, made.text
    one = made.json()
    assert {**SALE, "discount": 0.2, "id": one["id"], "store_ids": None} == one
    assert made.headers["location"] == f"{PATH}/{one['id']}"
    listed = live.http.get(PATH, params={"from": "2030-06-09", "to": "2030-07-01", "kind": "promotion"}).json()
    assert [entry["id"] for entry in listed["items"]] == [one["id"]]
    assert live.http.get(PATH, params={"from": "2030-06-10"}).json()["total"] == 0
    changed = live.http.put(f"{PATH}/{one['id']}", json={**one, "to": "2030-06-10", "discount": None})
    assert changed.status_code == 200, changed.text
    assert live.http.get(PATH, params={"from": "2030-06-10"}).json()["items"] == [changed.json()]
    assert live.http.delete(f"{PATH}/{one['id']}").status_code == 204
    assert live.http.delete(f"{PATH}/{one['id']}").status_code == 404
    assert live.http.put(f"{PATH}/{one['id']}", json=SALE).status_code == 404


def test_the_client_has_a_method_for_each(live: Running) -> None:
    with ShopkeeperClient(live.url) as shop:
        entry = CalendarEntry(kind="holiday", name="Easter", from_="2030-04-21", to="2030-04-22")
        made = shop.enter(entry)
        assert shop.calendar(first="2030-04-22", kind="holiday").items == [made]
        changed = shop.change_entry(msgspec.structs.replace(made, to="2030-04-21"))
        assert shop.calendar(first="2030-04-22").items == []
        assert changed.id == made.id
        shop.delete_entry(made.id)
        with pytest.raises(NotFound):
            shop.delete_entry(made.id)
        with pytest.raises(Invalid):
            shop.enter(msgspec.structs.replace(entry, to="2030-01-01"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "party"},
        {"from": "soon"},
        {"to": "2030-06-01"},
        {"name": ""},
        {"item_ids": []},
        {"discount": 2},
        {"kind": "closed"},
    ],
)
def test_what_makes_no_sense_is_refused(live: Running, wrong: dict[str, Any]) -> None:
    assert live.http.post(PATH, json={**SALE, **wrong}).status_code == 400
    assert live.http.get(PATH).json()["total"] == 0


def test_days_and_kinds_of_a_list_are_checked(live: Running) -> None:
    for query in ({"from": "soon"}, {"kind": "party"}, {"cursor": "x"}, {"limit": 0}):
        assert live.http.get(PATH, params=query).status_code == 400, query


def test_the_panel_knows_an_entry_at_once(live: Running) -> None:
    live.http.put("/api/v1/items/tea", json={"name": "Tea"}).raise_for_status()
    made = live.http.post(
        PATH, json={"kind": "closed", "name": "Stocktaking", "from": "2030-01-02", "to": "2030-01-02"}
    )
    shop = live.shop
    try:
        told = shop.panel.beside.calendar.columns(21_915, 4, ["tea"])  # from 2030-01-01 on
        assert told.closed.tolist() == [0, 1, 0, 0]
    finally:
        live.http.delete(f"{PATH}/{made.json()['id']}")


def test_calendars_and_days_are_imported(live: Running, tmp_path: Path) -> None:
    shop = live.shop
    live.http.put("/api/v1/items/tea", json={"name": "Tea"}).raise_for_status()
    calendar = tmp_path / "calendar.csv"
    calendar.write_text(
        "kind,name,from,to,item_id,discount\npromotion,May,2030-05-01,2030-05-03,tea,0.1\nholiday,Easter,2030-04-21,,,\n"
        "party,Mine,2030-05-01,,,\nholiday,Wrong,2030-04-21,2030-04-20,,\nclosed,Odd,2030-04-21,,tea,\n"
    )
    brought = shop.imports.create("calendar.csv", calendar, kind="calendar")
    done = shop.imports.run(brought.import_id)
    assert (done.accepted, done.rejected) == (2, 3)
    assert [entry.name for entry in shop.calendar.all()] == ["Easter", "May"]
    again = shop.imports.run(shop.imports.create("calendar.csv", calendar, kind="calendar").import_id)
    assert (again.accepted, again.duplicates) == (0, 2)
    for entry in shop.calendar.all():
        live.http.delete(f"{PATH}/{entry.id}")
    days = tmp_path / "days.csv"
    days.write_text(
        "date,Fuel Price,item_id,out_of_stock\n2030-01-01,1.5,,\n2030-01-02,,tea,1\n2030-01-03,,ghost,1\n"
        "2030-01-04,dear,,\n2030-01-05,,,\n"
    )
    done = shop.imports.run(shop.imports.create("days.csv", days, kind="days").import_id)
    assert (done.accepted, done.rejected) == (2, 3)
    why = b"".join(shop.imports.rejects(done.import_id)).decode()
    assert "no item 'ghost'" in why
    assert "'dear' is not a number" in why
    assert "no fact" in why
    assert shop.day_facts.column("fuel_price")[1].tolist() == [1.5]
    assert list(shop.day_facts.items("out_of_stock")) == [(-1, shop.vocab.items.row("tea"))]
