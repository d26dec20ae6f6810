from __future__ import annotations

import pytest

from shopkeeper.core.errors import Invalid, NotFound
from shopkeeper.core.scopes import ALL, Scope, model_uid, parse_uid

NAMES = ("kan", "kan_optimised", "mlstm", "naive", "seasonal_naive")


@pytest.mark.parametrize("text", ["all", "store:S1", "category:Tea & more", "product:P1", "product:P1@S1"])
def test_a_scope_reads_as_it_is_written(text: str) -> None:
    assert str(Scope.parse(text)) == text


def test_an_id_with_an_at_sign_is_split_at_the_last_one() -> None:
    assert Scope.parse("product:a@b@S1") == Scope("product", "a@b", "S1")
    assert Scope.parse("store:a@b") == Scope("store", "a@b")


@pytest.mark.parametrize("text", ["", "product", "product:", "all:x", "shelf:3", "product:P1@", "product:a/b"])
def test_what_is_no_scope_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        Scope.parse(text)


def test_wider_scopes_come_narrowest_first() -> None:
    product = Scope.parse("product:P1@S1")
    assert [str(one) for one in product.wider()] == ["product:P1", "store:S1", "all"]
    assert Scope("product", "P1").wider() == (ALL,)
    assert ALL.wider() == ()


@pytest.mark.parametrize(
    ("scope", "name", "uid"),
    [
        (Scope("product", "P001"), "mlstm", "product_P001_all_mlstm_v2"),
        (ALL, "kan", "global_all_all_kan_v2"),
        (Scope("store", "S_1"), "kan_optimised", "store_S_1_all_kan_optimised_v2"),
        (Scope("product", "a_b_all", "S_1%"), "seasonal_naive", "product_a_b_all_S%5F1%25_seasonal_naive_v2"),
        (Scope("product", "all", "all"), "kan", "product_all_%61ll_kan_v2"),
        (Scope("category", "Tea & more"), "kan", "category_Tea & more_all_kan_v2"),
        (Scope("product", "x", "%61"), "kan", "product_x_%2561_kan_v2"),
    ],
)
def test_a_uid_names_scope_algorithm_and_version(scope: Scope, name: str, uid: str) -> None:
    assert model_uid(scope, name, 2) == uid
    assert parse_uid(uid, NAMES) == (scope, name, 2)


@pytest.mark.parametrize(
    "uid", ["", "kan", "product_P1_all_kan", "product_P1_all_lstm_v1", "shelf_P1_all_kan_v1", "product_P1_all_kan_v0"]
)
def test_what_is_no_uid_names_no_model(uid: str) -> None:
    with pytest.raises(NotFound, match="no model"):
        parse_uid(uid, NAMES)
