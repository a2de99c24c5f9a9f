"""The closing auction: how much of a parent is kept for it, and when that leaves.

Rule 1: what is kept is at most MaxPctVol of the volume that the auction is expected to have: nobody knows the real one before.
Rule 2: VWAP, TWAP and IS keep the auction's part of the volume that is still to come, POV its target of it, CLOSE all that it may.
Rule 3: it leaves as orders at the close (59=7) with a limit, the parent's or the collar's. Until the close they can be taken back;
past it they are waited for, because the auction's fills come after the window's end.
"""

from algoserver.core import risk
from algoserver.core.algos.schedule import Window, Work, expected_share, in_lots
from algoserver.core.bounds import bounds
from algoserver.core.market import Market
from algoserver.core.orders import ChildOrder, ParentOrder, leaves_qty
from algoserver.core.placement import Placement
from algoserver.domain.events import PolicyLoaded
from algoserver.domain.params import AlgoParams
from algoserver.domain.types import DAY, MINUTE, PPM_ONE, Denied, Instrument, Strategy, TimeInForce, clock_text

# Exchanges stop taking orders for the close 5 to 15 minutes before it; who comes much earlier tells the market what he wants.
LEAD_NS = 15 * MINUTE
# A venue that has not told how the auction ended is asked by cancels from then on.
GRACE_NS = MINUTE
AT_CLOSE = TimeInForce.AT_CLOSE  # to ask the enum takes ten times as long in Python 3.11


def is_wanted(strategy: int, params: AlgoParams) -> bool:
    """Whether a parent takes part in the closing auction."""
    return strategy == Strategy.CLOSE or params.close_auction


def refusal(setup: PolicyLoaded, session: str, strategy: int, params: AlgoParams, window: Window) -> Denied | None:
    """What can be said against taking part, once the window is known. session: the client's, who may have agreed to some venues alone."""
    if not is_wanted(strategy, params):
        return None
    wish = "CLOSE" if strategy == Strategy.CLOSE else "CloseAuction=Y"
    if window.hours.close_ns - window.hours.open_ns >= DAY:
        text = f"{wish} needs a closing auction, and this market never closes; leave it out"
        return Denied("requests", "no_auction", text, risk.UNSUPPORTED)
    agreed = next((p.venues for p in setup.profiles if p.client == session), ())
    if not setup.algo.closing_ppm or not any(v.has_auctions and (not agreed or v.name in agreed) for v in setup.venues):
        text = f"{wish} needs a closing auction, and no venue that is open to you holds one; leave it out"
        return Denied("requests", "no_auction", text, risk.UNSUPPORTED)
    close_ts = window.end_ts // DAY * DAY + window.hours.close_ns
    if window.end_ts != close_ts:
        text = f"{wish} needs the end at the close, {clock_text(close_ts)} UTC; leave EndTime (126) out"
        return Denied("requests", "contradictory_parameter", text, risk.OTHER)
    return None


def kept_qty(setup: PolicyLoaded, parent: ParentOrder, instrument: Instrument, window: Window, max_pct_vol: int) -> int:
    """How much of what is left a plan keeps for the closing auction. window: with the day's curve."""
    if not is_wanted(parent.strategy, parent.params):
        return 0
    left = leaves_qty(parent.order)
    expected = instrument.adv * setup.algo.closing_ppm // PPM_ONE
    wanted = left
    if parent.strategy == Strategy.POV:
        wanted = parent.params.target_pct_vol * expected // PPM_ONE
    elif parent.strategy != Strategy.CLOSE:
        wanted = left * setup.algo.closing_ppm // (setup.algo.closing_ppm + expected_share(window))
    return in_lots(min(left, wanted, max_pct_vol * expected // PPM_ONE), left, instrument.round_lot)


def place(
    setup: PolicyLoaded, parent: ParentOrder, work: Work, resting: list[ChildOrder], market: Market, instrument: Instrument, ts: int
) -> Placement:
    """The orders for the auction, if it is time and they are not out. resting: all open children."""
    missing = work.auction_qty - away_qty(resting)  # some may have been held up by the venue's message rate
    if missing <= 0 or not parent.end_ts - LEAD_NS <= ts < parent.end_ts:
        return Placement()
    left = leaves_qty(parent.order)
    quantity = in_lots(min(missing, left - sum(leaves_qty(c.order) for c in resting)), left, instrument.round_lot)
    limits = bounds(setup, parent.session, parent.symbol, parent.strategy)
    price = risk.dearest_px(limits, instrument, parent.side, market, parent.price, ts)
    return Placement((), quantity, price, TimeInForce.AT_CLOSE) if price else Placement()


def away_qty(resting: list[ChildOrder]) -> int:
    """Quantity that waits in auctions: it is not the book's to work with."""
    return sum(leaves_qty(c.order) for c in resting if c.time_in_force is AT_CLOSE)


def in_book(resting: list[ChildOrder]) -> list[ChildOrder]:
    """The children that stand in books."""
    return [c for c in resting if c.time_in_force is not AT_CLOSE]


def is_awaited(parent: ParentOrder, ts: int) -> bool:
    """Whether the window is over, and the auction's answer may still be under way."""
    return parent.end_ts <= ts < parent.end_ts + GRACE_NS
