"""What the tests of the market share: small scenarios, a quiet market, and requests in one line."""

from dataclasses import dataclass, field

import msgspec

from algoserver.domain.types import MINUTE, SECOND, Instrument, OrdType, Side, TimeInForce, px, px_text, utc
from algoserver.sim.config import FlowConfig, InstrumentConfig, Scenario, SessionHours, TapeConfig, VenueConfig
from algoserver.sim.exchange import Exchange
from algoserver.sim.reports import (
    Invitation,
    MassCancelReport,
    NewOrderSingle,
    OrderCancelReplaceRequest,
    OrderCancelRequest,
    OrderStatusRequest,
    Terms,
    TradePrint,
)
from algoserver.sim.tape import Diff, Tape

T0 = utc("20190628-13:30:00")
OPEN = SessionHours(open="13:30", close="20:00")
AAPL = FlowConfig(
    recorded="AAPL",
    day="2019-06-28",
    price="197.90",
    sigma_daily=0.015,
    spread_ticks=1,
    depth_qty=900,
    trade_qty=450,
    book_events_per_s=25.0,
)
ADBE = FlowConfig(
    recorded="ADBE", day="2019-06-28", price="294.70", sigma_daily=0.015,
    spread_ticks=3, depth_qty=200, trade_qty=90, book_events_per_s=2.0
)  # fmt: skip
TWO = [VenueConfig(name="XLIT1", share=0.6), VenueConfig(name="XLIT2", share=0.4)]
ONE = [VenueConfig(name="XLIT1", share=1.0)]


def scenario(flow: FlowConfig = AAPL, hours: SessionHours = OPEN, venues=TWO, seed: int = 7) -> Scenario:
    """One instrument, named after its recording, driven by flow."""
    return Scenario(seed=seed, venues=venues, session=hours, instruments=[InstrumentConfig(symbol=flow.recorded, tick="0.01", flow=flow)])


def quiet(minutes: int = 60, venues=ONE, **more) -> Exchange:
    """A market in AAPL at XLIT1 without a crowd, open for so long from T0: all liquidity is the clients'. more: of the Scenario."""
    instrument = InstrumentConfig(symbol="AAPL", tick="0.01", tape=TapeConfig(file="none"))
    config = Scenario(seed=1, venues=venues, instruments=[instrument], **more)
    nothing = Tape(instrument.instrument(), [Diff(0, [], []), Diff(minutes * MINUTE, [], [])], "XLIT1", TapeConfig(file="none"))
    return Exchange(config, sources={"AAPL": nothing})


def new(cl_ord_id, side, order_qty, price=None, tif=TimeInForce.DAY, client="ALGO", symbol="AAPL", venue="XLIT1", **more):
    """A NewOrderSingle; without a price a market order."""
    ord_type = OrdType.LIMIT if price else OrdType.MARKET
    return NewOrderSingle(
        venue=venue, client=client, cl_ord_id=cl_ord_id, symbol=symbol, side=side, order_qty=order_qty, ord_type=ord_type,
        px=px(price) if price else 0, tif=tif, **more,
    )  # fmt: skip


def cancel(cl_ord_id, orig, side=Side.BUY, client="ALGO", symbol="AAPL", venue="XLIT1"):
    return OrderCancelRequest(venue=venue, client=client, cl_ord_id=cl_ord_id, orig_cl_ord_id=orig, symbol=symbol, side=side)


def replace(cl_ord_id, orig, order_qty, price, side=Side.BUY, client="ALGO", symbol="AAPL", venue="XLIT1", tif=TimeInForce.DAY):
    return OrderCancelReplaceRequest(
        venue=venue, client=client, cl_ord_id=cl_ord_id, orig_cl_ord_id=orig, symbol=symbol, side=side, order_qty=order_qty,
        px=px(price), tif=tif,
    )  # fmt: skip


def status(cl_ord_id, side=Side.BUY, client="ALGO", symbol="AAPL", venue="XLIT1"):
    return OrderStatusRequest(venue=venue, client=client, cl_ord_id=cl_ord_id, symbol=symbol, side=side, ord_status_req_id="q")


def told(answers, client="ALGO"):
    """Reports to one client as text: ExecType/OrdStatus (ClOrdID,OrigClOrdID) OrderQty cum/leaves."""
    lines = []
    for a in answers:
        if getattr(a, "client", None) != client or isinstance(a, Invitation):
            continue
        ids = f"({a.cl_ord_id},{a.orig_cl_ord_id})" if getattr(a, "orig_cl_ord_id", "") else f"({a.cl_ord_id})"
        if isinstance(a, MassCancelReport):
            lines.append(f"MassCancel/{a.response} {ids} {a.affected}")
        elif hasattr(a, "cxl_rej_reason"):
            lines.append(f"CxlRej/{a.ord_status.name} {ids} {a.cxl_rej_reason}")
        else:
            lines.append(f"{type(a).__name__}/{a.ord_status.name} {ids} {a.order_qty} {a.cum_qty}/{a.leaves_qty}")
    return lines


def wish(cl_ord_id, side, order_qty, price=None, ord_type=None, **more):
    """A NewOrderSingle with Terms: stop_px and peg_offset as text, min_qty, tif and client as of `new`."""
    terms = {k: px(more.pop(k)) for k in ("stop_px", "peg_offset") if k in more}
    terms |= {k: more.pop(k) for k in ("display_qty", "peg", "is_post_only", "expire_ts", "quote_id", "ioi_id") if k in more}
    made = new(cl_ord_id, side, order_qty, price, terms=Terms(**terms), **more)
    return msgspec.structs.replace(made, ord_type=ord_type) if ord_type else made


def rewish(cl_ord_id, orig, request, **changed):
    """The OrderCancelReplaceRequest that changes `request`."""
    kept = {f: getattr(request, f) for f in request.__struct_fields__ if f not in ("is_poss_resend", "cl_ord_id")}
    return OrderCancelReplaceRequest(cl_ord_id=cl_ord_id, orig_cl_ord_id=orig, **{**kept, **changed})


@dataclass
class Street:
    """A quiet market; every request is a millisecond after the last. All answers stay in `seen`."""

    exchange: Exchange = field(default_factory=quiet)
    ts: int = T0
    seen: list = field(default_factory=list)

    def ask(self, request):
        self.ts += 1_000_000
        answers = self.exchange.submit(self.ts, request)
        self.seen += answers
        return told(answers)

    def fill(self, qty, price="50"):
        """Another client sells `qty` at `price`; what ALGO is told about it."""
        return self.ask(new(f"other{self.ts}", Side.SELL, qty, price, client="OTHER"))

    def go(self, seconds: float):
        """Let time pass; what ALGO is told."""
        self.ts += int(seconds * SECOND)
        answers = self.exchange.advance(self.ts)
        self.seen += answers
        return told(answers)

    def prints(self):
        """Every trade of the market so far, as (price, quantity)."""
        return [(px_text(a.px), a.qty) for a in self.seen if isinstance(a, TradePrint)]

    def book(self, venue="XLIT1"):
        """(bids, asks), each (price, quantity)."""
        return tuple(tuple((px_text(p), q) for p, q in side) for side in self.exchange.book(venue, "AAPL"))


BTC = Instrument("BTCUSDT", px("0.01"), 1, 1, 5, 0)
