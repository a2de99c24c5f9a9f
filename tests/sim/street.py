"""What the tests of the market share: small scenarios, a quiet market, and requests in one line."""

from algoserver.domain.types import Instrument, OrdType, Side, TimeInForce, px, utc
from algoserver.sim.config import FlowConfig, InstrumentConfig, Scenario, SessionHours, TapeConfig, VenueConfig
from algoserver.sim.exchange import Exchange
from algoserver.sim.reports import NewOrderSingle, OrderCancelReplaceRequest, OrderCancelRequest, OrderStatusRequest, TradePrint
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


def quiet(minutes: int = 60) -> Exchange:
    """A market in AAPL at XLIT1 without a crowd, open for so long from T0: all liquidity is the clients'."""
    instrument = InstrumentConfig(symbol="AAPL", tick="0.01", tape=TapeConfig(file="none"))
    config = Scenario(seed=1, venues=ONE, instruments=[instrument])
    nothing = Tape(instrument.instrument(), [Diff(0, [], []), Diff(minutes * 60_000, [], [])], "XLIT1")
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
        if isinstance(a, TradePrint) or a.client != client:
            continue
        ids = f"({a.cl_ord_id},{a.orig_cl_ord_id})" if a.orig_cl_ord_id else f"({a.cl_ord_id})"
        if hasattr(a, "cxl_rej_reason"):
            lines.append(f"CxlRej/{a.ord_status.name} {ids} {a.cxl_rej_reason}")
        else:
            lines.append(f"{type(a).__name__}/{a.ord_status.name} {ids} {a.order_qty} {a.cum_qty}/{a.leaves_qty}")
    return lines


BTC = Instrument("BTCUSDT", px("0.01"), 1, 1, 5, 0)
