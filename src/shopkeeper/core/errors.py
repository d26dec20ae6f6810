"""The errors of Shopkeeper, as one tree.

ShopkeeperError
├── NotFound        unknown user, item, model, job, rule ...
├── Invalid         a value, name, body or file that cannot be accepted
├── Refused         understood, and declined: no key, wrong scope, gate says no
├── Conflict        the state does not allow it: exists already, busy, stale
├── Unavailable     a part is missing, starting, stopping or broken
└── Overloaded      too much at once: come back later

Every message says what happened, what was expected and what to do. `code` is a stable snake_case name.
`api/errors.py` maps the branches to HTTP once, `cli/main.py` to exit codes once.
"""

from __future__ import annotations


class ShopkeeperError(Exception):
    """Root of the tree. `field` names the offending input, where there is one."""

    code = "error"

    def __init__(self, message: str, *, code: str | None = None, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        if code is not None:
            self.code = code


class NotFound(ShopkeeperError):
    """What was asked for does not exist."""

    code = "not_found"


class Invalid(ShopkeeperError):
    """The input cannot be accepted as it is."""

    code = "invalid"


class Refused(ShopkeeperError):
    """Understood and declined."""

    code = "refused"


class Conflict(ShopkeeperError):
    """The present state does not allow this."""

    code = "conflict"


class Stale(Conflict):
    """If-Match named another version than the one that is stored (HTTP 412)."""

    code = "stale"


class Busy(Conflict):
    """The same work is already running; `job_id` names it."""

    code = "busy"

    def __init__(self, message: str, *, job_id: str) -> None:
        super().__init__(message)
        self.job_id = job_id


class Unavailable(ShopkeeperError):
    """A part that is needed cannot answer now."""

    code = "unavailable"
    retry_after_s: int = 1


class Overloaded(ShopkeeperError):
    """A bounded queue is full."""

    code = "overloaded"
    retry_after_s: int = 1


class Cancelled(ShopkeeperError):
    """A running job was asked to stop. Raised by `report`, caught by the job runner, never seen by a client."""

    code = "cancelled"
