"""A single dealer: quotes of his own, off the lit venues' prices, and a last look before he trades.

DLR-1: he quotes the consolidated mid less and plus half_spread_ticks, rounded away from it to ticks, quote_qty on each side. With a lit side
empty, in a halt and while the market is closed he quotes nothing, and withdraws (35=Z) what he quoted.
DLR-2: a quote (35=S) is one client's, good for valid_ms, and replaced by the next on its QuoteReqID (131): he takes the latest only. A stream
begins with 35=R, tells a new quote when the price changed or half of its time is over, and ends with the client's 35=Z.
DLR-3: an order takes one quote (40=D, QuoteID 117, Price 44 the quote's) or what he would quote now (40=2, within its limit). It waits
hold_ms while he looks (150=A); meanwhile it can't be changed or canceled.
DLR-4: then he trades at the price that he quoted, unless the mid has moved against him by more than tolerance_ticks since, or nothing trades: then
he refuses (150=8, 103=99). A quote that is over is refused at once (103=8), and so is more than quote_qty of a fill or kill.
DLR-5: he is the other side of every trade (29=4); what he does is not printed. An IOC's rest beyond quote_qty is canceled.
DLR-6: with what he was asked before a restart he does not trade: such orders are canceled.
"""

from collections.abc import Callable
from heapq import heappop, heappush

from algoserver.domain.types import Instrument, TimeInForce, px_text
from algoserver.sim.blotter import ClientOrder
from algoserver.sim.config import DealerConfig, Scenario
from algoserver.sim.reports import NewOrderSingle, Quote, QuoteRequest
from algoserver.sim.source import FOREVER

MS = 1_000_000


class Look:
    """An order that a dealer looks at. px: at which he would trade; mid: when he quoted it."""

    def __init__(self, order: ClientOrder, px: int, mid: int):
        self.order = order
        self.px = px
        self.mid = mid


class Dealers:
    """Every dealer of a market. mid: tells an instrument's consolidated mid, 0 for none."""

    def __init__(self, config: Scenario, instruments: dict[str, Instrument], mid: Callable[[str], int]):
        self.venues: dict[str, DealerConfig] = {v.name: v.dealer for v in config.venues if v.dealer is not None}
        self._instruments = instruments
        self._mid = mid
        self._quotes: dict[str, tuple[Quote, int]] = {}  # by QuoteID, with the mid behind it
        self._latest: dict[tuple[str, str, str], str] = {}  # by venue, client and QuoteReqID
        self._looking: list[tuple[int, int, Look]] = []
        self._quoted = self._looked = 0

    def quote(self, ts: int, request: QuoteRequest) -> Quote | None:
        """A new quote, which replaces the request's last; None while there is no price."""
        self.withdraw(request)
        mid = self._mid(request.symbol)
        if not mid:
            return None
        dealer = self.venues[request.venue]
        bid_px, offer_px = self._prices(request.venue, request.symbol, mid)
        self._quoted += 1
        quote = Quote(
            venue=request.venue, client=request.client, ts=ts, quote_id=f"{request.venue}-Q{self._quoted}", quote_req_id=request.quote_req_id,
            symbol=request.symbol, bid_px=bid_px, offer_px=offer_px, qty=dealer.quote_qty, until_ts=ts + dealer.valid_ms * MS,
        )  # fmt: skip
        self._quotes[quote.quote_id] = quote, mid
        self._latest[request.venue, request.client, request.quote_req_id] = quote.quote_id
        return quote

    def price(self, request: QuoteRequest) -> tuple[int, int]:
        """What he would quote now: bid and offer, zeros for nothing."""
        mid = self._mid(request.symbol)
        return self._prices(request.venue, request.symbol, mid) if mid else (0, 0)

    def withdraw(self, request: QuoteRequest) -> None:
        """Take the last quote of a request back."""
        self._quotes.pop(self._latest.pop((request.venue, request.client, request.quote_req_id), ""), None)

    def refusal(self, ts: int, request: NewOrderSingle) -> tuple[int, str] | None:
        """OrdRejReason (103) and text for an order that he does not even look at."""
        dealer, quote_id = self.venues[request.venue], request.terms.quote_id
        if request.tif is TimeInForce.FOK and request.order_qty > dealer.quote_qty:
            return 13, f"the dealer trades at most {dealer.quote_qty} at once"
        if not quote_id:
            return None
        quote, _ = self._quotes.get(quote_id, (None, 0))
        if quote is None or quote.client != request.client or quote.symbol != request.symbol:
            return 8, f"QuoteID (117) {quote_id} is no quote that stands: it was replaced, withdrawn, or never yours"
        if quote.until_ts <= ts:
            return 8, f"QuoteID (117) {quote_id} was good until {dealer.valid_ms} ms after it was told"
        side_px = quote.offer_px if request.side.sign > 0 else quote.bid_px
        return None if request.px == side_px else (99, f"Price (44) is not the quote's: {px_text(side_px)}")

    def look(self, ts: int, order: ClientOrder) -> None:
        """Begin to look at an order that was admitted."""
        quote, mid = self._quotes.get(order.terms.quote_id, (None, 0))
        px = order.px
        if quote is None:
            mid = self._mid(order.symbol)
            px = self._prices(order.venue, order.symbol, mid)[1 if order.side.sign > 0 else 0] if mid else 0
        self._looked += 1
        heappush(self._looking, (ts + self.venues[order.venue].hold_ms * MS, self._looked, Look(order, px, mid)))

    def next_ts(self) -> int:
        """When he has looked long enough at the next one."""
        return self._looking[0][0] if self._looking else FOREVER

    def decide(self) -> tuple[ClientOrder, int, int, str]:
        """The order that is due: at which price and how much he trades, or 0, 0 and why not."""
        _, _, look = heappop(self._looking)
        order, dealer, sign = look.order, self.venues[look.order.venue], look.order.side.sign
        mid = self._mid(order.symbol)
        if not mid or not look.px:
            return order, 0, 0, "the dealer has no price now"
        if (look.px - order.px) * sign > 0:
            return order, 0, 0, f"the dealer's price was {px_text(look.px)}"
        if (mid - look.mid) * sign > dealer.tolerance_ticks * self._instruments[order.symbol].tick:
            return order, 0, 0, "last look: the market has moved"
        return order, look.px, min(order.order_qty, dealer.quote_qty), ""

    def _prices(self, venue: str, symbol: str, mid: int) -> tuple[int, int]:
        tick = self._instruments[symbol].tick
        away = self.venues[venue].half_spread_ticks * tick
        return mid // tick * tick - away, -(-mid // tick) * tick + away
