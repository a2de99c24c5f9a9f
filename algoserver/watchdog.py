"""The watchdog: what needs no core. When the core stands still or has failed, every child is taken back and the sessions log out.

A kill is its second duty: the core is asked, and if it does not answer the asker's own thread takes everything back and
remembers the kill for the next start.

Rule 1: nothing here waits for the core's thread or touches its state; the dispatcher's own set says what is open.
Rule 2: it ends a process whose core stands still: its state may not be trusted any more, the journal's may.
"""

import os
import sys
import threading
import time
from collections.abc import Callable

import structlog

from algoserver.dispatch import Dispatcher
from algoserver.domain.commands import RaiseAlert
from algoserver.door import Answer
from algoserver.fix.endpoint import Endpoint
from algoserver.killed import FIRM, Kill, Remembered
from algoserver.outside import Outside
from algoserver.reply import Reply

EXIT_FAILED = 70  # EX_SOFTWARE: a person must look before it runs again
LOG_OUT_S_MAX = 5.0
# How long a kill waits for the core, seconds: a batch takes milliseconds, a slow disk a second.
KILL_S_MAX = 2.0
LOOK_S = 0.05
LOOKS = 5  # of the watchdog in stall_ms; after so many in a row without a beat the core stands still, so a fifth later at most
MARKER_S_MAX = 1.0
REASON_MAX = 200


class Watchdog:
    """Watches one core. stall_ms: how long it may be silent. endpoints: may grow until start(). remembered: for kills past the core.

    outside: who hears that the core has stopped.
    """

    def __init__(self, stall_ms: int, dispatcher: Dispatcher, endpoints: list[Endpoint], remembered: Remembered, outside: Outside) -> None:
        self._stall_s = stall_ms / 1000
        self._dispatcher = dispatcher
        self._endpoints = endpoints
        self._beat = time.monotonic()
        self._is_off = False
        self._has_failed = False
        self._is_past_core = False
        self._remembered = remembered
        self._outside = outside
        self._marking = threading.Lock()
        self._pending: dict[int, Kill] = {}  # asked and not yet in the journal
        self._log = structlog.get_logger()

    @property
    def is_core_alive(self) -> bool:
        """Whether the core has been heard lately."""
        return time.monotonic() - self._beat < KILL_S_MAX

    def start(self) -> None:
        """Begin to watch."""
        self.beat()
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def beat(self, is_all_heard: bool = True) -> None:
        """The core is alive; by the core's thread, each turn. is_all_heard: every kill that was asked is in the journal."""
        self._beat = time.monotonic()
        if self._is_past_core and is_all_heard:
            self._take_over()

    def stop(self) -> None:
        """Watch no more: the core has come to its end in good order."""
        self._is_off = True

    def kill(self, request: Answer, operator: str, ask: Callable[[], Reply]) -> Answer:
        """Have the core kill, or do without it. ask: puts the request before the core and returns where the answer comes."""
        reason = "".join(c for c in str(request.get("reason", "")) if c.isprintable())[:REASON_MAX]
        kill = Kill(operator, str(request.get("target", "")) or FIRM, reason)
        self._pending[id(kill)] = kill
        reply = ask()
        deadline = time.monotonic() + min(KILL_S_MAX, self._stall_s / 2)
        while not self._has_failed and time.monotonic() < deadline:
            said = reply.get(LOOK_S)
            if said is not None:
                self._pending.pop(id(kill), None)
                return said
        # The core may still hear it, and if it does takes over; the answer is ours now.
        said = reply.give_up()
        if said is not None:
            self._pending.pop(id(kill), None)
        return said or self._past_core(kill)

    def _take_over(self) -> None:
        """The core was only slow: its own gate stands now, and its journal remembers."""
        with self._marking:
            self._is_past_core = False
            self._dispatcher.reopen()
            try:
                self._remembered.clear()
            except OSError as error:
                self._log.error("the next start will kill again", error=str(error))

    def _past_core(self, kill: Kill) -> Answer:
        self._is_past_core = True
        self._dispatcher.shut()
        canceled, unreached = self._dispatcher.cancel_all(), self._dispatcher.venues_off
        wrong = self._remember([kill])
        text = f"the core stands still: no child leaves any more, {canceled} open children at all venues were canceled past it"
        text = f"{text}; unreached: {', '.join(unreached)}" if unreached else text
        text = f"{text}; it could not be remembered for the next start: {wrong}" if wrong else f"{text}; the next start begins with this kill"
        self._log.critical("killed past the core", operator=kill.operator, scope=kill.scope, canceled=canceled, text=text)
        said = {"verb": "kill", "target": kill.scope, "operator": kill.operator, "reason": kill.reason, "dry_run": False}
        return {**said, "is_past_core": True, "canceled": canceled, "unreached": unreached, "is_remembered": not wrong, "warning": text}

    def _remember(self, kills: list[Kill]) -> str:
        """Why they could not be remembered, "" if they are. On a thread of its own: the disk may be what the core waits for."""
        said: list[str] = []
        thread = threading.Thread(target=lambda: said.append(self._mark(kills)), daemon=True)
        thread.start()
        thread.join(MARKER_S_MAX)
        return said[0] if said else "the disk does not answer"

    def _mark(self, kills: list[Kill]) -> str:
        try:
            with self._marking:
                self._remembered.add(kills)
                self._is_past_core = True  # again: the core may have taken over in between
        except OSError as error:
            return str(error)
        for kill in kills:
            self._pending.pop(id(kill), None)
        return ""

    def fail(self, error: BaseException) -> None:
        """The core can't go on: take everything back without it."""
        self._is_off = True
        self._dispatcher.shut()
        failure = f"{type(error).__name__}: {error}"
        canceled = self._dispatcher.cancel_all()
        self._log.critical("stopped by a failure", failure=failure, cause=str(error.__cause__), canceled=canceled, exc_info=error)
        self._tell(f"{failure}; {canceled} open children were canceled")
        self._has_failed = True
        if self._pending:
            self._remember(list(self._pending.values()))
        self.log_out()
        self._outside.stop()

    def _tell(self, text: str) -> None:
        print(f"algoserver: {text}", file=sys.stderr, flush=True)
        self._outside.tell(RaiseAlert(code="core_stopped", subject="server", text=text))

    def log_out(self) -> None:
        """Every engine at once: each waits a second or more for its peers to answer."""
        threads = [threading.Thread(target=endpoint.stop, daemon=True) for endpoint in self._endpoints]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LOG_OUT_S_MAX)

    def _watch(self) -> None:
        # Looks are counted, not seconds: a process that was stopped as a whole has not looked either, and its core comes as soon as we do.
        heard, silent = self._beat, 0
        while not self._is_off:
            time.sleep(self._stall_s / LOOKS)
            heard, silent = self._beat, silent + 1 if self._beat == heard else 0
            if silent >= LOOKS and not self._is_off:
                self._dispatcher.shut()
                canceled = self._dispatcher.cancel_all()
                self._log.critical("the core stands still", silent_s=round(time.monotonic() - heard, 3), canceled=canceled)
                self._tell(f"the core stands still; {canceled} open children were canceled")
                if self._pending:
                    self._remember(list(self._pending.values()))
                self.log_out()
                self._outside.stop()
                os._exit(EXIT_FAILED)
