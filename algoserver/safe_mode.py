"""`serve --safe-mode`: when a start can't replay its journal, take back every child that it knows of, and trade nothing.

It replays to the last good event, logs on to the venues alone, cancels each open child until the venue confirms, and
ends. The journal is not written: it is the evidence. Clients can't log on.
"""

import queue
import time
from pathlib import Path

import structlog

from algoserver.config import Config
from algoserver.core.engine import step
from algoserver.core.orders import is_open
from algoserver.core.state import State, run_id
from algoserver.domain.commands import CancelChild
from algoserver.domain.events import ChildCanceled, ChildFilled, ChildRejected, ChildStatusReported, Event
from algoserver.fix import venue_codec
from algoserver.fix.endpoint import Endpoint
from algoserver.journal import NO_OUTPUTS, read

# Wall seconds: how long venues are given to confirm, and between two attempts.
PATIENCE_S = 60.0
AGAIN_S = 2.0


def take_back(config: Config, state_dir: Path, venue_port: int = 0) -> int:
    """Cancel every child that is open by the last good state. Returns 0 if every venue has confirmed, else 1."""
    log = structlog.get_logger()
    state = _last_good(state_dir / "journal")
    wanted = {c.child_id: c for c in state.children.values() if is_open(c.order)}
    print(f"ready: safe mode, state of event {state.seq}, {len(wanted)} open children", flush=True)
    inbox: queue.SimpleQueue[tuple[str, str, str]] = queue.SimpleQueue()
    ends: dict[str, tuple[Endpoint, str]] = {}
    for venue in config.server.venues:
        overrides = {"SocketConnectHost": venue.host, "SocketConnectPort": str(venue_port or venue.port)}
        endpoint = Endpoint(config.path(venue.sessions), state_dir, "initiator", inbox, overrides, withhold_resends=True)
        session = next(s for s in endpoint.sessions if ":ALGOMD->" not in s)
        ends[venue.name] = endpoint, session
        endpoint.start()
    instruments = {i.instrument.symbol: i.instrument for i in config.setup.instruments}
    # The journal is not written, so the moment tells this start's cancels from an earlier one's: a venue takes an id once.
    start = run_id(time.time_ns())
    deadline, attempt, again = time.monotonic() + PATIENCE_S, 0, 0.0
    while wanted and time.monotonic() < deadline:
        if time.monotonic() >= again:
            attempt, again = attempt + 1, time.monotonic() + AGAIN_S
            for child in wanted.values():
                if child.venue not in ends:
                    continue  # the configuration has lost it; who runs this is told at the end
                endpoint, session = ends[child.venue]
                cancel = CancelChild(
                    child_id=child.child_id, cancel_id=f"{child.child_id}.s{start}.{attempt}", venue=child.venue, symbol=child.symbol,
                    side=child.side, order_qty=child.order.order_qty, qty_decimals=state.parents[child.parent_id].qty_decimals,
                )  # fmt: skip
                if endpoint.is_logged_on(session):
                    endpoint.send(session, venue_codec.encode_child_cancel(cancel, config.clock.now()))
        try:
            kind, session, text = inbox.get(timeout=AGAIN_S)
        except queue.Empty:
            continue
        if kind != "app":
            again = 0.0 if kind == "up" else again
            continue
        event = venue_codec.decode_venue(text, session.rpartition("->")[2], instruments)
        log.warning("safe mode heard", message=repr(event))
        if isinstance(event, ChildFilled):
            print(f"fill not in the journal: {event.child_id} {event.last_qty} units, ExecID {event.exec_id}", flush=True)
        is_over = isinstance(event, ChildCanceled | ChildRejected) or (isinstance(event, ChildStatusReported) and not event.is_known)
        # 102=0 and 1: too late or unknown, so nothing of it is in the market.
        if is_over or (type(event).__name__ == "CancelRejected" and getattr(event, "cxl_rej_reason", 99) in (0, 1)):
            wanted.pop(getattr(event, "child_id", ""), None)
    for endpoint, _ in ends.values():
        endpoint.stop()
    for child_id, child in wanted.items():
        print(f"not confirmed: {child_id} at {child.venue}; call the venue", flush=True)
    print(f"safe mode is done: {len(wanted)} children not confirmed", flush=True)
    return 1 if wanted else 0


def _last_good(journal_dir: Path) -> State:
    state = State()
    good = 0
    for record in read(journal_dir, outputs_after_seq=NO_OUTPUTS, until_corrupt=True):
        if not isinstance(record.payload, Event):
            continue
        try:
            step(state, record.payload)
        except Exception as error:
            structlog.get_logger().error("last good event", seq=good, error=f"{type(error).__name__}: {error}")
            break
        good = record.seq
    return state
