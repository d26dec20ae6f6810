"""Forms as the server describes them: what a door's body may hold, with its bounds."""

from __future__ import annotations

from typing import Any

from shopkeeper.client.wire import Wire
from shopkeeper.core.errors import NotFound


class FormDoors(Wire):
    def form(self, door: str, method: str = "post") -> dict[str, dict[str, Any]]:
        """Field -> JSON schema of the body of a door such as `/api/v1/graph/refresh`, from the server's description of
        itself, so of the version that answers. Raises NotFound for a door, or a body, that it does not have."""
        described = self.get("/openapi.json", dict[str, Any])
        try:
            body = described["paths"][door][method]["requestBody"]["content"]["application/json"]["schema"]
            name = str(body["$ref"]).rpartition("/")[2]
            found: dict[str, dict[str, Any]] = described["components"]["schemas"][name]["properties"]
        except KeyError as error:
            raise NotFound(f"this shop has no form for {method.upper()} {door}; is it an older version?") from error
        return found
