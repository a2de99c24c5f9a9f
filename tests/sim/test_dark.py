"""The dark venue: who meets whom, at which price and how much at least; and what it must leave alone."""

from dataclasses import dataclass, field

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from algoserver.domain.types import DAY, MINUTE, PX_ONE, SECOND, OrdType, Side, TimeInForce, px, utc
from algoserver.sim.book import Fill
from algoserver.sim.config import InstrumentConfig, Scenario, TapeConfig, VenueConfig
from algoserver.sim.dark import Crowd, DarkBook, Hidden
from algoserver.sim.exchange import Exchange
from algoserver.sim.reports import NewOrderSingle, OrderCancelReplaceRequest, Rejected, Trade, TradePrint
from algoserver.sim.tape import Diff, Tape
from algoserver.sim.volume import recorded_bins
from tests.sim.street import ADBE, ONE, T0, TWO, cancel, new, scenario, status, told

BUY, SELL = Side.BUY, Side.SELL
DARK = VenueConfig(name="XDARK1", kind="dark", hidden=0.2)
TICK = PX_ONE // 100


def pegged(cl_ord_id, side, order_qty, price=None, min_qty=0, tif=TimeInForce.DAY, client="ALGO", kind=NewOrderSingle, **more):
    """A mid-peg at XDARK1, with a limit where there is a price."""
    return kind(
        venue="XDARK1", client=client, cl_ord_id=cl_ord_id, symbol=more.pop("symbol", "AAPL"), side=side, order_qty=order_qty,
        ord_type=OrdType.PEGGED, px=px(price) if price else 0, tif=tif, min_qty=min_qty, **more,
    )  # fmt: skip


def quiet(minutes: int = 60) -> Exchange:
    """XLIT1 and XDARK1 without a crowd."""
    instrument = InstrumentConfig(symbol="AAPL", tick="0.01", tape=TapeConfig(file="none"))
    nothing = Tape(instrument.instrument(), [Diff(0, [], []), Diff(minutes * MINUTE, [], [])], "XLIT1", TapeConfig(file="none"))
    return Exchange(Scenario(seed=1, venues=[*ONE, DARK], instruments=[instrument]), sources={"AAPL": nothing})


@dataclass
class Street:
    """A quiet market quoted 50.00 to 50.03 at XLIT1 by a maker; every request is a millisecond after the last."""

    exchange: Exchange = field(default_factory=quiet)
    ts: int = T0
    seen: list = field(default_factory=list)

    def __post_init__(self):
        self.quote("50.00", "50.03")

    def quote(self, bid, ask):
        """The maker's best prices, behind which he stands from the start."""
        self.ask(new(f"bid{self.ts}", BUY, 100, bid, client="MAKER"))
        self.ask(new(f"ask{self.ts}", SELL, 100, ask, client="MAKER"))

    def ask(self, request):
        self.ts += 1_000_000
        answers = self.exchange.submit(self.ts, request)
        self.seen += answers
        return told(answers)

    def trades(self):
        """(client, price, quantity, liquidity) of all executions in the dark."""
        return [(t.client, t.last_px, t.last_qty, t.last_liquidity_ind) for t in self.seen if isinstance(t, Trade) and t.venue == "XDARK1"]


# ---- the book alone: any orders, any mid

ORDERS = st.tuples(
    st.sampled_from([1, -1]), st.sampled_from([0, 0, 98, 99, 100, 101]), st.integers(1, 12), st.integers(0, 12), st.booleans(), st.booleans()
)
ACTS = st.lists(st.one_of(ORDERS, st.sampled_from([0, 98, 99, 100]), st.tuples(st.just("cancel"), st.integers(0, 20))), max_size=40)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(ACTS)
def test_every_execution_keeps_its_promises(acts):
    """At the mid, within both limits, not less than MinQty, given once, never crowd with crowd; and nobody is left who could trade."""
    now = [100]
    book = DarkBook(lambda: now[0])
    orders: list[Hidden] = []
    size: dict[Hidden, int] = {}
    left: dict[Hidden, int] = {}

    def check(one: Hidden, fills: list[Fill]) -> None:
        for fill in fills:
            for order in (one, fill.order):
                assert fill.qty >= min(order.min_qty, left[order])
                assert fill.px == now[0] > 0
                assert not order.px or (fill.px - order.px) * order.sign <= 0
                left[order] -= fill.qty
            assert one.sign == -fill.order.sign
            assert one.owner or fill.order.owner

    for act in acts:
        if isinstance(act, int):
            now[0] = act
            for order, fills in book.meet():
                check(order, fills)
        elif act[0] == "cancel":
            resting = [o for o in orders if o.level is not None]
            if resting:
                order = resting[act[1] % len(resting)]
                assert book.cancel(order) == left[order]
                left[order] = 0
        else:
            sign, limit, qty, min_qty, is_client, is_ioc = act
            order = Hidden(sign, limit, qty, "client" if is_client else None, min(min_qty, qty) if is_client else 0)
            size[order] = left[order] = qty
            orders.append(order)
            check(order, book.enter(order, TimeInForce.IOC if is_ioc else TimeInForce.DAY))
            assert order.level is None or not is_ioc
            if is_ioc:
                left[order] = order.leaves
        assert all(o.leaves == left[o] for o in orders)
        resting = [o for o in orders if o.level is not None]
        for one in resting:
            for other in resting:
                if one.sign > 0 > other.sign and (one.owner or other.owner) and now[0]:
                    qty = min(one.leaves, other.leaves)
                    is_enough = all(qty >= min(o.min_qty, o.leaves) for o in (one, other))
                    assert not is_enough or any(o.px and (now[0] - o.px) * o.sign > 0 for o in (one, other)), "two who could trade rest"


# ---- orders of clients


def test_two_clients_meet_at_half_a_tick_and_it_is_printed():
    """The mid of 50.00 and 50.03 is 50.015; the one who came second removed. The trade is market data of the dark venue."""
    street = Street()
    assert street.ask(pegged("X", BUY, 1_000)) == ["New/NEW (X) 1000 0/1000"]
    assert street.exchange.book("XDARK1", "AAPL") == ((), ())
    street.ask(pegged("Y", SELL, 400, client="OTHER"))
    assert street.trades() == [("OTHER", px("50.015"), 400, 2), ("ALGO", px("50.015"), 400, 1)]
    assert [(p.venue, p.px, p.qty) for p in street.seen if isinstance(p, TradePrint)] == [("XDARK1", px("50.015"), 400)]
    assert street.ask(status("X", venue="XDARK1")) == ["OrderStatus/PARTIALLY_FILLED (X) 1000 400/600"]
    assert street.ask(cancel("C", "X", venue="XDARK1")) == ["Canceled/CANCELED (C,X) 1000 400/0"]


def test_an_execution_is_never_less_than_min_qty_but_for_the_tail():
    """300 is too small for MinQty 500 and passed over; 600 trades; the 400 that are left then take the 300."""
    street = Street()
    street.ask(pegged("X", BUY, 1_000, min_qty=500))
    street.ask(pegged("A", SELL, 300, client="OTHER"))
    assert street.trades() == []
    street.ask(pegged("B", SELL, 600, client="OTHER"))
    assert [t[2] for t in street.trades() if t[0] == "ALGO"] == [600]
    assert street.ask(status("X", venue="XDARK1")) == ["OrderStatus/PARTIALLY_FILLED (X) 1000 600/400"]
    street.ask(pegged("C", SELL, 300, client="OTHER"))
    assert [t[2] for t in street.trades() if t[0] == "ALGO"] == [600]
    street.ask(pegged("D", SELL, 450, client="OTHER"))
    assert [t[2] for t in street.trades() if t[0] == "ALGO"] == [600, 400]


def test_a_limit_waits_for_the_mid_to_come():
    """A buy at 50.01 does not trade at 50.015; when the ask falls to 50.01 the mid does too, and both had rested."""
    street = Street()
    street.ask(pegged("X", BUY, 100, price="50.01"))
    street.ask(pegged("Y", SELL, 100, client="OTHER"))
    assert street.trades() == []
    street.ask(new("tight", SELL, 100, "50.01", client="MAKER"))
    assert sorted(street.trades()) == [("ALGO", px("50.005"), 100, 1), ("OTHER", px("50.005"), 100, 1)]


def test_without_two_sides_of_a_lit_book_nothing_trades():
    """No mid, no trade; the orders wait."""
    street = Street()
    street.ask(new("gone", SELL, 100, "50.00", client="OTHER"))  # takes the only bid
    street.ask(pegged("X", BUY, 100))
    street.ask(pegged("Y", SELL, 100, client="OTHER"))
    assert street.trades() == []
    street.ask(new("back", BUY, 100, "49.99", client="MAKER"))
    assert {t[1] for t in street.trades()} == {px("50.01")}


def test_an_ioc_takes_what_is_there_and_is_canceled():
    """I.1.b in the dark."""
    street = Street()
    street.ask(pegged("Y", SELL, 300, client="OTHER"))
    assert street.ask(pegged("X", BUY, 1_000, tif=TimeInForce.IOC)) == [
        "New/NEW (X) 1000 0/1000", "Trade/PARTIALLY_FILLED (X) 1000 300/700", "Canceled/CANCELED (X) 1000 300/0",
    ]  # fmt: skip


@pytest.mark.parametrize(("change", "first"), [({"order_qty": 100}, "ALGO"), ({"order_qty": 300}, "THIRD"), ({"min_qty": 50}, "THIRD")])
def test_a_replace_keeps_its_place_only_downwards(change, first):
    """Less quantity stays in front; more, or another MinQty, stands at the end of the queue."""
    street = Street()
    street.ask(pegged("X", BUY, 200))
    street.ask(pegged("Z", BUY, 200, client="THIRD"))
    wish = {"order_qty": 200, "min_qty": 0, **change}
    assert street.ask(pegged("Y", BUY, kind=OrderCancelReplaceRequest, orig_cl_ord_id="X", **wish))[0].startswith("Replaced/NEW (Y,X)")
    street.ask(pegged("S", SELL, 60, client="OTHER"))
    assert street.trades()[1][0] == first


def test_a_replace_below_what_is_done_ends_it():
    """C.3.b in the dark, and C.1.c after it."""
    street = Street()
    street.ask(pegged("X", BUY, 200))
    street.ask(pegged("S", SELL, 100, client="OTHER"))
    down = pegged("Y", BUY, 100, kind=OrderCancelReplaceRequest, orig_cl_ord_id="X")
    assert street.ask(down) == ["Replaced/FILLED (Y,X) 100 100/0"]
    up = pegged("Z", BUY, 300, kind=OrderCancelReplaceRequest, orig_cl_ord_id="Y")
    assert street.ask(up) == ["CxlRej/FILLED (Z,Y) 0"]


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (new("X", BUY, 100, venue="XDARK1"), 11),
        (pegged("X", BUY, 100, tif=TimeInForce.FOK), 11),
        (pegged("X", BUY, 100, min_qty=101), 13),
        (pegged("X", BUY, 100, price="50.015"), 11),
        (pegged("X", BUY, 100, symbol="NONE"), 1),
        (msgspec.structs.replace(pegged("X", BUY, 100), venue="XLIT1", min_qty=50), 11),
        (new("X", BUY, 100, "50", min_qty=50), 11),
    ],
)
def test_what_a_venue_can_not_do_is_refused(request_, reason):
    """No market orders, FOK or odd MinQty in the dark; no MinQty for what rests on a lit book."""
    street = Street()
    street.ask(request_)
    (refused,) = [a for a in street.seen if isinstance(a, Rejected)]
    assert refused.ord_rej_reason == reason


def test_what_rests_in_the_dark_expires_at_the_close():
    """As on the lit venues."""
    exchange = quiet(minutes=10)
    exchange.submit(T0, pegged("X", BUY, 100))
    assert told(exchange.advance(T0 + 11 * MINUTE)) == ["Expired/EXPIRED (X) 100 0/0"]


# ---- the crowd


def hour(venues, *requests, seed=7):
    """Everything that an hour of ADBE and these orders at its beginning bring, from ten minutes after the open."""
    exchange = Exchange(scenario(flow=ADBE, venues=venues), seed)
    out = exchange.advance(T0)
    for request in requests:
        out += exchange.submit(T0 + 600 * SECOND, request)
    return out + exchange.advance(T0 + 70 * MINUTE)


def dark(answers):
    return [a for a in answers if a.venue == "XDARK1"]


def lit(answers):
    return [a for a in answers if a.venue != "XDARK1"]


def test_lit_books_do_not_know_of_the_dark():
    """The lit tape is the same whether a dark venue is there, whether orders rest there, and how many."""
    order = pegged("X", BUY, 50_000, symbol="ADBE")
    assert hour(TWO) == lit(hour([*TWO, DARK])) == lit(hour([*TWO, DARK], order))


def test_the_crowd_brings_its_share_of_the_recorded_volume():
    """Over ten days a fifth of it, half on each side; most orders are smaller than the mean, one in fifty is four times as large."""
    config = scenario(flow=ADBE)
    (entry,) = config.instruments
    crowd = Crowd(entry.instrument(), entry.flow, DARK, config.session, 7)
    crowd.start(T0)
    drawn = []
    while crowd.next_ts() < T0 + 10 * DAY:
        drawn.append(crowd.draw())
    sizes = [order.leaves for order, _ in filter(None, drawn)]
    volume = sum(recorded_bins("ADBE", ADBE.day))
    assert sum(sizes) == pytest.approx(0.2 * 10 * volume, rel=0.05)
    assert sum(order.leaves for order, _ in filter(None, drawn) if order.sign > 0) == pytest.approx(0.1 * 10 * volume, rel=0.1)
    assert sum(s < 360 for s in sizes) > 0.5 * len(sizes)
    assert sum(s > 4 * 360 for s in sizes) > 0.02 * len(sizes)


def test_the_crowd_trades_with_a_client_who_takes_it_all():
    """Each trade is printed at XDARK1, at the mid of its moment, some at half a tick; the same seed gives the same tape."""
    order = pegged("X", BUY, 10**6, symbol="ADBE")
    answers = hour([*TWO, DARK], order)
    prints = [a for a in dark(answers) if isinstance(a, TradePrint)]
    trades = [a for a in dark(answers) if isinstance(a, Trade)]
    assert [(p.px, p.qty) for p in prints] == [(t.last_px, t.last_qty) for t in trades]
    assert any(t.last_px % TICK for t in trades)
    assert hour([*TWO, DARK], order) == answers != hour([*TWO, DARK], order, seed=8)


def test_min_qty_matters():
    """MinQty of a mean order gets fewer and larger executions, none smaller; what another took is not there again."""
    small = [a for a in hour([*TWO, DARK], pegged("X", BUY, 10**6, symbol="ADBE")) if isinstance(a, Trade)]
    large = [a for a in hour([*TWO, DARK], pegged("X", BUY, 10**6, symbol="ADBE", min_qty=360)) if isinstance(a, Trade)]
    assert min(t.last_qty for t in large) >= 360
    assert 0 < len(large) < len(small) / 2
    both = hour([*TWO, DARK], pegged("X", BUY, 10**6, symbol="ADBE", min_qty=360), pegged("Y", BUY, 10**6, symbol="ADBE", client="OTHER"))
    assert sum(a.qty for a in dark(both) if isinstance(a, TradePrint)) == sum(t.last_qty for t in small)


def test_a_night_lies_between_two_days():
    """The crowd of the next day comes in its time, and nobody of the last is still there."""
    exchange = Exchange(scenario(flow=ADBE, venues=[*TWO, DARK]), 7)
    exchange.advance(utc("20190628-19:59:00"))
    exchange.advance(utc("20190629-13:00:00"))
    assert exchange.advance(utc("20190629-13:29:59")) == []
    answers = exchange.submit(utc("20190629-13:30:00"), pegged("X", BUY, 10**6, symbol="ADBE"))
    assert [type(a).__name__ for a in dark(answers)] == ["New"]
    assert any(isinstance(a, Trade) for a in exchange.advance(utc("20190629-13:50:00")))


def test_a_dark_venue_needs_a_scenario_that_it_fits():
    """Shares are of lit venues, and half a tick must be a price."""
    with pytest.raises(ValueError, match="no `share`"):
        VenueConfig(name="XDARK1", kind="dark", share=0.5)
    with pytest.raises(ValueError, match="positive `share`"):
        VenueConfig(name="XLIT1")
    with pytest.raises(ValueError, match="half ticks"):
        Scenario(seed=1, venues=[*ONE, DARK], instruments=[InstrumentConfig(symbol="A", tick="0.00000001", tape=TapeConfig(file="none"))])
