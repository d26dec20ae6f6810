"""`shopkeeper explain USER`"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from shopkeeper.cli.screen import Screen, with_shop
from shopkeeper.core.language import LANGS, Lang

if TYPE_CHECKING:
    from rich.console import Console

    from shopkeeper.client import ShopkeeperClient
    from shopkeeper.core.records import Explanation


@click.command("explain")
@click.argument("user")
@click.option("-k", default=5, show_default=True, help="How many reasons on either side, 1 to 20.")
@click.option(
    "--level",
    type=click.Choice(["two", "groups", "inputs", "audit"]),
    default="groups",
    show_default=True,
    help="Rules against all else; named groups; every input with the gate held; groups checked by shap.",
)
@click.option("--lang", type=click.Choice(LANGS), default="en", show_default=True, help="Language of the sentences.")
@with_shop()
def command(shop: ShopkeeperClient, screen: Screen, user: str, k: int, level: str, lang: Lang) -> None:
    """Why USER's profile scores as it does: what moved the score, each rule, and what would change it."""
    found = shop.explain(user, k, level=level, lang=lang)
    screen.show(found, lambda console: _draw(console, found))


def _draw(console: Console, found: Explanation) -> None:
    from rich.markup import escape
    from rich.table import Table

    console.print(
        f"[bold]{escape(found.user_id)}[/]  score {found.final_score:+.3f}  probability {found.probability:.1%}"
    )
    for sentence in found.sentences:
        console.print(escape(sentence))
    if found.game != "rules":
        table = Table("what", "adds", box=None, header_style="bold")
        for name, value in sorted(found.shap_values.items(), key=lambda pair: -abs(pair[1]))[:20]:
            table.add_row(escape(name), f"{value:+.3f}")
        console.print(table)
    if found.audit is not None:
        apart = found.audit.largest_difference
        console.print(f"{found.audit.library} ({found.audit.explainer}) differs by at most {apart:.1e}")
    table = Table("rule", "matched", "value", "why", "what would change it", box=None, header_style="bold")
    for rule in found.rule_details:
        matched, change = "yes" if rule.matched else "no", rule.what_would_change or ""
        table.add_row(escape(rule.name), matched, f"{rule.value:+.2f}", escape(rule.why), escape(change))
    console.print(table)
    if (more := found.rules_total - len(found.rule_details)) > 0:
        console.print(f"and {more} more rules that do not match")
