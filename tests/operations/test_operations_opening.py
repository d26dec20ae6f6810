"""Opening the bundled shop: everything is there once, also when the process is killed on the way."""

import os
import signal
import subprocess
import sys
import textwrap
from datetime import UTC, datetime
from pathlib import Path

import pytest
from own_shop import OwnShop, own_shop

from shopkeeper.core.clock import DAY, StoppedClock, micros
from shopkeeper.operations.opening import is_open, open_retail
from shopkeeper.sources.retail import RetailShop
from shopkeeper.stores import withheld

NOW = micros(datetime(2026, 3, 19, 9, tzinfo=UTC))


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """Opened after a first attempt was killed in the middle of the history."""
    home = tmp_path_factory.mktemp("retail") / "home"
    kill_while_opening(home, after=100_000)
    opened = own_shop(home, StoppedClock(NOW))
    assert not is_open(opened.meta)
    assert 100_000 <= opened.to.log.count() < 490_000
    open_retail(opened.to, opened.meta, opened.clock)
    yield opened
    opened.close()


def kill_while_opening(home: Path, after: int) -> None:
    script = textwrap.dedent(
        f"""
        import sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from pathlib import Path
        from own_shop import own_shop
        from shopkeeper.core.clock import StoppedClock
        from shopkeeper.operations.opening import open_retail
        shop = own_shop(Path({str(home)!r}), StoppedClock({NOW}))
        def report(step, of, metrics=None, *, message="", epoch=False):
            print(step, flush=True)
        open_retail(shop.to, shop.meta, shop.clock, report)
        """
    )
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    for line in child.stdout:
        if int(line) >= after:
            break
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()


def test_every_line_is_stored_or_withheld_once(shop: OwnShop):
    report = RetailShop().load().report
    with shop.db.read() as connection:
        waiting = withheld.count(connection)
    assert shop.to.log.count() + waiting == report.orders + report.returns
    batch = shop.to.log.read(limit=600_000)
    assert len(batch) == shop.to.log.count()
    assert (batch.time[1:] >= batch.time[:-1]).all()


def test_opening_again_changes_nothing(shop: OwnShop):
    before = shop.to.log.count(), shop.to.items.get("85123A"), shop.meta.all()
    opened = open_retail(shop.to, shop.meta, shop.clock)
    assert (shop.to.log.count(), shop.to.items.get("85123A"), shop.meta.all()) == before
    assert opened.events == before[0]


def test_the_shop_knows_itself(shop: OwnShop):
    facts = shop.meta.all()
    assert (facts["shop.kind"], facts["shop.timezone"], facts["shop.currency"]) == ("retail", "Europe/London", "GBP")
    assert facts["live.released"] == "0"
    opens_at = int(facts["clock.position"])
    batch = shop.to.log.read(limit=600_000)
    assert batch.time.max() < opens_at < NOW
    assert NOW - opens_at < 22 * DAY


def test_customers_products_and_store_are_there(shop: OwnShop):
    assert shop.to.users.get("17850").attributes["country"] == "United Kingdom"
    item = shop.to.items.get("85123A")
    assert (item.name, item.category) == ("White Hanging Heart T-Light Holder", "Candles & light")
    assert shop.to.shops.get("online").name == "Online shop"
    assert shop.to.users.list()[2] == 4_285
    assert shop.catalog.sellable().sum() > 3_000
    (event,) = shop.to.log.recent(limit=1, item_id="85123A")
    assert event.store_id == "online"
    assert event.context["order_id"].isdigit()


def test_stock_is_simulated_and_says_so(shop: OwnShop):
    levels, _, total = shop.to.stock.list(limit=1_000)
    assert total == int(shop.catalog.active.sum())
    assert all(level.simulated and level.on_hand >= 0 and level.on_order >= 0 for level in levels)
    assert int(shop.meta.get("clock.position") or 0) == micros(levels[0].as_of)
