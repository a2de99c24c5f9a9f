"""Start is recovery: replay the journal with outputs muted, then find what the crash kept from leaving.

Rule 1: the state after a restart is the state before it, byte for byte; the journal's digests prove it on the way.
Rule 2: a report that the journal has and no engine's store has never left: it is sent now. One that the store has is the
session's to send again. A child is never sent again: its venue is asked.
"""

import hashlib
from collections.abc import Callable, Collection
from pathlib import Path

import msgspec

from algoserver.core.engine import step
from algoserver.core.state import State, dump, load, open_children
from algoserver.domain.commands import Command
from algoserver.domain.events import Commanded, Event, PolicyLoaded
from algoserver.journal import NO_OUTPUTS, latest_snapshot, read


class Diverged(Exception):
    """The replay is not what the journal says; the text names the event."""


class Recovered(msgspec.Struct):
    """unsent: (seq, ts, command) that may not have left. digests: how many were compared. events: how many were replayed.

    commanded: what persons did in them.
    """

    state: State
    unsent: list[tuple[int, int, Command]]
    digests: int
    events: int
    commanded: list[Commanded] = []


def digest(state: State) -> str:
    """Digest of the whole state."""
    return hashlib.blake2b(dump(state), digest_size=16).hexdigest()


def recover(directory: Path, sent_seq: int, through_seq: int) -> Recovered:
    """The state as of the journal's end. sent_seq: outputs up to it have left; through_seq: the journal's last input.

    Raises Diverged, or JournalCorrupt.
    """
    snapshot = latest_snapshot(directory, through_seq)
    try:
        state = load(snapshot[1]) if snapshot else State()
    except msgspec.ValidationError as wrong:
        raise Diverged(
            f"the snapshot in {directory} was written by another version ({wrong}); start the version that wrote it, or name an empty state directory"
        ) from wrong
    begin = state.seq
    unsent: list[tuple[int, int, Command]] = []

    commanded: list[Commanded] = []

    def keep(event: Event, commands: list[Command]) -> None:
        if isinstance(event, Commanded):
            commanded.append(event)
        if event.seq > sent_seq:
            unsent.extend((event.seq, event.ts, c) for c in commands)

    if sent_seq < begin:
        # What is older than the snapshot is not replayed: its commands are read as they were written.
        for record in read(directory, sent_seq, outputs_after_seq=sent_seq):
            if record.kind == "O" and record.seq <= begin:
                assert isinstance(record.payload, Command)
                unsent.append((record.seq, state.ts, record.payload))
    digests = follow(directory, state, keep)
    return Recovered(state, unsent, digests, state.seq - begin, commanded)


def unfit(state: State, setup: PolicyLoaded, clients: Collection[str]) -> str:
    """What of a configuration would leave open orders without their venue, client or units; empty if nothing. clients: who has a session."""
    decimals = {i.instrument.symbol: i.instrument.qty_decimals for i in setup.instruments}
    venues = [v.name for v in setup.venues]
    for parent in (state.parents[parent_id] for parent_id in state.works):
        lost = [c.child_id for c in open_children(state, parent) if c.venue not in venues]
        if lost:
            venue = state.children[lost[0]].venue
            return f"venues: {venue!r} is missing, and child {lost[0]} is open there; keep it until that is over"
        if parent.session not in clients:
            return f"clients: no session has TargetCompID {parent.session!r}, whose order {parent.parent_id} is open; keep it until that is over"
        wanted = decimals.get(parent.symbol, parent.qty_decimals)
        if wanted != parent.qty_decimals:
            own = f"order {parent.parent_id} is open and in units of {parent.qty_decimals}"
            return f"instruments {parent.symbol!r} qty_decimals: {own}; keep that until it is over"
    return ""


def follow(directory: Path, state: State, seen: Callable[[Event, list[Command]], None]) -> int:
    """Replay what comes after `state`; returns how many digests agreed. Raises Diverged."""
    agreed = 0
    for record in read(directory, state.seq, outputs_after_seq=NO_OUTPUTS):
        if record.kind == "I":
            assert isinstance(record.payload, Event)
            seen(record.payload, _step(state, record.payload))
        elif record.kind == "D" and record.seq == state.seq:
            _agree(state, record.payload)
            agreed += 1
    return agreed


class Replayed(msgspec.Struct, frozen=True):
    """What a replay proved: events stepped, outputs and digests that were compared and equal, the last state's digest."""

    events: int
    outputs: int
    digests: int
    digest: str


def replay(directory: Path) -> Replayed:
    """Replay a journal from its first event and compare every output and every digest. Raises Diverged."""
    state = State()
    outputs = digests = 0
    pending: dict[int, list[Command]] = {}
    for record in read(directory):
        if record.kind == "I":
            assert isinstance(record.payload, Event)
            pending = {k: v for k, v in pending.items() if v}
            pending[record.seq] = _step(state, record.payload)
        elif record.kind == "O":
            expected = pending.get(record.seq) or []
            if not expected or expected.pop(0) != record.payload:
                raise Diverged(f"output {record.n} of event {record.seq} is not what the journal says: {record.payload}")
            outputs += 1
        elif record.kind == "D":
            _agree(state, record.payload)
            digests += 1
    return Replayed(state.seq, outputs, digests, digest(state))


def _step(state: State, event: Event) -> list[Command]:
    try:
        return step(state, event)
    except Exception as e:
        raise Diverged(
            f"event {event.seq} ({type(event).__name__}) can't be replayed: {type(e).__name__} {e}; "
            "start with --safe-mode to take every child back"
        ) from e


def _agree(state: State, journaled: object) -> None:
    if digest(state) != journaled:
        raise Diverged(f"after event {state.seq} the state's digest is {digest(state)}, the journal says {journaled}")
