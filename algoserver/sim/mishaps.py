"""Faults of the market itself: what it does to orders, fills, prices and depth. Everything is told like anything else that happens.

MIS-1: a late fill fills what a canceled order had left, at its limit or the last price; the order stays canceled (D35).
MIS-2: a bust takes a fill back. A live order, or one that was filled, has the quantity open again, behind everybody; what ended otherwise
stays ended (J.1.a, J.1.b).
MIS-3: a correction changes a fill: by default its price, a tick against the client. Less quantity opens the rest again, as a bust does.
MIS-4: a crash moves the crowd's price, a drought its depth; both come back. Bands and pauses (luld.py) hold all the same.
"""

from algoserver.domain.types import OrdStatus, Side, px, qty
from algoserver.sim.blotter import LIVE, ClientOrder
from algoserver.sim.book import Fill, Match, Order
from algoserver.sim.exchange import Exchange
from algoserver.sim.faults import Fault
from algoserver.sim.fees import ADDED
from algoserver.sim.reports import Answer, TradePrint
from algoserver.sim.source import Crowd

FORGOTTEN = "what ended on an earlier day is forgotten"  # days.py


class Impossible(Exception):
    """There is nothing that this fault could happen to; the text says what is missing."""


def late_fill(exchange: Exchange, ts: int, fault: Fault) -> list[Answer]:
    """Fill an order that is canceled."""
    out = exchange.advance(ts)
    blotter = exchange.counter.blotter
    orders = [o for o in blotter.every() if o.status is OrdStatus.CANCELED and o.cum_qty < o.order_qty and _is_meant(fault, o)]
    orders = [o for o in orders if not fault.order or fault.order in (o.cl_ord_id, o.orig_cl_ord_id)]
    if not orders:
        none = "no canceled order that was not filled"
        raise Impossible(f"no canceled order {fault.order} that was not filled; {FORGOTTEN}" if fault.order else none)
    order = orders[-1]
    last_px = _price(fault) or order.px or exchange.counter.lit.last_px(order.venue, order.symbol) or exchange.source(order.symbol).reference_px()
    quantity = min(_quantity(exchange, fault, order) or order.order_qty, order.order_qty - order.cum_qty)
    mark = len(out)
    out.append(blotter.late_fill(order, ts, Fill(Order(-order.side.sign, last_px, 0), last_px, quantity), ADDED))
    side = Side.SELL if order.side is Side.BUY else Side.BUY
    out.append(TradePrint(venue=order.venue, symbol=order.symbol, ts=ts, px=last_px, qty=quantity, side=side))
    exchange.moved(ts, order.symbol, out, mark)
    return out


def bust(exchange: Exchange, ts: int, fault: Fault) -> list[Answer]:
    """Take a fill back."""
    out = exchange.advance(ts)
    exec_id, order = _fill(exchange, fault)
    mark = len(out)
    out.append(exchange.counter.blotter.bust(ts, exec_id))
    return _open_again(exchange, ts, order, out, mark)


def correct(exchange: Exchange, ts: int, fault: Fault) -> list[Answer]:
    """Change a fill."""
    out = exchange.advance(ts)
    exec_id, order = _fill(exchange, fault)
    found = exchange.counter.blotter.fill_of(exec_id)
    assert found is not None
    _, was_qty, was_px = found
    new_qty = _quantity(exchange, fault, order) or was_qty
    if not 0 < new_qty <= was_qty:
        raise Impossible(f"`qty` of a correction is at most what was filled: {was_qty} units")
    new_px = _price(fault) or (was_px + order.side.sign * exchange.instruments[order.symbol].tick if not fault.qty else was_px)
    mark = len(out)
    out.append(exchange.counter.blotter.correct(ts, exec_id, new_qty, new_px))
    return _open_again(exchange, ts, order, out, mark) if new_qty < was_qty else out


def crash(exchange: Exchange, symbol: str, factor: float) -> None:
    """Move the crowd's price."""
    _crowd(exchange, symbol).shift(factor)


def thin(exchange: Exchange, symbol: str, share: float) -> None:
    """Let the crowd show a share of its usual depth."""
    _crowd(exchange, symbol).thin(share)


def cross(exchange: Exchange, ts: int, symbol: str, venue: str) -> list[Answer]:
    """Let a venue bid above another's offer."""
    out = exchange.advance(ts)
    books = exchange.source(symbol).books
    offers = [px for v, b in books.items() if v != venue and (px := b.asks.best_px()) is not None]
    if venue not in books or not offers:
        raise Impossible(f"{venue} can't be crossed with another lit venue that offers {symbol}")
    book, tick, high = books[venue], exchange.instruments[symbol].tick, min(offers)
    for level in [book.asks.levels[k] for k in list(book.asks.keys) if -k <= high + tick]:
        for order in [o for o in level.live() if o.owner is None]:
            book.cancel(order)
    mark = len(out)
    fills = book.enter(Order(1, high + tick, exchange.instruments[symbol].round_lot))
    exchange.counter.told(ts, symbol, Match(venue, 1, fills), out)
    exchange.moved(ts, symbol, out, mark)
    return out


def _open_again(exchange: Exchange, ts: int, order: ClientOrder, out: list[Answer], mark: int) -> list[Answer]:
    if order.status in LIVE:
        exchange.counter.reopened(ts, order, out)
    exchange.moved(ts, order.symbol, out, mark)
    return out


def _fill(exchange: Exchange, fault: Fault) -> tuple[str, ClientOrder]:
    blotter = exchange.counter.blotter
    for exec_id in [fault.exec_id] if fault.exec_id else reversed(blotter.fills()):
        found = blotter.fill_of(exec_id)
        if found is not None and _is_meant(fault, found[0]):
            return exec_id, found[0]
    raise Impossible(f"no fill {fault.exec_id} that stands; {FORGOTTEN}" if fault.exec_id else "no fill that stands")


def _is_meant(fault: Fault, order: ClientOrder) -> bool:
    return fault.venue in ("", order.venue) and fault.client in ("", order.client) and fault.symbol in ("", order.symbol)


def _price(fault: Fault) -> int:
    try:
        return px(fault.px) if fault.px else 0
    except ValueError as e:
        raise Impossible(f"`px`: {e}") from None


def _quantity(exchange: Exchange, fault: Fault, order: ClientOrder) -> int:
    try:
        return qty(fault.qty, exchange.instruments[order.symbol].qty_decimals) if fault.qty else 0
    except ValueError as e:
        raise Impossible(f"`qty`: {e}") from None


def _crowd(exchange: Exchange, symbol: str) -> Crowd:
    source = exchange.source(symbol)
    if not isinstance(source, Crowd):
        raise Impossible(f"{symbol} follows a tape, which trades as it was recorded")
    return source


