"""What is asked of the comparison with venues' drop copies: `algoctl risk reconcile`. Pure, like answers."""

from algoserver.answers import ROWS_MAX, Answer
from algoserver.core import exposure, reconcile
from algoserver.core.state import HalfTold, State
from algoserver.domain.types import COPY_SUFFIX, SECOND, Side, px_text, utc_text


def reconciled(state: State) -> Answer:
    """Each venue's exposure by our books, with what its drop copy says besides, and every trade that one of two has not told."""
    setup = state.setup
    venues = [v.name for v in setup.venues] if setup else []
    waiting = [one for one in state.half_told.values() if one.is_alerted]
    return {
        "venues": [_venue(state, name) for name in venues],
        "total": len(waiting),
        "discrepancies": [_row(state, one) for one in waiting[-ROWS_MAX:]],
    }


def _venue(state: State, name: str) -> Answer:
    """bought, sold: today's value; by_copy: the same with what the copy alone has, without what it lacks. waiting: within the tolerance.

    by_copy is "" where nobody knows: there is no copy, or it told more than could be kept (given_up).
    """
    used = exposure.total(state.gate, (f"venue:{name}",))
    count = state.copied.get(name)
    is_unknown = count is None or count.given_up > 0
    own = [one for one in state.half_told.values() if one.venue == name]
    by_copy = [used.bought, used.sold]
    for one in (one for one in own if one.is_alerted):
        by_copy[one.side != Side.BUY] += _value(state, one) * (-1 if one.is_booked else 1)
    return {
        "venue": name,
        "drop_copy": "none" if count is None else "up" if state.sessions.get(name + COPY_SUFFIX) else "down",
        "children_open": used.children_open,
        "open_value": px_text(used.open_value),
        "bought": px_text(used.bought),
        "sold": px_text(used.sold),
        "bought_by_copy": "" if is_unknown else px_text(by_copy[0]),
        "sold_by_copy": "" if is_unknown else px_text(by_copy[1]),
        "matched": count.matched if count else 0,
        "waiting": sum(not one.is_alerted for one in own),
        "not_heard": count.not_heard if count else 0,
        "not_copied": count.not_copied if count else 0,
        "given_up": count.given_up if count else 0,
        "differing": count.differing if count else 0,
    }


def _row(state: State, one: HalfTold) -> Answer:
    child = state.children.get(one.child_id)
    return {
        "venue": one.venue,
        "what": reconcile.text(state, one),
        "told_by": "our books" if one.is_booked else "its drop copy",
        "order_id": child.parent_id if child else "",
        "value": px_text(_value(state, one)),
        "since": utc_text(one.since_ts),
        "age_s": (state.ts - one.since_ts) // SECOND,
    }


def _value(state: State, one: HalfTold) -> int:
    instrument = state.instruments.get(one.symbol)
    return int(one.last_px * one.last_qty // 10 ** (instrument.qty_decimals if instrument else 0))
