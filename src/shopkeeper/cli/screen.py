"""What every command shares: `--json`, `--home`, a shop to speak to, and how it is shown."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

    from shopkeeper.settings import Settings

json_option = click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
home_option = click.option(
    "--home",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the shop; else SHOPKEEPER_HOME, else ./var.",
)


class Screen:
    """Shows a value as JSON, or as its command draws it."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    def show(self, value: Any, draw: Callable[[Console], None]) -> None:
        """Prints `value` as JSON when that was asked for, else calls `draw`."""
        if self.as_json:
            from shopkeeper.core.records import encode

            click.echo(encode(value))
        else:
            draw(self.console)

    def note(self, text: str) -> None:
        """A remark for people, kept out of JSON."""
        if not self.as_json:
            self.console.print(text)

    @functools.cached_property
    def console(self) -> Console:
        from rich.console import Console

        return Console(highlight=False)


def read_settings(home: Path | None, **changes: Any) -> Settings:
    """The settings with what the command line says instead."""
    from shopkeeper.settings import settings

    given = {name: value for name, value in changes.items() if value is not None}
    if home is not None:
        given["home"] = home
    return settings().model_copy(update=given)


def with_shop(*, make: bool = False) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorator: the command gets (client, screen) first, and the options `--json` and `--home`."""

    def wrap(function: Callable[..., None]) -> Callable[..., None]:
        @json_option
        @home_option
        @functools.wraps(function)
        def run(*args: Any, as_json: bool, home: Path | None, **options: Any) -> None:
            from shopkeeper.cli.reach import reach

            with reach(read_settings(home), make=make) as shop:
                function(shop, Screen(as_json=as_json), *args, **options)

        return run

    return wrap
