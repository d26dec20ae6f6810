"""Loops compiled to machine code, for what numpy does in many passes. They give what the plain form gives, sooner."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Compiled:
    """A loop that is compiled when somebody says so. `form` is None before, and where there is no compiler: whoever
    wants it then does without."""

    def __init__(self, loop: Callable[..., Any], signature: str) -> None:
        """`signature` in the words of numba. Arrays that are given may be read only, and must be none that it writes
        to."""
        self.loop = loop
        self.form: Callable[..., Any] | None = None
        self._signature = signature

    def make(self) -> None:
        """Takes seconds the first time on a machine, then what it takes to read the result."""
        if self.form is None:
            self.form = compiled(self.loop, self._signature)


def compiled(
    loop: Callable[..., Any], signature: str, *, writes: bool = False, fast: bool = False
) -> Callable[..., Any]:
    """Raises ImportError without a compiler. `writes`: the loop changes the arrays that it is given. `fast`: sums may
    be made in another order than they are written, the same each time."""
    import numba
    from numba.core.sigutils import normalize_signature

    args, result = normalize_signature(signature)  # type: ignore[no-untyped-call]
    frozen = [isinstance(each, numba.types.Array) and not writes for each in args]
    given = result(*(each.copy(readonly=True) if still else each for each, still in zip(args, frozen, strict=True)))
    loose = {"reassoc", "contract", "nsz"} if fast else False

    def make(cache: bool) -> Callable[..., Any]:
        made: Callable[..., Any] = numba.njit(given, cache=cache, nogil=True, error_model="numpy", fastmath=loose)(loop)
        return made

    try:
        return make(cache=True)
    except RuntimeError:  # there is no folder in which it could be kept for the next start
        return make(cache=False)
