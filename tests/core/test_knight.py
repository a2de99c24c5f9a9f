"""Knight Capital, 2012-08-01, by name: an algo that sends again what is filled already, at full speed, on 150 symbols.

What stops it is stated from the policy alone, and met exactly: the gate keeps its own books and believes no algo.
"""

from typing import Any

import msgspec
import pytest

from algoserver.core import working
from algoserver.core.placement import Placement
from algoserver.domain import commands, events
from algoserver.domain.policy import InstrumentSetup
from algoserver.domain.types import PX_ONE, SECOND
from tests.core.day import AAPL, POLICY, Day, policy_loaded

SYMBOLS = [f"K{n:03d}" for n in range(150)]
CHILD_QTY, PX = 100, 200 * PX_ONE
GREEDY = Placement((), CHILD_QTY, PX)


@pytest.mark.parametrize(
    ("order_qty", "limits", "children_max", "stopped"),
    [
        # The order itself: 1,050 are ten children, whatever the algo believes is left. 50 refusals in a row stop the algo.
        (1_050, {"rejects_max": 50}, 150 * 10, ["algo:TWAP"]),
        # Orders without end: as many children of the algo in a symbol as the policy lets one repeat itself.
        (1_000_000, {"repeats_max": 7}, 150 * 7, [f"algo:TWAP@{s}" for s in SYMBOLS]),
        # The firm's money: a child is worth 20,000.
        (1_000_000, {"gross_value_max": 10_000_000 * PX_ONE}, 500, ["firm"]),
        (1_000_000, {"net_value_max": 6_000_000 * PX_ONE}, 300, ["firm"]),
    ],
    ids=["conservation", "repeats", "gross", "net"],
)
def test_knight_a_runaway_algo_on_150_symbols_is_stopped(
    monkeypatch: pytest.MonkeyPatch, order_qty: int, limits: dict[str, Any], children_max: int, stopped: list[str]
):
    """No more children than the policy says, an alert for each scope that is stopped, and nothing after it; all within a market second."""
    policy = msgspec.structs.replace(POLICY, venue_messages_per_second_max=10**6, parents_per_second_max=10**6)
    instruments = tuple(InstrumentSetup(msgspec.structs.replace(AAPL, symbol=s)) for s in SYMBOLS)
    day = Day(policy_loaded(policy=policy, instruments=instruments))
    began = day.now
    for n, symbol in enumerate(SYMBOLS):
        day.quote(symbol=symbol, size=10**6)
        day.parent(f"P{n}", order_qty, symbol=symbol, max_pct_vol=1_000_000)
    day.feed(policy_loaded(policy=msgspec.structs.replace(policy, **limits), instruments=instruments))
    monkeypatch.setattr(working.placement, "place", lambda *_: GREEDY)  # whatever is out and done
    day.now = began + 2 * SECOND
    began = day.now
    day.feed(events.Wakeup())
    waiting = day.sent()
    while waiting:  # a venue that fills everything at once: each fill is a turn, each turn a child
        child = waiting.pop()
        waiting += [c for c in day.fill(child, child.order_qty) if isinstance(c, commands.SendChild)]
    assert day.now - began < SECOND
    assert len(day.sent()) == children_max
    day.wait(5 * SECOND)
    codes = [(c.code, c.subject) for c in day.commands if isinstance(c, commands.RaiseAlert)]
    assert sorted(s for code, s in codes if code == "stopped_by_limit") == sorted(stopped) == sorted(day.state.gate.stops)
    assert all(("kill_verified", s) in codes for s in stopped)
    for _ in range(3):
        day.feed(events.Wakeup())
        day.wait(2 * SECOND)
    assert len(day.sent()) == children_max
