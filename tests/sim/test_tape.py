"""The recorded market: its book, and how clients trade in it without getting quantity twice."""

import gzip

import pytest

from algoserver.domain.types import SECOND, Side, px
from algoserver.recorded import TAPE
from algoserver.sim.config import InstrumentConfig, Scenario, TapeConfig
from algoserver.sim.exchange import Exchange
from algoserver.sim.reports import Trade, TradePrint
from algoserver.sim.source import FOREVER
from algoserver.sim.tape import BrokenTape, Diff, Print, Tape, read
from tests.sim.street import BTC, ONE, T0, new, told

BUY, SELL = Side.BUY, Side.SELL
MS = 1_000_000
UNIT = 100_000  # 1.0 BTC


def market(*events, repeat=False):
    """A market in BTCUSDT of these events: bids 100.00 x 5 and 99.99 x 5, asks 100.01 x 5 and 100.02 x 5 to begin with."""
    snapshot = Diff(0, [["100.00", "5"], ["99.99", "5"]], [["100.01", "5"], ["100.02", "5"]])
    tape = Tape(BTC, [e._replace(ts=e.ts * MS) for e in (snapshot, *events, Diff(3_600_000, [], []))], "XLIT1", TapeConfig(file="", repeat=repeat))
    entry = InstrumentConfig(symbol="BTCUSDT", tick="0.01", round_lot="1", lot="0.00001", qty_decimals=5, tape=TapeConfig(file="none"))
    exchange = Exchange(Scenario(seed=1, venues=ONE, instruments=[entry]), sources={"BTCUSDT": tape})
    exchange.advance(T0)
    return exchange


def order(name, side, units, price=None):
    return new(name, side, int(units * UNIT), price, symbol="BTCUSDT")


def side(exchange, at=0):
    return [(p / px("1"), q / UNIT) for p, q in exchange.book("XLIT1", "BTCUSDT")[at]]


def fills(answers):
    return [(a.cl_ord_id, a.last_qty / UNIT, a.last_px / px("1")) for a in answers if isinstance(a, Trade)]


def test_what_a_client_takes_is_gone_until_the_recording_adds_to_it():
    """Rule 3: unchanged, raised by 2, then lowered below what is left."""
    exchange = market(
        Diff(10, [], [["100.01", "5"]]), Diff(20, [], [["100.01", "7"]]), Diff(30, [], [["100.01", "6"]]), Diff(40, [], [["100.01", "2"]])
    )
    exchange.submit(T0 + 1, order("A", BUY, 4, "100.01"))
    assert side(exchange, 1)[0] == (100.01, 1)
    shown = []
    for ms in (10, 20, 30, 40):
        exchange.advance(T0 + ms * MS)
        shown.append(side(exchange, 1)[0][1])
    assert shown == [1, 3, 3, 2]


def test_two_clients_never_get_the_same_recorded_quantity():
    exchange = market()
    got = exchange.submit(T0 + 1, order("A", BUY, 4, "100.01")) + exchange.submit(T0 + 2, order("B", BUY, 4, "100.01"))
    assert fills(got) == [("A", 4, 100.01), ("B", 1, 100.01)]


def test_a_client_waits_behind_what_was_displayed_when_he_joined():
    """5 ahead: trades of 3 and 3 at the price fill the client with 1; what joins later stands behind him."""
    exchange = market(
        Diff(5, [["100.00", "9"]], []), Print(10, -1, "100.00", "3"), Print(20, -1, "100.00", "3"), Print(30, -1, "100.00", "1")
    )
    exchange.submit(T0 + 1, order("A", BUY, 2, "100.00"))
    assert fills(exchange.advance(T0 + 10 * MS)) == []
    assert fills(exchange.advance(T0 + 20 * MS)) == [("A", 1, 100)]
    assert fills(exchange.advance(T0 + 30 * MS)) == [("A", 1, 100)]


def test_a_better_price_is_hit_first_and_the_recorded_trade_is_printed_in_full():
    exchange = market(Print(10, 1, "100.02", "3"))
    exchange.submit(T0 + 1, order("A", SELL, 1, "100.01"))
    answers = exchange.advance(T0 + 10 * MS)
    # The recorded offers at 100.01 must be gone if somebody paid 100.02; the client's is not.
    assert fills(answers) == [("A", 1, 100.01)]
    assert [(p.px / px("1"), p.qty / UNIT) for p in answers if isinstance(p, TradePrint)] == [(100.01, 1), (100.02, 2)]
    assert side(exchange, 1) == [(100.02, 2)]


def test_a_recorded_trade_is_printed_though_a_client_took_what_it_met():
    exchange = market(Print(10, 1, "100.01", "5"))
    exchange.submit(T0 + 1, order("A", BUY, 5, "100.01"))
    prints = [p for p in exchange.advance(T0 + 10 * MS) if isinstance(p, TradePrint)]
    assert [(p.px, p.qty) for p in prints] == [(px("100.01"), 5 * UNIT)]


def test_a_recorded_quote_that_crosses_a_client_trades_with_him():
    """The market falls through the client's bid: he is filled at his price, the rest of the quote stays."""
    exchange = market(Diff(10, [["100.00", "0"], ["99.99", "0"]], [["99.98", "3"]]))
    exchange.submit(T0 + 1, order("A", BUY, 2, "99.99"))
    answers = exchange.advance(T0 + 10 * MS)
    assert fills(answers) == [("A", 2, 99.99)]
    assert side(exchange, 1)[0] == (99.98, 1)


def test_at_the_end_the_market_closes_or_begins_again():
    exchange = market()
    exchange.submit(T0 + 1, order("A", BUY, 1, "99"))
    assert told(exchange.advance(T0 + 3_600 * SECOND)) == [f"Expired/EXPIRED (A) {UNIT} 0/0"]
    assert exchange.next_ts() == FOREVER
    assert exchange.submit(T0 + 3_601 * SECOND, order("B", BUY, 1, "99"))[0].ord_rej_reason == 2

    again = market(repeat=True)
    again.submit(T0 + 1, order("A", BUY, 5, "100.01"))
    assert told(again.advance(T0 + 3_601 * SECOND)) == []
    assert side(again, 1)[0] == (100.01, 5)


def test_the_recording_opens_uncrossed_and_closes_with_its_volume():
    """All 345 s: never crossed, and the printed volume is that of the recorded trades."""
    config = Scenario(
        seed=1,
        venues=ONE,
        instruments=[
            InstrumentConfig(
                symbol="BTCUSDT", tick="0.01", lot="0.00001", round_lot="0.00001", qty_decimals=5, tape=TapeConfig(file=TAPE.name)
            )
        ],
    )
    exchange = Exchange(config)
    exchange.advance(T0)
    assert exchange.book("XLIT1", "BTCUSDT")[0][0] == (px("61837.63"), 378_826)
    volume = 0
    while exchange.next_ts() < FOREVER:
        volume += sum(p.qty for p in exchange.advance(exchange.next_ts()))
        bids, asks = exchange.book("XLIT1", "BTCUSDT")
        assert not (bids and asks) or bids[0][0] < asks[0][0]
    with gzip.open(TAPE) as lines:
        recorded = [e for e in read(lines) if isinstance(e, Print)]
    assert volume == sum(int(e.qty.replace(".", "")) // 1000 for e in recorded)


def test_a_gap_between_differences_is_refused():
    lines = [
        b'1 {"lastUpdateId":10,"bids":[],"asks":[]}',
        b'2 {"stream":"s","data":{"e":"depthUpdate","E":1,"U":9,"u":12,"b":[],"a":[]}}',
        b'3 {"stream":"s","data":{"e":"depthUpdate","E":2,"U":14,"u":15,"b":[],"a":[]}}',
    ]
    with pytest.raises(BrokenTape, match="12 and 14"):
        read(lines)
    with pytest.raises(BrokenTape, match="no snapshot"):
        read(lines[1:])
