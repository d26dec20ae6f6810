"""Imports of a person's own files: upload, look, correct the guess, start, read what was refused."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated, Any, Literal, get_args

import msgspec
from fastapi import Form, Request, Response, UploadFile
from fastapi.responses import StreamingResponse

from shopkeeper.api.body import read
from shopkeeper.api.door import CallerDep, Cursor, Doors, Id, Limit, Page, Queued, ShopDep, queued, reply
from shopkeeper.api.forms import MappingForm
from shopkeeper.core.errors import Invalid
from shopkeeper.operations.imports import notes_of
from shopkeeper.sources.files import endings
from shopkeeper.stores.imports import Import

doors = Doors("Data")
Kind = Literal["guess", "orders", "sales", "users", "items", "events", "stock", "days", "calendar"]
_UPLOAD = {
    "multipart/form-data": {
        "schema": {
            "type": "object",
            "required": ["file"],
            "properties": {
                "file": {"type": "string", "format": "binary"},
                "kind": {"type": "string", "enum": list(get_args(Kind))},
                "mapping": {"type": "string", "description": "JSON object: our field or @option -> column or value"},
            },
        }
    }
}


class Imported(msgspec.Struct):
    """An import as clients see it. `mapping`: our field -> the file's column.

    `without_sale`: rows of 0 pieces, which need no storing; with the three other counts they are all rows read.
    """

    import_id: str
    kind: str
    filename: str
    columns: list[str]
    mapping: dict[str, str]
    rows: int
    status: str
    accepted: int
    duplicates: int
    rejected: int
    without_sale: int
    guesses: list[dict[str, Any]]
    notes: list[str]
    job_id: str | None
    created_at: datetime | None


class RowProblem(msgspec.Struct):
    row: int
    reason: str


class Previewed(msgspec.Struct):
    """`guesses` tell for each field the column, how sure that is, and why."""

    kind: str
    rows: list[dict[str, Any]]
    rejects: list[RowProblem]
    mapping: dict[str, str]
    guesses: list[dict[str, Any]]
    notes: list[str]
    missing: list[str]


@doors.add("POST", "/api/v1/data/imports", scope="o", status=201, body=_UPLOAD, answer=Imported, errors=(429,))
async def upload(
    shop: ShopDep,
    file: UploadFile,
    kind: Annotated[Kind, Form()] = "guess",
    mapping: Annotated[str, Form()] = "",
) -> Response:
    """Takes a file (csv, parquet, jsonl, xlsx) and guesses what it holds"""
    name = file.filename or "file"
    readable = await asyncio.to_thread(endings)
    if not name.lower().endswith(readable):
        text = f"{name[-40:]!r} ends in none of {' '.join(readable)}; give the file its ending"
        raise Invalid(text, code="wrong_content_type", field="file")
    wanted = None if kind == "guess" else kind
    made = await asyncio.to_thread(shop.imports.create, name, file.file, kind=wanted, mapping=_corrections(mapping))
    return reply(_shown(made), 201, {"location": f"/api/v1/data/imports/{made.import_id}"})


@doors.add("GET", "/api/v1/data/imports", scope="r", answer=Page[Imported])
async def list_imports(shop: ShopDep, limit: Limit = 50, cursor: Cursor = None) -> Response:
    """Imports, newest first"""
    found, after, total = await asyncio.to_thread(shop.imports.list, limit=limit, cursor=cursor)
    return reply(Page([_shown(one) for one in found], after, total))


@doors.add("GET", "/api/v1/data/imports/{import_id}", scope="r", answer=Imported, errors=(404,))
async def get_import(shop: ShopDep, import_id: Id) -> Response:
    """One import and how far it got"""
    return reply(_shown(await asyncio.to_thread(shop.imports.get, import_id)))


@doors.add(
    "POST",
    "/api/v1/data/imports/{import_id}/preview",
    scope="o",
    body=MappingForm,
    answer=Previewed,
    errors=(404,),
)
async def preview(request: Request, shop: ShopDep, import_id: Id) -> Response:
    """The first rows as they would be stored; nothing is stored"""
    form = await read(request, MappingForm)
    seen = await asyncio.to_thread(shop.imports.preview, import_id, form.mapping, kind=form.kind)
    return reply(
        Previewed(
            kind=seen.kind,
            rows=seen.rows,
            rejects=[RowProblem(one.index, one.reason) for one in seen.rejects],
            mapping=seen.mapping,
            guesses=seen.guesses,
            notes=seen.notes,
            missing=seen.missing,
        )
    )


@doors.add(
    "POST",
    "/api/v1/data/imports/{import_id}/start",
    scope="o",
    status=202,
    body=MappingForm,
    answer=Queued,
    errors=(404, 409, 429),
)
async def start(request: Request, shop: ShopDep, caller: CallerDep, import_id: Id) -> Response:
    """Begins to store the rows, as a job"""
    form = await read(request, MappingForm)
    job = await asyncio.to_thread(
        shop.imports.start, import_id, shop.jobs, form.mapping, kind=form.kind, requested_by=caller.name
    )
    return queued(job.job_id)


@doors.add("GET", "/api/v1/data/imports/{import_id}/rejects", scope="r", answer="text/csv", errors=(404,))
async def rejects(shop: ShopDep, import_id: Id) -> Response:
    """The refused rows as CSV: row, reason, raw columns"""
    parts = await asyncio.to_thread(shop.imports.rejects, import_id)
    name = {"content-disposition": f'attachment; filename="rejects-{import_id}.csv"'}
    return StreamingResponse(parts, media_type="text/csv; charset=utf-8", headers=name)


@doors.add("DELETE", "/api/v1/data/imports/{import_id}", scope="o", status=204, errors=(404, 409, 429))
async def delete_import(shop: ShopDep, import_id: Id) -> Response:
    """Forgets an import and its file, not the rows it brought"""
    await asyncio.to_thread(shop.imports.delete, import_id)
    return Response(status_code=204)


def _corrections(text: str) -> dict[str, str]:
    try:
        return msgspec.json.decode(text, type=dict[str, str]) if text else {}
    except msgspec.DecodeError as error:
        raise Invalid(
            'mapping is no JSON object of texts; expected one such as {"item_id": "SKU"}',
            code="bad_mapping",
            field="mapping",
        ) from error


def _shown(one: Import) -> Imported:
    plan = one.plan
    return Imported(
        import_id=one.import_id,
        kind=one.kind,
        filename=one.filename,
        columns=one.columns,
        mapping={**plan.get("mapping", {}), **plan.get("options", {})},
        rows=one.rows,
        status=one.status,
        accepted=one.accepted,
        duplicates=one.duplicates,
        rejected=one.rejected,
        without_sale=one.without_sale,
        guesses=plan.get("guesses", []),
        notes=notes_of(one),
        job_id=one.job_id,
        created_at=one.created_at,
    )
