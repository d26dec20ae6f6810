"""`shopkeeper`: lazy commands, and the one table from the error tree to exit codes."""

from __future__ import annotations

import sys
from importlib import import_module

import click

from shopkeeper import __version__
from shopkeeper.core.errors import (
    Busy,
    Conflict,
    Invalid,
    NotFound,
    Overloaded,
    Refused,
    ShopkeeperError,
    Unavailable,
)

# name -> (module in this package, line of the list). A module is imported when its command is called.
COMMANDS = {
    "up": ("up", "open the shop: import, train, serve API and console"),
    "import": ("importing", "bring in orders, users, items, daily sales or stock levels from a file"),
    "train": ("train", "train a model and let the gate decide"),
    "pipeline": ("pipeline", "data check, train, gate, register, upload, promote: in one go"),
    "refresh": ("refresh", "make what is learned from the graph anew: vectors, on request the model, the fused score"),
    "operations": ("operations", "what runs by itself: look at it, start and stop it"),
    "simulate": ("simulate", "what a simulated shop is made of, and making it anew"),
    "evaluate": ("evaluate", "measure a version anew beside the champion"),
    "schedules": ("schedules", "what the shop does by itself, and when"),
    "jobs": ("jobs", "list, watch and cancel jobs"),
    "models": ("models", "list models and their versions"),
    "promote": ("promote", "make a version the champion"),
    "learning": ("learning", "models that go on learning while the shop sells"),
    "rewards": ("rewards", "what feedback is worth, and what the shop's own log says of it"),
    "traffic": ("traffic", "who answers a model's requests: share them among versions, set a shadow"),
    "rollback": ("rollback", "go back to the previous champion"),
    "export": ("export", "write a version to a file, or upload it to a bucket"),
    "deploy": ("deploy", "import a version from a file or a bucket, and promote it"),
    "cleanup": ("cleanup", "show and remove what the shop need not keep"),
    "recommend": ("recommend", "a slate for one user"),
    "explain": ("explain", "why a profile scores as it does"),
    "what-if": ("whatif", "score, segments and top items of a user after events that nobody stores"),
    "rules": ("rules", "the conditions that score profiles: list, preview, change, import them"),
    "scenarios": ("scenarios", "where suggestions are shown, what may appear and what counts: list, change them"),
    "experiments": ("experiments", "variants tried on users: begin, look, end, roll the winner out"),
    "forecast": ("forecast", "the sales to expect of one item, a category, a store, or of all"),
    "backtest": ("backtest", "how right forecasts would have been, algorithm by algorithm"),
    "doctor": ("doctor", "what is installed, what is missing, and how to get it"),
}

# The first branch that fits. 0 is success, 2 wrong usage (click's), 130 interrupted.
EXIT_CODES: tuple[tuple[type[ShopkeeperError], int], ...] = (
    (NotFound, 3),
    (Invalid, 4),
    (Refused, 5),
    (Conflict, 6),
    (Unavailable, 7),
    (Overloaded, 8),
    (ShopkeeperError, 1),
)


class Lazy(click.Group):
    """Knows its commands by name and summary only."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"shopkeeper.cli.{COMMANDS[cmd_name][0]}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            ctx.fail(_unknown(args[0]))
        return super().resolve_command(ctx, args)


@click.command(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="shopkeeper")
def shopkeeper() -> None:
    """Know every customer, suggest the right thing, order tomorrow's stock before it runs out.

    One home folder is one shop: SHOPKEEPER_HOME, default ./var. Commands speak to the server that is live on the home.
    """


def exit_code(error: ShopkeeperError) -> int:
    return next(code for branch, code in EXIT_CODES if isinstance(error, branch))


def main(args: list[str] | None = None) -> None:
    """The entry point. Errors of the tree become one line on stderr and an exit code."""
    args = sys.argv[1:] if args is None else args
    try:
        code = shopkeeper.main(args, prog_name="shopkeeper", standalone_mode=False)
        if isinstance(code, int) and code:  # a command that ended by ctx.exit
            sys.exit(code)
    except ShopkeeperError as error:
        _tell(error, as_json="--json" in args)
        sys.exit(exit_code(error))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        sys.exit(130)
    except PermissionError as error:  # a home, or a file in it, that belongs to somebody else
        _tell(Invalid(f"{error.filename} cannot be used: {error.strerror}"), as_json="--json" in args)
        sys.exit(exit_code(Invalid("")))
    except BrokenPipeError:
        sys.stderr.close()  # the reader of a pipe has seen enough, as `head` does
        sys.exit(0)


def _tell(error: ShopkeeperError, *, as_json: bool) -> None:
    if as_json:
        import msgspec

        told = {"error": error.message, "code": error.code, "exit_code": exit_code(error)}
        if isinstance(error, Busy):
            told["job_id"] = error.job_id
        click.echo(msgspec.json.encode(told), err=True)
    else:
        click.echo(f"shopkeeper: {error.message}", err=True)


def _unknown(name: str) -> str:
    import difflib

    near = difflib.get_close_matches(name, COMMANDS, n=1)
    return f"there is no command {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")
