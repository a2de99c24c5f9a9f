"""Stops that a limit makes while parents have their turns."""

import msgspec

from algoserver.domain.commands import CancelChild
from algoserver.domain.types import MINUTE, SECOND
from tests.core.day import POLICY, Day, policy_loaded


def test_a_limit_reached_in_one_parents_turn_takes_back_the_others_in_the_same_step():
    """P2's child is one too many of its algo: that stops, and P1, whose turn it was not, gives back what rests."""
    day = Day(policy_loaded(policy=msgspec.structs.replace(POLICY, repeats_max=1, repeats_window_ns=10 * MINUTE)))
    child = day.resting()
    day.accept(child)
    before = len(day.commands)

    day.parent("P2", 1_000, minutes=1, completion="SOFT", max_pct_vol=1_000_000)
    for _ in range(4):
        day.wait(MINUTE // 2)
        day.quote(venue="XLIT1")
        day.trade(20_000)
    day.wait(2 * SECOND)

    stopped = next(c for c in day.commands[before:] if getattr(c, "code", "") == "stopped_by_limit")
    taken = [c.child_id for c in day.commands[before:] if isinstance(c, CancelChild)]
    assert (stopped.subject, set(taken), day.state.touched) == ("algo:TWAP@AAPL", {child.child_id}, {})
