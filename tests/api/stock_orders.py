"""Four months of a small shop for the tests of the stock paths: two products in two stores, closed on Sundays."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from shopkeeper.core.records import Event, Item

if TYPE_CHECKING:
    from api_server import Running

    from shopkeeper.bootstrap import Shop

DAYS = 120


def stock_orders() -> list[Event]:
    """`tea` sells 4 to 8 pieces a day in S1 and in S2, `mug` 1 to 3 in S1 only, on sale every tenth day."""
    noon = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
    found = []
    for back in range(DAYS, 0, -1):
        day = noon - timedelta(days=back)
        if day.weekday() == 6:
            continue
        for item, store, pieces, price in (
            ("tea", "S1", 4 + day.weekday() % 5, 3.0),
            ("tea", "S2", 4 + back % 5, 3.0),
            ("mug", "S1", 1 + back % 3, 8.0),
        ):
            found.append(
                Event(
                    event_id=f"{item}-{store}-{back}",
                    event_type="order",
                    user_id=f"user-{back % 3}",
                    item_id=item,
                    store_id=store,
                    time=day,
                    quantity=float(pieces),
                    unit_price=price,
                    promotion="spring" if item == "mug" and back % 10 == 0 else None,
                )
            )
    return found


def opened(shop: Shop) -> None:
    """Sales, then the records of what is sold."""
    shop.log.append(stock_orders()).result()
    shop.items.put(Item(item_id="tea", name="Tea", category="drinks", price=3.0)).result()
    shop.items.put(Item(item_id="mug", name="Mug", category="china", price=8.0)).result()


def trained(running: Running, form: dict[str, Any]) -> str:
    """Trains by the stock paths to the end; the task's id."""
    answer = running.http.post("/api/training", json=form)
    assert answer.status_code == 202, answer.text
    task: str = answer.json()["data"]["task_id"]
    job = running.shop.jobs.wait(task, 120)
    assert job.status == "done", job.error
    return task
