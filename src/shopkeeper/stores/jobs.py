"""Jobs and their numbered events, as SQL. Every function works inside the caller's transaction.

    queued -> running -> done | failed | cancelled      (running -> queued when its worker ended before it did)

A job is finished once: `finish` changes a row only while it is unfinished. The events of a job are numbered 1, 2, 3 ...
without a gap, so that a reader goes on after the last number it saw.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, and_, func, insert, or_, select, update

from shopkeeper.core.clock import moment
from shopkeeper.core.errors import Busy, Invalid, NotFound, Overloaded
from shopkeeper.core.records import FINISHED, Job, JobEvent, Progress
from shopkeeper.stores.schema import job_events, jobs

UNFINISHED = ("queued", "running")
_EMPTY_PROGRESS = msgspec.to_builtins(Progress())


def add(
    connection: Connection,
    job_id: str,
    kind: str,
    params: Mapping[str, Any],
    *,
    requested_by: str,
    work_key: str | None,
    now: int,
    queue_limit: int,
) -> Job:
    """A new queued job. Raises Busy when the same work is unfinished, Overloaded when too many jobs wait."""
    if work_key is not None and (running := under_way(connection, work_key)) is not None:
        raise Busy(f"this work is already under way as job {running}; wait for it or cancel it", job_id=running)
    waiting = connection.scalar(select(func.count()).select_from(jobs).where(jobs.c.status == "queued")) or 0
    if waiting >= queue_limit:
        raise Overloaded(f"{waiting} jobs are waiting, more are not taken; try again later")
    connection.execute(
        insert(jobs).values(
            job_id=job_id,
            kind=kind,
            work_key=work_key,
            status="queued",
            params=dict(params),
            progress=_EMPTY_PROGRESS,
            created_at=now,
            requested_by=requested_by,
            cancel_requested=False,
            attempt=0,
        )
    )
    return get(connection, job_id)


def under_way(connection: Connection, work_key: str) -> str | None:
    """The unfinished job that does this work, or None."""
    same = select(jobs.c.job_id).where(jobs.c.work_key == work_key, jobs.c.status.in_(UNFINISHED))
    return connection.scalar(same)


def erasing(row: int) -> str:
    """The work of erasing the user of a row."""
    return f"erase:{row}"


def requested(connection: Connection, requested_by: str) -> Job | None:
    """The newest job of whoever asked for it."""
    mine = select(jobs).where(jobs.c.requested_by == requested_by).order_by(jobs.c.job_id.desc()).limit(1)
    row = connection.execute(mine).one_or_none()
    return None if row is None else _job(row)


def kinds(names: Collection[str], *, these: bool) -> ColumnElement[bool]:
    """Jobs of these kinds, or of all others."""
    return jobs.c.kind.in_(names) if these else jobs.c.kind.not_in(names)


def waiting(connection: Connection, of: ColumnElement[bool] | None = None) -> bool:
    """Whether any job is queued."""
    wanted = [jobs.c.status == "queued", *([] if of is None else [of])]
    return connection.scalar(select(jobs.c.job_id).where(*wanted).limit(1)) is not None


def claim(
    connection: Connection, worker: str, *, now: int, lease_until: int, of: ColumnElement[bool] | None = None
) -> Job | None:
    """Take the oldest queued job for `worker`; None when nothing waits. `of` narrows which, see `kinds`."""
    wanted = [jobs.c.status == "queued", *([] if of is None else [of])]
    oldest = select(jobs.c.job_id).where(*wanted).order_by(jobs.c.created_at, jobs.c.job_id).limit(1)
    job_id = connection.scalar(oldest)
    if job_id is None:
        return None
    taken = connection.execute(
        update(jobs)
        .where(jobs.c.job_id == job_id, jobs.c.status == "queued")
        .values(status="running", worker=worker, lease_until=lease_until, started_at=now, attempt=jobs.c.attempt + 1)
    )
    return get(connection, job_id) if taken.rowcount == 1 else None


def renew(connection: Connection, job_id: str, worker: str, *, lease_until: int) -> bool:
    """Keep a running job's lease. True when somebody asked to cancel it."""
    mine = and_(jobs.c.job_id == job_id, jobs.c.worker == worker, jobs.c.status == "running")
    connection.execute(update(jobs).where(mine).values(lease_until=lease_until))
    return bool(connection.scalar(select(jobs.c.cancel_requested).where(mine)))


def save_progress(connection: Connection, job_id: str, progress: Progress) -> None:
    connection.execute(
        update(jobs)
        .where(jobs.c.job_id == job_id, jobs.c.status == "running")
        .values(progress=msgspec.to_builtins(progress))
    )


def finish(
    connection: Connection,
    job_id: str,
    status: str,
    *,
    now: int,
    result: Mapping[str, Any] | None = None,
    error: str | None = None,
) -> bool:
    """The terminal state. False, and nothing changes, when the job has one already."""
    assert status in FINISHED
    done = connection.execute(
        update(jobs)
        .where(jobs.c.job_id == job_id, jobs.c.status.in_(UNFINISHED))
        .values(
            status=status,
            finished_at=now,
            result=None if result is None else dict(result),
            error=error,
            lease_until=None,
        )
    )
    return done.rowcount == 1


def cancel_all(connection: Connection, *, but: str, now: int) -> None:
    """Ends every unfinished job but one, each with its `done` event. Nobody may be at work on them."""
    unfinished = select(jobs.c.job_id).where(jobs.c.status.in_(UNFINISHED), jobs.c.job_id != but)
    for job_id in connection.scalars(unfinished).all():
        finish(connection, job_id, "cancelled", now=now)
        told = {"status": "cancelled", "result": None, "error": None}
        add_events(connection, job_id, [("done", told)], now=now)


def requeue(connection: Connection, job_id: str, *, count_attempt: bool) -> bool:
    """Back to the queue, unless it is finished. An attempt that ended by our own closing does not count."""
    values: dict[Any, Any] = {"status": "queued", "worker": None, "lease_until": None, "started_at": None}
    if not count_attempt:
        values["attempt"] = jobs.c.attempt - 1
    changed = connection.execute(update(jobs).where(jobs.c.job_id == job_id, jobs.c.status == "running").values(values))
    return changed.rowcount == 1


def request_cancel(connection: Connection, job_id: str) -> None:
    connection.execute(update(jobs).where(jobs.c.job_id == job_id).values(cancel_requested=True))


def orphans(connection: Connection, *, now: int, not_of: str | None = None) -> list[tuple[Job, int, bool]]:
    """Running jobs whose lease is over, or that belong to another worker than `not_of`, when it is given.

    As (job, attempt, cancel was requested).
    """
    lost = jobs.c.lease_until < now
    if not_of is not None:
        lost = or_(lost, jobs.c.worker != not_of)
    rows = connection.execute(select(jobs).where(jobs.c.status == "running", lost).order_by(jobs.c.job_id))
    return [(_job(row), row.attempt, row.cancel_requested) for row in rows]


def add_events(
    connection: Connection, job_id: str, events: Sequence[tuple[str, Mapping[str, Any]]], *, now: int
) -> list[JobEvent]:
    """Number and store events (type, data)."""
    last = connection.scalar(select(func.max(job_events.c.seq)).where(job_events.c.job_id == job_id)) or 0
    numbered = [
        JobEvent(seq=last + place, type=kind, job_id=job_id, timestamp=moment(now), data=dict(data))
        for place, (kind, data) in enumerate(events, start=1)
    ]
    if numbered:
        rows = [{"job_id": job_id, "seq": e.seq, "type": e.type, "time": now, "data": e.data} for e in numbered]
        connection.execute(insert(job_events), rows)
    return numbered


def get(connection: Connection, job_id: str) -> Job:
    """Raises NotFound."""
    row = connection.execute(select(jobs).where(jobs.c.job_id == job_id)).one_or_none()
    if row is None:
        raise NotFound(f"no job {job_id[:64]!r}", code="unknown_job")
    return _job(row)


def page(
    connection: Connection, *, kind: str | None, status: str | None, limit: int, cursor: str | None
) -> tuple[list[Job], str | None, int]:
    """Newest first: (jobs, next cursor, total). The cursor is the last job's id."""
    if status is not None and status not in (*UNFINISHED, *FINISHED):
        raise Invalid(f"status {status!r} is none of queued, running, done, failed, cancelled", field="status")
    wanted = [jobs.c.kind == kind] if kind else []
    if status:
        wanted.append(jobs.c.status == status)
    total = connection.scalar(select(func.count()).select_from(jobs).where(*wanted)) or 0
    older = [jobs.c.job_id < cursor] if cursor else []
    rows = connection.execute(select(jobs).where(*wanted, *older).order_by(jobs.c.job_id.desc()).limit(limit + 1))
    found = [_job(row) for row in rows]
    return found[:limit], found[limit - 1].job_id if len(found) > limit else None, total


def events(connection: Connection, job_id: str, *, after_seq: int = 0, limit: int = 10_000) -> list[JobEvent]:
    rows = connection.execute(
        select(job_events)
        .where(job_events.c.job_id == job_id, job_events.c.seq > after_seq)
        .order_by(job_events.c.seq)
        .limit(limit)
    )
    return [
        JobEvent(seq=row.seq, type=row.type, job_id=row.job_id, timestamp=moment(row.time), data=row.data)
        for row in rows
    ]


def _job(row: Row[Any]) -> Job:
    return Job(
        job_id=row.job_id,
        job_url=f"/api/v1/jobs/{row.job_id}",
        kind=row.kind,
        status=row.status,
        params=row.params,
        progress=msgspec.convert(row.progress, Progress),
        created_at=moment(row.created_at),
        started_at=None if row.started_at is None else moment(row.started_at),
        finished_at=None if row.finished_at is None else moment(row.finished_at),
        requested_by=row.requested_by,
        result=row.result,
        error=row.error,
    )
