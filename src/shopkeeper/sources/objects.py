"""Files in an object store: `s3://bucket/folder` (S3 and whatever speaks it) and `oss://bucket/folder` (Aliyun OSS).

    store = object_store("s3://models/shop-1", endpoint="https://minio.example:9000", addressing="path", ...)
    store.probe()                                  # can it write, read back and delete?
    store.upload(Path("model-3.tar.gz"), "model-3.tar.gz")

Names are relative to the URL's folder. Credentials come from arguments only: nothing is read from the environment or
asked of a machine's metadata service; without keys the requests are unsigned. Errors never hold a key.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias
from urllib.parse import SplitResult, urlsplit

from shopkeeper.core.errors import Conflict, Invalid, NotFound, Refused, ShopkeeperError, Unavailable
from shopkeeper.core.ids import ulid

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig, S3Store

Addressing: TypeAlias = Literal["virtual", "path"]

SCHEMES = ("s3", "oss")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_CODE = re.compile(r"<Code>([A-Za-z0-9.]{1,60})</Code>")
_STATUS = re.compile(r"status code: (\d{3})")
_CONNECT_S, _READ_S, _WHOLE_S = 5, 30, 3600
_RETRIES, _RETRY_S = 3, 20
_CHUNK = 8 * 1024 * 1024


class Place(NamedTuple):
    """Where a URL points: scheme, bucket, and folder without slashes at its ends ("" is the whole bucket)."""

    scheme: str
    bucket: str
    folder: str


def is_object_url(text: str) -> bool:
    """`s3://...` or `oss://...`, not a path."""
    return text.partition("://")[0] in SCHEMES and "://" in text


def read_url(url: str) -> Place:
    """Raises Invalid for anything but `s3://bucket/folder` and `oss://bucket/folder`; keys in it are refused."""
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES:
        raise Invalid(
            f"{_shown(parts)} is no object store; give s3://bucket/folder or oss://bucket/folder", code="bad_url"
        )
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise Invalid(
            "the address holds more than bucket and folder; give keys and endpoint beside it, never in it",
            code="bad_url",
        )
    if not _BUCKET.fullmatch(parts.netloc):
        raise Invalid(
            f"bucket {parts.netloc[:80]!r} must be 3 to 63 of a-z 0-9 . -, letter or number at its ends",
            code="bad_url",
        )
    folder = parts.path.strip("/")
    if folder:
        _check_name(folder)
    return Place(parts.scheme, parts.netloc, folder)


def server_of(url: str, *, endpoint: str | None = None, region: str | None = None) -> str:
    """`host:port` that would be asked for the bucket. Raises Invalid as `object_store` does."""
    base = _endpoint(read_url(url), endpoint, region)
    if base is None:
        return f"s3.{region or 'us-east-1'}.amazonaws.com:443"
    return f"{base.hostname}:{base.port or (443 if base.scheme == 'https' else 80)}"


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
    base = _endpoint(place, endpoint, region)
    style = addressing or ("path" if base is not None and _nameless(base) else "virtual")
    if style == "virtual" and base is not None and _nameless(base):
        raise Invalid(
            f"{base.hostname} has no host names below it, so the bucket cannot be one; set addressing=path",
            code="bad_addressing",
            field="addressing",
        )
    # One at a time: Aliyun and others want an MD5 with a bulk delete, which the library does not send.
    options: dict[str, Any] = {"region": region or "us-east-1", "disable_bulk_delete": True}
    options["virtual_hosted_style_request"] = style == "virtual"
    if base is not None:
        options["endpoint"] = _with_bucket(base, place.bucket) if style == "virtual" else base.geturl()
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

        wanted = _check_name(prefix.strip("/")) if prefix.strip("/") else None
        with self._told("list", prefix):
            found = [one for chunk in obstore.list(self._raw, prefix=wanted) for one in chunk]
        return sorted((one["path"], one["size"]) for one in found)

    def size(self, name: str) -> int:
        """Bytes of one object. Raises NotFound."""
        import obstore

        with self._told("read", name):
            return obstore.head(self._raw, _check_name(name))["size"]

    def download(self, name: str, path: Path, *, limit: int | None = None) -> int:
        """Write an object to `path`, whole or not at all; its bytes. Raises NotFound, Invalid (larger than `limit`)."""
        import obstore

        partial = path.with_name(f".{path.name}.{ulid()}")
        try:
            with self._told("read", name), partial.open("wb") as file:
                got = obstore.get(self._raw, _check_name(name))
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
            obstore.put(self._raw, _check_name(name), path, chunk_size=_CHUNK)
        if (stored := self.size(name)) != expected:
            raise Unavailable(
                f"{self.url}/{name} has {stored} bytes after {expected} were sent; try again", code="store_unreachable"
            )
        return stored

    def write(self, name: str, content: bytes) -> None:
        """Store a small object. Raises Refused, Unavailable."""
        import obstore

        with self._told("write", name):
            obstore.put(self._raw, _check_name(name), content)

    def read(self, name: str) -> bytes:
        """A small object, whole. Raises NotFound."""
        import obstore

        with self._told("read", name):
            return bytes(obstore.get(self._raw, _check_name(name)).bytes())

    def delete(self, name: str) -> None:
        """Nothing happens when it is not there."""
        import obstore

        with self._told("delete", name):
            obstore.delete(self._raw, _check_name(name))

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


def _endpoint(place: Place, endpoint: str | None, region: str | None) -> SplitResult | None:
    """The server's address with its scheme; None means AWS by region. http only where it is said, or on loopback."""
    if not endpoint:
        if place.scheme == "s3":
            return None
        if not region:
            raise Invalid(
                "oss:// needs an endpoint such as https://oss-cn-hangzhou.aliyuncs.com, or a region",
                code="bad_endpoint",
            )
        endpoint = f"https://oss-{region.removeprefix('oss-')}.aliyuncs.com"
    if "://" not in endpoint:
        host = urlsplit(f"//{endpoint}").hostname
        endpoint = f"{'http' if _loopback(host) else 'https'}://{endpoint}"
    parts = urlsplit(endpoint.rstrip("/"))
    try:
        usable = bool(parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port))
    except ValueError:
        usable = False
    if not usable or parts.query or "@" in parts.netloc or parts.path:
        raise Invalid(
            f"endpoint {_shown(parts)} must be http(s)://host or http(s)://host:port",
            code="bad_endpoint",
            field="endpoint",
        )
    return parts


def _with_bucket(base: SplitResult, bucket: str) -> str:
    """With virtual-hosted addressing the client library wants the bucket in the endpoint already."""
    host = base.netloc if base.netloc.startswith(f"{bucket}.") else f"{bucket}.{base.netloc}"
    return base._replace(netloc=host).geturl()


def _nameless(base: SplitResult) -> bool:
    """Whether no host name can stand below this one: an IP address or localhost."""
    host = base.hostname or ""
    return _address(host) is not None or host == "localhost"


def _loopback(host: str | None) -> bool:
    address = _address(host or "")
    return host == "localhost" or (address is not None and address.is_loopback)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _check_name(name: str) -> str:
    parts = name.split("/")
    if len(name.encode()) > 1024 or not name.isprintable() or any(part in ("", ".", "..") for part in parts):
        raise Invalid(
            f"object name {name[:120]!r} must be printable, at most 1024 bytes, without empty, . or .. parts",
            code="bad_name",
        )
    return name


def _shown(parts: SplitResult) -> str:
    """An address without what may be a secret in it."""
    return repr(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"[:120])


@contextmanager
def _installed() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise Unavailable(
            "object stores need the package obstore; install it with: pip install 'shopkeeper[s3]'",
            code="not_installed",
        ) from error
