"""docs/simulator.md says what the code does."""

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from simulated_log import Columns, dealt_out, ease, history, matrix, popularity, rank_auc, recall

from shopkeeper.sources.simulator import people, seasons, shelf, tastes, visits, yardstick
from shopkeeper.sources.simulator.config import BOUNDS, PER_VISIT, PER_VISIT_BOUNDS, SimConfig
from shopkeeper.sources.simulator.responses import VERSIONS, ResponseModel
from shopkeeper.sources.simulator.world import World

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "simulator.md").read_text(encoding="utf-8")
TEXT = " ".join(PAGE.split())


def rows(name: str) -> list[list[str]]:
    found = re.search(rf"<!-- {name}:.*?-->\n(.*?)\n<!-- /{name} -->", PAGE, re.S)
    assert found, f"docs/simulator.md has no part {name}"
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in found.group(1).splitlines()[2:]]


def test_every_setting_is_listed_with_its_default_and_bounds():
    listed = {tuple(re.findall(r"`(\w+)`", row[0])): row[1:3] for row in rows("settings")}
    config = SimConfig()
    expected = {
        (name,): [str(getattr(config, name)), f"{least:,} to {most:,}"] for name, (least, most) in BOUNDS.items()
    }
    for what in PER_VISIT:
        names = (f"min_{what}_per_user", f"max_{what}_per_user")
        least, most = config.range_of(what)
        expected[names] = [f"{least}, {most}", "{} to {}".format(*PER_VISIT_BOUNDS)]
    assert listed == expected


def test_the_numbers_in_the_text_are_those_of_the_code():
    for said in (
        f"a chance above {visits.MOST * 100:.0f} % on a day",
        f"circles of {people.CIRCLE} people",
        f"in {people.JOIN_DAYS} days as many",
        f"in the last {people.FADE_DAYS} days",
        f"costs {shelf.OFFER_OFF * 100:.0f} % less",
        f"({', '.join(tastes.KINDS)})",
        f"with {VERSIONS['v1'].look} to the power",
    ):
        assert said in TEXT, said
    assert (seasons.PAYDAYS, people.LONG_GONE, shelf.OFFER_DAYS) == (5, 0.05, 7)
    assert (yardstick.PLACES, yardstick.PEOPLE, yardstick.ROUNDS, yardstick.EVERY // 3_600_000_000) == (10, 200, 60, 7)
    assert VERSIONS["v1"].half_life == 3.0
    frozen = VERSIONS["v1"].config
    assert (frozen.user_count, frozen.product_count, frozen.app_count) == (1000, 200, 100)


def test_what_plain_methods_find_is_what_the_table_says():
    config = SimConfig(product_count=200, app_count=100, history_days=180, avg_events_per_user=120)
    world = World.make(config, 1, first_day=20_000)
    log = history(world)
    before = pl.col("time") < world.starts(150)
    found = []
    dealt = dealt_out(log)
    for events, kind in ((log, "product"), (log, "app"), (dealt, "product")):
        known, coming = (matrix(world, events.filter(half), kind) for half in (before, ~before))
        found.append((recall(ease(known), known, coming), recall(popularity(known), known, coming)))
    known, coming = (matrix(world, log.filter(half)) for half in (before, ~before))
    calls = Columns.of(world, log.filter(before & (pl.col("event_type") == "call")))
    ties = np.zeros((len(known), len(known)))
    np.add.at(ties, (calls.who, calls.target), 1)
    shares, nothing = known / np.maximum(known.sum(axis=1, keepdims=True), 1), np.zeros_like(known)
    friends = (ties + ties.T) @ shares + 0.01 * shares.mean(axis=0)
    found.append((recall(friends, nothing, coming), recall(popularity(known), nothing, coming)))
    seen = Columns.of(world, log)
    last = np.full(config.user_count, -1)
    np.maximum.at(last, seen.who[seen.day < 150], seen.day[seen.day < 150])
    active = last >= 90
    silent = ~np.isin(np.arange(config.user_count), seen.who[seen.day >= 150])
    found.append((rank_auc(-last[active], silent[active]), 0.5))
    said = [(float(row[2]), float(row[3].split(",")[0])) for row in rows("found")]
    assert np.array(said) == pytest.approx(np.array(found), abs=0.006)


def test_the_ends_of_the_scale_are_what_the_table_says():
    model = ResponseModel.version("v1")
    ends = yardstick.yardstick(model)
    everything = np.arange(len(model.item_ids))

    def popular(_audience, users, _at, places):
        worlds = (model.world.products, model.world.apps)
        liked = np.argsort(-np.concatenate([one.liked for one in worlds]))
        return np.tile(liked[:places], (len(users), 1))

    def tastes(_audience, users, at, places):
        return np.argsort(-model.appeal(users, np.tile(everything, (len(users), 1)), at), axis=1)[:, :places]

    clicks = [ends.random, yardstick.clicks_of(model, popular), yardstick.clicks_of(model, tastes), ends.oracle]
    listed = rows("ends")
    assert [float(row[1]) for row in listed] == pytest.approx(clicks, abs=0.0006)
    assert [float(row[2].rstrip(" %")) / 100 for row in listed] == pytest.approx(
        [ends.share(each) for each in clicks], abs=0.006
    )
