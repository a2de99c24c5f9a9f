"""One thread that sends for one session: a peer that stops reading blocks its own outbox and nobody else's.

Rule 1: what was put is handed to the engine in order, once. Until then `handed_seq` stays behind, and a restart looks
whether it left.
Rule 2: letters are posted together, and the poster waits a moment until they are out. Two threads that both want the
interpreter take it from each other at every message, which costs as much as the sending itself.
"""

import queue
import threading
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from algoserver.fix.endpoint import Endpoint


class Letter(msgspec.Struct, frozen=True, gc=False):
    """A body to send: seq of the event that caused it, and for a venue what it is about. body "": stop. is_grouped: it has a group."""

    seq: int
    body: str
    msg_type: str = ""
    child_id: str = ""
    is_grouped: bool = False


class Post(NamedTuple):
    """Letters that go together; the sender releases `sent` when they are with the engine."""

    letters: list[Letter]
    sent: threading.Lock


class Outbox:
    """Sends for `session` of `endpoint`. on_unsent: told of a letter to a venue that is logged off; None for clients,
    whose letters the engine keeps until they log on."""

    def __init__(self, endpoint: Endpoint, session: str, on_unsent: Callable[[Letter], None] | None = None) -> None:
        self._endpoint, self._session, self._on_unsent = endpoint, session, on_unsent
        self._letters: list[Letter] = []
        self._posts: queue.SimpleQueue[Post] = queue.SimpleQueue()
        self._latest: Post | None = None
        self._is_slow = False
        self._is_shut = False
        self._sending = threading.Lock()
        self._put = 0  # written by the caller's thread
        self._done = 0  # written by ours
        self._done_seq = 0
        self._thread = threading.Thread(target=self._run, name=f"outbox {session}", daemon=True)
        self._thread.start()

    def put(self, letter: Letter) -> None:
        """Send this after what was put before, with the next post()."""
        self._put += 1
        self._letters.append(letter)

    def post(self) -> None:
        """Let go what was put."""
        if self._letters:
            self._latest = Post(self._letters, threading.Lock())
            self._latest.sent.acquire()
            self._letters = []
            self._posts.put(self._latest)

    def settle(self, timeout_s: float) -> None:
        """Wait until the last post is out; not for a peer that has let us wait in vain and has not caught up since."""
        if self._latest is None or (self._is_slow and self._put != self._done):
            return
        self._is_slow = not self._latest.sent.acquire(timeout=timeout_s)
        self._latest = None

    def handed_seq(self, latest_seq: int) -> int:
        """Every letter of an event up to this seq is with the engine; `latest_seq` if nothing waits."""
        done_seq = self._done_seq
        return latest_seq if self._put == self._done else min(latest_seq, done_seq - 1)

    def shut(self, timeout_s: float) -> None:
        """Let no order (D) go any more, from any thread; one that is going is waited for, within `timeout_s`."""
        self._is_shut = True
        if self._sending.acquire(timeout=timeout_s):
            self._sending.release()

    def reopen(self) -> None:
        """Let orders go again."""
        self._is_shut = False

    def stop(self, timeout_s: float) -> bool:
        """Send what was put and end; False if the peer does not take it in time."""
        self.put(Letter(0, ""))
        self.post()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        is_stopped = False
        while not is_stopped:
            post = self._posts.get()
            for letter in post.letters:
                is_stopped = not letter.body
                if not is_stopped:
                    self._send(letter)
                    self._done_seq = letter.seq
                self._done += 1
            post.sent.release()

    def _send(self, letter: Letter) -> None:
        # A client's letter goes to the engine even when he is logged off: it keeps it for him.
        with self._sending:
            may_go = self._on_unsent is None or self._endpoint.is_logged_on(self._session)
            if self._is_shut and letter.msg_type == "D":
                may_go = False
            is_sent = may_go and self._endpoint.send(self._session, letter.body, letter.is_grouped)
        if not is_sent and self._on_unsent is not None:
            self._on_unsent(letter)
