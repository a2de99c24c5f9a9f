"""The whole market in one process: venues, instruments, the crowd, and what happens to client orders.

Rule 1: time is an argument. The same scenario, seed and requests at the same times give the same reports.
Rule 2: what was due before a request happens before it: `submit` runs the crowd up to its time first.
Rule 3: order states are those of FIX 4.4 Appendix D, for a venue that decides at once: nothing is ever pending.
Rule 4: a replace with a total at or below what is filled ends the order there (C.3.b, C.3.c); an order that has
ended can't be replaced or canceled: too late (C.1.c, second form).
Rule 5: in a trading halt nothing trades and nothing new is taken (103=2). What rests is kept, and can be canceled, or is
canceled by us (378=6), as the halt's configuration says.
"""

from collections.abc import Iterable

from algoserver.domain.types import Instrument, OrdStatus, OrdType, Side, TimeInForce, px_text, qty_text
from algoserver.sim.auction import Calls
from algoserver.sim.blotter import LIVE, Blotter, Change, ClientOrder
from algoserver.sim.book import Book, Fill, Match, Order
from algoserver.sim.config import Scenario
from algoserver.sim.dark import Dark, Hidden, misfit
from algoserver.sim.flow import Flow
from algoserver.sim.halts import Halts
from algoserver.sim.reports import (
    Answer,
    AnyReport,
    Canceled,
    Expired,
    New,
    NewOrderSingle,
    OrderCancelReplaceRequest,
    OrderCancelRequest,
    OrderStatus,
    OrderStatusRequest,
    Replaced,
    Request,
    SecurityStatus,
    TradePrint,
)
from algoserver.sim.source import FOREVER, Source
from algoserver.sim.tape import Tape

RESTARTED = "venue restarted"  # Text (58) of an order canceled because its market died
DISCONNECTED = "canceled on disconnect"
CANCEL_ON_TRADING_HALT = 6  # ExecRestatementReason (378)
NEITHER, ADDED, REMOVED = 0, 1, 2  # LastLiquidityInd (851); FIX 4.4 has no word for an auction


class Exchange:
    """A market on a scenario.

    seed: replaces the scenario's. prefix: of every OrderID and ExecID. sources: by symbol, replace what the scenario
    says about them. Raises UnknownRecording, BrokenTape.
    """

    def __init__(self, config: Scenario, seed: int | None = None, prefix: str = "", sources: dict[str, Source] | None = None):
        self.instruments: dict[str, Instrument] = {i.symbol: i.instrument() for i in config.instruments}
        self.venues = [v.name for v in config.venues]
        self._calls = Calls(config)
        self._blotter = Blotter(prefix)
        self._ts: int | None = None
        seed = config.seed if seed is None else seed
        self._sources: dict[str, Source] = {}
        self._halts = Halts(config.halts)
        self._halt_ts = FOREVER  # when a halt begins or ends next
        self._halted: list[str] = []
        for entry in config.instruments:
            if sources and entry.symbol in sources:
                self._sources[entry.symbol] = sources[entry.symbol]
            elif entry.flow is not None:
                self._sources[entry.symbol] = Flow(entry.instrument(), entry.flow, config.session, config.lit_venues, seed)
            elif entry.tape is not None:
                self._sources[entry.symbol] = Tape.recorded(entry.instrument(), entry.tape, config.lit_venues[0].name)
        self._cancel_on_disconnect = [v.name for v in config.venues if v.cancel_on_disconnect]
        self._dark = Dark(config, {symbol: source.books for symbol, source in self._sources.items()}, seed, self._halted)

    def submit(self, ts: int, request: Request) -> list[Answer]:
        """Run the market up to `ts`, then answer `request`. Everything that happened is in the answer, in order."""
        out = self.advance(ts)
        match request:
            case NewOrderSingle():
                self._new(ts, request, out)
            case OrderCancelRequest():
                self._cancel(ts, request, out)
            case OrderCancelReplaceRequest():
                self._replace(ts, request, out)
            case OrderStatusRequest():
                self._status(ts, request, out)
            case _:
                raise AssertionError(request)
        self._meet_in_the_dark(ts, request.symbol, out)
        return out

    def advance(self, ts: int) -> list[Answer]:
        """Run everything that is due up to and including `ts`. The first call starts the market at its `ts`."""
        out: list[Answer] = []
        if self._ts is None:
            for source in self._sources.values():
                source.start(ts)
            self._dark.start(ts)
            self._ts = ts
            self._halt(ts, out)
        assert ts >= self._ts, "time does not run backwards"
        while (due := self.next_ts()) <= ts:
            if due == self._halt_ts:
                self._halt(due, out)
                continue
            symbol = next((s for s, source in self._sources.items() if source.next_ts() == due), None)
            if symbol is None:
                symbol, match = self._dark.step()
                self._print(due, symbol, match, out)
                continue
            source = self._sources[symbol]
            was_open = source.is_open
            for match in source.step():
                self._print(due, symbol, match, out)
            self._meet_in_the_dark(due, symbol, out)
            if source.is_open != was_open:
                tif = TimeInForce.AT_OPEN if source.is_open else TimeInForce.AT_CLOSE
                for venue in self._calls.due(due, tif):
                    self._call(due, venue, symbol, tif, out)
                if was_open:
                    self._expire(due, symbol, out)
        self._ts = ts
        return out

    def next_ts(self) -> int:
        """When the next event of the market is due; call `advance` then."""
        return min([self._halt_ts, self._dark.next_ts(), *[source.next_ts() for source in self._sources.values()]])

    def book(self, venue: str, symbol: str) -> tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]]:
        """The best five levels of (bids, asks), each (px, qty), best first; of a dark venue none."""
        dark = self._dark.book(venue, symbol)
        return dark.top(5) if dark else self._sources[symbol].books[venue].top(5)

    def is_open(self, symbol: str) -> bool:
        """Whether it is trading hours in `symbol`."""
        return self._sources[symbol].is_open

    def is_halted(self, symbol: str) -> bool:
        """Whether trading in `symbol` is halted now."""
        return symbol in self._halted

    def knows(self, venue: str, client: str, cl_ord_id: str) -> bool:
        """Whether an order of this client has or had this ClOrdID."""
        return self._blotter.find(venue, client, cl_ord_id) is not None

    def refuse(self, ts: int, request: Request, ord_rej_reason: int, text: str) -> list[Answer]:
        """Reject a request whose fields can't be read as numbers of its instrument, with OrdRejReason (103) and text."""
        out = self.advance(ts)
        if isinstance(request, NewOrderSingle):
            known = self._blotter.find(request.venue, request.client, request.cl_ord_id)
            out.append(self._blotter.reject_duplicate(ts, request, known) if known else self._blotter.reject(ts, request, ord_rej_reason, text))
        else:
            assert isinstance(request, Change)
            if self._blotter.changeable(ts, request, out):
                self._blotter.reject_change(ts, request, 99, text, out)
        return out

    def restore(self, ts: int, past: Iterable[AnyReport], text: str = RESTARTED) -> list[Canceled]:
        """Take over the orders of a market that died, from its reports, and cancel the live ones. Before any other call."""
        assert self._ts is None
        return [self._blotter.end(Canceled, order, ts, text=text) for order in self._blotter.restore(past)]

    def disconnected(self, ts: int, venue: str, client: str) -> list[Answer]:
        """A client's session at a venue is gone: his orders there end, where that is agreed."""
        out = self.advance(ts)
        for order in self._blotter.live(venue, client) if venue in self._cancel_on_disconnect else ():
            self._withdraw(order)
            out.append(self._blotter.end(Canceled, order, ts, text=DISCONNECTED))
        return out

    # The life of an order.

    def _new(self, ts: int, request: NewOrderSingle, out: list[Answer]) -> None:
        known = self._blotter.find(request.venue, request.client, request.cl_ord_id)
        if known is not None:
            resend = request.is_poss_resend  # F.1.b: answer with the order, do not trade again
            out.append(self._blotter.report(OrderStatus, known, ts) if resend else self._blotter.reject_duplicate(ts, request, known))
            return
        wrong = self._wrong(request)
        if wrong:
            out.append(self._blotter.reject(ts, request, *wrong))
            return
        order = self._blotter.admit(request)
        out.append(self._blotter.report(New, order, ts))
        dark = self._dark.book(order.venue, order.symbol)
        if dark is not None:
            order.resting = Hidden(order.side.sign, order.px, order.order_qty, order, order.min_qty)
            self._took(ts, order, dark.enter(order.resting, order.tif), out)
            return
        order.resting = Order(order.side.sign, order.px, order.order_qty, owner=order)
        if order.tif.is_auction:
            self._calls.join(order)
            return
        fills = self._book(order).enter(order.resting, order.tif, order.ord_type == OrdType.MARKET)
        self._took(ts, order, fills, out)

    def _cancel(self, ts: int, request: OrderCancelRequest, out: list[Answer]) -> None:
        order = self._blotter.changeable(ts, request, out)
        if order is None:
            return
        self._withdraw(order)
        self._blotter.rename(order, request)
        out.append(self._blotter.end(Canceled, order, ts, orig_cl_ord_id=order.orig_cl_ord_id))

    def _replace(self, ts: int, request: OrderCancelReplaceRequest, out: list[Answer]) -> None:
        order = self._blotter.changeable(ts, request, out)
        if order is None:
            return
        wrong = self._wrong(request)
        if not wrong and request.tif is not order.tif and (request.tif.is_auction or order.tif.is_auction):
            wrong = 11, "TimeInForce can't change between the auctions and the book: cancel and send a new order"
        if wrong:
            self._blotter.reject_change(ts, request, 99, wrong[1], out)
            return
        if order.tif.is_auction:
            self._withdraw(order)
        self._blotter.rename(order, request)
        order.ord_type, order.px, order.tif, order.min_qty = request.ord_type, request.px, request.tif, request.min_qty
        order.order_qty = max(request.order_qty, order.cum_qty)
        if order.order_qty == order.cum_qty:
            if not order.tif.is_auction:
                self._withdraw(order)
            order.status, order.resting = OrdStatus.FILLED, None
        out.append(self._blotter.report(Replaced, order, ts, orig_cl_ord_id=order.orig_cl_ord_id))
        dark = self._dark.book(order.venue, order.symbol)
        if order.resting is not None and order.tif.is_auction:
            order.resting = Order(order.side.sign, order.px, order.leaves_qty(), owner=order)
            self._calls.join(order)
        elif order.resting is not None and dark is not None:
            self._took(ts, order, dark.replace(order.resting, order.px, order.leaves_qty(), order.min_qty, order.tif), out)
        elif order.resting is not None:
            is_market = order.ord_type == OrdType.MARKET
            fills = self._book(order).replace(order.resting, order.px, order.leaves_qty(), order.tif, is_market)
            self._took(ts, order, fills, out)

    def _status(self, ts: int, request: OrderStatusRequest, out: list[Answer]) -> None:
        order = self._blotter.find(request.venue, request.client, request.cl_ord_id)
        if order is None:
            out.append(self._blotter.unknown(request, ts))
            return
        text = "Nothing Done" if order.status == OrdStatus.NEW else ""  # G.1.b
        req_id, orig = request.ord_status_req_id, order.orig_cl_ord_id
        out.append(self._blotter.report(OrderStatus, order, ts, ord_status_req_id=req_id, orig_cl_ord_id=orig, text=text))

    def _expire(self, ts: int, symbol: str, out: list[Answer]) -> None:
        """End of the trading day."""
        out += [self._blotter.end(Expired, order, ts, text="end of the trading day") for order in self._take_out(symbol)]

    def _halt(self, ts: int, out: list[Answer]) -> None:
        """Halts that begin and end at `ts`."""
        self._halt_ts = self._halts.next_ts(ts)
        halted = self._halts.at(ts)
        for symbol in [s for s in self._halted if s not in halted]:
            self._halted.remove(symbol)
            out += [SecurityStatus(venue=v, symbol=symbol, ts=ts, is_halted=False) for v in self.venues]
            for match in self._flow(symbol).resume(ts):
                self._print(ts, symbol, match, out)
        for symbol, halt in halted.items():
            if symbol in self._halted:
                continue
            self._halted.append(symbol)
            self._flow(symbol).halt()
            out += [SecurityStatus(venue=v, symbol=symbol, ts=ts, is_halted=True) for v in self.venues]
            for order in self._take_out(symbol) if halt.resting == "cancel" else ():
                out.append(self._blotter.end(Canceled, order, ts, text="trading halt", exec_restatement_reason=CANCEL_ON_TRADING_HALT))

    def _take_out(self, symbol: str) -> list[ClientOrder]:
        """Clear the books: the crowd has left them, what still rests is the clients', whose orders the caller ends."""
        orders: list[ClientOrder] = []
        for book in self._sources[symbol].books.values():
            for ladder in (book.bids, book.asks):
                for resting in [o for level in ladder.levels.values() for o in level.live()]:
                    book.cancel(resting)
                    orders.append(resting.owner)
        for _, dark in self._dark.of(symbol):
            dark.withdraw()
            for hidden in dark.resting():
                dark.cancel(hidden)
                orders.append(hidden.owner)
        return orders

    def _flow(self, symbol: str) -> Flow:
        source = self._sources[symbol]
        assert isinstance(source, Flow)  # the scenario halts no tape
        return source

    def _call(self, ts: int, venue: str, symbol: str, tif: TimeInForce, out: list[Answer]) -> None:
        """Hold an auction: fills to the clients, one print, and what is left of their orders is over."""
        source = self._sources[symbol]
        done, waiting = self._calls.hold(venue, symbol, tif, source.crowd(tif), source.reference_px(), is_held=not self.is_halted(symbol))
        for fill in done.fills:
            if fill.order.owner is not None:
                out.append(self._blotter.fill(fill.order.owner, ts, fill, NEITHER))
        if done.volume:
            side = Side.BUY if done.surplus > 0 else Side.SELL
            out.append(TradePrint(venue=venue, symbol=symbol, ts=ts, px=done.px, qty=done.volume, side=side))
        for order in waiting:
            order.resting = None
            if order.status in LIVE:
                out.append(self._blotter.end(Expired, order, ts, text="the auction is over"))

    # Refusals.

    def _wrong(self, request: NewOrderSingle | OrderCancelReplaceRequest) -> tuple[int, str] | None:
        """OrdRejReason (103) and a text that says what to change, or None."""
        instrument = self.instruments.get(request.symbol)
        if instrument is None:
            return 1, f"unknown symbol {request.symbol}: this venue lists {', '.join(self.instruments)}"
        is_open = self.is_open(request.symbol)
        unfit = self._calls.refusal(request.venue, request.symbol, request.tif, is_open)
        if unfit:
            return unfit
        if request.tif is not TimeInForce.AT_OPEN and not is_open:
            return 2, f"the market in {request.symbol} is closed"
        if self.is_halted(request.symbol):
            return 2, f"trading in {request.symbol} is halted"
        d = instrument.qty_decimals
        if request.order_qty <= 0 or request.order_qty % instrument.lot:
            return 13, f"OrderQty {qty_text(request.order_qty, d)} is not a positive multiple of lot {qty_text(instrument.lot, d)}"
        has_px = request.ord_type == OrdType.LIMIT or request.px
        if has_px and (request.px <= 0 or request.px % instrument.tick):
            return 11, f"Price {px_text(request.px)} is not a positive multiple of tick {px_text(instrument.tick)}"
        return misfit(request, instrument, request.venue in self._dark.venues)

    # Fills.

    def _took(self, ts: int, order: ClientOrder, fills: list[Fill], out: list[Answer]) -> None:
        """Report what an arriving order took, and cancel what may not rest (I.1.a, I.1.b)."""
        for fill in fills:
            out.append(self._blotter.fill(order, ts, fill, REMOVED))
        self._print(ts, order.symbol, Match(order.venue, order.side.sign, fills), out)
        if order.resting.level is not None:
            return
        order.resting = None
        if order.status in LIVE:
            what = "market order" if order.ord_type == OrdType.MARKET else order.tif.name
            out.append(self._blotter.end(Canceled, order, ts, text=f"{what}: no more liquidity"))

    def _print(self, ts: int, symbol: str, match: Match, out: list[Answer]) -> None:
        """Report fills to the clients whose orders rested, and print each price once."""
        printed: dict[int, int] = {}
        for fill in match.fills:
            printed[fill.px] = printed.get(fill.px, 0) + fill.qty
            if fill.order.owner is not None:
                out.append(self._blotter.fill(fill.order.owner, ts, fill, ADDED))
        side = Side.BUY if match.sign > 0 else Side.SELL
        for last_px, qty in printed.items():
            out.append(TradePrint(venue=match.venue, symbol=symbol, ts=ts, px=last_px, qty=qty, side=side))

    def _meet_in_the_dark(self, ts: int, symbol: str, out: list[Answer]) -> None:
        """The lit market may have moved: who rests in the dark looks again."""
        for venue, dark in self._dark.of(symbol):
            for hidden, fills in dark.meet():
                for fill in fills:
                    out.append(self._blotter.fill(hidden.owner, ts, fill, ADDED))
                self._print(ts, symbol, Match(venue, hidden.sign, fills), out)

    def _withdraw(self, order: ClientOrder) -> None:
        """Take a live order out of where it waits."""
        if order.tif.is_auction:
            self._calls.leave(order)
        else:
            (self._dark.book(order.venue, order.symbol) or self._book(order)).cancel(order.resting)

    def _book(self, order: ClientOrder) -> Book:
        return self._sources[order.symbol].books[order.venue]
