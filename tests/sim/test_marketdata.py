"""Subscriptions: prints are never lost nor merged, books at most once per interval and only if they changed."""

import pytest

from algoserver.domain.types import SECOND, Side
from algoserver.sim.codec import split
from algoserver.sim.exchange import Exchange
from algoserver.sim.marketdata import MarketData
from algoserver.sim.reports import TradePrint
from algoserver.sim.source import FOREVER
from tests.sim.street import T0, new, quiet, scenario

MS = 1_000_000
S = "FIX.4.4:XLIT1->ALGOMD"


def ask(text="262=m|263=1|264=5|265=0|267=3|269=0|269=1|269=2|146=1|55=AAPL"):
    return split(text.replace("|", "\x01"))


def desk(exchange):
    exchange.advance(T0)
    return MarketData(exchange, 100 * MS)


def readable(body):
    return body.replace("\x01", "|")


def test_a_snapshot_then_a_full_book_per_interval_when_it_changed():
    exchange = quiet()
    data = desk(exchange)
    assert [readable(b) for b in data.request(T0, S, "XLIT1", ask())] == ["35=W|262=m|55=AAPL|268=0|"]
    exchange.submit(T0, new("A", Side.BUY, 100, "50"))
    assert data.books(T0 + 99 * MS) == []
    assert [(s, readable(b)) for s, b in data.books(T0 + 100 * MS)] == [
        (S, "35=W|262=m|55=AAPL|268=1|269=0|270=50|271=100|272=20190628|273=13:30:00.100|")
    ]
    assert data.books(T0 + 200 * MS) == []


def test_incremental_updates_are_new_changed_and_deleted_levels():
    exchange = quiet()
    data = desk(exchange)
    exchange.submit(T0, new("A", Side.BUY, 100, "50"))
    exchange.submit(T0, new("B", Side.BUY, 100, "49"))
    data.request(T0, S, "XLIT1", ask("262=m|263=1|264=5|265=1|267=1|269=0|146=1|55=AAPL"))
    exchange.submit(T0, new("C", Side.BUY, 50, "49"))
    exchange.submit(T0, new("D", Side.BUY, 7, "48"))
    exchange.submit(T0, new("E", Side.SELL, 100, "50"))
    [(_, body)] = data.books(T0 + 100 * MS)
    assert readable(body) == (
        "35=X|262=m|268=3|279=2|269=0|55=AAPL|270=50|279=1|269=0|55=AAPL|270=49|271=150|279=0|269=0|55=AAPL|270=48|271=7|"
    )


def test_seed_5_every_trade_is_told_once_in_order():
    """Ten seconds of a real crowd: the entries are the prints, one for one."""
    exchange = Exchange(scenario(seed=5))
    data = desk(exchange)
    data.request(T0, S, "XLIT1", ask())
    expected, entries = [], []
    for step in range(1, 101):
        prints = [a for a in exchange.advance(T0 + step * SECOND // 10) if isinstance(a, TradePrint)]
        expected += [str(p.qty) for p in prints if p.venue == "XLIT1"]
        for _, body in data.prints(prints):
            fields = split(body)
            assert int(dict(fields)["268"]) == sum(t == "279" for t, _ in fields)
            entries += [v for t, v in fields if t == "271"]
    assert entries == expected
    assert len(expected) > 20


REFUSED = [
    ("262=m|263=1|264=5|265=0|269=0|55=NONE", "0"),
    ("262=m|263=1|264=5|265=0|269=0", "0"),
    ("262=m|263=7|264=5|265=0|269=0|55=AAPL", "4"),
    ("262=m|263=1|264=x|265=0|269=0|55=AAPL", "5"),
    ("262=m|263=1|264=5|265=7|269=0|55=AAPL", "6"),
    ("262=m|263=1|264=5|265=0|269=5|55=AAPL", "8"),
]


@pytest.mark.parametrize(("text", "reason"), REFUSED)
def test_a_bad_request_is_rejected_with_its_reason(text, reason):
    data = desk(quiet())
    [body] = data.request(T0, S, "XLIT1", ask(text))
    assert dict(split(body))["35"] == "Y"
    assert dict(split(body))["281"] == reason
    assert data.next_ts() == FOREVER


def test_snapshot_only_duplicate_unsubscribe_and_a_session_that_goes_down():
    data = desk(quiet())
    assert len(data.request(T0, S, "XLIT1", ask("262=m|263=0|264=1|269=0|55=AAPL"))) == 1
    assert data.next_ts() == FOREVER
    data.request(T0, S, "XLIT1", ask())
    assert "281=1" in readable(data.request(T0, S, "XLIT1", ask())[0])
    assert data.request(T0, S, "XLIT1", ask("262=m|263=2")) == []
    assert "35=Y" in data.request(T0, S, "XLIT1", ask("262=m|263=2"))[0]
    data.request(T0, S, "XLIT1", ask())
    data.drop(S)
    assert data.next_ts() == FOREVER
