"""What a restart must not change under orders that are open."""

import msgspec
import pytest

from algoserver.core.state import dump
from algoserver.domain.policy import InstrumentSetup, Venue
from algoserver.journal import Journal, write_snapshot
from algoserver.recovery import Diverged, recover, unfit
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


def test_a_snapshot_of_another_version_is_refused_in_words(tmp_path):
    """It lacks what this one's state has: whoever starts is told what to do, and nothing is written."""
    day = Day()
    day.resting(100)
    with Journal(tmp_path) as journal:
        for event in day.fed:
            journal.append_input(event)
    write_snapshot(tmp_path, day.state.seq, dump(day.state).replace(b'"key":"venue:', b'"at":"venue:'))
    before = sorted((p.name, p.read_bytes()) for p in tmp_path.iterdir())
    with pytest.raises(Diverged, match=r"another version .*an empty state directory"):
        recover(tmp_path, 0, day.state.seq)
    assert sorted((p.name, p.read_bytes()) for p in tmp_path.iterdir()) == before
