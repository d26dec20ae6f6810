"""Object stores, against real servers on loopback."""

from __future__ import annotations

import builtins
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import s3servers
from s3servers import KEYS, client, moto_server, post, store_at, stubborn_server

from shopkeeper.core.errors import Invalid, NotFound, Refused, ShopkeeperError, Unavailable
from shopkeeper.sources.buckets import read_url
from shopkeeper.sources.objects import object_store


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with moto_server("shop", "other") as address:
        yield address


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_files_go_there_and_back(endpoint: str, tmp_path: Path) -> None:
    store = store_at(endpoint, "s3://shop/round/trip")
    (tmp_path / "a.csv").write_bytes(b"x,y\n1,2\n")
    assert store.upload(tmp_path / "a.csv", "in/a.csv") == 8
    store.write("b.json", b"{}")

    assert store.list() == [("b.json", 2), ("in/a.csv", 8)]
    assert store.list("in") == [("in/a.csv", 8)]
    assert store.size("in/a.csv") == 8
    assert store.download("in/a.csv", tmp_path / "back.csv") == 8
    assert (tmp_path / "back.csv").read_bytes() == b"x,y\n1,2\n"
    seen = client(endpoint).list_objects_v2(Bucket="shop", Prefix="round/trip/")["Contents"]
    assert [one["Key"] for one in seen] == ["round/trip/b.json", "round/trip/in/a.csv"]

    store.delete("in/a.csv")
    store.delete("in/a.csv")
    assert store.list() == [("b.json", 2)]


def test_a_large_file_goes_up_in_parts(endpoint: str, tmp_path: Path) -> None:
    content = bytes(range(256)) * (80 * 1024)
    (tmp_path / "big").write_bytes(content)
    store = store_at(endpoint, "s3://shop/large")
    assert store.upload(tmp_path / "big", "big") == len(content)
    store.download("big", tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == content


def test_the_probe_leaves_nothing(endpoint: str) -> None:
    store = store_at(endpoint, "s3://other")
    store.probe()
    assert store.list() == []


def test_virtual_addressing_puts_the_bucket_into_the_host(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server stands in for a name service that knows every bucket: as a proxy it sees the whole address."""
    monkeypatch.setenv("http_proxy", endpoint)
    store = object_store("s3://shop/virtual", endpoint="http://s3.amazonaws.com", addressing="virtual", **KEYS)
    store.write("a", b"1")
    monkeypatch.delenv("http_proxy")
    assert store_at(endpoint, "s3://shop/virtual").read("a") == b"1"


@pytest.mark.parametrize(
    ("url", "options", "expected"),
    [
        ("oss://shop", {"region": "cn-hangzhou"}, "https://shop.oss-cn-hangzhou.aliyuncs.com"),
        ("oss://shop", {"endpoint": "oss-cn-beijing.aliyuncs.com"}, "https://shop.oss-cn-beijing.aliyuncs.com"),
        ("oss://shop", {"endpoint": "https://shop.oss-cn-beijing.aliyuncs.com"}, "https://shop.oss-cn-beijing.aliyuncs.com"),
        ("s3://shop", {"endpoint": "https://minio.example:9000", "addressing": "path"}, "https://minio.example:9000"),
        ("s3://shop", {"endpoint": "127.0.0.1:9000"}, "http://127.0.0.1:9000"),
        ("s3://shop", {"endpoint": "10.0.0.5:9000"}, "https://10.0.0.5:9000"),
        ("s3://shop", {"endpoint": "localhost:9000"}, "http://localhost:9000"),
        ("s3://shop", {}, None),
    ],
)  # fmt: skip
def test_endpoints(url: str, options: dict, expected: str | None) -> None:
    store = object_store(url, **KEYS, **options)
    assert store._raw.config.get("endpoint") == expected


@pytest.mark.parametrize(
    ("url", "options", "words"),
    [
        ("gs://shop", {}, "no object store"),
        ("https://key:secret@host/x", {}, "no object store"),
        ("s3://key:secret@shop", {}, "never in it"),
        ("s3://shop?secret=1", {}, "never in it"),
        ("s3://Shop", {}, "3 to 63"),
        ("s3://shop/a/../b", {}, "'a/../b'"),
        ("s3://shop", {"access_key": "k"}, "belong together"),
        ("s3://shop", {"addressing": "magic"}, "virtual or path"),
        ("s3://shop", {"endpoint": "ftp://host"}, "http(s)://host"),
        ("s3://shop", {"endpoint": "http://host/path"}, "http(s)://host"),
        ("s3://shop", {"endpoint": "http://u:secret@host"}, "http(s)://host"),
        ("s3://shop", {"endpoint": "http://host:99999999"}, "http(s)://host"),
        ("s3://shop", {"endpoint": "http://127.0.0.1:1", "addressing": "virtual"}, "addressing=path"),
        ("oss://shop", {}, "endpoint such as"),
        ("oss://shop", {"region": "evil.example#"}, "letters, digits and hyphens"),
        ("s3://shop", {"region": "x@evil.example/"}, "letters, digits and hyphens"),
        ("s3://shop", {"endpoint": "http://evil.example\\.mine.example"}, "http(s)://host"),
        ("s3://shop", {"endpoint": "http://evil.example#.mine.example"}, "http(s)://host"),
    ],
)
def test_bad_addresses(url: str, options: dict, words: str) -> None:
    with pytest.raises(Invalid) as error:
        object_store(url, **options)
    assert words in error.value.message
    assert "secret" not in error.value.message.replace("secret key", "")


def test_urls() -> None:
    assert read_url("oss://shop/a/b/") == ("oss", "shop", "a/b")


@pytest.mark.parametrize("name", ["", "../x", "a//b", "/a", "a/./b", "a\nb", "x" * 1025])
def test_bad_names(endpoint: str, name: str, tmp_path: Path) -> None:
    with pytest.raises(Invalid):
        store_at(endpoint).download(name, tmp_path / "x")


def test_what_is_not_there(endpoint: str, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="s3://shop/nothing does not exist"):
        store_at(endpoint).download("nothing", tmp_path / "x")
    assert list(tmp_path.iterdir()) == []
    missing = store_at(endpoint, "s3://nobucket")
    for ask in (missing.list, missing.probe):
        with pytest.raises(NotFound, match="no bucket 'nobucket'"):
            ask()


def test_a_download_over_its_limit(endpoint: str, tmp_path: Path) -> None:
    store = store_at(endpoint, "s3://shop/limits")
    store.write("ten", b"0123456789")
    with pytest.raises(Invalid, match="limit of 9"):
        store.download("ten", tmp_path / "ten", limit=9)
    assert list(tmp_path.iterdir()) == []


def test_wrong_keys(endpoint: str) -> None:
    post(f"{endpoint}/moto-api/reset-auth", b"0")  # from here on the server checks keys
    try:
        with pytest.raises(Refused, match="check the keys") as error:
            store_at(endpoint).probe()
        assert error.value.code == "store_refused"
        assert not any(secret in str(error.value) for secret in KEYS.values())
    finally:
        post(f"{endpoint}/moto-api/reset-auth", b"1000000000")


def test_a_policy_that_forbids_writing(endpoint: str) -> None:
    """Real keys of a user who may list only: the probe tells what listing does not."""
    import boto3

    admin = {
        "endpoint_url": endpoint,
        "region_name": "us-east-1",
        "aws_access_key_id": "a",
        "aws_secret_access_key": "b",
    }
    iam = boto3.client("iam", **admin)
    iam.create_user(UserName="reader")
    allow = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "*"}]}
    iam.put_user_policy(UserName="reader", PolicyName="list", PolicyDocument=json.dumps(allow))
    made = iam.create_access_key(UserName="reader")["AccessKey"]
    store = store_at(endpoint, access_key=made["AccessKeyId"], secret_key=made["SecretAccessKey"])
    post(f"{endpoint}/moto-api/reset-auth", b"0")
    try:
        store.list()
        with pytest.raises(Refused, match="refused to write") as error:
            store.probe()
        assert made["AccessKeyId"] not in str(error.value)
    finally:
        post(f"{endpoint}/moto-api/reset-auth", b"1000000000")


def test_a_server_that_lists_but_refuses_to_write() -> None:
    with stubborn_server() as address:
        store = store_at(address)
        assert store.list() == [("a.csv", 3)]
        with pytest.raises(Refused, match=r"refused to write s3://shop/shopkeeper-probe-\w+ \(AccessDenied\)") as error:
            store.probe()
        assert KEYS["access_key"] not in str(error.value)
        with pytest.raises(Refused, match="give keys"):
            store_at(address, access_key=None, secret_key=None).probe()


def test_a_server_that_breaks_off(tmp_path: Path) -> None:
    with stubborn_server(breaks_off=True) as address, pytest.raises(Unavailable):
        store_at(address).download("a.csv", tmp_path / "a.csv")
    assert list(tmp_path.iterdir()) == []


def test_nobody_listens() -> None:
    with pytest.raises(Unavailable, match="does not listen"):
        store_at(f"http://127.0.0.1:{free_port()}").list()
    with pytest.raises(Unavailable, match="name service"):
        object_store("s3://shop", endpoint="http://nowhere.invalid", **KEYS).list()


def test_the_environment_is_not_read(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("ENDPOINT_URL", "http://127.0.0.1:9"), ("ACCESS_KEY_ID", "x"), ("SECRET_ACCESS_KEY", "y")):
        monkeypatch.setenv(f"AWS_{name}", value)
    assert store_at(endpoint, "s3://other").list() == []
    assert "access_key_id" not in object_store("s3://shop", endpoint=endpoint)._raw.config


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest, **more):
        if name.startswith("obstore"):
            raise ModuleNotFoundError(name, name=name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ShopkeeperError, match=r"pip install 'shopkeeper\[s3\]'"):
        object_store("s3://shop", **s3servers.KEYS)
