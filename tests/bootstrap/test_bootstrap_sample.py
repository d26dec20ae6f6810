"""A new shop without a sale trains the model xgb on the sample table, and the documented request is answered."""

import asyncio
from pathlib import Path

import pytest

from shopkeeper.api.standing import lacking
from shopkeeper.bootstrap import FIRST_MODELS, open_shop
from shopkeeper.cli.firsttraining import train_missing
from shopkeeper.cli.screen import Screen
from shopkeeper.settings import Settings
from shopkeeper.sources.sample import FEATURES, NAME

ROW = {"item_ctr": 0.05, "item_cvr": 0.02, "item_price": 20.0, "user_age": 30, "user_gender": 1}
CROSSED = {**ROW, "cross_age_x_ctr": 1.5, "cross_gender_x_price": 20.0}


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(home=tmp_path_factory.mktemp("sample") / "home", api_key="k" * 20)


async def opened(settings: Settings) -> tuple[list[str], list[float], list[str], list[str]]:
    """States of the first jobs, two answers, what the shop lacked before, and the jobs of a second look."""
    shop = open_shop(settings, shop="empty")
    await shop.start()
    try:
        before = lacking(shop)
        never: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        jobs = await train_missing(shop, Screen(as_json=True), never)
        again = await train_missing(shop, Screen(as_json=True), never)
        high = {**CROSSED, "item_ctr": 0.1, "item_cvr": 0.06}
        said = shop.serving.score("xgb", [CROSSED, high]).predictions
        return [job.status for job in jobs], said, before, [job.job_id for job in again]
    finally:
        await shop.stop()


def test_an_empty_shop_answers_the_documented_request(settings: Settings) -> None:
    states, (low, high), before, again = asyncio.run(opened(settings))
    assert states == ["done"]
    assert low < 0.5 < high
    assert before == []  # ready without it: it only shows how to ask
    assert again == []
    assert (settings.home / "sources" / NAME).is_file()


def test_a_first_model_that_cannot_be_read_any_more_is_trained_again(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    states, *_ = asyncio.run(opened(settings))
    for file in (settings.home / "artifacts" / "xgb").rglob("*.json"):
        file.write_text("{")
    again, said, *_ = asyncio.run(opened(settings))
    assert states == again == ["done"]
    assert said[0] < said[1]


def test_the_sample_model_is_the_last_one_and_uses_the_documented_numbers() -> None:
    assert [one.model for one in FIRST_MODELS if one.sample] == [FIRST_MODELS[-1].model] == ["xgb"]
    params = FIRST_MODELS[-1].params
    assert (params["trees"], params["depth"], params["learning_rate"], params["patience"]) == (100, 5, 0.1, 10)
    assert params["subsample"] == params["colsample"] == 0.8
    assert set(CROSSED) == set(FEATURES)


def test_a_sample_of_ones_own_is_used_as_it_is(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    (settings.home / "sources").mkdir(parents=True)
    rows = "".join(f"{k % 5},{int(k % 5 > 2)}\n" if k % 9 else f"{k % 5},{int(k % 5 < 2)}\n" for k in range(200))
    (settings.home / "sources" / NAME).write_text("mine,label\n" + rows)
    states, said, *_ = asyncio.run(opened(settings))
    assert states == ["done"]
    assert said[0] == said[1]  # it knows no ctr
