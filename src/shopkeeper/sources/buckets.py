"""Addresses of buckets: `s3://bucket/folder` and `oss://bucket/folder`, and the server that is asked for them."""

from __future__ import annotations

import ipaddress
import re
from typing import Literal, NamedTuple, TypeAlias
from urllib.parse import SplitResult, urlsplit

from shopkeeper.core.errors import Invalid

Addressing: TypeAlias = Literal["virtual", "path"]

SCHEMES = ("s3", "oss")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_REGION = re.compile(r"[A-Za-z0-9]+(-[A-Za-z0-9]+)*")  # it becomes part of a host name
_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+")


class Place(NamedTuple):
    """Where a URL points: scheme, bucket, and folder without slashes at its ends ("" is the whole bucket)."""

    scheme: str
    bucket: str
    folder: str


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
        check_object_name(folder)
    return Place(parts.scheme, parts.netloc, folder)


def server_of(url: str, *, endpoint: str | None = None, region: str | None = None) -> str:
    """`host:port` that would be asked for the bucket. Raises Invalid as `object_store` does."""
    base = endpoint_of(read_url(url), endpoint, region)
    if base is None:
        return f"s3.{region or 'us-east-1'}.amazonaws.com:443"
    return f"{base.hostname}:{base.port or (443 if base.scheme == 'https' else 80)}"


def endpoint_of(place: Place, endpoint: str | None, region: str | None) -> SplitResult | None:
    """The server's address with its scheme; None means AWS by region. http only where it is said, or on loopback.

    Raises Invalid for what another reader of addresses could take for another server: signs that end a host name.
    """
    if region and not _REGION.fullmatch(region):
        raise Invalid(
            f"region {region[:40]!r} must be letters, digits and hyphens, such as eu-west-1",
            code="bad_region",
            field="region",
        )
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
        usable = parts.scheme in ("http", "https") and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    usable = usable and _HOST.fullmatch(parts.hostname or "") is not None
    if not usable or parts.query or parts.fragment or "@" in parts.netloc or parts.path:
        raise Invalid(
            f"endpoint {_shown(parts)} must be http(s)://host or http(s)://host:port",
            code="bad_endpoint",
            field="endpoint",
        )
    return parts


def with_bucket(base: SplitResult, bucket: str) -> str:
    """With virtual-hosted addressing the client library wants the bucket in the endpoint already."""
    host = base.netloc if base.netloc.startswith(f"{bucket}.") else f"{bucket}.{base.netloc}"
    return base._replace(netloc=host).geturl()


def nameless(base: SplitResult) -> bool:
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


def check_object_name(name: str) -> str:
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
