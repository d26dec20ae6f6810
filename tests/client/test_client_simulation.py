"""The client and the command line on a simulated shop, and on one that is not."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from shopkeeper.cli.main import main
from shopkeeper.client import ShopkeeperClient
from shopkeeper.core.errors import Conflict, Invalid

if TYPE_CHECKING:
    from api_server import Running

sys.path.insert(0, str(Path(__file__).parents[1] / "operations"))


@pytest.fixture(scope="module")
def telecom(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    from api_server import serving
    from small_telecom import small_telecom

    home = tmp_path_factory.mktemp("telecom") / "home"
    small_telecom(home)
    with serving(home, kind="telecom", live_speed=0.0) as running:
        yield running


def test_the_client_says_and_makes_other_data(telecom: Running) -> None:
    with ShopkeeperClient(telecom.url) as shop:
        before = shop.simulation()
        assert shop.configure_simulation(before | {"app_count": 7})["config"]["app_count"] == 7
        with pytest.raises(Invalid, match="app_count"):
            shop.configure_simulation(before | {"app_count": 4})
        job = shop.wait(shop.regenerate(seed=5).job_id)
        assert (job.status, (job.result or {})["seed"]) == ("done", 5)
        assert shop.items(kind="app").total == 7


def test_the_command_shows_says_and_makes_it(telecom: Running, capsys: pytest.CaptureFixture[str]) -> None:
    home = ["--home", str(telecom.shop.home.path), "--json"]
    main(["simulate", *home])
    assert json.loads(capsys.readouterr().out)["history_days"] == 40
    main(["simulate", "--set", "product_count=9", "--regenerate", "--yes", "--seed", "6", *home])
    told = json.loads(capsys.readouterr().out)
    assert (told["config"]["product_count"], told["seed"]) == (9, 6)
    main(["simulate", *home[:2]])
    assert "product_count" in capsys.readouterr().out


def test_the_command_asks_before_anything_is_lost(telecom: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda text: asked.append(text) or "n")
    before = telecom.shop.log.last_seq
    with pytest.raises(SystemExit) as ended:
        main(["simulate", "--regenerate", "--home", str(telecom.shop.home.path)])
    assert ended.value.code == 130
    assert "thrown away" in asked[0]
    assert telecom.shop.log.last_seq == before
    for wrong in (["--seed", "6"], ["--set", "product_count"], ["--regenerate", "--json"]):
        with pytest.raises(SystemExit) as ended:
            main(["simulate", *wrong, "--home", str(telecom.shop.home.path)])
        assert ended.value.code == 2


def test_a_shop_that_is_not_simulated_says_so(live: Running) -> None:
    with ShopkeeperClient(live.url) as shop:
        with pytest.raises(Conflict, match="not simulated"):
            shop.simulation()
        with pytest.raises(Conflict, match="not simulated"):
            shop.regenerate()


def test_without_a_server_the_command_makes_it_all_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from small_telecom import small_telecom

    small_telecom(tmp_path / "home")
    home = ["--home", str(tmp_path / "home"), "--json"]
    main(["simulate", "--regenerate", "--yes", "--seed", "8", *home])
    assert json.loads(capsys.readouterr().out)["seed"] == 8
    main(["jobs", *home])
    jobs = json.loads(capsys.readouterr().out)
    assert [(job["kind"], job["status"]) for job in jobs] == [("regenerate", "done")]
