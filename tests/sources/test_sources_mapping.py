"""Which column is which: guesses with confidence, and what a person says against them."""

import polars as pl
import pytest

from shopkeeper.core.errors import Invalid
from shopkeeper.sources.mapping import check_complete, check_width, guess, missing_fields, override

ORDERS = pl.DataFrame(
    {"OrderNo": ["1"], "Kunde": ["7"], "Artikelnummer": ["A"], "Datum": ["13.02.2024"], "Menge": ["1"]}
)


@pytest.mark.parametrize(
    ("columns", "kind", "mapping"),
    [
        (
            {"日期": "2024-01-05", "商品编号": "A1", "名称": "杯子", "销量": "3", "单价": "2.5"},
            "sales",
            {"time": "日期", "item_id": "商品编号", "item_name": "名称", "quantity": "销量", "unit_price": "单价"},
        ),
        (
            {"InvoiceNo": "5", "StockCode": "A", "Description": "cup", "Quantity": "1",
             "InvoiceDate": "2024-01-05 10:00", "UnitPrice": "2.5", "CustomerID": "17850"},
            "orders",
            {"order_id": "InvoiceNo", "item_id": "StockCode", "item_name": "Description", "quantity": "Quantity",
             "time": "InvoiceDate", "unit_price": "UnitPrice", "user_id": "CustomerID"},
        ),
        (
            {"date": "2013-01-01", "store": "1", "item": "1", "sales": "13"},
            "sales",
            {"time": "date", "store_id": "store", "item_id": "item", "quantity": "sales"},
        ),
        (
            {"user_id": "1", "item_id": "2", "behavior": "click", "timestamp": "1704448800"},
            "events",
            {"user_id": "user_id", "target_id": "item_id", "event_type": "behavior", "time": "timestamp"},
        ),
        ({"customer_id": "1", "age": "33"}, "users", {"user_id": "customer_id"}),
        ({"sku": "1", "title": "cup", "brand": "b"}, "items", {"item_id": "sku", "name": "title"}),
        ({"sku": "1", "stock": "10"}, "stock", {"item_id": "sku", "on_hand": "stock"}),
        ({"商品编号": "1", "库存": "10"}, "stock", {"item_id": "商品编号", "on_hand": "库存"}),
    ],
)  # fmt: skip
def test_kinds_and_columns_are_guessed(columns, kind, mapping):
    plan = guess(pl.DataFrame({name: [value] for name, value in columns.items()}))
    assert plan.kind == kind
    assert plan.mapping == mapping
    assert all(0.3 < g.confidence <= 1 and g.reason for g in plan.guesses)


def test_values_speak_against_a_header():
    plan = guess(pl.DataFrame({"item": ["a"], "date": ["n/a"], "day": ["2024-01-01"], "qty": ["2"]}))
    assert plan.mapping["time"] == "day"


def test_dates_without_a_header_are_found_with_low_confidence():
    plan = guess(pl.DataFrame({"customer": ["1"], "product": ["a"], "wann": ["2024-01-01 10:00"]}))
    (time,) = [g for g in plan.guesses if g.field == "time"]
    assert (time.column, time.reason) == ("wann", "its values are dates")
    assert time.confidence < 0.5


def test_options_are_read_from_the_values():
    german = pl.DataFrame(
        {"Artikel": ["A", "B"], "Datum": ["01.02.2024", "13.02.2024"], "Menge": ["1", "2"], "Preis": ["2,50", "3,00"]}
    )
    assert guess(german).options == {"@decimal": ",", "@dates": "day_first"}
    american = german.with_columns(Datum=pl.Series(["02/13/2024", "01/02/2024"]), Preis=pl.Series(["2.50", "3"]))
    assert guess(american).options == {"@dates": "month_first"}


def test_what_nothing_proves_is_said():
    plan = guess(pl.DataFrame({"sku": ["a"], "date": ["01/02/2024"], "qty": ["1"], "customer": ["1"]}))
    (note,) = plan.notes
    assert "nothing proves it" in note
    plan = override(
        plan,
        {"@dates": "month_first"},
        pl.DataFrame({"sku": ["a"], "date": ["01/02/2024"], "qty": ["1"], "customer": ["1"]}),
    )
    assert (plan.options["@dates"], plan.notes) == ("month_first", [])


def test_the_order_of_iso_dates_is_no_question():
    plan = guess(pl.DataFrame({"sku": ["a"], "date": ["2024-01-05"], "qty": ["1"], "customer": ["1"]}))
    assert (plan.options, plan.notes) == ({}, [])


def test_what_was_said_of_dates_survives_another_change():
    frame = pl.DataFrame({"sku": ["a"], "date": ["01/02/2024"], "n": ["1"], "customer": ["1"]})
    plan = override(guess(frame), {"@dates": "month_first"}, frame)
    later = override(plan, {"quantity": "n"}, frame)
    assert (later.options["@dates"], later.notes) == ("month_first", [])


@pytest.mark.parametrize(
    ("column", "given", "delimiter", "refused"),
    [
        ("order date^customer^sku", {}, ",", "@delimiter=^"),
        ("customers of ours", {}, ",", "@delimiter=MARK"),
        ("customers of ours", {"user_id": "customers of ours"}, ",", None),
        ("customers of ours", {}, "", None),
        ("Kunden-Nr", {}, ",", None),
        ("customer_id", {}, ",", None),
    ],
)
def test_one_column_without_a_known_name_is_a_delimiter_not_found(column, given, delimiter, refused):
    if refused is None:
        check_width([column], given, delimiter=delimiter)
        return
    with pytest.raises(Invalid) as caught:
        check_width([column], given, delimiter=delimiter)
    assert refused in caught.value.message
    check_width([column, "more"], given, delimiter=delimiter)


def test_a_person_has_the_last_word():
    plan = guess(ORDERS)
    changed = override(
        plan, {"user_id": None, "item_id": "OrderNo", "store_id": "=berlin", "@timezone": "Europe/Berlin"}, ORDERS
    )
    assert "user_id" not in changed.mapping
    assert changed.mapping["item_id"] == "OrderNo"
    assert changed.mapping["store_id"] == "=berlin"
    assert changed.options["@timezone"] == "Europe/Berlin"
    assert plan.mapping["item_id"] == "Artikelnummer"


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"itm_id": "Menge"}, "unknown_field"),
        ({"item_id": "Spalte"}, "unknown_column"),
        ({"@decimal": ";"}, "bad_option"),
        ({"@colour": "red"}, "unknown_option"),
        ({"@timezone": "Mars/Base"}, "bad_option"),
    ],
)
def test_wrong_words_are_named(given, code):
    with pytest.raises(Invalid) as caught:
        override(guess(ORDERS), given, ORDERS)
    assert caught.value.code == code
    assert caught.value.field == next(iter(given))


def test_a_file_of_no_kind_is_refused_until_a_person_maps_it():
    frame = pl.DataFrame({"a": ["x"], "b": ["2024-01-01"], "c": ["7"]})
    with pytest.raises(Invalid, match="do not look like"):
        guess(frame)
    plan = guess(frame, given={"item_id": "a", "time": "b", "quantity": "c", "user_id": "=7"})
    assert plan.kind == "orders"
    assert not missing_fields(plan)


def test_a_named_kind_without_its_columns_says_what_is_missing():
    plan = guess(pl.DataFrame({"a": ["x"]}), kind="stock")
    assert missing_fields(plan) == ["item_id", "on_hand"]
    with pytest.raises(Invalid, match="need item_id, on_hand"):
        check_complete(plan)
    with pytest.raises(Invalid, match="unknown"):
        guess(ORDERS, kind="weather")
