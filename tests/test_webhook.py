"""Alerts at a real receiver on this machine: one that takes them, and those that are slow, dead, mad or somewhere else."""

import json
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from algoserver import webhook as room
from algoserver.domain.commands import EndAlert, RaiseAlert
from algoserver.processes import free_port
from algoserver.settings import BadConfig, convert
from algoserver.webhook import AlertsConfig, Webhook

DEADLINE_S = 60.0
OVERFILL = RaiseAlert(code="overfill", subject="P1", text="110 of 100 done", alert_id="r.a1", times=2)


class Receiver:
    """An HTTP server. answers: statuses in their order, the last for good. got: what came, as objects."""

    def __init__(self, *answers: int, location: str = "") -> None:
        self.got: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        left, receiver = list(answers), self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.got.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(left.pop(0) if len(left) > 1 else left[0])
                if location:
                    self.send_header("Location", location)
                self.end_headers()

            def log_message(self, *args: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/alerts?token=secret"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        """Hang up."""
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries follow each other at once."""
    monkeypatch.setattr(room, "BACKOFF_S", (0.01, 0.01))
    monkeypatch.setattr(room, "TRY_S_MAX", DEADLINE_S)


@pytest.fixture
def telling() -> Iterator[Callable[..., Webhook]]:
    """Starts webhooks, and stops them."""
    started: list[Webhook] = []

    def start(url: str, severity: str = "warning") -> Webhook:
        started.append(Webhook(AlertsConfig(webhook=url, webhook_severity=severity)))
        started[-1].start()
        return started[-1]

    yield start
    for one in started:
        one.stop(0.1)


def until(holds: Callable[[], bool]) -> None:
    """Wait for another thread."""
    deadline = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline
        threading.Event().wait(0.005)


def test_a_receiver_gets_each_alert_and_its_end_with_what_is_declared(telling):
    """One object each, in their order; what is below the severity is not sent, and what needs nobody is over at once."""
    with closing(Receiver(204)) as receiver:
        hook = telling(receiver.url)
        hook.tell(OVERFILL)
        hook.tell(RaiseAlert(code="amended", subject="P1", text="by ann", alert_id="r.a2"))
        hook.tell(EndAlert(code="overfill", subject="P1", alert_id="r.a1", times=2))
        first, second = receiver.got.get(timeout=DEADLINE_S), receiver.got.get(timeout=DEADLINE_S)
        assert abs(first.pop("told_at") - time.time()) < DEADLINE_S
        assert first == {
            "id": "r.a1", "state": "open", "code": "overfill", "severity": "critical", "owner": "risk", "subject": "P1", "text": "110 of 100 done",
            "times": 2, "meaning": "more was traded than ordered; the order is paused",
            "to_do": "compare executions with the venue, then resume or cancel the order", "is_repeated": False,
        }  # fmt: skip
        assert (second["id"], second["state"]) == ("r.a1", "over")
        until(lambda: hook.sent == 2)
        every = telling(receiver.url, "info")
        every.tell(RaiseAlert(code="amended", subject="P1", text="by ann", alert_id="r.a2"))
        assert (receiver.got.get(timeout=DEADLINE_S)["state"], hook.dropped) == ("over", 0)


def test_a_receiver_that_errs_is_asked_again_and_then_no_more(telling):
    """It takes the alert at the second try; one that never takes it costs a counted drop, and the next alert is tried."""
    with closing(Receiver(500, 200)) as receiver:
        hook = telling(receiver.url)
        hook.tell(OVERFILL)
        until(lambda: hook.sent == 1)
        assert (receiver.got.qsize(), hook.dropped) == (2, 0)
    with closing(Receiver(503, 503, 503, 200)) as receiver:
        hook = telling(receiver.url)
        hook.tell(OVERFILL)
        hook.tell(OVERFILL)
        until(lambda: (hook.sent, hook.dropped) == (1, 1))
        assert receiver.got.qsize() == 4


def test_a_dead_receiver_costs_nobody_anything(telling, monkeypatch):
    """Nobody listens: a full queue is told within no time, and every alert is counted as dropped. The log shows no secret of the address."""
    port = free_port()
    lines: list[dict[str, Any]] = []
    hook = telling(f"http://127.0.0.1:{port}/x?token=secret")
    monkeypatch.setattr(hook, "_log", type("Log", (), {"warning": lambda self, event, **more: lines.append(more)})())
    monkeypatch.setattr(room, "BACKOFF_S", ())
    for _ in range(50):
        hook.tell(OVERFILL)
    until(lambda: hook.dropped == 50)
    assert lines == [{"receiver": f"127.0.0.1:{port}", "problem": "URLError"}]


def test_a_slow_receiver_fills_the_queue_and_what_does_not_fit_is_counted(telling, monkeypatch):
    """It takes connections and says nothing; tell() returns all the same, and stop() waits no longer than it is told."""
    monkeypatch.setattr(room, "QUEUE_MAX", 5)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        hook = telling(f"http://127.0.0.1:{listener.getsockname()[1]}/")
        hook.tell(OVERFILL)
        peer, _ = listener.accept()
        for _ in range(20):
            hook.tell(OVERFILL)
        assert (hook.dropped, hook.waiting, hook.sent) == (15, 5, 0)
        hook.stop(0.01)
        peer.close()


@pytest.mark.parametrize("garbage", [b"\x00\xff garbage\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"", b"HTTP/1.1 200 " + b"x" * 70_000, b"HTTP/1.1 99"])
def test_a_mad_receiver_is_a_dropped_alert(telling, garbage):
    """Whatever it answers, the thread lives."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for _ in range(6):
                peer, _ = listener.accept()
                with peer:
                    peer.recv(65_536)
                    peer.sendall(garbage)

        threading.Thread(target=serve, daemon=True).start()
        hook = telling(f"http://127.0.0.1:{listener.getsockname()[1]}/")
        hook.tell(OVERFILL)
        hook.tell(OVERFILL)
        until(lambda: hook.dropped == 2)
        assert hook.sent == 0


def test_no_redirect_and_no_proxy_is_followed(telling, monkeypatch):
    """Both could lead to another machine."""
    with closing(Receiver(200)) as elsewhere, closing(Receiver(302, location=elsewhere.url)) as receiver:
        monkeypatch.setenv("http_proxy", elsewhere.url)
        hook = telling(receiver.url)
        hook.tell(OVERFILL)
        until(lambda: hook.dropped == 1)
        assert (elsewhere.got.qsize(), receiver.got.qsize()) == (0, 3)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/x", "https://[::1]/x", "http://localhost:8080/", ""])
def test_a_receiver_at_this_machine_is_taken(url):
    """By address or by name; none is none."""
    assert convert({"webhook": url}, AlertsConfig, "server.toml").webhook == url


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"webhook": "http://10.0.0.1/x"}, "is on another machine"),
        ({"webhook": "http://127.0.0.1.example.com/"}, "is on another machine"),
        ({"webhook": "http://127.0.0.1@example.com/"}, "is on another machine"),
        ({"webhook": "file:///etc/passwd"}, "is no URL"),
        ({"webhook": "http://"}, "is no URL"),
        ({"webhook": "http://127.0.0.1:99999/"}, "is no URL"),
        ({"webhook_severity": "loud"}, "is none of critical, warning, info"),
        ({"web": ""}, "known here: webhook, webhook_remote"),
    ],
)
def test_any_other_is_refused(given, said):
    """With what would be right; and another machine only by a word of its own."""
    with pytest.raises(BadConfig) as refused:
        convert(given, AlertsConfig, "server.toml")
    assert said in str(refused.value)
    if "another machine" in said:
        assert convert({**given, "webhook_remote": True}, AlertsConfig, "server.toml")
