"""What is said where torch is not installed: it is needed to learn, never to serve."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from shopkeeper.core.errors import Unavailable


def without_torch(needs: str) -> str:
    """`needs`: who does, such as "the algorithm hgt needs"."""
    return (
        f"{needs} torch, which is not installed: pip install 'shopkeeper[deep]'; what was trained elsewhere serves "
        "without it"
    )


@contextmanager
def importing_torch(said: str) -> Iterator[None]:
    """Around imports that lead to torch. Raises Unavailable (`not_installed`) that says `said` where it is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise Unavailable(said, code="not_installed") from error
