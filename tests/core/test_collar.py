"""The collar's reference is the market of others: our own quotes do not move it, or we could walk it wherever we want."""

import pytest

from algoserver.core import market as markets
from algoserver.core import risk
from algoserver.core.bounds import bounds
from algoserver.domain.commands import SendChild
from algoserver.domain.types import PX_ONE, SECOND, OrdType, Side, Strategy, TimeInForce, px_text
from tests.core.day import AAPL, Day, policy_loaded

LIMITED = {"ord_type": OrdType.LIMIT}


def rests(day: Day, side: Side, price: int) -> SendChild:
    """An order of 1,000 whose only child rests at its limit, far from the market."""
    before = len(day.sent())
    day.quote()
    day.parent(f"P{before}", 1_000, side=side, price=price * PX_ONE, strategy=Strategy.ICEBERG, display_qty=1_000, max_pct_vol=1_000_000, **LIMITED)
    for _ in range(5):
        day.wait(15 * SECOND)
        day.quote()
        day.trade(20_000)
    day.wait(2 * SECOND)
    (child,) = day.sent()[before:]
    day.accept(child)
    assert (child.price, child.order_qty) == (price * PX_ONE, 1_000)
    return child


def refused(day: Day, side: Side, price: str) -> str:
    """What a limit order is refused by; "" if it is let in."""
    whole, _, cents = price.partition(".")
    out = day.parent(f"L{len(day.fed)}", 100, side=side, price=int(whole) * PX_ONE + int(cents or 0) * PX_ONE // 100, **LIMITED)
    (report,) = [c for c in out if type(c).__name__ == "ReportParent"]
    return report.text.partition(":")[0] if report.ord_status.name == "REJECTED" else ""


def reference(day: Day) -> str:
    """The price that collars are around."""
    return px_text(markets.mid(day.state.markets["AAPL"]))


@pytest.mark.parametrize(("side", "far", "dear"), [(Side.SELL, 230, "215.00"), (Side.BUY, 170, "185.00")])
def test_control_1_our_own_quotes_do_not_move_the_reference(side: Side, far: int, dear: str):
    """Others leave a side to an order of ours that rests far away: the other side may not go after it, however often it is quoted."""
    day = Day()
    child = rests(day, side, far)
    other = Side.BUY if side is Side.SELL else Side.SELL
    quoted = {"ask": f"{far}.00"} if side is Side.SELL else {"bid": f"{far}.00"}
    assert reference(day) == "200.01"
    for _ in range(5):  # no venue has more of that side than we
        day.quote(**quoted, size=1_000, venue=child.venue)
        day.quote(**({"ask": "0"} if side is Side.SELL else {"bid": "0"}), size=5_000, venue="XLIT1" if child.venue == "XLIT2" else "XLIT2")
    assert (reference(day), refused(day, other, dear)) == ("200.01", "price_collar")
    # When others stand there too, it is the market.
    day.quote(**quoted, size=1_001, venue=child.venue)
    assert reference(day) == ("215" if side is Side.SELL else "185.01")
    assert refused(day, other, dear) == ""


def test_control_1_the_reference_can_not_be_walked_step_by_step():
    """A child at the dearest price that the collar lets out leads the book, and is quoted; so the next, and the next: the first is the dearest."""
    day = Day()
    day.quote("190.00", "230.00")
    day.parent("W", 10_000, minutes=10)
    state, order_id = day.state, day.order("W").parent_id
    limits = bounds(policy_loaded(), "CLIENT1", "AAPL", 1001)
    prices = []
    for n in range(10):
        price = risk.dearest_px(limits, AAPL, Side.BUY, state.markets["AAPL"], 0, day.now)
        child = SendChild(
            child_id=f"{order_id}.w{n}", venue="XLIT1", symbol="AAPL", side=Side.BUY, order_qty=100, ord_type=OrdType.LIMIT, price=price,
            time_in_force=TimeInForce.DAY,
        )  # fmt: skip
        assert risk.check(state.gate, limits, state.instruments, state.venues_up, state.markets["AAPL"], child, day.now) is None
        day.quote(px_text(price), "230.00", size=sum(c == price for c in (*prices, price)) * 100, venue="XLIT1")
        prices.append(price)
    assert prices == [prices[0]] * 10
    assert prices[0] == 210 * PX_ONE * 105 // 100


def test_what_others_showed_last_stays_theirs_while_it_is_behind_ours():
    """Alone at the touch we hide what is behind us; a side that was never theirs is empty, and then the last trade counts."""
    market = markets.Market("AAPL")
    markets.on_quote(market, "A", markets.Quote(100, 5, 110, 5, 1))
    markets.on_quote(market, "A", markets.Quote(104, 3, 110, 5, 2), own_bid_qty=3)
    assert markets.reference(market) == (105, 2)
    markets.on_quote(market, "A", markets.Quote(104, 3, 108, 2, 3), own_bid_qty=3, own_ask_qty=2)
    assert markets.reference(market) == (105, 2)  # and nobody but us has confirmed it since
    markets.on_trade(market, 99, 5, 4)
    markets.on_quote(market, "A", markets.Quote(98, 3, 110, 5, 5), own_bid_qty=3)  # what they had at 100 is gone
    assert markets.reference(market) == (99, 4)
    alone = markets.Market("AAPL")
    markets.on_quote(alone, "A", markets.Quote(100, 3, 300, 3, 1), own_ask_qty=3)
    assert markets.reference(alone) == (0, 0)
    markets.on_trade(alone, 101, 5, 2)
    assert markets.reference(alone) == (101, 2)
