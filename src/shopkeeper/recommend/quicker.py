"""What a slate does in compiled loops: compiled beside, while slates are made without."""

from __future__ import annotations

import logging
import threading

from shopkeeper.recommend.fusing import FUSE
from shopkeeper.recommend.recall.neighbours import TALLY

LOOPS = (FUSE, TALLY)
MANY = 500
"""Of so many items at least, loops are worth their seconds."""
_LOGGER = logging.getLogger(__name__)


def quicken() -> threading.Thread:
    """Makes the loops, on a thread that is given back; those that are there are left as they are."""
    thread = threading.Thread(target=_make, name="quicker loops", daemon=True)
    thread.start()
    return thread


def _make() -> None:
    try:
        for loop in LOOPS:
            loop.make()
    except ImportError:
        _LOGGER.info("there is no compiler; slates are made without")
    except Exception:  # they are made as before
        _LOGGER.exception("a loop could not be compiled")
