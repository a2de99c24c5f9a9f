"""What a venue's drop copy says of our trades, against what its order session brought: each must be told by both.

Rule 1: books are made of the order session alone. A copy books nothing: it shows what the books do not know, or know and should not.
Rule 2: one is ahead of the other all the time; only what one of them has not told after copy_tolerance_ns is a discrepancy. What differs is one
at once, and what the other tells late ends it.
What a copy tells alone is bounded: the oldest is a discrepancy before its time then, and waits no more.
Rule 3: while a copy's session is down nothing is missing there: what it did not hear is told when it is back, and the time begins then.
"""

from algoserver.core.orders import ChildOrder, is_known
from algoserver.core.reports import alert, over
from algoserver.core.state import Copied, HalfTold, State, touch
from algoserver.domain.commands import Command
from algoserver.domain.events import CopyReported
from algoserver.domain.types import COPY_SUFFIX, px_text, qty_text

NOT_HEARD, NOT_COPIED, DIFFERS, GIVEN_UP = "fill_not_heard", "fill_not_copied", "copy_differs", "copy_given_up"
# Trades at a venue that its copy alone has told. Twice what the alert book shows (LIVE_MAX): who has more compares files, not single trades.
AHEAD_MAX = 1_000
# ExecType (150) of what changes a position: a trade, its correction, its bust.
WORDS = {"F": "trade", "G": "correction", "H": "bust"}


def load(state: State) -> None:
    """A start: the venues that have a copy now."""
    venues = state.setup.venues if state.setup else ()
    state.copied = {v.name: state.copied.get(v.name, Copied()) for v in venues if v.has_copy}
    state.half_told = {key: one for key, one in state.half_told.items() if one.venue in state.copied}
    _set_due(state)


def booked(state: State, child: ChildOrder, exec_type: str, exec_id: str, last: tuple[int, int], out: list[Command]) -> None:
    """The order session's word was booked. last: price and quantity; of a bust none."""
    if child.venue in state.copied:
        _told(state, HalfTold(child.venue, child.child_id, exec_id, exec_type, child.symbol, child.side, *last, state.ts, is_booked=True), out)


def copied(state: State, event: CopyReported, out: list[Command]) -> None:
    """The copy's word."""
    venue, child = event.session.removesuffix(COPY_SUFFIX), state.children.get(event.child_id)
    key = f"{venue} {event.child_id} {event.exec_id}"
    is_old = child is not None and is_known(child.order, event.exec_id) and key not in state.half_told  # booked and matched: told once more
    if venue in state.copied and not is_old:
        last = (event.last_px, event.last_qty)
        one = HalfTold(venue, event.child_id, event.exec_id, event.exec_type, event.symbol, event.side, *last, state.ts, is_booked=False)
        _told(state, one, out)


def session_up(state: State, session: str, out: list[Command]) -> None:
    """A copy is back and sends what it missed."""
    over(out, "copy_down", session)
    for one in state.half_told.values():
        if one.is_booked and one.venue == session.removesuffix(COPY_SUFFIX):
            one.since_ts = state.ts
    _set_due(state)


def session_down(state: State, session: str, reason: str, out: list[Command]) -> None:
    """A copy is gone: nobody looks over the order session's shoulder."""
    if session.removesuffix(COPY_SUFFIX) in state.copied:
        alert(out, "copy_down", session, f"{reason}; trades at {session.removesuffix(COPY_SUFFIX)} are not compared until it is back")


def look(state: State, out: list[Command]) -> None:
    """What has been told by one of two for too long."""
    for key, one in state.half_told.items():
        if not one.is_alerted and _due_ts(state, one) and _due_ts(state, one) <= state.ts:
            one.is_alerted = True
            _missed(state, key, one, out)
    _set_due(state)


def text(state: State, one: HalfTold) -> str:
    """What it was, in words."""
    instrument = state.instruments.get(one.symbol)
    quantity = qty_text(one.last_qty, instrument.qty_decimals if instrument else 0)
    what = f" of {quantity} at {px_text(one.last_px)}" if one.last_qty else ""
    return f"{WORDS[one.exec_type]} {one.exec_id}{what} of {one.child_id} in {one.symbol}"


def _told(state: State, one: HalfTold, out: list[Command]) -> None:
    key = f"{one.venue} {one.child_id} {one.exec_id}"
    count, other = state.copied[one.venue], state.half_told.get(key)
    if other is None:
        if not one.is_booked:
            if len(count.ahead) >= AHEAD_MAX:
                _give_up(state, one.venue, out)
            count.ahead[key] = None
        state.half_told[key] = one
        state.copies_due_ts = state.copies_due_ts or _due_ts(state, one)
        return
    if other.is_booked == one.is_booked:
        return  # told once more by the same
    del state.half_told[key]
    count.ahead.pop(key, None)
    if other.is_alerted:
        over(out, NOT_COPIED if other.is_booked else NOT_HEARD, key)
        count.not_copied -= other.is_booked
        count.not_heard -= not other.is_booked
    if (one.exec_type, one.symbol, one.last_px, one.last_qty) == (other.exec_type, other.symbol, other.last_px, other.last_qty):
        count.matched += 1
        return
    count.differing += 1
    mine, theirs = (one, other) if one.is_booked else (other, one)
    alert(out, DIFFERS, key, f"booked is {text(state, mine)}, {one.venue}'s drop copy says {text(state, theirs)}")
    _pause(state, one, DIFFERS, f"{one.venue}'s drop copy has another {WORDS[one.exec_type]} {one.exec_id} than we; compare, then resume")


def _give_up(state: State, venue: str, out: list[Command]) -> None:
    """The oldest that a copy alone has told waits no more."""
    count = state.copied[venue]
    key = next(iter(count.ahead))
    oldest = state.half_told[key]
    if not oldest.is_alerted:
        _missed(state, key, oldest, out)
    del state.half_told[key], count.ahead[key]
    count.not_heard -= 1
    count.given_up += 1
    why = f"{venue}'s drop copy has told of more than {AHEAD_MAX} trades that its order session has not brought: no longer compared is"
    alert(out, GIVEN_UP, venue + COPY_SUFFIX, f"{why} {text(state, oldest)}")


def _missed(state: State, key: str, one: HalfTold, out: list[Command]) -> None:
    count = state.copied[one.venue]
    if one.is_booked:
        count.not_copied += 1
        alert(out, NOT_COPIED, key, f"we have booked a {text(state, one)}, which {one.venue}'s drop copy has not told")
        return
    count.not_heard += 1
    alert(out, NOT_HEARD, key, f"{one.venue}'s drop copy tells of a {text(state, one)}, which its order session has not brought")
    _pause(state, one, NOT_HEARD, f"{one.venue} has done a trade of {one.child_id} that its order session has not brought; compare, then resume")


def _pause(state: State, one: HalfTold, code: str, why: str) -> None:
    """The books of its order are not right: nothing more is sent of it, and the venue is asked how the child stands."""
    child = state.children.get(one.child_id)
    if child is None or child.venue != one.venue:
        return  # of an order that is not ours: foreign orders are found by the order session's word
    parent = state.parents[child.parent_id]
    if not parent.paused_by:
        parent.paused_by, parent.pause_text = code, why
    if child.child_id in parent.open_children:
        child.is_unknown = True
    touch(state, parent.parent_id)


def _due_ts(state: State, one: HalfTold) -> int:
    """When it is a discrepancy; 0: nobody can say while the copy is down."""
    assert state.setup is not None
    if one.is_booked and not state.sessions.get(one.venue + COPY_SUFFIX):
        return 0
    return one.since_ts + state.setup.copy_tolerance_ns


def _set_due(state: State) -> None:
    waiting = (_due_ts(state, one) for one in state.half_told.values() if not one.is_alerted)
    state.copies_due_ts = min((ts for ts in waiting if ts), default=0)
