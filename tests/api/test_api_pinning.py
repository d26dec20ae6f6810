"""MODEL_VERSION and ENABLED_MODELS: what serves from the start on, and what the shop waits for."""

from __future__ import annotations

from pathlib import Path

import pytest
import wiretoys
from api_server import Running, serving

from shopkeeper.core.errors import Invalid
from shopkeeper.lifecycle.pinning import names_in, pins_in

ROWS = {"data": [{"price": 1.0}]}


def answer(running: Running) -> object:
    return running.http.post("/predictions/xgb", json=ROWS).json()["predictions"]


def test_a_pinned_version_serves_from_the_start_and_a_promotion_holds_until_the_next(tmp_path: Path) -> None:
    home = tmp_path / "home"
    settings = {"enabled_models": "xgb", "model_version": "v2"}
    with wiretoys.installed(tmp_path / "site"):
        with serving(home) as running:
            for weight in (1.0, 2.0):
                wiretoys.add_version(running.shop.registry, home / "made", "xgb", weight)
            running.shop.registry.promote("xgb", 1)
            assert answer(running) == [1.0]
        with serving(home, **settings) as running:
            assert answer(running) == [2.0]
            last = running.shop.registry.history("xgb")[0]
            assert (last.version, last.changed_by, last.forced) == (2, "MODEL_VERSION", True)
            assert running.http.get("/readyz").status_code == 200
            running.shop.registry.promote("xgb", 1, force=True)
            assert answer(running) == [1.0]
        with serving(home, **settings) as running:
            assert answer(running) == [2.0]
        with serving(home, enabled_models="xgb", model_version="v9") as running:
            assert answer(running) == [2.0]
            ready = running.http.get("/readyz")
            assert ready.status_code == 503
            assert "MODEL_VERSION v9 of xgb" in ready.json()["reasons"][0]


def test_what_is_enabled_and_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with (
        wiretoys.installed(tmp_path / "site"),
        serving(home, enabled_models="xgb,mmoe", model_version="xgb=v1") as running,
    ):
        assert running.http.get("/readyz").json()["reasons"] == ["not trained yet: mmoe, xgb"]
        for model in ("mmoe", "xgb"):
            wiretoys.add_version(running.shop.registry, home / "made", model)
            running.shop.registry.promote(model, 1)
        assert running.http.get("/readyz").json() == {"ready": True, "reasons": []}


def test_lists_and_pins_are_read_forgivingly() -> None:
    assert names_in(" xgb, mmoe,,xgb ") == ("mmoe", "xgb")
    assert names_in(None) == names_in("") == ()
    assert pins_in("3", ("xgb",)) == {"xgb": "3"}
    assert pins_in("xgb = v3, mmoe=1", ()) == {"xgb": "v3", "mmoe": "1"}


@pytest.mark.parametrize(
    ("text", "enabled", "told"),
    [
        ("v3", (), "names no model"),
        ("v3", ("a", "b"), "names no model"),
        ("xgb=latest", (), "no version"),
        ("xgb=", (), "no version"),
        ("XGB=v1", (), "must begin with a-z"),
        ("xgb=v1,xgb=v2", (), "twice"),
    ],
)
def test_a_pin_that_means_nothing_is_refused_before_the_shop_opens(
    tmp_path: Path, text: str, enabled: tuple[str, ...], told: str
) -> None:
    with pytest.raises(Invalid, match=told):
        pins_in(text, enabled)
