"""Real S3 servers on loopback: moto's, and a tiny one that lists but refuses, stalls or breaks off."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from shopkeeper.sources.objects import ObjectStore, object_store

KEYS: dict[str, str] = {"access_key": "AKTESTKEY", "secret_key": "very-secret-key"}


@contextmanager
def moto_server(*buckets: str) -> Iterator[str]:
    """The endpoint of a fresh S3 server with these buckets."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        post(f"{endpoint}/moto-api/reset")
        for bucket in buckets:
            client(endpoint).create_bucket(Bucket=bucket)
        yield endpoint
    finally:
        server.stop()


def client(endpoint: str, access_key: str = KEYS["access_key"], secret_key: str = KEYS["secret_key"]) -> Any:
    """Another implementation of an S3 client, to look at what ours did."""
    import boto3

    keys = {"aws_access_key_id": access_key, "aws_secret_access_key": secret_key}
    return boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **keys)


def post(url: str, body: bytes = b"") -> None:
    import urllib.request

    plain = {"Content-Type": "text/plain"}
    with urllib.request.urlopen(urllib.request.Request(url, data=body, headers=plain, method="POST"), timeout=10):
        pass


def store_at(endpoint: str, url: str = "s3://shop", **options: Any) -> ObjectStore:
    return object_store(url, endpoint=endpoint, **{**KEYS, **options})


_LISTING = b"""<?xml version="1.0"?>
<ListBucketResult><Name>shop</Name><KeyCount>1</KeyCount><IsTruncated>false</IsTruncated>
<Contents><Key>a.csv</Key><Size>3</Size><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>"x"</ETag></Contents>
</ListBucketResult>"""
_DENIED = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>AKTESTKEY may not</Message></Error>"


@contextmanager
def fragile_server(largest: int) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Keeps small objects, and hangs up in the middle of a larger one. Gives (endpoint, what it keeps by path)."""
    kept: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self) -> None:
            size = int(self.headers.get("content-length", 0))
            if size > largest:
                self.rfile.read(size // 2)
                self.connection.close()
                self.close_connection = True
                return
            kept[self.path] = self.rfile.read(size)
            self.answer(200)

        def do_GET(self) -> None:
            self.answer(200 if self.path in kept else 404, kept.get(self.path, b""))

        do_HEAD = do_GET  # noqa: N815  the names are the base class's

        def do_DELETE(self) -> None:
            kept.pop(self.path, None)
            self.answer(204)

        def answer(self, status: int, body: bytes = b"") -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.send_header("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT")
            self.send_header("etag", '"x"')
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with _served(Handler) as address:
        yield address, kept


@contextmanager
def stubborn_server(*, breaks_off: bool = False) -> Iterator[str]:
    """Lists, and answers 403 to every write; with `breaks_off` it reads out half of what it announced, each time."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if "list-type" in self.path:
                self.answer(200, _LISTING)
            elif breaks_off:
                self.answer(200, b"0123456789", announced=20)
                self.close_connection = True
            else:
                self.answer(200, b"abc")

        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.answer(403, _DENIED)

        do_POST = do_DELETE = do_PUT  # noqa: N815  the names are the base class's

        def answer(self, status: int, body: bytes, announced: int | None = None) -> None:
            self.send_response(status)
            self.send_header("content-length", str(announced or len(body)))
            self.send_header("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT")
            self.send_header("etag", '"x"')
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with _served(Handler) as address:
        yield address


@contextmanager
def _served(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
