"""An order's terms hold wherever its window lies."""

from itertools import pairwise

from algoserver.core.algos.schedule import Window
from algoserver.domain.types import DAY, SECOND, utc
from algoserver.learn.terms import equal_volume
from tests.core.day import FLAT_26, policy_loaded


def test_a_window_of_the_year_9999_has_its_parts_too():
    """Its nanoseconds are more than an array's integers hold; a client may name it where the market is always open."""
    start_ts = utc("99991231-13:30:00")
    moments = equal_volume(Window(start_ts, start_ts + 3_600 * SECOND, FLAT_26, policy_loaded().hours), 20)
    assert (moments[0], moments[-1], len(moments)) == (start_ts, start_ts + 3_600 * SECOND, 21)
    assert all(abs(b - a - 180 * SECOND) <= SECOND for a, b in pairwise(moments))
    assert start_ts > 2**63 > DAY
