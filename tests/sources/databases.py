"""Real database servers for tests: private instances on free loopback ports, in folders of their own, ended by pid."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

START_S = 60.0


@dataclass(frozen=True)
class Server:
    """Where it listens, and who may do everything. `process` is its own."""

    kind: str
    port: int
    user: str
    password: str
    process: subprocess.Popen[bytes]

    def source(self, **more: Any) -> dict[str, Any]:
        where = {"kind": self.kind, "host": "127.0.0.1", "port": self.port, "user": self.user}
        return {**where, "password": self.password, "database": "shop", **more}

    def run(self, *statements: str, database: str | None = "shop") -> None:
        if self.kind == "postgres":
            import psycopg

            with psycopg.connect(
                host="127.0.0.1", port=self.port, user=self.user, password=self.password, dbname=database or "postgres",
                autocommit=True,
            ) as connection:  # fmt: skip
                for text in statements:
                    connection.execute(text.encode())
            return
        import pymysql

        connection = pymysql.connect(
            host="127.0.0.1", port=self.port, user=self.user, password=self.password, database=database,
            autocommit=True,
        )  # fmt: skip
        with connection, connection.cursor() as cursor:
            for text in statements:
                cursor.execute(text)


@contextmanager
def mariadb(*, tls: bool = False) -> Iterator[Server]:
    """`tls`: anna may not come without."""
    server, install = _program("mariadbd", "/usr/sbin"), _program("mariadb-install-db", "/usr/bin")
    if server is None or install is None:
        _missing("mariadb-server")
    password = "Tomate 7 'quoted'"
    with tempfile.TemporaryDirectory(prefix="mariadb-") as folder:
        data = ["--no-defaults", f"--datadir={folder}/data", f"--user={getpass.getuser()}"]
        made = [str(install), *data, "--skip-test-db", "--auth-root-authentication-method=normal"]
        subprocess.run(made, check=True, capture_output=True)
        init = Path(folder, "init.sql")
        quoted = password.replace("'", "''")
        init.write_text(
            f"CREATE DATABASE shop CHARACTER SET utf8mb4; CREATE USER anna@'127.0.0.1' IDENTIFIED BY '{quoted}';"
            f"GRANT ALL ON *.* TO anna@'127.0.0.1'{' REQUIRE SSL' if tls else ''};\n".replace(";", ";\n")
        )
        secure = _certificate(Path(folder)) if tls else []

        def command(port: int) -> list[str]:
            return [
                str(server), *data, f"--port={port}", "--bind-address=127.0.0.1", f"--socket={folder}/socket",
                f"--init-file={init}", "--innodb-buffer-pool-size=24M", "--innodb-log-file-size=4M",
                "--skip-name-resolve", "--performance-schema=OFF", *secure,
            ]  # fmt: skip

        with _running("mariadb", command, Path(folder), "anna", password, None) as (port, process):
            yield Server("mysql", port, "anna", password, process)


@contextmanager
def postgres() -> Iterator[Server]:
    initdb = _program("initdb", *sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True))
    if initdb is None:
        _missing("postgresql")
    password = "Gurke 8 \\ 'quoted'"
    owner = "nobody" if os.getuid() == 0 else None  # these programs refuse to run as root
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder:
        (secret := Path(folder, "password")).write_text(password)
        if owner:
            shutil.chown(folder, owner)
            shutil.chown(secret, owner)
        data = ["-D", f"{folder}/data"]
        made = [
            str(initdb),
            *data,
            "-U",
            "anna",
            f"--pwfile={secret}",
            "-A",
            "scram-sha-256",
            "-E",
            "UTF8",
            "--no-sync",
        ]
        subprocess.run([*made, "--locale=C"], check=True, capture_output=True, user=owner, cwd=folder)

        def command(port: int) -> list[str]:
            return [
                str(initdb.with_name("postgres")), *data, "-p", str(port), "-h", "127.0.0.1", "-k", folder,
                "-c", "fsync=off", "-c", "shared_buffers=16MB",
            ]  # fmt: skip

        with _running("postgres", command, Path(folder), "anna", password, owner) as (port, process):
            server = Server("postgres", port, "anna", password, process)
            server.run("CREATE DATABASE shop", database=None)
            yield server


@contextmanager
def _running(
    name: str, command: Callable[[int], list[str]], folder: Path, user: str, password: str, owner: str | None
) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    port = _free_port()
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(command(port), stdout=log, stderr=log, user=owner, cwd=folder)
    try:
        until = time.monotonic() + START_S
        while not _answers(name, port, user, password):
            assert process.poll() is None, (folder / "log.txt").read_text()
            assert time.monotonic() < until, f"{name} did not start: {(folder / 'log.txt').read_text()}"
            time.sleep(0.1)
        yield port, process
    finally:
        process.send_signal(signal.SIGCONT)
        process.send_signal(signal.SIGQUIT if name == "postgres" else signal.SIGTERM)
        try:
            process.wait(60)
        finally:
            process.kill()


def _answers(name: str, port: int, user: str, password: str) -> bool:
    try:
        Server("postgres" if name == "postgres" else "mysql", port, user, password, None).run(  # type: ignore[arg-type]
            "SELECT 1", database="postgres" if name == "postgres" else "shop"
        )
    except Exception:  # noqa: BLE001  whatever it is, it does not answer yet
        return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _certificate(folder: Path) -> list[str]:
    """Options of a server that shows a certificate that nobody has signed."""
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.x509.oid import NameOID

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    made = x509.CertificateBuilder(name, name, key.public_key(), 1)
    made = made.not_valid_before(datetime.now(UTC) - timedelta(days=1))
    made = made.not_valid_after(datetime.now(UTC) + timedelta(days=1))
    plain = serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, *plain))
    signed = made.sign(key, hashes.SHA256())
    (folder / "cert.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    return [f"--ssl-cert={folder}/cert.pem", f"--ssl-key={folder}/key.pem"]


def _program(name: str, *folders: str) -> Path | None:
    found = shutil.which(name, path=os.pathsep.join((*folders, os.environ.get("PATH", ""))))
    return Path(found) if found else None


def _missing(package: str) -> None:
    reason = f"needs a database server: apt-get install {package}"
    if os.environ.get("SHOPKEEPER_REQUIRE_ALL"):
        pytest.fail(reason)
    pytest.skip(reason)
