"""Scripted halts: nothing trades, nothing new is taken, what rests is kept or canceled, and who asked is told."""

import msgspec
import pytest

from algoserver.domain.types import DAY, MINUTE, SECOND, Side
from algoserver.sim.codec import split
from algoserver.sim.config import HaltConfig, SessionHours
from algoserver.sim.exchange import Exchange
from algoserver.sim.halts import Halts
from algoserver.sim.marketdata import MarketData
from algoserver.sim.reports import Canceled, Expired, SecurityStatus, Trade, TradePrint
from algoserver.sim.source import FOREVER
from tests.sim.street import T0, cancel, new, replace, scenario, told

HALT_TS = T0 + MINUTE  # 13:31:00
END_TS = HALT_TS + 30 * SECOND
SESSION = "FIX.4.4:XLIT1->ALGOMD"


def halted(resting: str = "keep", begin: str = "13:31:00", hours: SessionHours | None = None) -> Exchange:
    """A crowd in AAPL with one halt of half a minute."""
    config = scenario(hours=hours) if hours else scenario()
    halt = HaltConfig(symbol="AAPL", begin=begin, seconds=30, resting=resting)
    return Exchange(msgspec.structs.replace(config, halts=[halt]))


def test_a_halt_comes_every_day_at_its_time():
    """Across midnight too; without halts there is no next moment."""
    halts = Halts([HaltConfig(symbol="AAPL", begin="23:59:30", seconds=60)])
    midnight = T0 - T0 % DAY
    assert halts.next_ts(midnight) == midnight + 30 * SECOND
    assert halts.next_ts(midnight + 30 * SECOND) == midnight + DAY - 30 * SECOND
    assert [bool(halts.at(midnight + s * SECOND)) for s in (0, 29, 30, 86_369, 86_370)] == [True, True, False, False, True]
    assert Halts([]).next_ts(T0) == FOREVER


def test_nothing_trades_in_a_halt_and_the_crowd_is_back_after_it():
    """Half a minute without a print and with empty books; the day's volume goes on from there."""
    exchange = halted()
    exchange.advance(T0)
    before = exchange.advance(HALT_TS - 1)
    assert any(isinstance(a, TradePrint) for a in before)
    out = exchange.advance(END_TS - 1)
    assert [a for a in out if not isinstance(a, SecurityStatus)] == []
    assert exchange.book("XLIT1", "AAPL") == exchange.book("XLIT2", "AAPL") == ((), ())
    out = exchange.advance(END_TS + MINUTE)
    assert out[:2] == [SecurityStatus(venue=v, symbol="AAPL", ts=END_TS, is_halted=False) for v in ("XLIT1", "XLIT2")]
    assert all(len(side) == 5 for side in exchange.book("XLIT1", "AAPL"))
    assert any(isinstance(a, TradePrint) for a in out)


def test_what_rests_is_kept_can_be_canceled_and_trades_when_the_crowd_is_back():
    """resting = "keep"; a new order is refused with 103=2, a replace with 102=99."""
    exchange = halted()
    exchange.advance(HALT_TS - 1)
    exchange.submit(HALT_TS - 1, new("A", Side.BUY, 100, "190"))
    # It takes the whole offer, and its rest bids above what the crowd will offer when it is back.
    exchange.submit(HALT_TS - 1, new("S", Side.BUY, 1_000_000, "198.50"))
    (refused,) = [a for a in exchange.submit(HALT_TS, new("B", Side.BUY, 100, "190")) if getattr(a, "cl_ord_id", "") == "B"]
    assert (refused.ord_rej_reason, refused.text) == (2, "trading in AAPL is halted")
    assert told(exchange.submit(HALT_TS + SECOND, replace("R", "A", 50, "190"))) == ["CxlRej/NEW (R,A) 99"]
    assert told(exchange.submit(HALT_TS + SECOND, cancel("C", "A"))) == ["Canceled/CANCELED (C,A) 100 0/0"]
    assert any(isinstance(a, Trade) and a.cl_ord_id == "S" for a in exchange.advance(END_TS))


def test_what_rests_is_canceled_where_the_halt_says_so():
    """378=6, at the moment of the halt."""
    exchange = halted("cancel")
    exchange.advance(T0 + SECOND)
    exchange.submit(T0 + SECOND, new("A", Side.BUY, 100, "100"))
    (ended,) = [a for a in exchange.advance(HALT_TS) if isinstance(a, Canceled)]
    assert (ended.cl_ord_id, ended.exec_restatement_reason, ended.text, ended.ts) == ("A", 6, "trading halt", HALT_TS)


def test_a_halt_over_the_close_ends_the_day_all_the_same():
    """Orders expire at the close; the next day opens as ever."""
    exchange = halted(begin="13:59:45", hours=SessionHours(open="13:30", close="14:00"))
    exchange.advance(T0)
    exchange.submit(T0 + SECOND, new("A", Side.BUY, 100, "100"))
    out = exchange.advance(T0 + 31 * MINUTE)
    assert [a.ts for a in out if isinstance(a, Expired)] == [T0 + 30 * MINUTE]
    assert not exchange.is_open("AAPL")
    exchange.advance(T0 + DAY + SECOND)
    assert exchange.book("XLIT1", "AAPL")[0]


def test_a_market_that_begins_in_a_halt_is_halted():
    """As a restarted simulator is."""
    exchange = halted()
    exchange.advance(HALT_TS + SECOND)
    assert exchange.is_halted("AAPL")
    exchange.advance(END_TS)
    assert len(exchange.book("XLIT1", "AAPL")[0]) == 5


def test_a_venue_as_a_whole_is_told_when_it_halts_and_goes_on():
    """g is answered by h; 263=1 hears of every change, once."""
    exchange = halted()
    exchange.advance(T0 + SECOND)
    data = MarketData(exchange, SECOND)
    assert [dict(split(b))["340"] for b in data.watch_session(SESSION, {"335": "g", "263": "1"})] == ["2"]
    told = []
    for ts in (HALT_TS - 1, HALT_TS, HALT_TS + SECOND, END_TS):
        exchange.advance(ts)
        told.append([dict(split(b))["340"] for _, b in data.sessions()])
    assert told == [[], ["1"], [], ["2"]]
    data.drop(SESSION)
    assert data.sessions() == []


@pytest.mark.parametrize(("kind", "told_later"), [("0", False), ("1", True), ("2", False)])
def test_who_asks_for_the_status_is_told_and_told_of_changes_if_he_wishes(kind, told_later):
    """e is answered by f; 263=1 hears of the halt and of its end, a session that is gone hears nothing."""
    exchange = halted()
    exchange.advance(T0 + SECOND)
    data = MarketData(exchange, SECOND)
    said = data.watch(T0 + SECOND, SESSION, "XLIT1", split(f"324=s\x0155=AAPL\x01263={kind}\x01"))
    assert [dict(split(b))["326"] for b in said] == ([] if kind == "2" else ["17"])
    changes = [a for a in exchange.advance(END_TS) if isinstance(a, SecurityStatus)]
    sent = data.statuses(changes)
    assert [(s, dict(split(b))["326"]) for s, b in sent] == ([(SESSION, "2"), (SESSION, "3")] if told_later else [])
    data.drop(SESSION)
    assert data.statuses(changes) == []
