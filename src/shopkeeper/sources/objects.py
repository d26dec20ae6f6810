"""Files in an object store: `s3://bucket/folder` (S3 and whatever speaks it) and `oss://bucket/folder` (Aliyun OSS).

    store = object_store("s3://models/shop-1", endpoint="https://minio.example:9000", addressing="path", ...)
    store.probe()                                  # can it write, read back and delete?
    store.upload(Path("model-3.tar.gz"), "model-3.tar.gz")

Names are relative to the URL's folder. Credentials come from arguments only: nothing is read from the environment or
asked of a machine's metadata service; without keys the requests are unsigned. Errors never hold a key.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shopkeeper.core.errors import Conflict, Invalid, NotFound, Refused, ShopkeeperError, Unavailable
from shopkeeper.core.ids import ulid
from shopkeeper.sources.buckets import (
    Addressing,
    Place,
    check_object_name,
    endpoint_of,
    nameless,
    read_url,
    with_bucket,
)

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig, S3Store

_CODE = re.compile(r"<Code>([A-Za-z0-9.]{1,60})</Code>")
_STATUS = re.compile(r"status code: (\d{3})")
_CONNECT_S, _READ_S, _WHOLE_S = 5, 30, 3600
_RETRIES, _RETRY_S = 3, 20
_CHUNK = 8 * 1024 * 1024


def object_store(
    url: str,
    *,
    endpoint: str | None = None,
    region: str | None = None,
    access_key: str | None = None,
    secret_key: str | None = None,
    session_token: str | None = None,
    addressing: Addressing | None = None,
) -> ObjectStore:
    """A store on a bucket's folder; nothing is asked of the server yet.

    `addressing`: "virtual" puts the bucket into the host name (what AWS and Aliyun want), "path" into the path. Not
    given: virtual, but path where the endpoint is a bare IP address or localhost, which has no names below it.
    Without `endpoint`: AWS, or for oss:// the public endpoint of `region`. Raises Invalid, Unavailable (no obstore).
    """
    place = read_url(url)
    if (access_key is None) != (secret_key is None):
        raise Invalid("an access key and its secret key belong together; give both or none", code="bad_credentials")
    if addressing not in (None, "virtual", "path"):
        raise Invalid(f"addressing {addressing!r} must be virtual or path", code="bad_addressing", field="addressing")
    base = endpoint_of(place, endpoint, region)
    style = addressing or ("path" if base is not None and nameless(base) else "virtual")
    if style == "virtual" and base is not None and nameless(base):
        raise Invalid(
            f"{base.hostname} has no host names below it, so the bucket cannot be one; set addressing=path",
            code="bad_addressing",
            field="addressing",
        )
    # One at a time: Aliyun and others want an MD5 with a bulk delete, which the library does not send.
    options: dict[str, Any] = {"region": region or "us-east-1", "disable_bulk_delete": True}
    options["virtual_hosted_style_request"] = style == "virtual"
    if base is not None:
        options["endpoint"] = with_bucket(base, place.bucket) if style == "virtual" else base.geturl()
    if access_key is not None:
        options |= {"access_key_id": access_key, "secret_access_key": secret_key}
        options |= {"session_token": session_token} if session_token else {}
    else:
        options["skip_signature"] = True
    client: ClientConfig = {
        "allow_http": base is not None and base.scheme == "http",
        "connect_timeout": timedelta(seconds=_CONNECT_S),
        "read_timeout": timedelta(seconds=_READ_S),
        "timeout": timedelta(seconds=_WHOLE_S),
    }
    retry: RetryConfig = {
        "max_retries": _RETRIES,
        "retry_timeout": timedelta(seconds=_RETRY_S),
        "backoff": {"init_backoff": timedelta(milliseconds=200), "max_backoff": timedelta(seconds=2), "base": 2},
    }
    with _installed():
        from obstore.store import S3Store
    raw = S3Store(place.bucket, prefix=place.folder or None, client_options=client, retry_config=retry, **options)
    return ObjectStore(place, raw, "" if base is None else base.netloc)


class ObjectStore:
    """One folder of one bucket. Safe to share between threads; every method asks the server."""

    def __init__(self, place: Place, raw: S3Store, server: str) -> None:
        self.bucket, self.folder = place.bucket, place.folder
        self.url = f"{place.scheme}://{place.bucket}" + (f"/{place.folder}" if place.folder else "")
        self._raw = raw
        self._server = server or "the store's server"

    def list(self, prefix: str = "") -> list[tuple[str, int]]:
        """(name, bytes) of everything below the folder `prefix`, by name. Raises NotFound (bucket), Refused, ..."""
        import obstore

        wanted = check_object_name(prefix.strip("/")) if prefix.strip("/") else None
        with self._told("list", prefix):
            found = [one for chunk in obstore.list(self._raw, prefix=wanted) for one in chunk]
        return sorted((one["path"], one["size"]) for one in found)

    def size(self, name: str) -> int:
        """Bytes of one object. Raises NotFound."""
        import obstore

        with self._told("read", name):
            return obstore.head(self._raw, check_object_name(name))["size"]

    def download(self, name: str, path: Path, *, limit: int | None = None) -> int:
        """Write an object to `path`, whole or not at all; its bytes. Raises NotFound, Invalid (larger than `limit`)."""
        import obstore

        partial = path.with_name(f".{path.name}.{ulid()}")
        try:
            with self._told("read", name), partial.open("wb") as file:
                got = obstore.get(self._raw, check_object_name(name))
                size = got.meta["size"]
                if limit is not None and size > limit:
                    raise Invalid(
                        f"{self.url}/{name} has {size} bytes, more than the limit of {limit}", code="too_large"
                    )
                for chunk in got.stream(min_chunk_size=_CHUNK):
                    file.write(chunk)
            if (written := partial.stat().st_size) != size:
                raise Unavailable(
                    f"{self.url}/{name} ended after {written} of {size} bytes; try again", code="store_unreachable"
                )
            partial.rename(path)
        finally:
            partial.unlink(missing_ok=True)
        return size

    def upload(self, path: Path, name: str) -> int:
        """Store a file, large ones in parts, and ask the server for its size. Gives its bytes. Raises Refused, ..."""
        import obstore

        expected = path.stat().st_size
        with self._told("write", name):
            obstore.put(self._raw, check_object_name(name), path, chunk_size=_CHUNK)
        if (stored := self.size(name)) != expected:
            raise Unavailable(
                f"{self.url}/{name} has {stored} bytes after {expected} were sent; try again", code="store_unreachable"
            )
        return stored

    def write(self, name: str, content: bytes) -> None:
        """Store a small object. Raises Refused, Unavailable."""
        import obstore

        with self._told("write", name):
            obstore.put(self._raw, check_object_name(name), content)

    def read(self, name: str) -> bytes:
        """A small object, whole. Raises NotFound."""
        import obstore

        with self._told("read", name):
            return bytes(obstore.get(self._raw, check_object_name(name)).bytes())

    def delete(self, name: str) -> None:
        """Nothing happens when it is not there."""
        import obstore

        with self._told("delete", name):
            obstore.delete(self._raw, check_object_name(name))

    def probe(self) -> None:
        """Write, read back and delete a key. Raises like these: a store may let one list and refuse to write."""
        name, content = f"shopkeeper-probe-{ulid().lower()}", b"shopkeeper was here"
        self.write(name, content)
        try:
            if self.read(name) != content:
                raise Unavailable(f"{self.url} gave back other bytes than were written", code="store_unreachable")
        finally:
            self.delete(name)

    @contextmanager
    def _told(self, doing: str, name: str) -> Iterator[None]:
        """The library's errors as ours."""
        from obstore.exceptions import BaseError

        try:
            yield
        except (BaseError, FileNotFoundError, PermissionError, TimeoutError, ConnectionError) as error:
            raise self._error(doing, f"{self.url}/{name}".rstrip("/"), error) from None

    def _error(self, doing: str, what: str, error: Exception) -> ShopkeeperError:
        """Only codes and kinds are taken from the text: it may quote the key id that was used."""
        text = str(error)
        code = found[1] if (found := _CODE.search(text)) else ""
        status = int(number[1]) if (number := _STATUS.search(text)) else 0
        said = f" ({code or status})" if code or status else ""
        if code == "NoSuchBucket":
            return NotFound(
                f"there is no bucket {self.bucket!r} at {self._server}; make it first", code="unknown_bucket"
            )
        if code == "SecondLevelDomainForbidden":
            return Invalid(
                f"{self._server} wants the bucket in the host name; set addressing=virtual", code="bad_addressing"
            )
        if isinstance(error, FileNotFoundError) or status == 404:
            return NotFound(f"{what} does not exist", code="unknown_object")
        if status in (401, 403):
            hint = "check the keys, and what they may do" if self._raw.config.get("access_key_id") else "give keys"
            return Refused(f"{self._server} refused to {doing} {what}{said}; {hint}", code="store_refused")
        if status in (409, 412):
            return Conflict(f"{self._server} could not {doing} {what} just now{said}; try again", code="store_conflict")
        return Unavailable(f"cannot {doing} {what}: {self._server} {_why(text, said)}", code="store_unreachable")


def _why(text: str, said: str) -> str:
    if "dns error" in text:
        return "is not known to the name service; check the endpoint"
    if "ConnectionRefused" in text:
        return "does not listen there; check the endpoint"
    if "TimedOut" in text or "timed out" in text:
        return f"did not answer within {_CONNECT_S} s (connect) or {_READ_S} s (read)"
    if said:
        return f"answered with an error{said} after {_RETRIES} retries"
    return "could not be reached, or the connection broke; check the endpoint and try again"


@contextmanager
def _installed() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise Unavailable(
            "object stores need the package obstore; install it with: pip install 'shopkeeper[s3]'",
            code="not_installed",
        ) from error
