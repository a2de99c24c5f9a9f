"""What a working parent is warned about, each once until it is over: a market that can't be believed, an end that can't be kept.
And where it is paused: a price that has moved too far.

Rule 1: while the market is in doubt nothing new leaves and nothing crosses; what rests stays, for its limit still bounds it.
Rule 2: an alert is raised when something begins, not at every look at it.
"""

from algoserver.core import market as markets
from algoserver.core import planning, risk
from algoserver.core.algos.schedule import Window, Work, expected_share
from algoserver.core.bounds import Bounds
from algoserver.core.market import Market
from algoserver.core.orders import ParentOrder, leaves_qty
from algoserver.core.reports import alert, over, pause
from algoserver.core.state import State
from algoserver.domain.commands import Command
from algoserver.domain.events import PolicyLoaded
from algoserver.domain.limits import UNSET
from algoserver.domain.policy import RiskPolicy
from algoserver.domain.types import PPM_ONE, SECOND, Instrument, Side, Strategy, clock_text, ppm_text, px_text, qty_text

# These have promised to be done by their end; POV follows the volume and ICEBERG waits for others.
PROMISE = (Strategy.VWAP, Strategy.TWAP, Strategy.IS, Strategy.CLOSE)


def doubt(policy: RiskPolicy, instrument: Instrument, market: Market, ts: int) -> str:
    """Why prices can't be believed now; empty if they can. A market that was never seen is the gate's affair."""
    reference, confirmed_ts = markets.reference(market)
    if not reference:
        return ""
    if ts - max(confirmed_ts, market.resumed_ts) > policy.reference_age_ns_max:
        return f"nothing was heard of {market.symbol} for more than {policy.reference_age_ns_max // SECOND} s"
    bid, ask = markets.best(market)
    width = risk.collar_bound(policy, instrument, Side.BUY, reference) - reference
    if bid > ask > 0 and bid - ask > width:
        return f"the book of {market.symbol} is crossed: bid {px_text(bid)}, ask {px_text(ask)}"
    if market.last_px and abs(reference - market.last_px) > width:
        return f"{market.symbol} is quoted around {px_text(reference)}, and traded last at {px_text(market.last_px)}"
    return ""


def is_doubted(policy: RiskPolicy, instrument: Instrument, market: Market, ts: int, out: list[Command]) -> bool:
    """Whether prices can't be believed now; says so once a symbol."""
    why = doubt(policy, instrument, market, ts)
    if why and not market.doubt:
        alert(out, "market_in_doubt", market.symbol, f"{why}; nothing new is sent until that is over")
    if market.doubt and not why:
        over(out, "market_in_doubt", market.symbol)
    market.doubt = why
    return bool(why)


def pause_if_moved(bounds: Bounds, instrument: Instrument, market: Market, parent: ParentOrder, ts: int, out: list[Command]) -> None:
    """Pause a parent whose market is further than price_move_max from where it was, to either side; a doubtful price is none."""
    if bounds.price_move_ppm_max == UNSET:
        return
    since, mid = parent.resumed_px or parent.arrival_px, markets.mid(market)
    if not mid or abs(mid - since) * PPM_ONE <= since * bounds.price_move_ppm_max or doubt(bounds, instrument, market, ts):
        return
    what = f"{px_text(since)} when it {'was resumed' if parent.resumed_px else 'came'}, {px_text(mid)} now"
    most = f"price_move_max {ppm_text(bounds.price_move_ppm_max)} {bounds.where('price_move_ppm_max')}"
    pause(out, parent, "price_moved", f"{parent.symbol} was {what}, beyond {most}; resume to go on from here")


def warn_if_late(state: State, setup: PolicyLoaded, parent: ParentOrder, work: Work, ts: int, out: list[Command]) -> None:
    """Alert when the cap of what volume is still expected is less than what is left. Asked at the beginning of a slice."""
    if parent.strategy not in PROMISE or ts >= parent.end_ts:
        return
    instrument = state.instruments[parent.symbol]
    curve, _, _ = planning.day_curve(state, setup, parent.symbol, ts)
    expected = instrument.adv * expected_share(Window(ts, parent.end_ts, curve, setup.hours)) // PPM_ONE
    left = leaves_qty(parent.order) - work.auction_qty
    is_late = left > work.max_pct_vol * expected // PPM_ONE
    if is_late and not work.is_late:
        d = instrument.qty_decimals
        text = (
            f"{qty_text(left, d)} are left and {qty_text(expected, d)} expected to trade until {clock_text(parent.end_ts)}: "
            f"at {ppm_text(work.max_pct_vol)} of that it can't complete; raise MaxPctVol, or give it more time"
        )
        alert(out, "can_not_complete", parent.parent_id, text)
    if work.is_late and not is_late:
        over(out, "can_not_complete", parent.parent_id)
    work.is_late = is_late
