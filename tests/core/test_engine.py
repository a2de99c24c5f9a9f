"""The machine as a whole: its clock, its memory, its cost; and what broke in others, by name."""

import os
import subprocess
import sys

import pytest

from algoserver.core import engine
from algoserver.core.engine import next_wakeup, step
from algoserver.core.orders import is_open, leaves_qty
from algoserver.core.state import State, dump, load
from algoserver.domain import events
from algoserver.domain.policy import InstrumentSetup
from algoserver.domain.types import MINUTE, PPM_ONE, PX_ONE, SECOND, ExecType, Instrument, Strategy
from tests.core.day import Day, policy_loaded


def _busy_day() -> Day:
    """A day with all that a state can hold: three algos, fills, a bust, a broken session, a pause, a cancel."""
    day = Day()
    child = day.resting()
    day.fill(child, 300, "E1")
    day.bust(child, "E1")
    for n, strategy in enumerate((Strategy.VWAP, Strategy.TWAP, Strategy.POV)):
        target = {"target_pct_vol": 100_000} if strategy is Strategy.POV else {}
        day.parent(f"Q{n}", 5_000, strategy, minutes=30, max_pct_vol=500_000, **target)
    for _ in range(30):
        day.trade(5_000)
        day.quote()
        day.wait(2 * SECOND)
        for c in day.sent()[::2]:
            if is_open(day.child(c).order):
                day.fill(c, max(1, leaves_qty(day.child(c).order) // 2))
    day.cancel("Q0", "C0")
    day.down("XLIT2", is_restart=True)
    return day


def test_events_come_in_order_and_time_goes_on():
    """seq counts by one, ts rises: anything else is our own error and stops the machine."""
    day = Day()
    for seq, ts in ((day.state.seq, day.now + 1), (day.state.seq + 2, day.now + 1), (day.state.seq + 1, day.now)):
        with pytest.raises(AssertionError):
            step(day.state, events.Wakeup(seq=seq, ts=ts))


def test_nothing_to_do_is_no_wakeup():
    """Without an order nothing is due; with one its first turn is."""
    day = Day()
    assert next_wakeup(day.state) is None
    day.quote()
    day.parent("P1")
    due = next_wakeup(day.state)
    assert due is not None
    assert day.now < due <= day.now + SECOND


def test_when_all_is_over_nothing_is_due():
    """The heap runs empty."""
    day = Day()
    child = day.resting()
    day.fill(child, 1_000)
    day.wait(10 * MINUTE)
    assert next_wakeup(day.state) is None


def test_prices_of_a_symbol_that_we_do_not_trade_are_nothing_to_us():
    """No entry, no alert."""
    day = Day()
    before = dump(day.state)
    day.feed(events.QuoteUpdated(venue="XLIT1", symbol="GE", bid_px=1, bid_qty=1, ask_px=2, ask_qty=1))
    day.feed(events.TradePrinted(venue="XLIT1", symbol="GE", last_px=1, last_qty=1))
    assert list(day.state.markets) == ["AAPL"]
    assert len(dump(day.state)) == len(before)


def test_a_quote_costs_no_turn_of_any_parent(monkeypatch: pytest.MonkeyPatch):
    """Cost follows what an event touches: a thousand quotes and prints between two due times work no parent at all."""
    day = Day()
    day.quote()
    for n in range(50):
        day.parent(f"P{n}", 1_000 + n, minutes=60)
    turns = []
    monkeypatch.setattr(engine, "work", lambda *args: turns.append(args))
    for _ in range(500):
        day.quote(venue="XLIT1")
        day.trade(1)
    assert turns == []


def test_the_heap_of_due_times_does_not_grow_with_time():
    """Wishes that were replaced are forgotten at their time."""
    day = Day()
    day.quote()
    day.parent("P1", 10_000, minutes=60)
    sizes = []
    for _ in range(20):
        day.trade(1_000)
        day.quote()
        day.wait(MINUTE)
        sizes.append(len(day.state.due))
    assert max(sizes) <= 5


# ---- the state is the events, and nothing else


def test_a_replay_gives_the_same_commands_and_the_same_bytes():
    """From nothing, and from a state that was written and read back after every event."""
    day = _busy_day()
    fresh, reread = State(), State()
    for event in day.fed:
        out = step(fresh, event)
        reread = load(dump(reread))
        assert step(reread, event) == out
    assert dump(fresh) == dump(reread) == dump(day.state)


def test_a_replay_is_the_same_under_any_hash_seed():
    """Nothing walks over a set."""
    code = (
        "import hashlib;from tests.core.test_engine import _busy_day;from algoserver.core.state import dump;"
        "d = _busy_day();print(hashlib.sha256(dump(d.state) + repr(d.commands).encode()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


def test_money_beyond_64_bits_is_remembered():
    """Three hundred coins of 1e-5 units at 10,000 are 3e19 units of money."""
    coin = Instrument(symbol="AAPL", tick=PX_ONE // 100, lot=1, round_lot=100, qty_decimals=5, adv=10**12)
    day = Day(policy_loaded(instruments=(InstrumentSetup(coin),)))
    day.quote(bid="9999.99", ask="10000.01", size=10**9)
    day.parent("P1", 300 * 10**5, minutes=1, completion="SOFT", max_pct_vol=PPM_ONE)
    day.wait(2 * MINUTE)
    day.quote(bid="9999.99", ask="10000.01", size=10**9)
    day.trade(10**10, "10000")
    day.wait(2 * SECOND)
    for child in day.sent():
        day.fill(child, child.order_qty)
    assert day.order().order.money > 2**64
    assert dump(load(dump(day.state))) == dump(day.state)


@pytest.mark.parametrize("changes", [{"end_ts": 253_402_300_799 * SECOND}, {"qty": 10**23}])
def test_a_wish_beyond_64_bits_is_remembered(changes: dict[str, int]):
    """EndTime in the year 9999 and a quantity of 23 digits are a client's right to ask."""
    day = Day()
    day.quote()
    day.parent("P1", **changes)
    assert dump(load(dump(day.state))) == dump(day.state)


# ---- what broke in others


def test_a_restart_neither_loses_nor_double_counts_a_fill():
    """Known before, sent again by the venue after the restart: once. Missed while we were dead: once."""
    day = Day()
    child = day.resting()
    day.fill(child, 300, "E1")
    day.state = load(dump(day.state))
    day.down("XLIT1", is_restart=True)
    day.up("XLIT1")
    day.fill(child, 300, "E1")
    day.fill(child, 200, "E2")
    day.status_of(child, cum=500)
    assert day.order().order.cum_qty == 500
    assert day.order().paused_by == ""


def test_a_stale_event_after_the_end_says_nothing():
    """An acknowledgement, an expiry, a reject and a refused cancel of a child that is over change and report nothing."""
    day = Day()
    child = day.resting()
    day.fill(child, 1_000)
    before = dump(day.state.__class__(**{f: getattr(day.state, f) for f in ("parents", "children", "gate", "works")}))
    assert [day.accept(child), day.canceled(child), day.rejected(child), day.cancel_rejected(child), day.replaced(child, 500)] == [[]] * 5
    assert dump(day.state.__class__(**{f: getattr(day.state, f) for f in ("parents", "children", "gate", "works")})) == before


def test_a_reconnect_does_not_make_a_second_order():
    """The child that was sent is the child that is asked about: no new id, no new order, until the venue has answered."""
    day = Day()
    child = day.resting()
    for _ in range(3):
        day.down("XLIT1")
        day.wait(2 * SECOND)
        day.up("XLIT1")
    assert day.sent() == [child]


def test_a_client_hears_one_end_and_no_more():
    """Filled or Canceled once, whatever is asked and told afterwards."""
    day = Day()
    child = day.resting()
    day.cancel()
    day.canceled(child)
    day.canceled(child)
    day.operator("cancel", day.order().parent_id)
    day.wait(MINUTE)
    assert [r.exec_type for r in day.reports()].count(ExecType.CANCELED) == 1
