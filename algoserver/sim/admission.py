"""Which orders a venue takes: what is wrong with a request as OrdRejReason (103) and a text that says what to change.

ADM-1: a term that a kind of venue does not have is refused, never ignored. ADM-2: terms that contradict each other are refused.
"""

from algoserver.domain.types import Instrument, OrdType, TimeInForce, px_text, qty_text
from algoserver.sim.config import VenueConfig
from algoserver.sim.reports import ALL, NewOrderSingle, OrderCancelReplaceRequest

Wish = NewOrderSingle | OrderCancelReplaceRequest
Wrong = tuple[int, str] | None
DAY, IOC, FOK = TimeInForce.DAY, TimeInForce.IOC, TimeInForce.FOK
LIMIT, MARKET, PEGGED = OrdType.LIMIT, OrdType.MARKET, OrdType.PEGGED


def unfit(wish: Wish, instrument: Instrument, venue: VenueConfig, ts: int) -> Wrong:
    """What is wrong with a request here, whatever the market does."""
    d, terms = instrument.qty_decimals, wish.terms
    if wish.order_qty <= 0 or wish.order_qty % instrument.lot:
        return 13, f"OrderQty {qty_text(wish.order_qty, d)} is not a positive multiple of lot {qty_text(instrument.lot, d)}"
    if (wish.ord_type is LIMIT or wish.px) and (wish.px <= 0 or wish.px % instrument.tick):
        return 11, f"Price {px_text(wish.px)} is not a positive multiple of tick {px_text(instrument.tick)}"
    if terms.expire_ts and terms.expire_ts <= ts:
        return 99, "ExpireTime (126) is over"
    if terms.expire_ts and wish.ord_type is MARKET and not terms.stop_px:
        return 11, "a market order does not wait: TimeInForce (59) 1 and 6 are for limit orders"
    if terms.quote_id and venue.kind != "dealer":
        return 11, "OrdType 'D' is not supported by this venue: only a dealer quotes"
    if terms.ioi_id and not venue.firm_up_ms:
        return 11, "OrdType 'E' is not supported by this venue: it takes no indications"
    if not 0 <= wish.min_qty <= wish.order_qty or wish.min_qty % instrument.lot:
        lot = qty_text(instrument.lot, d)
        return 13, f"MinQty (110) {qty_text(wish.min_qty, d)} is not a multiple of lot {lot} up to OrderQty"
    return BY_KIND[venue.kind](wish, instrument)


def waits_for_reopening(wish: Wish) -> bool:
    """Whether an order can be taken in a pause: only what can rest."""
    return wish.ord_type is LIMIT and wish.tif is DAY and not wish.terms.is_post_only


def _lit(wish: Wish, instrument: Instrument) -> Wrong:
    terms, d = wish.terms, instrument.qty_decimals
    is_pegged = wish.ord_type is PEGGED
    rests = wish.tif is DAY and (wish.ord_type is LIMIT or is_pegged)
    if terms.stop_px and (terms.stop_px < 0 or terms.stop_px % instrument.tick):
        return 11, f"StopPx (99) {px_text(terms.stop_px)} is not a positive multiple of tick {px_text(instrument.tick)}"
    if terms.peg_offset % instrument.tick:
        return 11, f"PegOffsetValue (211) {px_text(terms.peg_offset)} is not a multiple of tick {px_text(instrument.tick)}"
    if terms.display_qty != ALL and (not 0 <= terms.display_qty <= wish.order_qty or terms.display_qty % instrument.lot):
        return 13, f"DisplayQty {qty_text(terms.display_qty, d)} is not a multiple of lot {qty_text(instrument.lot, d)} up to OrderQty"
    if wish.tif.is_auction and (is_pegged or terms.stop_px or terms.is_post_only or wish.min_qty):
        return 11, "an order for an auction is a market or limit order without StopPx (99), MinQty (110) and ExecInst (18)"
    if is_pegged and (wish.tif is not DAY or terms.stop_px):
        return 11, "a pegged order rests: TimeInForce (59) 0, 1 or 6, and no StopPx (99)"
    if terms.is_post_only and (wish.ord_type is not LIMIT or not rests or terms.stop_px):
        return 11, "a post-only order (18=6) is a limit order that can rest, without StopPx (99)"
    if terms.display_qty != ALL and not rests and not wish.tif.is_auction:
        return 11, "DisplayQty is for an order that can rest"
    if wish.min_qty and rests and terms.display_qty != 0:
        return 11, "MinQty (110) at a lit venue is for an order that does not rest (59=3), or rests hidden (111=0)"
    return None


def _dark(wish: Wish, instrument: Instrument) -> Wrong:
    terms = wish.terms
    if wish.ord_type is MARKET:
        return 11, "OrdType '1' is not supported by this venue: P (pegged to the mid, 18=M) and 2 are"
    if wish.tif not in (DAY, IOC):
        return 11, f"TimeInForce {wish.tif.value!r} is not supported by this venue: 0, 1, 3 and 6 are"
    if terms.stop_px or terms.display_qty != ALL or terms.peg not in ("", "M") or terms.peg_offset or terms.is_post_only:
        return 11, "StopPx (99), DisplayQty (1138), MaxFloor (111), PegOffsetValue (211), 18=R and 18=6 are not supported by this venue"
    return None


def _dealer(wish: Wish, instrument: Instrument) -> Wrong:
    terms = wish.terms
    if wish.ord_type is not LIMIT or wish.tif not in (IOC, FOK):
        return 11, "a dealer takes OrdType (40) 2 and D, TimeInForce (59) 3 and 4"
    if terms.stop_px or terms.display_qty != ALL or terms.is_post_only or wish.min_qty or terms.expire_ts:
        return 11, "StopPx (99), DisplayQty (1138), MaxFloor (111), MinQty (110) and 18=6 are not supported by a dealer"
    return None


BY_KIND = {"lit": _lit, "dark": _dark, "dealer": _dealer}
