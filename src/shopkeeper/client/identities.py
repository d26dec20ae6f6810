"""Identities: visitors who turn out to be users, users who turn out to be one person."""

from __future__ import annotations

from shopkeeper.client.wire import Wire, escaped
from shopkeeper.core.records import Identified, Identity

_IDENTITIES = "/api/v1/identities"


class IdentityDoors(Wire):
    """One method a door."""

    def bind(self, anonymous_id: str, user_id: str) -> Identified:
        """The visitor is this user from now on. Repeating changes nothing; Conflict: it is another user's."""
        body = {"anonymous_id": anonymous_id, "user_id": user_id}
        return self.call("POST", _IDENTITIES, Identified, body, repeat=True)

    def merge_users(self, from_user_id: str, into_user_id: str) -> Identified:
        """The first is the second from now on. Repeating changes nothing; NotFound: nobody knows one of them."""
        body = {"from_user_id": from_user_id, "into_user_id": into_user_id}
        return self.call("POST", f"{_IDENTITIES}/merge", Identified, body, repeat=True)

    def identity(self, user_id: str) -> Identity:
        """Of a merged id that of the user it was merged into. Raises NotFound."""
        return self.get(f"{_IDENTITIES}/{escaped(user_id)}", Identity)
