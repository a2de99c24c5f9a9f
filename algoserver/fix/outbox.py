"""One thread that sends for one session: a peer that stops reading blocks its own outbox and nobody else's.

Rule: what was put is handed to the engine in order, once. Until then `handed_seq` stays behind, and a restart looks
whether it left.
"""

import queue
import threading
from collections.abc import Callable
from typing import NamedTuple

from algoserver.fix.endpoint import Endpoint


class Letter(NamedTuple):
    """A body to send: seq of the event that caused it, and for a venue what it is about. body "": stop."""

    seq: int
    body: str
    msg_type: str = ""
    child_id: str = ""


class Outbox:
    """Sends for `session` of `endpoint`. on_unsent: told of a letter to a venue that is logged off; None for clients,
    whose letters the engine keeps until they log on."""

    def __init__(self, endpoint: Endpoint, session: str, on_unsent: Callable[[Letter], None] | None = None) -> None:
        self._endpoint, self._session, self._on_unsent = endpoint, session, on_unsent
        self._letters: queue.SimpleQueue[Letter] = queue.SimpleQueue()
        self._put = 0  # written by the caller's thread
        self._done = 0  # written by ours
        self._done_seq = 0
        self._thread = threading.Thread(target=self._run, name=f"outbox {session}", daemon=True)
        self._thread.start()

    def put(self, letter: Letter) -> None:
        """Send this after what was put before."""
        self._put += 1
        self._letters.put(letter)

    def waiting(self) -> int:
        """Letters not yet handed to the engine."""
        return self._put - self._done

    def handed_seq(self, latest_seq: int) -> int:
        """Every letter of an event up to this seq is with the engine; `latest_seq` if nothing waits."""
        done_seq = self._done_seq
        return latest_seq if self._put == self._done else min(latest_seq, done_seq - 1)

    def stop(self, timeout_s: float) -> bool:
        """Send what was put and end; False if the peer does not take it in time."""
        self.put(Letter(0, ""))
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            letter = self._letters.get()
            if not letter.body:
                self._done += 1
                return
            # A client's letter goes to the engine even when he is logged off: it keeps it for him.
            may_go = self._on_unsent is None or self._endpoint.is_logged_on(self._session)
            is_sent = may_go and self._endpoint.send(self._session, letter.body)
            if not is_sent and self._on_unsent is not None:
                self._on_unsent(letter)
            self._done_seq = letter.seq
            self._done += 1
