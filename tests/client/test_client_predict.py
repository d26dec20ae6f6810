"""Predictions through the client: one output a row unless it is asked for the older form."""

from __future__ import annotations

from pathlib import Path

import pytest

from shopkeeper.client import ShopkeeperClient
from shopkeeper.core.errors import Invalid, NotFound


def test_one_output_a_row_whatever_the_model_answers(tmp_path: Path) -> None:
    import wiretoys

    row = {"price": 1.0, "age": 2.0, "ctr": 3.0}
    with wiretoys.served(tmp_path) as running, ShopkeeperClient(running.url) as shop:
        assert shop.predict("xgb", [row, {}]) == [321.0, 0.0]
        assert shop.predict("xgb", [row], version=2) == shop.predict("xgb@candidate", [row]) == [642.0]
        assert shop.predict("user_tower", [row]) == [[321.0, 0.5, -1.0]]
        assert shop.predict("user_tower", [row], strict=False) == [321.0, 0.5, -1.0]
        assert shop.predict("graph_recall", [{"user_id": "stranger"}], strict=False) == [[]]
        with pytest.raises(NotFound):
            shop.predict("nothing", [row])
        with pytest.raises(Invalid, match="expected a number"):
            shop.predict("xgb", [{"price": "ten"}])
