"""A quantity in time, against the list of everything that was added."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from algoserver.core.tally import SECONDS_KEPT, Tally
from algoserver.domain.types import SECOND


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.lists(st.tuples(st.integers(0, 3 * SECOND), st.integers(-50, 500)), max_size=60), st.integers(0, 300), st.booleans()
)  # fmt: skip
def test_since_is_what_came_in_the_seconds_after(steps: list[tuple[int, int]], back: int, include_second: bool):
    """By whole seconds: the second of the moment itself counts only if asked for."""
    tally, added, ts = Tally(), [], 1_000 * SECOND
    for wait, quantity in steps:
        ts += wait
        tally.add(ts, quantity)
        added.append((ts, quantity))
    since = ts - back * SECOND
    edge = since // SECOND
    expected = sum(q for at, q in added if at // SECOND > edge or (include_second and at // SECOND == edge))
    assert tally.since(since, include_second) == expected
    assert tally.since_each(ts, (0, back), include_second) == [tally.since(ts, include_second), expected]
    assert tally.total == sum(q for _, q in added)


@pytest.mark.parametrize("seconds", [SECONDS_KEPT, 5 * SECONDS_KEPT])
def test_it_forgets_what_nobody_asks_for(seconds: int):
    """Memory is bounded, and the longest window that is asked for is exact after any number of seconds."""
    tally = Tally()
    for second in range(seconds):
        tally.add(second * SECOND, 1)
    assert len(tally.seconds) <= 2 * SECONDS_KEPT
    assert tally.since((seconds - 1 - 300) * SECOND, include_second=False) == 300
