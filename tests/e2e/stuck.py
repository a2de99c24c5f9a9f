"""The server, but its core stands still for ever at a pause whose reason is "block". It says so on stdout when it does.

Its watchdog is patient: how long a busy machine takes to answer a kill must not decide which of the two comes first, nor whether a venue's
thread or the disk was reached.
"""

import threading

from algoserver import cli, dispatch, server, watchdog
from algoserver.core.engine import step
from algoserver.core.state import State
from algoserver.domain.commands import Command
from algoserver.domain.events import Event
from algoserver.watchdog import Watchdog


def stuck_step(state: State, event: Event) -> list[Command]:
    """The machine, or silence."""
    if getattr(event, "reason", "") == "block":
        print("blocked", flush=True)
        threading.Event().wait()
    return step(state, event)


if __name__ == "__main__":
    server.step = stuck_step
    dispatch.VENUE_S_MAX = watchdog.MARKER_S_MAX = 5.0
    server.Watchdog = lambda stall_ms, *rest: Watchdog(60_000, *rest)
    cli.main()
