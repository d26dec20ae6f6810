"""Which addresses may be told anything: judged by what would be connected to, however it is written."""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from outbox import all_finished, outbox
from receivers import receiving

from shopkeeper.core.errors import Invalid
from shopkeeper.operations.destinations import URL_LENGTH, Destinations, is_public, parse
from shopkeeper.settings import Settings

PRIVATE = [
    "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254",
    "100.64.0.1", "100.100.100.200", "192.0.0.192", "198.18.0.1", "192.0.2.1", "224.0.0.1", "240.0.0.1",
    "255.255.255.255", "168.63.129.16", "192.88.99.1",
    "::", "::1", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1", "fec0::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::",
    "2002:a00:1::1", "2001:0:7f00:1::", "64:ff9b:1::7f00:1",
]  # fmt: skip
PUBLIC = ["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("address", PRIVATE)
def test_addresses_of_this_machine_and_of_private_networks_are_refused(address):
    assert not is_public(ip_address(address))
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(Invalid, match="SHOPKEEPER_WEBHOOK_HOSTS") as refused:
        Destinations().check(f"https://{host}/hook")
    assert (refused.value.code, refused.value.field) == ("address_not_allowed", "url")


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_allowed(address):
    assert is_public(ip_address(address))
    Destinations().check(f"https://[{address}]/" if ":" in address else f"https://{address}/")


@pytest.mark.parametrize(
    "url",
    [
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0x7f.0.0.1/",
        "http://0177.0.0.1/",
        "http://127.1/",
        "http://127.0.0.1.5/",
        "http://256.1.1.1/",
        "http://[127.0.0.1]/",
        "http://[::1%25eth0]/",
        "http://[::1",
        "http://[]/",
        "http://user@example.com/",
        "http://user:password@example.com/",
        "http://example.com@127.0.0.1/",
        "http://example.com\\@127.0.0.1/",
        "http://127.0.0.1\\.example.com/",
        "http://example.com#@127.0.0.1/",
        "http://example.com/#part",
        "http://exa mple.com/",
        "http://example.com/a b",
        "http://example.com/\r\nHost: other",
        "http://exämple.com/",
        "http://１２７.0.0.1/",
        "http://example..com/",
        "http://./",
        "http:///path",
        "http://example.com:0/",
        "http://example.com:65536/",
        "http://example.com:http/",
        "http:example.com",
        "//example.com/",
        "example.com",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "javascript:alert(1)",
        "",
        "http://example.com/" + "a" * URL_LENGTH,
        "http://" + "a" * 64 + ".com/",
    ],
)
def test_what_is_no_plain_address_is_refused(url):
    with pytest.raises(Invalid) as refused:
        Destinations(["*"], loopback=True).check(url)
    assert (refused.value.code, refused.value.field) == ("bad_url", "url")


def test_a_name_that_leads_to_loopback_is_refused():
    assert socket.gethostbyname("localhost") == "127.0.0.1"
    for url in ("http://localhost/", "http://LOCALHOST.:8080/hook"):
        with pytest.raises(Invalid, match="address") as refused:
            Destinations().check(url)
        assert refused.value.code == "address_not_allowed"


def test_a_name_that_nobody_knows_is_refused():
    with pytest.raises(Invalid) as refused:
        Destinations().check("https://no-such-host.invalid/hook")
    assert refused.value.code == "unknown_host"


def test_loopback_is_allowed_where_it_is_said_and_nothing_else_is():
    here = Destinations(loopback=True)
    for url in ("http://127.0.0.1:9/", "http://[::1]:9/", "http://localhost:9/", "http://[::ffff:127.0.0.1]/"):
        here.check(url)
    for url in ("http://10.0.0.1/", "http://169.254.169.254/latest/meta-data"):
        with pytest.raises(Invalid):
            here.check(url)


@pytest.mark.parametrize(
    ("pattern", "allowed", "refused"),
    [
        ("10.0.0.*", "http://10.0.0.7/", "http://10.0.1.7/"),
        ("10.0.0.7:8080", "http://10.0.0.7:8080/", "http://10.0.0.7/"),
        ("localhost:9000", "http://localhost:9000/hook", "http://localhost:9001/hook"),
        ("[::1]:9000", "http://[::1]:9000/", "http://[::1]:9001/"),
        ("127.0.0.1:443", "https://127.0.0.1/", "http://127.0.0.1/"),
    ],
)
def test_the_keeper_may_name_servers(pattern, allowed, refused):
    some = Destinations([pattern])
    some.check(allowed)
    with pytest.raises(Invalid):
        some.check(refused)


def test_the_setting_lists_them():
    assert Settings(webhook_hosts=" crm.shop, 10.0.0.*:8080 ,").webhook_servers() == ("crm.shop", "10.0.0.*:8080")
    assert Settings().webhook_servers() == ()


def test_a_place_keeps_path_query_and_port():
    place = parse("HTTPS://Example.COM.:8443/a/B?x=1&y=%2F")
    assert (place.scheme, place.host, place.port, place.path) == ("https", "example.com", 8443, "/a/B?x=1&y=%2F")
    assert (place.server, place.authority) == ("example.com:8443", "example.com:8443")
    assert parse("https://[2606:4700::1]:443?a").authority == "[2606:4700::1]"
    assert parse("https://[2606:4700::1]?a").path == "/?a"


def test_tls_is_checked_against_the_name_and_not_the_address(tmp_path, monkeypatch):
    """A certificate for localhost, served at 127.0.0.1: by name it holds, by address and unsigned it does not."""
    context = _certificate(tmp_path)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    with receiving(tls=context) as receiver, outbox(home, waits_s=()) as box:
        named, bare = box.hook(f"https://localhost:{receiver.port}/"), box.hook(receiver.url)
        box.messenger.start()
        box.enter(1)
        (done,) = box.settled(named, all_finished)
        assert done.status == "delivered", done.error
        (refused,) = box.settled(bare, all_finished)
        assert refused.status == "failed"
        assert refused.error.startswith("the connection is not safe: ")
    monkeypatch.delenv("SSL_CERT_FILE")
    with receiving(tls=context, port=receiver.port), outbox(home, waits_s=()) as box:
        box.messenger.start()
        box.enter(2)
        last = box.settled(named, lambda found: len(found) == 2 and all_finished(found))[-1]
        assert last.status == "failed"
        assert last.error.startswith("the connection is not safe: ")


def _certificate(folder):
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context
