"""The simulated shop anew: another world in place of the one that is there, with nothing of the old left.

The job's child builds a whole shop in its work folder, while the present one serves. Then the shop changes over: one
transaction takes the built data over, and every part that holds anything of the old is made anew (`Shop` does that).
Killed before the child is ready, the job begins again at the next start; killed later, the next opening changes over.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import select

from shopkeeper.core.clock import SystemClock
from shopkeeper.core.converting import converted
from shopkeeper.core.errors import Conflict, ShopkeeperError, Unavailable
from shopkeeper.core.protocols import JobContext
from shopkeeper.core.records import Job
from shopkeeper.lifecycle.jobs import JobService
from shopkeeper.operations.import_rows import targets
from shopkeeper.operations.opening import is_open
from shopkeeper.operations.telecom import CONFIG, KIND, made_of, open_telecom, wanted_config
from shopkeeper.sources.simulator.config import SimConfig
from shopkeeper.stores import schema
from shopkeeper.stores.home import Home
from shopkeeper.stores.jobs import UNFINISHED
from shopkeeper.stores.meta import Meta
from shopkeeper.stores.reseeding import reseed
from shopkeeper.stores.sql import Database, open_database, sqlite_url

_LOG = logging.getLogger(__name__)
_READY = "regenerate.ready"  # the job whose data is built and not taken over yet
_DONE = "regenerate.done"  # the job whose data the shop has
_UNSWEPT = "regenerate.unswept"  # the same, while files of the old data may be left
_MODELS = "regenerate.models"  # what the shop had learned, to be learned again
MESSAGE = "the shop was made anew"


def regenerate(ctx: JobContext) -> dict[str, Any]:
    """The job `regenerate`: builds a shop in the work folder. Params: config, seed."""
    config, seed = converted(ctx.params["config"], SimConfig), int(ctx.params["seed"])
    clock = SystemClock()
    with closing(open_database(sqlite_url(ctx.workdir))) as db:
        opened = open_telecom(targets(db, clock), Meta(db), clock, config, seed=seed, report=ctx.report)
    said = {"events": opened.events, "users": opened.users, "items": opened.items}
    return {"message": MESSAGE, "config": msgspec.to_builtins(config), "seed": seed, **said}


class Regeneration:
    """Hooks itself to the job kind `regenerate`; make it before the jobs start. May be called from any thread but the
    writer's. `change` is called on a thread of the jobs when the data is built; it must not wait."""

    def __init__(self, meta: Meta, jobs: JobService, *, change: Callable[[str], None]) -> None:
        self._meta = meta
        self._jobs = jobs
        self._change = change
        jobs.on_finish("regenerate", self._finish)

    def config(self) -> SimConfig:
        """What the next world will be made of. Raises Conflict for a shop that is not simulated."""
        self._check()
        return wanted_config(self._meta)

    def put_config(self, config: SimConfig) -> None:
        """Returns when it is durable. Raises Conflict for a shop that is not simulated."""
        self._check()
        self._meta.set(CONFIG, msgspec.json.encode(config).decode()).result()

    def submit(self, *, seed: int | None = None, requested_by: str = "") -> Job:
        """Queues the work; without `seed` that of the present world. Raises Conflict for a shop that is not simulated,
        Busy while the same is under way."""
        self._check()
        params = {
            "config": msgspec.to_builtins(wanted_config(self._meta)),
            "seed": made_of(self._meta).seed if seed is None else seed,
        }
        return self._jobs.submit("regenerate", params, requested_by=requested_by, work_key="regenerate")

    def to_learn(self) -> list[str]:
        """Models that the shop had before it was made anew, and has not begun to train since."""
        return [name for name in (self._meta.get(_MODELS) or "").split(",") if name]

    def begun(self) -> None:
        """Their trainings are queued."""
        self._meta.set(_MODELS, "").result()

    def _check(self) -> None:
        kind = self._meta.get("shop.kind")
        if kind != KIND:
            raise Conflict(
                f"this shop is {kind}: its data was not simulated and is not thrown away; a simulated shop is opened "
                f"with: shopkeeper up --shop {KIND} --home PATH",
                code="not_simulated",
            )

    def _finish(self, job: Job, result: Mapping[str, Any]) -> None:
        del result
        if self._meta.get(_DONE) == job.job_id:
            return  # the process was killed between the change and the end of the job
        self._change(job.job_id)
        self._meta.set(_READY, job.job_id).result()


def change_over(db: Database, home: Home) -> None:
    """Takes over what a job has built, if one has, and removes the files of the old data. For a shop of which no part
    is in memory and no job runs. Doing it again does nothing."""
    meta = Meta(db)
    if ready := meta.get(_READY):
        built = _built(home, ready)
        facts = {_DONE: ready, _UNSWEPT: ready, _MODELS: ",".join(_learned(db))}
        try:
            _check_whole(built)
            reseed(db, built, facts, by=ready, now=SystemClock().wall())
        except ShopkeeperError as error:
            _LOG.error("what job %s has built cannot be taken over, the old data stays: %s", ready, error.message)
            meta.set(_READY, "").result()
    if job_id := meta.get(_UNSWEPT):
        for folder in (home.artifacts, home.imports, home.path / "spaces"):
            _empty(folder)
        shutil.rmtree(_built(home, job_id).parent, ignore_errors=True)
        meta.set(_UNSWEPT, "").result()


def _built(home: Home, job_id: str) -> Path:
    return home.jobs / job_id / "work" / "shop.db"


def _check_whole(built: Path) -> None:
    """Brings it to this program's schema, if an older one has built it. Raises Unavailable."""
    if built.exists():
        with closing(open_database(f"sqlite:///{built}")) as db:
            if is_open(Meta(db)):
                return
    raise Unavailable(f"{built} is not there whole; regenerate again")


def _learned(db: Database) -> list[str]:
    """Models that the shop has, or has begun to train."""
    jobs = schema.jobs.c
    with db.read() as connection:
        known = set(connection.scalars(select(schema.versions.c.model)))
        begun = connection.scalars(select(jobs.params).where(jobs.kind == "train", jobs.status.in_(UNFINISHED))).all()
    return sorted(known | {params["model"] for params in begun if "model" in params})


def _empty(folder: Path) -> None:
    if folder.is_dir():
        for path in folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
