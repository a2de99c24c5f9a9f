"""Alerts to a receiver outside: one JSON object each, by POST, on a thread of its own.

Rule 1: a receiver that is slow, dead or mad costs nobody anything but the alerts that it did not take, and those are counted.
Rule 2: it is at this machine, unless the configuration says otherwise: an alert names clients and orders. No proxy and no redirect is followed.
Rule 3: its address may hold a secret, so neither log nor error shows more of it than host and port.
"""

import queue
import threading
import time
import urllib.error
import urllib.request
from http.client import HTTPException
from ipaddress import ip_address
from typing import Any
from urllib.parse import SplitResult, urlsplit

import msgspec
import structlog

from algoserver.domain.alerts import Severity, is_told_only, kind
from algoserver.domain.commands import EndAlert, RaiseAlert
from algoserver.settings import Entry

QUEUE_MAX = 1_000
TRY_S_MAX = 3.0  # for each read and write of one try
BACKOFF_S = (0.2, 1.0, 3.0)  # before the second and later tries; then the alert is dropped
RANK = {severity.value: rank for rank, severity in enumerate(Severity)}


class AlertsConfig(Entry, frozen=True, kw_only=True):
    """webhook: URL, "" for none. webhook_remote: whether it may be on another machine. webhook_severity: the least that it is told."""

    webhook: str = ""
    webhook_remote: bool = False
    webhook_severity: str = "warning"

    def __post_init__(self) -> None:
        if self.webhook_severity not in RANK:
            raise ValueError(f"`webhook_severity` is none of {', '.join(RANK)}")
        if not self.webhook:
            return
        try:
            url = urlsplit(self.webhook)
            port_is_right = url.port != 0
        except ValueError:
            port_is_right = False
        if not port_is_right or url.scheme not in ("http", "https") or not url.hostname:
            raise ValueError("`webhook` is no URL that begins with http:// or https:// and names a host")
        if not (self.webhook_remote or _is_loopback(url.hostname)):
            raise ValueError("`webhook` is on another machine; use 127.0.0.1, or say `webhook_remote = true`")


class Webhook:
    """Tells one receiver. sent, dropped: how many alerts it took, and how many it did not."""

    def __init__(self, config: AlertsConfig) -> None:
        self._url = config.webhook
        self._rank_max = RANK[config.webhook_severity]
        self._waiting: queue.Queue[dict[str, Any] | None] = queue.Queue(QUEUE_MAX)
        self._is_stopping = threading.Event()
        self._is_failing = False
        self._thread: threading.Thread | None = None
        self._log = structlog.get_logger()
        self.sent = self.dropped = 0

    @property
    def waiting(self) -> int:
        """How many wait to be sent."""
        return self._waiting.qsize()

    def start(self) -> None:
        """Begin to send, if there is a receiver."""
        if self._url:
            self._thread = threading.Thread(target=self._run, name="webhook", daemon=True)
            self._thread.start()

    def tell(self, command: RaiseAlert | EndAlert, is_repeated: bool = False) -> None:
        """Tell the receiver soon; never waits. is_repeated: a process before this one may have told it."""
        of = kind(command.code)
        if not self._url or RANK[of.severity] > self._rank_max:
            return
        is_open = isinstance(command, RaiseAlert) and not is_told_only(of)
        said = {
            "id": command.alert_id, "state": "open" if is_open else "over", "code": command.code,
            "severity": of.severity.value, "owner": of.owner.value, "subject": command.subject,
            "text": command.text if isinstance(command, RaiseAlert) else "", "times": command.times,
            "meaning": of.meaning, "to_do": of.to_do, "told_at": time.time(),
            "is_repeated": is_repeated,
        }  # fmt: skip
        try:
            self._waiting.put_nowait(said)
        except queue.Full:
            self.dropped += 1

    def stop(self, timeout_s: float) -> None:
        """Send what waits, each with one try, for as long as that may take; the rest is dropped."""
        self._is_stopping.set()
        if self._thread is not None:
            try:
                self._waiting.put_nowait(None)
            except queue.Full:
                self.dropped += 1  # the thread ends with the process
            self._thread.join(timeout_s)

    def _run(self) -> None:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect())
        while (said := self._waiting.get()) is not None:
            body = msgspec.json.encode(said)
            problem = self._try(opener, body)
            for pause_s in BACKOFF_S:
                if not problem or self._is_stopping.wait(pause_s):
                    break
                problem = self._try(opener, body)
            self.sent += not problem
            self.dropped += bool(problem)
            if bool(problem) != self._is_failing:
                self._is_failing = bool(problem)
                if problem:
                    self._log.warning("webhook does not take alerts", receiver=_place(urlsplit(self._url)), problem=problem)
                else:
                    self._log.info("webhook takes alerts again", dropped=self.dropped)

    def _try(self, opener: urllib.request.OpenerDirector, body: bytes) -> str:
        """What went wrong; "" if the receiver took it."""
        request = urllib.request.Request(self._url, body, {"Content-Type": "application/json"}, method="POST")
        try:
            with opener.open(request, timeout=TRY_S_MAX):
                return ""  # 2xx; what it answers besides is not read
        except urllib.error.HTTPError as refused:
            refused.close()
            return f"status {refused.code}"
        except (OSError, HTTPException, ValueError) as error:
            return type(error).__name__
        except Exception as error:
            # Whatever a mad receiver brings about: the next alert is tried all the same.
            self._log.error("webhook", failure=type(error).__name__)
            return type(error).__name__


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **more: Any) -> None:
        """Never: it could lead to another machine."""


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _place(url: SplitResult) -> str:
    return f"{url.hostname}:{url.port or (443 if url.scheme == 'https' else 80)}"
