import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import toyshop

from ready_database import ready
from shopkeeper.core.clock import SystemClock
from shopkeeper.core.ids import ulid
from shopkeeper.core.records import Gate, Version
from shopkeeper.lifecycle.attempt import Limits
from shopkeeper.lifecycle.jobs import JobService
from shopkeeper.lifecycle.loading import write_golden
from shopkeeper.lifecycle.registry import Registry
from shopkeeper.lifecycle.versions import Candidate
from shopkeeper.stores.artifacts import ArtifactStore, seal
from shopkeeper.stores.home import Home
from shopkeeper.stores.sql import Database, open_database


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where the stranger's package is "installed": a folder with its metadata; the value is a PYTHONPATH."""
    site = tmp_path_factory.mktemp("site")
    info = site / "toyshop-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toyshop\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(toyshop.ENTRY_POINTS)
    return os.pathsep.join((str(site), str(Path(__file__).parent)))


@pytest.fixture(autouse=True)
def stranger(installed: str) -> Iterator[None]:
    """The package is there for one test, and gone for the tests of other rooms."""
    site = installed.split(os.pathsep)[0]
    sys.path.insert(0, site)
    yield
    sys.path.remove(site)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home").make()
    ready(made.path)
    return made


@pytest.fixture
def db(home: Home) -> Iterator[Database]:
    database = open_database(home.sql_url)
    yield database
    database.close()


@pytest.fixture
def make_jobs(db: Database, home: Home, installed: str) -> Iterator[Callable[..., JobService]]:
    """Makes services over one home; those that run are stopped at the end."""
    made: list[JobService] = []

    def make(*, start: bool = True, hooks: Callable[[JobService], None] | None = None, **limits: float) -> JobService:
        service = JobService(
            db,
            home,
            SystemClock(),
            limits=Limits(**{"grace_s": 1.0, "threads": 1, **limits}),
            environment={"PYTHONPATH": installed},
        )
        if hooks is not None:
            hooks(service)
        if start:
            service.start()
        made.append(service)
        return service

    yield make
    for service in made:
        service.stop()


@pytest.fixture
def registry(db: Database, home: Home) -> Registry:
    return Registry(db, ArtifactStore(home.artifacts), SystemClock())


@pytest.fixture
def add_version(registry: Registry, tmp_path: Path) -> Callable[..., Version]:
    """Registers a version of the toy line, trained or not, without a job."""

    def add(
        weight: float = 2.0,
        *,
        model: str = "line",
        scope: str = "all",
        verdict: str = "PROMOTE",
        against: int | None = None,
        algorithm: str = "toy_line",
        expected: list[float] | None = None,
        job_id: str | None = None,
        feature_names: tuple[str, ...] = ("x",),
        content: dict[str, str] | None = None,
        label: str = "",
    ) -> Version:
        folder = tmp_path / f"made-{ulid()}"
        folder.mkdir()
        line = toyshop.Line(weight)
        line.save(folder)
        golden = [{"x": 1.0}, {"x": 3.0}]
        write_golden(folder, golden, expected if expected is not None else line.score_rows(golden))
        for name, text in (content or {}).items():
            (folder / name).write_text(text)
        candidate = Candidate(
            model=model,
            scope=scope,
            family="toy",
            algorithm=algorithm,
            files=seal(folder, {}),
            feature_names=list(feature_names),
            metrics={"error": 0.1},
            gate=Gate(verdict=verdict, reasons=["as the test wants it"]),
            against=against,
            label=label,
        )
        return registry.register(folder, candidate, by="anna", job_id=job_id)

    return add
