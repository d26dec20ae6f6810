"""Sales as one table, from the upload to the stored rows in one call: the stock paths' short way to an import."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from fastapi import Request, Response, UploadFile

from shopkeeper.api.archives import ARCHIVE_FORM
from shopkeeper.api.door import CallerDep, Doors, Envelope, ShopDep, enveloped
from shopkeeper.api.waiting import Timeout, Wait, ended
from shopkeeper.bootstrap import Shop
from shopkeeper.core.errors import Conflict, Invalid, ShopkeeperError
from shopkeeper.core.records import FINISHED, Job
from shopkeeper.operations.trained import why_not

doors = Doors("Stock")
_ENDINGS = (".csv", ".xlsx", ".tsv", ".txt")


class Begun(msgspec.Struct):
    """`mapping`: our field -> the file's column, as it was guessed."""

    job_id: str
    job_url: str
    import_id: str
    columns: list[str]
    mapping: dict[str, str]
    rows: int
    status: str = "queued"


class StoredSales(msgspec.Struct):
    """Rows. `rejects_url`: the refused ones as CSV, with the reason of each."""

    import_id: str
    accepted: int
    rejected: int
    duplicates: int
    without_sale: int
    rejects_url: str


@doors.add(
    "POST", "/api/data/upload",
    scope="o", status=202, body=ARCHIVE_FORM, answer=Envelope[Begun], waited=Envelope[StoredSales], errors=(409, 429),
)  # fmt: skip
async def upload(
    request: Request, shop: ShopDep, caller: CallerDep, file: UploadFile, wait: Wait = False, timeout_s: Timeout = 300
) -> Response:
    """Takes daily sales (csv, xlsx: date, product id, name, sales, price; Chinese headers too) and stores them"""
    name = file.filename or "file"
    if not name.lower().endswith(_ENDINGS):
        told = f"{name[-40:]!r} is neither .csv nor .xlsx; give the file its ending"
        raise Invalid(told, code="wrong_content_type", field="file")
    begun, job = await asyncio.to_thread(_begin, shop, name, file, caller.name)
    if wait:
        await ended(shop, job.job_id, timeout_s, request.app.state.closing)
        job = await asyncio.to_thread(shop.jobs.get, job.job_id)
        if job.status in FINISHED:
            return enveloped(await asyncio.to_thread(_stored, shop, begun.import_id, job))
    return enveloped(begun, 202, {"location": job.job_url})


def _begin(shop: Shop, name: str, file: UploadFile, by: str) -> tuple[Begun, Job]:
    """Nothing stays of a file that cannot be read as sales."""
    made = shop.imports.create(name, file.file, kind="sales")
    try:
        job = shop.imports.start(made.import_id, shop.jobs, requested_by=by)
    except ShopkeeperError:
        shop.imports.delete(made.import_id)
        raise
    mapping: dict[str, Any] = made.plan.get("mapping", {})
    return Begun(job.job_id, job.job_url, made.import_id, made.columns, mapping, made.rows), job


def _stored(shop: Shop, import_id: str, job: Job) -> StoredSales:
    """Raises Conflict (`job_failed`, `job_cancelled`)."""
    if job.status != "done":
        raise Conflict(f"job {job.job_id} {job.status}: {why_not(job)}", code=f"job_{job.status}")
    found = shop.imports.get(import_id)
    return StoredSales(
        import_id=import_id,
        accepted=found.accepted,
        rejected=found.rejected,
        duplicates=found.duplicates,
        without_sale=found.without_sale,
        rejects_url=f"/api/v1/data/imports/{import_id}/rejects",
    )
