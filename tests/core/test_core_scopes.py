from __future__ import annotations

import pytest

from shopkeeper.core.errors import Invalid
from shopkeeper.core.scopes import ALL, Scope


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
