"""The one place that chooses concrete things and puts the shop together. Tests hand in another clock or other settings.

shop = open_shop(settings)            # locks the home; imports the bundled shop when it is new
await shop.start()                    # on the loop: reads the log, loads models, begins to follow, to work, to stream
await shop.stop()
"""

from __future__ import annotations

from contextlib import ExitStack

from shopkeeper.bootstrap.first_models import FIRST_MODELS, FirstModel
from shopkeeper.bootstrap.furnishing import SHOPS, check_zone, furnished, pins_of
from shopkeeper.bootstrap.shop import Shop
from shopkeeper.core.clock import Clock
from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import Report, silent
from shopkeeper.settings import Settings
from shopkeeper.stores.home import Home

__all__ = ["FIRST_MODELS", "SHOPS", "FirstModel", "Shop", "open_shop"]


def open_shop(
    settings: Settings, *, shop: str | None = None, clock: Clock | None = None, report: Report = silent
) -> Shop:
    """Opens the shop on `settings.home` and holds it until `stop`.

    `shop` says what a new home becomes: `retail` (the bundled data, about half a minute), `telecom` (simulated, some
    seconds) or `empty`; an existing home keeps what it is. Raises Conflict when another process holds the home, or when
    it is another kind of shop.
    """
    if shop is not None and shop not in SHOPS:
        raise Invalid(f"there is no shop {shop!r}; choose one of: {', '.join(SHOPS)}", field="shop")
    check_zone(settings.timezone)
    pins_of(settings)
    home = Home(settings.home)
    with ExitStack() as begun:
        held = begun.enter_context(ExitStack())
        held.enter_context(home.lock())
        db, meta = furnished(settings, home, begun, shop, report)
        opened = Shop(settings, home, db, meta, clock, held)
        opened.prepare()
        begun.pop_all()
    return opened
