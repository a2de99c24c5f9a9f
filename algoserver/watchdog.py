"""The watchdog: what needs no core. When the core stands still or has failed, every child is taken back and the sessions log out.

Rule 1: nothing here waits for the core's thread or touches its state; the dispatcher's own set says what is open.
Rule 2: it ends a process whose core stands still: its state may not be trusted any more, the journal's may.
"""

import os
import sys
import threading
import time

import structlog

from algoserver.dispatch import Dispatcher
from algoserver.fix.endpoint import Endpoint

EXIT_FAILED = 70  # EX_SOFTWARE: a person must look before it runs again
LOG_OUT_S_MAX = 5.0


class Watchdog:
    """Watches one core. stall_ms: how long it may be silent. endpoints: may grow until start()."""

    def __init__(self, stall_ms: int, dispatcher: Dispatcher, endpoints: list[Endpoint]) -> None:
        self._stall_s = stall_ms / 1000
        self._dispatcher = dispatcher
        self._endpoints = endpoints
        self._beat = time.monotonic()
        self._is_off = False
        self._log = structlog.get_logger()

    def start(self) -> None:
        """Begin to watch."""
        self.beat()
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def beat(self) -> None:
        """The core is alive; by the core's thread, each turn."""
        self._beat = time.monotonic()

    def stop(self) -> None:
        """Watch no more: the core has come to its end in good order."""
        self._is_off = True

    def fail(self, error: BaseException) -> None:
        """The core can't go on: take everything back without it."""
        self._is_off = True
        failure = f"{type(error).__name__}: {error}"
        canceled = self._dispatcher.cancel_all()
        self._log.critical("stopped by a failure", failure=failure, cause=str(error.__cause__), canceled=canceled, exc_info=error)
        print(f"algoserver: {failure}; {canceled} open children were canceled", file=sys.stderr, flush=True)
        self.log_out()

    def log_out(self) -> None:
        """Every engine at once: each waits a second or more for its peers to answer."""
        threads = [threading.Thread(target=endpoint.stop, daemon=True) for endpoint in self._endpoints]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LOG_OUT_S_MAX)

    def _watch(self) -> None:
        while not self._is_off:
            time.sleep(self._stall_s / 5)
            silent_s = time.monotonic() - self._beat
            if silent_s > self._stall_s and not self._is_off:
                canceled = self._dispatcher.cancel_all()
                self._log.critical("the core stands still", silent_s=round(silent_s, 3), canceled=canceled)
                print(f"algoserver: the core stands still; {canceled} open children were canceled", file=sys.stderr, flush=True)
                self.log_out()
                os._exit(EXIT_FAILED)
