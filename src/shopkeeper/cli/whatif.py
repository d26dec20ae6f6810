"""`shopkeeper what-if USER`"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

import click

from shopkeeper.cli.screen import Screen, with_shop

if TYPE_CHECKING:
    from rich.console import Console

    from shopkeeper.client import ShopkeeperClient
    from shopkeeper.core.records import Event


@click.command("what-if")
@click.argument("user")
@click.option(
    "--event",
    "-e",
    "texts",
    multiple=True,
    metavar="TYPE:ITEM[:QUANTITY[:PRICE]]",
    help="What the user would do now; may be repeated.",
)
@click.option(
    "--file", "source", type=click.File("rb"), help="Events as a JSON list, of any kind and time; - is stdin."
)
@click.option("-n", "count", default=10, show_default=True, help="How many top items, 1 to 50.")
@click.option("--scenario", default="home", show_default=True, help="Where the items are shown.")
@with_shop()
def command(
    shop: ShopkeeperClient,
    screen: Screen,
    user: str,
    texts: tuple[str, ...],
    source: IO[bytes] | None,
    count: int,
    scenario: str,
) -> None:
    """Score, segments and top items of USER before and after events that nobody stores."""
    events = [_event(text) for text in texts] + ([] if source is None else _read(source))
    if not events:
        raise click.UsageError("say what USER would do: --event order:85123A:6 (or --file EVENTS.json)")
    found = shop.what_if(user, events, n=count, scenario=scenario)
    screen.show(found, lambda console: _draw(console, found))


def _event(text: str) -> Event:
    from shopkeeper.core.records import Event

    kind, *rest = text.split(":")
    if not 1 <= len(rest) <= 3:
        raise click.BadParameter(f"{text!r} is no event, expected TYPE:ITEM[:QUANTITY[:PRICE]]", param_hint="--event")
    try:
        quantity, price = ([float(part) for part in rest[1:]] + [None, None])[:2]
    except ValueError as error:
        raise click.BadParameter(f"{text!r}: quantity and price are numbers", param_hint="--event") from error
    return Event(event_type=kind, item_id=rest[0], quantity=quantity, unit_price=price)


def _read(source: IO[bytes]) -> list[Event]:
    import msgspec

    from shopkeeper.core.records import Event

    try:
        return msgspec.json.decode(source.read(), type=list[Event])
    except msgspec.MsgspecError as error:
        raise click.BadParameter(f"{source.name} is no list of events: {error}", param_hint="--file") from error


def _draw(console: Console, found: dict[str, Any]) -> None:
    from rich.markup import escape
    from rich.table import Table

    before, after, change = found["before"], found["after"], found["change"]
    table = Table(escape(found["user_id"]), "before", "after", box=None, header_style="bold")
    table.add_row("score", f"{before['score']:+.3f}", f"{after['score']:+.3f}")
    table.add_row("probability", f"{before['probability']:.1%}", f"{after['probability']:.1%}")
    for place, (now, then) in enumerate(_beside(before["top_items"], after["top_items"]), 1):
        table.add_row(str(place), escape(now), escape(then))
    console.print(table)
    for word in ("entered", "left"):
        if change[word]:
            console.print(f"segments {word}: {escape(', '.join(change[word]))}")
    if found["duplicates"]:
        console.print(f"{found['duplicates']} of the events are in the log already and change nothing")


def _beside(now: list[dict[str, Any]], then: list[dict[str, Any]]) -> list[tuple[str, str]]:
    names = [[item["metadata"].get("name") or item["item_id"] for item in one] for one in (now, then)]
    longest = max(len(one) for one in names)
    one, other = ([*each, *[""] * (longest - len(each))] for each in names)
    return list(zip(one, other, strict=True))
