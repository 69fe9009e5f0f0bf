"""Whatever URL a caller names, nothing of ours is connected to: a canary counts."""

import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from webhooks import transport
from webhooks.addresses import InvalidUrl, may_connect, target_of
from webhooks.tests.receivers import OK, Receiver, read_request, receiver, says

# Hosts that are, or lead to, 127.0.0.1, other hosts of ours, or nothing; as callers have written them elsewhere.
HOSTS = Path(__file__).with_name("hosts.txt").read_text().splitlines()
CLOUDS = ("169.254.169.254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::", "fd00:ec2::254")
URLS = [f"{scheme}://{host}:{{port}}/" for scheme in ("https", "http") for host in HOSTS]
URLS += [
    "https://user@127.0.0.1:{port}/",
    "https://user:pass@127.0.0.1:{port}/",
    "https://example.com@127.0.0.1:{port}/",
    "https://127.0.0.1:{port}@example.com/",
    "https://127.0.0.1:{port}#@example.com/",
    "https://example.com:{port}#@127.0.0.1/",
    "https://127.0.0.1:{port}\\@example.com/",
    "https:\\\\127.0.0.1:{port}/",
    "https:///127.0.0.1:{port}/",
    "https:127.0.0.1:{port}",
    "//127.0.0.1:{port}/",
    "127.0.0.1:{port}",
    "file:///etc/passwd",
    "gopher://127.0.0.1:{port}/_x",
    "ftp://127.0.0.1:{port}/",
    "unix:///run/x.sock",
    "https://127.0.0.1:{port}/\r\nX: y",
    "https://127.0.0.1\t:{port}/",
    " https://127.0.0.1:{port}/",
    "https://127.0.0.1 .example.com:{port}/",
    "https://" + "a" * 64 + ".example.com:{port}/",
    "https://" + ".".join(["a" * 60] * 5) + ":{port}/",
    "https://example.com:99999/",
    "https://example.com:0/",
    "https://example.com:-1/",
    "https://example.com:/x",
    "https://-example.com/",
    "https://exa..mple.com/",
    "https://[::1/",
    "https://[localhost]:{port}/",
    "https://[v1.127.0.0.1]:{port}/",
    "https:// /",
    "https://",
    "",
]


@pytest.fixture
def canary() -> Iterator[Receiver]:
    with receiver() as found:
        yield found


@pytest.mark.parametrize("both", [False, True], ids=["default", "its port allowed"])
def test_nothing_reaches_the_canary(canary: Receiver, settings: Any, both: bool) -> None:
    settings.WEBHOOKS_PORTS = [443, canary.port] if both else [443]
    for url in URLS:
        answer = transport.post(url.format(port=canary.port), b"{}", {}, seconds=5)
        assert answer.status is None, url
        assert answer.problem, url
    assert canary.connections == 0


def test_the_canary_would_sing(canary: Receiver, settings: Any) -> None:
    settings.WEBHOOKS_ALLOW_PRIVATE = True
    answer = transport.post(f"http://127.0.0.1:{canary.port}/", b"{}", {})
    assert (answer.status, canary.connections) == (200, 1)


def test_where_clouds_tell_secrets_is_refused_on_private_networks_too(settings: Any) -> None:
    settings.WEBHOOKS_ALLOW_PRIVATE = True
    for text in (*CLOUDS, "0.0.0.0"):  # noqa: S104
        assert not may_connect(ip_address(text)), text
    assert may_connect(ip_address("10.0.0.1"))


@pytest.mark.parametrize(
    "text", ["93.184.216.34", "8.8.8.8", "2606:2800:220:1::1", "::ffff:8.8.8.8", "1.1.1.1", "192.0.1.1"]
)
def test_public_addresses(text: str) -> None:
    assert may_connect(ip_address(text))


class Names:
    """A name server: each question has the next of its answers."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers, self.asked = list(answers), 0

    def __call__(self, host: str, port: int, **more: Any) -> list[Any]:
        self.asked += 1
        return [
            (socket.AF_INET6 if ":" in one else socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port))
            for one in self.answers[min(self.asked, len(self.answers)) - 1]
        ]


class Connections:
    """Sees where somebody wants to connect, and lets nobody."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wanted: list[Any] = []
        monkeypatch.setattr(socket.socket, "connect", lambda _, address: self._refuse(address))

    def _refuse(self, address: Any) -> None:
        self.wanted.append(address)
        raise ConnectionRefusedError


def test_a_name_that_changes_its_mind_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    names, connections = Names(["93.184.216.34"], ["127.0.0.1"]), Connections(monkeypatch)
    monkeypatch.setattr(socket, "getaddrinfo", names)
    answer = transport.post("https://rebind.example.com/", b"{}", {})
    assert (answer.problem, names.asked) == ("connection refused", 1)
    assert connections.wanted == [("93.184.216.34", 443)]


@pytest.mark.parametrize("inner", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "64:ff9b::a9fe:a9fe"])
def test_one_private_address_among_public_ones_is_enough(monkeypatch: pytest.MonkeyPatch, inner: str) -> None:
    connections = Connections(monkeypatch)
    for answers in (["93.184.216.34", inner], [inner, "93.184.216.34"], [inner]):
        monkeypatch.setattr(socket, "getaddrinfo", Names(answers))
        assert "nothing is sent to" in transport.post("https://example.com/", b"{}", {}).problem
    assert connections.wanted == []


def test_a_name_server_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: over.wait(20))
    answer = transport.post("https://example.com/", b"{}", {}, seconds=0.3)
    over.set()
    assert answer.problem == "the host name was not resolved in time"


def test_no_redirect_is_followed_and_no_proxy_asked(
    canary: Receiver, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.WEBHOOKS_ALLOW_PRIVATE = True
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{canary.port}")
    for status in ("301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"):
        with receiver(says(status, headers=f"Location: http://127.0.0.1:{canary.port}/\r\n")) as there:
            answer = transport.post(there.url, b"{}", {})
            assert (answer.status, there.connections) == (int(status[:3]), 1)
    assert canary.connections == 0


def test_names_of_all_the_world_keep_their_host(settings: Any) -> None:
    assert target_of("https://müller.example/ü?q=ä#x").host_header == "xn--mller-kva.example"
    assert target_of("https://müller.example/ü?q=ä#x").path == "/%C3%BC?q=%C3%A4"
    assert target_of("https://example.com/a%2Fb?c=%20d").path == "/a%2Fb?c=%20d"
    assert target_of("https://example.com").path == "/"
    settings.WEBHOOKS_PORTS = [8443]
    assert target_of("https://EXAMPLE.com:8443/").host_header == "example.com:8443"
    with pytest.raises(InvalidUrl, match="its port must be 8443"):
        target_of("https://example.com/")


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Of hooks.example.com, which signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "hooks.example.com")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("hooks.example.com")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "certificate.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(made.public_bytes(Encoding.PEM) + private)
    return path


def test_the_certificate_must_be_of_the_name_though_the_address_is_connected_to(
    certificate: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.WEBHOOKS_ALLOW_PRIVATE = True
    asked: list[str] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.sni_callback = lambda sock, name, _: asked.append(name)  # type: ignore[assignment]

    def serve(server: socket.socket) -> None:
        while True:
            try:
                peer, _ = server.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(peer, server_side=True) as secured:
                    read_request(secured)
                    OK(secured, threading.Event())
            except OSError:
                continue

    monkeypatch.setattr(socket, "getaddrinfo", Names(["127.0.0.1"]))
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, args=[server], daemon=True).start()
        port = server.getsockname()[1]
        transport._tls.cache_clear()
        good = transport.post(f"https://hooks.example.com:{port}/", b"{}", {})
        wrong = transport.post(f"https://other.example.com:{port}/", b"{}", {})
        monkeypatch.delenv("SSL_CERT_FILE")
        transport._tls.cache_clear()
        unknown = transport.post(f"https://hooks.example.com:{port}/", b"{}", {})
    transport._tls.cache_clear()
    assert (good.status, good.problem) == (200, "")
    assert wrong.problem.startswith("TLS: Hostname mismatch")
    assert unknown.problem.startswith("TLS: self-signed certificate")
    assert asked == ["hooks.example.com", "other.example.com", "hooks.example.com"]
