"""The call auctions that open and close the day: how much of a parent is kept for each, and when that leaves.

Rule 1: what is kept is at most MaxPctVol of the volume that the auction is expected to have: nobody knows the real one before.
Rule 2: VWAP, TWAP and IS keep the auction's part of the volume that is still to come, POV its target of it, CLOSE all that it may.
Rule 3: it leaves as orders at the open (59=2) or at the close (59=7) with a limit, the parent's or the collar's. Until the call they can
be taken back; past it they are waited for, because its fills come after its time. What the opening leaves returns to the plan.
Rule 4: a venue that has refused an order at the open is not asked again: it opens once, and the plan has the rest of the day.
"""

from algoserver.core import risk
from algoserver.core.algos.schedule import Window, Work, expected_share, in_lots
from algoserver.core.bounds import bounds
from algoserver.core.market import Market
from algoserver.core.orders import ChildOrder, ParentOrder, leaves_qty
from algoserver.core.placement import Placement
from algoserver.domain.events import ParentRequested, PolicyLoaded
from algoserver.domain.params import AlgoParams
from algoserver.domain.policy import Venue
from algoserver.domain.types import DAY, MINUTE, PPM_ONE, Denied, Instrument, Strategy, TimeInForce, clock_text

# Exchanges stop taking orders for the close 5 to 15 minutes before it; who comes much earlier tells the market what he wants.
LEAD_NS = 15 * MINUTE
# A venue that has not told how the auction ended is asked by cancels from then on.
GRACE_NS = MINUTE
AT_OPEN, AT_CLOSE, CLOSE = TimeInForce.AT_OPEN, TimeInForce.AT_CLOSE, Strategy.CLOSE  # to ask the enum takes ten times as long in Python 3.11


def is_wanted(strategy: int, params: AlgoParams) -> bool:
    """Whether a parent takes part in the closing auction."""
    return strategy == CLOSE or params.close_auction


def refusal(setup: PolicyLoaded, event: ParentRequested, window: Window) -> Denied | None:
    """What can be said against taking part, once the window is known. The client may have agreed to some venues alone."""
    is_for_close = is_wanted(event.strategy, event.params)
    if not (is_for_close or event.params.open_auction):
        return None
    midnight, hours = window.end_ts // DAY * DAY, window.hours
    venues = bounds(setup, event.session, event.symbol, event.strategy).open_to
    if event.params.open_auction:
        denied = _no_auction(venues, hours.close_ns - hours.open_ns >= DAY, setup.algo.opening_ppm, "OpenAuction=Y", "opening")
        if denied is not None:
            return denied
        open_ts = midnight + hours.open_ns
        if event.time_in_force is not TimeInForce.DAY:
            return _contradiction("OpenAuction=Y needs TimeInForce (59) 0: an order that is done at once has no auction; leave one of them out")
        if event.ts >= open_ts:
            text = f"OpenAuction=Y needs the opening auction, and that was at {clock_text(open_ts)} UTC; leave it out"
            return Denied("requests", "auction_over", text, risk.EXCHANGE_CLOSED)
        if window.start_ts != open_ts:
            return _contradiction(f"OpenAuction=Y needs the start at the open, {clock_text(open_ts)} UTC; leave StartTime (168) out")
    if is_for_close:
        wish = "CLOSE" if event.strategy == CLOSE else "CloseAuction=Y"
        denied = _no_auction(venues, hours.close_ns - hours.open_ns >= DAY, setup.algo.closing_ppm, wish, "closing")
        if denied is not None:
            return denied
        close_ts = midnight + hours.close_ns
        if window.end_ts != close_ts:
            return _contradiction(f"{wish} needs the end at the close, {clock_text(close_ts)} UTC; leave EndTime (126) out")
    return None


def _no_auction(venues: tuple[Venue, ...], is_always_open: bool, share_ppm: int, wish: str, kind: str) -> Denied | None:
    why = ""
    if is_always_open:
        why = "this market never closes"
    elif not share_ppm or not any(v.has_auctions for v in venues):
        why = "no venue that is open to you holds one"
    if not why:
        return None
    article = "an" if kind == "opening" else "a"
    return Denied("requests", "no_auction", f"{wish} needs {article} {kind} auction, and {why}; leave it out", risk.UNSUPPORTED)


def _contradiction(text: str) -> Denied:
    return Denied("requests", "contradictory_parameter", text, risk.OTHER)


def opening_qty(setup: PolicyLoaded, parent: ParentOrder, instrument: Instrument, window: Window, max_pct_vol: int, ts: int) -> int:
    """How much of what is left a plan made at `ts` keeps for the opening auction; 0 once that is over. window: with the day's curve."""
    if not parent.params.open_auction or ts >= window.start_ts:
        return 0
    closing_ppm = setup.algo.closing_ppm if is_wanted(parent.strategy, parent.params) else 0
    to_come = expected_share(window) + closing_ppm
    return _part(parent, leaves_qty(parent.order), setup.algo.opening_ppm, to_come, instrument, max_pct_vol)


def kept_qty(setup: PolicyLoaded, parent: ParentOrder, left: int, instrument: Instrument, window: Window, max_pct_vol: int) -> int:
    """How much of what is left, but for the opening's part, a plan keeps for the closing auction. window: with the day's curve."""
    if not is_wanted(parent.strategy, parent.params):
        return 0
    return _part(parent, left, setup.algo.closing_ppm, expected_share(window), instrument, max_pct_vol)


def _part(parent: ParentOrder, left: int, share_ppm: int, to_come_ppm: int, instrument: Instrument, max_pct_vol: int) -> int:
    """Of `left`, an auction's part that is expected to have share_ppm of a day's volume, with to_come_ppm besides."""
    expected = instrument.adv * share_ppm // PPM_ONE
    wanted = left
    if parent.strategy == Strategy.POV:
        wanted = parent.params.target_pct_vol * expected // PPM_ONE
    elif parent.strategy != CLOSE:
        wanted = left * share_ppm // (share_ppm + to_come_ppm)
    return in_lots(min(left, wanted, max_pct_vol * expected // PPM_ONE), left, instrument.round_lot)


def place(
    setup: PolicyLoaded, parent: ParentOrder, work: Work, resting: list[ChildOrder], market: Market, instrument: Instrument, ts: int
) -> Placement:
    """The orders for the auction that is next, if it is time and they are not out. resting: all open children."""
    is_opening = ts < parent.start_ts
    kept, call_ts = (work.opening_qty, parent.start_ts) if is_opening else (work.auction_qty, parent.end_ts)
    if not call_ts - LEAD_NS <= ts < call_ts or (is_opening and work.is_opening_missed):
        return Placement()
    tif = AT_OPEN if is_opening else AT_CLOSE
    done = parent.order.cum_qty - work.base_qty if is_opening else 0  # a venue's clock may be a little ahead of ours
    missing = kept - done - sum(leaves_qty(c.order) for c in resting if c.time_in_force is tif)  # some may have been held up by a message rate
    if missing <= 0:
        return Placement()
    left = leaves_qty(parent.order)
    quantity = in_lots(min(missing, left - sum(leaves_qty(c.order) for c in resting)), left, instrument.round_lot)
    stand_in_px = risk.stand_in(instrument, setup.hours, ts) if is_opening else 0
    limits = bounds(setup, parent.session, parent.symbol, parent.strategy)
    price = risk.dearest_px(limits, instrument, parent.side, market, parent.price, ts, stand_in_px)
    return Placement((), quantity, price, tif) if price else Placement()


def at_the_open(resting: list[ChildOrder]) -> list[ChildOrder]:
    """The children that wait for the opening auction, or for its answer."""
    return [c for c in resting if c.time_in_force is AT_OPEN]


def call_ts(parent: ParentOrder, child: ChildOrder) -> int:
    """When the auction is held that a child was sent for."""
    return parent.start_ts if child.time_in_force is AT_OPEN else parent.end_ts


def is_awaited(parent: ParentOrder, child: ChildOrder, ts: int) -> bool:
    """Whether a child's auction is over, and its answer may still be under way."""
    return waits(child) and 0 <= ts - call_ts(parent, child) < GRACE_NS


def next_turn(parent: ParentOrder, work: Work, resting: list[ChildOrder], refresh_ns: int, ts: int) -> int:
    """When a parent that has not begun is looked at again."""
    if not work.opening_qty and not resting:
        return parent.start_ts
    return min(parent.start_ts, max(ts + refresh_ns, parent.start_ts - LEAD_NS))


def waits(child: ChildOrder) -> bool:
    """Whether a child is in an auction, and so not the book's to work with."""
    return child.time_in_force is AT_CLOSE or child.time_in_force is AT_OPEN
