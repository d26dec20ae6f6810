"""The sales panel with all that is known beside the sales: calendar, numbers of days, what was out of stock."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from shopkeeper.bootstrap.furnishing import Stores
from shopkeeper.core.days import day_of
from shopkeeper.forecast.panel.availability import StockOuts
from shopkeeper.forecast.panel.beside import Beside
from shopkeeper.forecast.panel.calendarbook import CalendarBook
from shopkeeper.forecast.panel.reading import COUNTRY
from shopkeeper.forecast.panel.sales import SalesPanel
from shopkeeper.settings import Settings
from shopkeeper.stores.meta import Meta


def sales_panel(settings: Settings, stores: Stores, zone: ZoneInfo) -> SalesPanel:
    """Made before the stock is listened to by anybody else. Raises Unavailable without the library of holidays."""
    beside = Beside(
        stores.vocab.stores,
        lambda: stores.catalog.category,
        CalendarBook(stores.calendar.all, settings.holidays_country),
        stores.day_facts,
        lambda: stores.catalog.born,
    )
    out = StockOuts(stores.day_facts, stores.stock.counted, lambda us: day_of(us, zone))
    stores.stock.subscribe(out.heard)
    return SalesPanel(zone, stores.vocab.items, stores.vocab.event_types, beside)


def keep_country(meta: Meta, country: str) -> None:
    """So that a training, which is given no settings, knows the holidays that the server knows."""
    if (meta.get(COUNTRY) or "") != country:
        meta.set(COUNTRY, country).result()
