"""The venues' counter: where clients' orders are taken, changed and ended, and every fill is told.

Rule 1: order states are those of FIX 4.4 Appendix D, for venues that decide at once; only a dealer looks first (150=A).
Rule 2: a replace with a total at or below what is filled ends the order there (C.3.b, C.3.c); an order that has
ended can't be replaced or canceled: too late (C.1.c, second form).
Rule 3: a replace keeps its place in the queue only if it changes nothing but the quantity, downwards. Anything else is a new arrival.
Rule 4: fills are told in the order in which they happened, then what self-trade prevention took, then what ended.
GTD-1: an order good till a date (59=6, 126) lives over closes and auctions, and is expired at that moment before anything trades at it.
GTD-2: one good till cancel (59=1) lives until it is canceled. Neither trades while the market is closed.
"""

from heapq import heapify, heappop, heappush
from typing import NamedTuple

from algoserver.domain.types import Instrument, OrdStatus, OrdType, Side
from algoserver.sim.admission import Wish, unfit, waits_for_reopening
from algoserver.sim.auction import Calls
from algoserver.sim.blotter import LIVE, TRIGGERED, Blotter, ClientOrder, keeps_place
from algoserver.sim.book import Fill, Match, Order
from algoserver.sim.config import Scenario
from algoserver.sim.dark import Dark, Hidden
from algoserver.sim.dealer import Dealers
from algoserver.sim.fees import ADDED, REMOVED, Fees
from algoserver.sim.indications import Indications
from algoserver.sim.lit import NOTHING, Lit, Taken, at_once
from algoserver.sim.phases import Phases
from algoserver.sim.reports import (
    GOOD_TILL_CANCEL,
    PLAIN,
    Answer,
    Canceled,
    Expired,
    New,
    NewOrderSingle,
    OrderCancelReplaceRequest,
    OrderCancelRequest,
    OrderMassCancelRequest,
    OrderStatus,
    OrderStatusRequest,
    PendingNew,
    Rejected,
    Replaced,
    Restated,
    TradePrint,
)
from algoserver.sim.source import FOREVER, Source

PARTIAL_DECLINE, OTHER = 5, 99  # ExecRestatementReason (378)
PRINCIPAL = "4"  # LastCapacity (29) of a dealer, who is the other side
SELF_TRADE = "self-trade prevention"


class Watch(NamedTuple):
    """What of an instrument concerns clients whose orders do not stand in its lit books: trades, moves of the best prices, each event."""

    trades: bool
    moves: bool
    each: bool


NOBODY = Watch(trades=False, moves=False, each=False)


class Counter:
    """See the rules above. Everything that happened is added to `out`, in order."""

    def __init__(
        self, config: Scenario, instruments: dict[str, Instrument], sources: dict[str, Source], seed: int, prefix: str, phases: Phases
    ):
        books = {symbol: source.books for symbol, source in sources.items()}
        self.blotter = Blotter(prefix, Fees(config, instruments))
        self.calls = Calls(config)
        self.lit = Lit(config, books, instruments, seed)
        self.dark = Dark(config, books, seed, phases.halted)
        self.dealers = Dealers(config, instruments, self.dark.mid)
        self.indications = Indications(config, self.dark.book)
        self._venues = {v.name: v for v in config.venues}
        self._instruments = instruments
        self._phases = phases
        self._may_ask = bool(self.dealers.venues) or any(v.firm_up_ms for v in config.venues)
        self._expiring: list[tuple[int, int, ClientOrder]] = []

    def new(self, ts: int, request: NewOrderSingle, out: list[Answer]) -> None:
        """35=D."""
        known = self.blotter.find(request.venue, request.client, request.cl_ord_id)
        if known is not None:
            resend = request.is_poss_resend  # F.1.b: answer with the order, do not trade again
            out.append(self.blotter.report(OrderStatus, known, ts) if resend else self.blotter.reject_duplicate(ts, request, known))
            return
        wrong = self._wrong(ts, request)
        if wrong:
            out.append(self.blotter.reject(ts, request, *wrong))
            return
        if request.venue in self.dealers.venues:
            order = self.blotter.admit(request, OrdStatus.PENDING_NEW)
            out.append(self.blotter.report(PendingNew, order, ts))
            self.dealers.look(ts, order)
            return
        order = self.blotter.admit(request)
        if request.terms.ioi_id:
            order.firm_until_ts = self.indications.firm(request.venue, request.client, request.terms.ioi_id)
        out.append(self.blotter.report(New, order, ts))
        self._place(ts, order, out)

    def cancel(self, ts: int, request: OrderCancelRequest, out: list[Answer]) -> None:
        """35=F."""
        order = self.blotter.changeable(ts, request, out)
        if order is None:
            return
        self._withdraw(order)
        self.blotter.rename(order, request)
        out.append(self.blotter.end(Canceled, order, ts, orig_cl_ord_id=order.orig_cl_ord_id))

    def replace(self, ts: int, request: OrderCancelReplaceRequest, out: list[Answer]) -> None:
        """35=G."""
        order = self.blotter.changeable(ts, request, out)
        if order is None:
            return
        wrong = self._wrong(ts, request, order)
        if not wrong and request.tif is not order.tif and (request.tif.is_auction or order.tif.is_auction):
            wrong = 11, "TimeInForce can't change between the auctions and the book: cancel and send a new order"
        if wrong:
            self.blotter.reject_change(ts, request, 99, wrong[1], out)
            return
        stays = keeps_place(order, request) and request.order_qty > order.cum_qty and not order.tif.is_auction
        if not stays:
            self._withdraw(order)
        self.blotter.rename(order, request)
        order.is_triggered &= request.terms.stop_px == order.terms.stop_px
        order.ord_type, order.px, order.tif = request.ord_type, request.px, request.tif
        order.min_qty, order.terms = request.min_qty, request.terms
        order.order_qty = max(request.order_qty, order.cum_qty)
        if order.order_qty == order.cum_qty:
            order.status = OrdStatus.FILLED
        out.append(self.blotter.report(Replaced, order, ts, orig_cl_ord_id=order.orig_cl_ord_id))
        dark = self.dark.book(order.venue, order.symbol)
        if stays and dark is not None:
            dark.replace(order.resting, order.px, order.leaves_qty(), order.min_qty, order.tif)
        elif stays:
            self.lit.keep(order)
        elif order.status in LIVE:
            self.blotter.moved(order)
            self._place(ts, order, out)

    def mass_cancel(self, ts: int, request: OrderMassCancelRequest, out: list[Answer]) -> None:
        """35=q: r, then a Canceled for each order."""
        if request.kind not in ("1", "7") or (request.kind == "1" and request.symbol not in self._instruments):
            text = "MassCancelRequestType (530): 1 with a Symbol (55) of this venue, and 7 are supported"
            out.append(self.blotter.mass_canceled(ts, request, 0, text))
            return
        mine = self.working_of(request.venue, request.client)
        orders = [o for o in mine if (request.kind == "7" or o.symbol == request.symbol) and request.side in (None, o.side)]
        out.append(self.blotter.mass_canceled(ts, request, len(orders)))
        self.end_all(ts, orders, "mass cancel", out)

    def status(self, ts: int, request: OrderStatusRequest, out: list[Answer]) -> None:
        """35=H."""
        order = self.blotter.find(request.venue, request.client, request.cl_ord_id)
        if order is None:
            out.append(self.blotter.unknown(request, ts))
            return
        text = "Nothing Done" if order.status == OrdStatus.NEW else ""  # G.1.b
        req_id, orig = request.ord_status_req_id, order.orig_cl_ord_id
        out.append(self.blotter.report(OrderStatus, order, ts, ord_status_req_id=req_id, orig_cl_ord_id=orig, text=text))

    def end_all(self, ts: int, orders: list[ClientOrder], text: str, out: list[Answer], reason: int | None = None) -> None:
        """Cancel live orders on the venue's own account. reason: ExecRestatementReason (378)."""
        for order in orders:
            self._withdraw(order)
            out.append(self.blotter.end(Canceled, order, ts, text=text, exec_restatement_reason=reason))

    def expire_day(self, ts: int, symbol: str, out: list[Answer]) -> None:
        """End of the trading day: only what has a later date stays."""
        for order in self.working(symbol):
            if not order.terms.expire_ts:
                self._withdraw(order)
                out.append(self.blotter.end(Expired, order, ts, text="end of the trading day"))
        for _, dark in self.dark.of(symbol):
            dark.withdraw()
        self.indications.clear(symbol)

    def next_ts(self) -> int:
        """When the next order or indication expires, or a dealer decides."""
        ts = self._expiring[0][0] if self._expiring else FOREVER
        return min(ts, self.indications.next_ts(), self.dealers.next_ts()) if self._may_ask else ts

    def due(self, ts: int, out: list[Answer]) -> None:
        """Expire what is due, then let dealers decide."""
        while self._expiring and self._expiring[0][0] <= ts:
            _, _, order = heappop(self._expiring)
            # A replace may have given it another date.
            if order.status in LIVE and (0 < order.terms.expire_ts <= ts or 0 < order.firm_until_ts <= ts):
                self._withdraw(order)
                text = "the time to firm up is over" if order.firm_until_ts else "ExpireTime (126) is over"
                out.append(self.blotter.end(Expired, order, ts, text=text))
        self.indications.expire(ts)
        while self.dealers.next_ts() <= ts:
            self._decide(ts, out)

    def forget(self, before_ts: int) -> int:
        """Forget what was over before; returns how many orders."""
        self._expiring = [entry for entry in self._expiring if entry[2].status in LIVE]  # a date may be years off
        heapify(self._expiring)
        return self.blotter.forget(before_ts)

    def working(self, symbol: str) -> list[ClientOrder]:
        """Clients' live orders of an instrument, auctions' apart."""
        return self.lit.orders(symbol) + [hidden.owner for _, dark in self.dark.of(symbol) for hidden in dark.resting()]

    def working_of(self, venue: str, client: str) -> list[ClientOrder]:
        """A client's orders at a venue that can be canceled: not what a dealer looks at."""
        return [o for o in self.blotter.live(venue, client) if o.status is not OrdStatus.PENDING_NEW]

    def restore(self, orders: list[ClientOrder]) -> None:
        """Put live orders of a market that died back where they stood, before anything else happens."""
        for order in orders:
            dark = self.dark.book(order.venue, order.symbol)
            if dark is not None:
                order.resting = Hidden(order.side.sign, order.px, order.leaves_qty(), order, order.min_qty)
                dark.rest(order.resting)
            elif order.tif.is_auction:
                order.resting = Order(order.side.sign, order.px, order.leaves_qty(), owner=order)
                self.calls.join(order)
            elif not self.lit.sleeps(order):
                self.lit.arrive(order, may_match=False)
            self._date(order)

    def settle(self, ts: int, symbol: str, out: list[Answer]) -> None:
        """After anything moved: stops that were met arrive, pegs follow, and who rests in the dark looks again."""
        while True:
            if self.lit.pegged[symbol]:
                self.lit.follow(symbol)
            for venue, dark in self.dark.of(symbol):
                for hidden, fills in dark.meet():
                    for fill in fills:
                        out.append(self.blotter.fill(hidden.owner, ts, fill, ADDED))
                    self.told(ts, symbol, Match(venue, hidden.sign, fills), out)
            if self._may_ask:
                out += self.indications.invite(ts, symbol)
            if not self.lit.woken or self._phases.is_halted(symbol):
                return
            self._arrive(ts, self.lit.woken.pop(0), out)

    def watch(self, symbol: str) -> Watch:
        """What has to be settled at once: stops wake at trades, the dark looks again when prices move, pegs follow anything."""
        is_dark = self.dark.is_watching(symbol) or self.indications.stand(symbol)
        return Watch(trades=self.lit.has_asleep(symbol), moves=is_dark, each=bool(self.lit.pegged[symbol]))

    def dark_ts(self) -> int:
        """When the dark crowd may meet a client next. While there is none in the dark it meets nobody, at whatever moment it is looked after."""
        return self.dark.next_ts() if self.dark.is_watched() or self.indications.stand() else FOREVER

    def told(self, ts: int, symbol: str, match: Match, out: list[Answer], last_liquidity_ind: int = ADDED) -> None:
        """Report fills to the clients whose orders rested, and print each price once."""
        printed: dict[int, int] = {}
        for fill in match.fills:
            printed[fill.px] = printed.get(fill.px, 0) + fill.qty
            owner = fill.order.owner
            if owner is not None:
                out.append(self.blotter.fill(owner, ts, fill, last_liquidity_ind))
                if fill.order.is_pegged and owner.status not in LIVE:
                    self.lit.forget(owner)
        side = Side.BUY if match.sign > 0 else Side.SELL
        for last_px, qty in printed.items():
            out.append(TradePrint(venue=match.venue, symbol=symbol, ts=ts, px=last_px, qty=qty, side=side))
            self.lit.printed(match.venue, symbol, last_px)

    def confined(self, ts: int, symbol: str, out: list[Answer]) -> None:
        """The price band has moved: what was held at its old edge arrives at the new one, or at its own limit."""
        for order in self.lit.held(symbol):
            self.lit.leave(order)
            self._took(ts, order, self.lit.arrive(order), out)
        self.settle(ts, symbol, out)

    def reopened(self, ts: int, order: ClientOrder, out: list[Answer]) -> None:
        """A fill of a live order was taken back: its quantity is open again, behind everybody."""
        if at_once(order) or order.tif.is_auction:
            out.append(self.blotter.end(Canceled, order, ts, text="what was taken back can't wait"))
            return
        self._withdraw(order)
        self.blotter.moved(order)
        self._place(ts, order, out)

    # Where an order goes.

    def _wrong(self, ts: int, wish: Wish, order: ClientOrder | None = None) -> tuple[int, str] | None:
        """OrdRejReason (103) and a text that says what to change, or None. order: which a replace is about."""
        instrument = self._instruments.get(wish.symbol)
        if instrument is None:
            return 1, f"unknown symbol {wish.symbol}: this venue lists {', '.join(self._instruments)}"
        venue = self._venues[wish.venue]
        wrong = self.calls.refusal(wish.venue, wish.symbol, wish.tif, self._phases.is_open(wish.symbol))
        wrong = wrong or self._phases.refusal(wish.symbol, wish.tif, venue.auctions and waits_for_reopening(wish))
        wrong = wrong or unfit(wish, instrument, venue, ts)
        if not wrong and venue.kind == "lit" and not self.lit.shows(wish):
            wrong = 11, f"DisplayQty (1138) and MaxFloor (111) are not supported in {wish.symbol}: its crowd meets only what is shown"
        if not wrong and isinstance(wish, NewOrderSingle) and venue.kind == "dealer":
            wrong = self.dealers.refusal(ts, wish)
        if not wrong and wish.terms.ioi_id:
            text = self.indications.refusal(ts, wish) if isinstance(wish, NewOrderSingle) else "what firms up an indication can't be replaced"
            wrong = (99, text) if text else None
        if wrong or not wish.terms.is_post_only:
            return wrong
        # A replace that keeps its place does not arrive.
        if (order is None or not keeps_place(order, wish)) and self.lit.would_take(wish.venue, wish.symbol, wish.side.sign, wish.px):
            return 99, "the post-only order (18=6) would trade at once"
        return None

    def _place(self, ts: int, order: ClientOrder, out: list[Answer]) -> None:
        """Let a new or changed order arrive, or wait for what it waits for."""
        self._date(order)
        dark = self.dark.book(order.venue, order.symbol)
        if dark is not None:
            order.resting = Hidden(order.side.sign, order.px, order.leaves_qty(), order, order.min_qty)
            self._took(ts, order, Taken(dark.enter(order.resting, order.tif), []), out)
        elif order.tif.is_auction:
            order.resting = Order(order.side.sign, order.px, order.leaves_qty(), owner=order)
            self.calls.join(order)
        elif order.terms is PLAIN or not self.lit.sleeps(order):
            self._arrive(ts, order, out)

    def _decide(self, ts: int, out: list[Answer]) -> None:
        """A dealer has looked long enough."""
        order, px, qty, text = self.dealers.decide()
        if not px:
            order.status = OrdStatus.REJECTED
            out.append(self.blotter.report(Rejected, order, ts, ord_rej_reason=OTHER, text=text))
            return
        order.status = OrdStatus.NEW
        out.append(self.blotter.report(New, order, ts))
        out.append(self.blotter.fill(order, ts, Fill(Order(-order.side.sign, px, 0), px, qty), REMOVED, PRINCIPAL))
        if order.status in LIVE:
            out.append(self.blotter.end(Canceled, order, ts, text="the dealer trades no more than his quote"))

    def _date(self, order: ClientOrder) -> None:
        if order.terms is PLAIN:
            return
        if order.firm_until_ts:
            heappush(self._expiring, (order.firm_until_ts, order.rank, order))
        if 0 < order.terms.expire_ts < GOOD_TILL_CANCEL:
            heappush(self._expiring, (order.terms.expire_ts, order.rank, order))

    def _arrive(self, ts: int, order: ClientOrder, out: list[Answer]) -> None:
        if order.terms.stop_px and not order.is_triggered:
            order.is_triggered = True
            out.append(self.blotter.report(Restated, order, ts, text=TRIGGERED, exec_restatement_reason=OTHER))
        self._took(ts, order, self.lit.arrive(order, may_match=not self._phases.is_halted(order.symbol)), out)

    def _took(self, ts: int, order: ClientOrder, taken: Taken, out: list[Answer]) -> None:
        """Report what an arriving order took, and cancel what may not rest (I.1.a, I.1.b)."""
        for fill in taken.fills:
            out.append(self.blotter.fill(order, ts, fill, REMOVED))
        if taken.fills:
            self.told(ts, order.symbol, Match(order.venue, order.side.sign, taken.fills), out)
        for resting, qty in taken.prevented:
            self._prevent(ts, resting.owner, qty, out)
        if taken.lost:
            self._prevent(ts, order, taken.lost, out)
        is_kept = order.resting is not None and order.resting.level is not None
        if order.status not in LIVE or is_kept or (order.ord_type is OrdType.PEGGED and taken is NOTHING):
            return
        what = "market order" if order.ord_type == OrdType.MARKET else order.tif.name
        out.append(self.blotter.end(Canceled, order, ts, text=f"{what}: no more liquidity"))

    def _prevent(self, ts: int, order: ClientOrder, qty: int, out: list[Answer]) -> None:
        """Tell what self-trade prevention took of an order."""
        if qty == order.leaves_qty():
            out.append(self.blotter.end(Canceled, order, ts, text=SELF_TRADE))
            self.lit.forget(order)
            return
        order.order_qty -= qty
        out.append(self.blotter.report(Restated, order, ts, text=SELF_TRADE, exec_restatement_reason=PARTIAL_DECLINE))

    def _withdraw(self, order: ClientOrder) -> None:
        """Take a live order out of where it waits."""
        dark = self.dark.book(order.venue, order.symbol)
        if order.tif.is_auction:
            if order.resting is not None:
                self.calls.leave(order)
        elif dark is None:
            self.lit.leave(order)
        elif order.resting is not None and order.resting.level is not None:
            dark.cancel(order.resting)
