"""Versions as files: out, in, to a bucket and from one; and what may go."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from fastapi import Query, Request, Response, UploadFile
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask

from shopkeeper.api.body import read
from shopkeeper.api.door import CallerDep, Doors, Id, Queued, ShopDep, queued, reply
from shopkeeper.api.models import Scope
from shopkeeper.api.waiting import Timeout, Wait, answered
from shopkeeper.bootstrap import Shop
from shopkeeper.core.clock import micros, moment
from shopkeeper.core.records import Version
from shopkeeper.lifecycle.retention import Cleaned

doors = Doors("Archives")
GZIP = "application/gzip"
ARCHIVE_FORM = {
    "multipart/form-data": {
        "schema": {
            "type": "object",
            "required": ["file"],
            "properties": {"file": {"type": "string", "format": "binary"}},
        }
    }
}
Policies = Annotated[Sequence[Literal["versions", "jobs", "strays", "rejects"]], Query()]
Url = Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]


class UploadForm(msgspec.Struct):
    """`url`: s3://bucket/folder or oss://bucket/folder; the server's own upload_url when it is left out."""

    url: Url | None = None


class DeployForm(msgspec.Struct):
    """`version` as it is called in the bucket; left out: its current one. What comes in needs `force` to answer."""

    url: Url
    version: int | None = None
    promote: bool = True
    force: bool = False
    reason: Annotated[str, msgspec.Meta(max_length=10_000)] = ""


class Share(msgspec.Struct):
    version: int
    weight: float


class LiveThen(msgspec.Struct):
    """What answered at a moment, since when, and who made it so."""

    at: datetime
    variants: list[Share]
    since: datetime
    by: str


@doors.add(
    "GET", "/api/v1/models/{model}/versions/{version}/export", scope="o", answer=GZIP, errors=(404,)
)  # fmt: skip
async def export_version(
    shop: ShopDep, model: Id, version: Id, scope: Scope = "all", format: Literal["archive", "legacy"] = "archive"
) -> Response:
    """A version as an archive (tar.gz) that another shop can import, or as the files of an older server"""
    return await archive_of(shop, model, version, scope, legacy=format == "legacy")


@doors.add(
    "POST", "/api/v1/models/{model}/import",
    scope="a", status=201, body=ARCHIVE_FORM, answer=Version, errors=(409, 429),
)  # fmt: skip
async def import_version(
    shop: ShopDep, caller: CallerDep, model: Id, file: UploadFile, scope: Scope = "all"
) -> Response:
    """Registers an exported version as a new one of this model; it is on HOLD until it is promoted by force"""
    made = await asyncio.to_thread(shop.exchange.bring_in, file.file, by=caller.name, model=model, scope=scope)
    return reply(made, 201, {"location": f"/api/v1/models/{made.model}/versions/{made.version}"})


@doors.add("DELETE", "/api/v1/models/{model}/versions/{version}", scope="o", status=204, errors=(404, 409, 429))
async def delete_version(
    shop: ShopDep, caller: CallerDep, model: Id, version: Id, scope: Scope = "all", force: bool = False
) -> Response:
    """Removes a version's files; its row stays, as removed. By force also one that an alias names, but the champion"""
    await asyncio.to_thread(shop.removal.version, model, version, scope, by=caller.name, let_go=force)
    return Response(status_code=204)


@doors.add("DELETE", "/api/v1/models/{model}", scope="a", status=204, errors=(404, 409, 429))
async def delete_model(
    shop: ShopDep, caller: CallerDep, model: Id, scope: Scope = "all", force: bool = False
) -> Response:
    """Removes a model with all its versions; one that serves only by force"""
    await asyncio.to_thread(shop.removal.model, model, scope, by=caller.name, force=force)
    return Response(status_code=204)


@doors.add("GET", "/api/v1/models/{model}/live", scope="r", answer=LiveThen, errors=(404,))
async def live(shop: ShopDep, model: Id, at: datetime | None = None, scope: Scope = "all") -> Response:
    """What answered at a moment, by default now"""
    when = shop.clock.wall() if at is None else micros(at)
    found = await asyncio.to_thread(shop.registry.answering_at, model, when, scope)
    shares = [Share(version, weight) for version, weight in sorted(found.shares.items())]
    return reply(LiveThen(moment(when), shares, moment(found.since), found.by))


@doors.add(
    "POST", "/api/v1/models/{model}/versions/{version}/upload",
    scope="a", status=202, body=UploadForm, answer=Queued, errors=(404, 409, 429),
)  # fmt: skip
async def upload(
    request: Request, shop: ShopDep, caller: CallerDep, model: Id, version: Id, scope: Scope = "all"
) -> Response:
    """Begins to upload a version to a bucket, as a job"""
    form = await read(request, UploadForm)
    url = form.url or shop.settings.upload_url or ""
    job = await asyncio.to_thread(shop.publishing.upload, model, version, scope, url, caller.name)
    return queued(job.job_id)


@doors.add(
    "POST", "/api/v1/models/{model}/deploy",
    scope="a", status=202, body=DeployForm, answer=Queued, errors=(404, 409, 429),
)  # fmt: skip
async def deploy(request: Request, shop: ShopDep, caller: CallerDep, model: Id, scope: Scope = "all") -> Response:
    """Begins to fetch a version from a bucket, import it, and promote it, as a job"""
    form = await read(request, DeployForm)
    job = await asyncio.to_thread(
        shop.publishing.deploy,
        model,
        form.url,
        version="" if form.version is None else str(form.version),
        scope=scope,
        promote=form.promote,
        force=form.force,
        reason=form.reason,
        by=caller.name,
    )
    return queued(job.job_id)


@doors.add(
    "POST", "/api/v1/operations/cleanup",
    scope="o", status=202, answer=Queued, waited=Cleaned, errors=(409, 429),
)  # fmt: skip
async def cleanup(
    request: Request,
    shop: ShopDep,
    caller: CallerDep,
    dry_run: bool = True,
    policies: Policies = (),
    wait: Wait = False,
    timeout_s: Timeout = 300,
) -> Response:
    """Removes old versions and files by the shop's rules, as a job; without dry_run=false it only looks"""
    job = await asyncio.to_thread(shop.retention.submit, policies, dry_run=dry_run, by=caller.name)
    return await answered(shop, job.job_id, wait=wait, timeout_s=timeout_s, closing=request.app.state.closing)


async def archive_of(shop: Shop, model: str, ref: str, scope: str, *, legacy: bool = False) -> Response:
    """A version's archive as an answer; the file behind it goes when it is sent."""
    version = await asyncio.to_thread(shop.registry.version, model, ref, scope)
    path = shop.exchange.place()
    try:
        await asyncio.to_thread(shop.exchange.export, version, path, legacy=legacy)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return FileResponse(
        path,
        media_type=GZIP,
        filename=f"model-{version.version}.tar.gz" if legacy else f"{model}-v{version.version}.tar.gz",
        background=BackgroundTask(path.unlink, missing_ok=True),
    )
