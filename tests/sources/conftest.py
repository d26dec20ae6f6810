"""Database servers that the tests of this room share; each process of a parallel run has its own."""

from collections.abc import Iterator

import databases
import pytest
import s3servers


@pytest.fixture(scope="session")
def mariadb() -> Iterator[databases.Server]:
    with databases.mariadb() as server:
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[databases.Server]:
    with databases.postgres() as server:
        yield server


@pytest.fixture(scope="session")
def bucket() -> Iterator[str]:
    """The endpoint of an S3 server with the bucket `shop`."""
    with s3servers.moto_server("shop") as endpoint:
        yield endpoint
