"""The OpenAPI page, hot routes included: built from the doors and the records, so it cannot say anything else."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from shopkeeper.api.door import Door
from shopkeeper.api.errors import InferenceProblem, Problem, StockProblem, bad_request, problem_of

_REF = "#/components/schemas/{name}"

_MEANING = {
    200: "Done",
    201: "Created",
    202: "Accepted",
    204: "Done, nothing to say",
    302: "Elsewhere",
    400: "The request cannot be accepted",
    401: "No key, or an unknown one",
    403: "The key lacks the scope",
    404: "Not there",
    409: "The state does not allow it",
    412: "Changed in the meantime",
    413: "The body is too large",
    415: "The content type is not accepted",
    422: "The request cannot be accepted",
    429: "Too much at once: come back after Retry-After seconds",
    500: "Something broke inside",
    503: "Not now: come back after Retry-After seconds",
    504: "Out of time",
}


def statuses(door: Door) -> list[int]:
    """Every status that the door can give, its own and those of the middleware."""
    found = {door.status, *door.also, *door.errors, 400, bad_request(door.path), 403, 503}
    if door.waited:
        found.add(200)
    if door.scope != "-":
        found.add(401)
    if door.body:
        found |= {413, 415}
    return sorted(found)


def complete(page: dict[str, Any], doors: list[Door]) -> dict[str, Any]:
    """FastAPI's page with what it does not know: hot doors, bodies, answers, statuses, keys."""
    for door in doors:
        operation = page["paths"].setdefault(door.path, {}).setdefault(door.method.lower(), _operation(door))
        operation |= _facts(door)
    schemas = page.setdefault("components", {}).setdefault("schemas", {})
    schemas.clear()
    schemas.update(components(doors))
    page["components"]["securitySchemes"] = {
        "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        "bearer": {"type": "http", "scheme": "bearer"},
    }
    return page


def _operation(door: Door) -> dict[str, Any]:
    return {"operationId": door.operation_id, "parameters": _parameters(door)}


def _facts(door: Door) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "tags": [door.tag],
        "summary": door.summary,
        "responses": {str(code): _response(door, code) for code in statuses(door)},
        "security": [] if door.scope == "-" else [{"key": []}, {"bearer": []}, {}],
    }
    if door.body:
        facts["requestBody"] = {"required": door.body_required, "content": _content(door.body)}
    return facts


def _parameters(door: Door) -> list[dict[str, Any]]:
    names = re.findall(r"\{(\w+)\}", door.path)
    path = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1, "maxLength": 160}}
        for name in names
    ]
    return path + [{"name": name, "in": "query", "required": False, "schema": schema} for name, schema in door.query]


def components(doors: list[Door]) -> dict[str, Any]:
    """JSON schemas of all records that doors take or give."""
    named = [kind for door in doors for kind in (door.body, door.answer, door.waited)]
    kinds = [kind for kind in named if kind and not isinstance(kind, str | dict)]
    _, found = msgspec.json.schema_components([*kinds, Problem, StockProblem, InferenceProblem], ref_template=_REF)
    return found


def _response(door: Door, code: int) -> dict[str, Any]:
    response: dict[str, Any] = {"description": _MEANING[code]}
    if code >= 400:
        response["content"] = _content(problem_of(door.path))
    elif door.waited and code == 200:
        response["content"] = _content(door.waited)
    elif door.answer and code not in (204, 302):
        response["content"] = _content(door.answer)
    return response


def _content(kind: Any) -> dict[str, Any]:
    if isinstance(kind, str):
        return {kind: {}}
    if isinstance(kind, dict):
        return kind
    return {"application/json": {"schema": _schema(kind)}}


def _schema(kind: Any) -> dict[str, Any]:
    (schema,), _ = msgspec.json.schema_components([kind], ref_template=_REF)
    return schema
