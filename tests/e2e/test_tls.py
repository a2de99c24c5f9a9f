"""TLS by stunnel, with the configurations that are shipped: who has a certificate trades, who has none does not reach the server."""

import re
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.street import PATIENCE_S, ROOT, Process, free_port

STUNNEL = shutil.which("stunnel4") or shutil.which("stunnel") or ""
OPENSSL = shutil.which("openssl") or ""
pytestmark = pytest.mark.skipif(not (STUNNEL and OPENSSL), reason="stunnel or openssl is not installed (Debian: apt-get install stunnel4 openssl)")


def certificate(folder: Path, name: str) -> None:
    """A key and a certificate that is its own authority."""
    subprocess.run(
        [OPENSSL, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
         "-keyout", str(folder / f"{name}.key"), "-out", str(folder / f"{name}.pem")], check=True, capture_output=True,
    )  # fmt: skip
    (folder / f"{name}.key").chmod(0o600)
    shutil.copy(folder / f"{name}.pem", folder / f"{name}-ca.pem")


def stunnel(folder: Path, name: str, changes: dict[str, str]) -> "subprocess.Popen[bytes]":
    """A shipped configuration with other ports, once it listens."""
    text = (ROOT / "sessions" / f"stunnel-{name}.conf").read_text()
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    (folder / f"{name}.conf").write_text(text)
    process = subprocess.Popen([STUNNEL, f"{name}.conf"], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    match = re.search(r"^accept = .*:(\d+)$", text, re.MULTILINE)
    assert match is not None
    deadline = time.monotonic() + PATIENCE_S
    while True:
        assert process.poll() is None, f"stunnel {name} ended"
        try:
            socket.create_connection(("127.0.0.1", int(match[1])), PATIENCE_S).close()
            return process
        except ConnectionRefusedError:
            assert time.monotonic() < deadline


@pytest.fixture
def ports(tmp_path: Path) -> Iterator[tuple[int, int]]:
    """The client's end and the server's TLS port, in front of a running server."""
    (tmp_path / "tls").mkdir()
    for name in ("server", "client"):
        certificate(tmp_path / "tls", name)
    shutil.move(tmp_path / "tls" / "client-ca.pem", tmp_path / "tls" / "clients-ca.pem")
    venue_port, fix_port, tls_port, client_port = (free_port() for _ in range(4))
    sim = Process("sim", "--state", str(tmp_path / "sim"), "--port", str(venue_port))
    server = Process("serve", "--state", str(tmp_path / "server"), "--port", str(fix_port), "--venue-port", str(venue_port))
    ends = [
        stunnel(tmp_path, "server", {"0.0.0.0:9443": f"127.0.0.1:{tls_port}", "127.0.0.1:9880": f"127.0.0.1:{fix_port}"}),
        stunnel(tmp_path, "client", {"127.0.0.1:9880": f"127.0.0.1:{client_port}", "= fix.example.com:9443": f"= localhost:{tls_port}",
                                     "checkHost = fix.example.com": "checkHost = localhost"}),
    ]  # fmt: skip
    yield client_port, tls_port
    for end in ends:
        end.terminate()
        end.wait(PATIENCE_S)
    assert [server.stop(), sim.stop()] == [0, 0]


REFUSED = (ssl.SSLError, ConnectionError)


def knock(context: ssl.SSLContext, port: int) -> None:
    """Shake hands and wait for an answer: in TLS 1.3 a client hears of his certificate after the handshake."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as wire, context.wrap_socket(wire, server_hostname="localhost") as end:
        end.sendall(b"8")
        end.recv(1)


def test_a_client_with_a_certificate_trades_and_one_without_does_not(ports, tmp_path):
    """Through both ends the session scenarios pass; a stranger's Logon is never answered."""
    client_port, tls_port = ports
    certified = subprocess.run(
        [sys.executable, "-m", "algoserver", "certify", "--port", str(client_port), "--only", "S.4", "--only", "S.5", "--patience", "120"], cwd=ROOT,
        capture_output=True, text=True, timeout=4 * PATIENCE_S,
    )  # fmt: skip
    assert certified.returncode == 0, certified.stdout + certified.stderr
    trusting = ssl.create_default_context(cafile=tmp_path / "tls" / "server-ca.pem")
    with pytest.raises(REFUSED):
        knock(trusting, tls_port)
    trusting.load_cert_chain(tmp_path / "tls" / "server.pem", tmp_path / "tls" / "server.key")  # that no client's authority has signed
    with pytest.raises(REFUSED):
        knock(trusting, tls_port)
