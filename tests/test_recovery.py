"""What a restart must not change under orders that are open."""

import msgspec

from algoserver.domain.policy import InstrumentSetup, Venue
from algoserver.recovery import unfit
from tests.core.books import COIN
from tests.core.day import AAPL, Day, policy_loaded


def test_open_orders_keep_their_venue_client_and_units():
    """A configuration without one of these is refused with what to keep; when the order is over, anything goes."""
    day = Day()
    child = day.resting()
    parent_id = day.order().parent_id
    cents = msgspec.structs.replace(AAPL, qty_decimals=2)
    cases = (
        (policy_loaded(), ["CLIENT1"], ""),
        (policy_loaded(instruments=(InstrumentSetup(COIN),)), ["CLIENT1"], ""),
        (policy_loaded(venues=(Venue("XLIT2"),)), ["CLIENT1"], f"venues: 'XLIT1' is missing, and child {child.child_id} is open there"),
        (policy_loaded(), ["CLIENT2"], f"clients: no session has TargetCompID 'CLIENT1', whose order {parent_id} is open"),
        (policy_loaded(instruments=(InstrumentSetup(cents),)), ["CLIENT1"], "instruments 'AAPL' qty_decimals"),
    )
    for setup, clients, said in cases:
        text = unfit(day.state, setup, clients)
        assert text.startswith(said)
        assert bool(text) == bool(said)
    day.cancel()
    day.canceled(child)
    assert [unfit(day.state, setup, clients) for setup, clients, _ in cases] == [""] * len(cases)
