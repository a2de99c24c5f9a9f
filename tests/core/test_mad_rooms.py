"""Control 16: when a room of the core has gone mad, the gate holds and the firm's limits too."""

from typing import Any

import msgspec
import pytest

from algoserver.core import working
from algoserver.core.placement import Placement
from algoserver.core.router import Route
from algoserver.domain.commands import CancelChild, Command, RaiseAlert, SendChild
from algoserver.domain.events import Wakeup
from algoserver.domain.policy import InstrumentSetup
from algoserver.domain.types import PPM_ONE, PX_ONE, SECOND, OrdType, Side, TimeInForce
from tests.core.day import AAPL, POLICY, Day, policy_loaded

CENT = PX_ONE // 100


def _run(monkeypatch: pytest.MonkeyPatch, seconds: int = 10, **placed: Any) -> Day:
    """A day in which placement says the same mad thing at every turn."""
    day = Day()
    day.quote(size=10**6)
    day.parent("P1", 1_000, ord_type=OrdType.LIMIT, price=201 * PX_ONE, max_pct_vol=PPM_ONE)
    given = {"cancels": (), "quantity": 100, "price": 200 * PX_ONE, "time_in_force": TimeInForce.DAY} | placed
    monkeypatch.setattr(working.placement, "place", lambda *_: Placement(**given))
    for _ in range(seconds):
        day.trade(10_000)
        day.wait(SECOND)
    return day


@pytest.mark.parametrize(
    ("placed", "code"),
    [
        ({"price": 200 * PX_ONE + 1}, "wrong_tick"),
        ({"price": 201 * PX_ONE + CENT}, "beyond_limit"),
        ({"price": 10**15}, ""),
        ({"price": -PX_ONE}, "wrong_tick"),
        ({"price": 0}, "wrong_tick"),
    ],
    ids=lambda v: str(v),
)
def test_a_mad_price_never_leaves(monkeypatch: pytest.MonkeyPatch, placed: dict[str, Any], code: str):
    """The gate refuses, and after five refusals the parent waits for a person."""
    day = _run(monkeypatch, **placed)
    assert day.sent() == []
    assert not code or day.order().paused_by == "refusals"
    assert not code or day.alerts()[0] == f"gate_{code}"


def test_a_mad_quantity_never_exceeds_the_order(monkeypatch: pytest.MonkeyPatch):
    """A million of a thousand, ten times a second: what leaves is at most the order."""
    day = _run(monkeypatch, quantity=10**6)
    assert sum(c.order_qty for c in day.sent()) <= 1_000
    day = _run(monkeypatch, quantity=-100)
    assert day.sent() == []


def test_a_mad_number_of_children_stops_at_the_order_and_the_rate(monkeypatch: pytest.MonkeyPatch):
    """Ten thousand events in a second, one share each time: no more than the venue's rate, no more than the order."""
    day = Day(policy_loaded(policy=msgspec.structs.replace(POLICY, venue_messages_per_second_max=50)))
    day.quote(size=10**6)
    day.parent("P1", 1_000, max_pct_vol=PPM_ONE)
    monkeypatch.setattr(working.placement, "place", lambda *_: Placement((), 1, 200 * PX_ONE))
    start = day.now
    for _ in range(10_000):
        if day.order().paused_by:
            day.operator("resume", day.order().parent_id)
        else:
            day.state.touched[day.order().parent_id] = None
            day.feed(Wakeup())
    assert day.now - start < SECOND
    assert 0 < len(day.sent()) <= 100  # two venues


@pytest.mark.parametrize(("venue", "code"), [("XDARK", "venue_unusable"), ("XLIT2", "venue_unusable")])
def test_a_mad_venue_never_gets_a_child(monkeypatch: pytest.MonkeyPatch, venue: str, code: str):
    """One that is not configured, and one that is down."""
    monkeypatch.setattr(working.router, "rest", lambda *_: [Route(venue, 100, 200 * PX_ONE)])
    day = Day()
    day.down("XLIT2")
    day.quote()
    day.parent("P1", 1_000, max_pct_vol=PPM_ONE)
    day.trade(50_000)
    day.wait(10 * SECOND)
    assert day.sent() == []
    assert f"gate_{code}" in day.alerts()


@pytest.mark.parametrize(
    ("lie", "code"),
    [
        ({"symbol": "GE"}, "not_the_parents"),
        ({"side": Side.SELL}, "not_the_parents"),
        ({"ord_type": OrdType.MARKET, "price": 0}, "no_limit_price"),
        ({"child_id": "somebody.1"}, "no_parent"),
        ({"order_qty": 50_001}, "child_qty_max"),
    ],
    ids=lambda v: str(v),
)
def test_a_mad_child_never_leaves(monkeypatch: pytest.MonkeyPatch, lie: dict[str, Any], code: str):
    """Another symbol, the other side, no price, no parent, too large: refused by the gate, which shares nothing with the algo."""
    monkeypatch.setattr(working, "SendChild", lambda **fields: SendChild(**fields | lie))
    day = Day(policy_loaded(instruments=(InstrumentSetup(AAPL), InstrumentSetup(msgspec.structs.replace(AAPL, symbol="GE")))))
    day.quote()
    day.parent("P1", 1_000, max_pct_vol=PPM_ONE)
    day.trade(50_000)
    day.wait(3 * SECOND)
    assert day.sent() == []
    assert f"gate_{code}" in day.alerts()


def test_a_mad_cancel_harms_nobody(monkeypatch: pytest.MonkeyPatch):
    """Reducing always passes: children may be canceled, at worst all of them."""
    day = Day()
    child = day.resting()
    monkeypatch.setattr(working.placement, "place", lambda *_: Placement((child.child_id,)))
    out: list[Command] = day.wait(2 * SECOND)
    assert {type(c) for c in out} <= {CancelChild, RaiseAlert}
