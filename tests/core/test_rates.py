"""Windows that slide: what leaves in any of them, wherever it begins."""

import random

import msgspec
import pytest

from algoserver.core.rates import Count, count, note, recent
from algoserver.domain.types import MINUTE, SECOND


@pytest.mark.parametrize("seed", range(20))
def test_control_6_no_window_has_more_wherever_it_begins(seed: int):
    """Whoever sends whenever he may: at most 7 in each minute there is, and no less than in a minute and a second."""
    rng, counts = random.Random(seed), dict[str, Count]()
    sent: list[int] = []
    ts = rng.randrange(10**18)
    for _ in range(2_000):
        ts += rng.choice((1, SECOND // 3, SECOND, 7 * SECOND, 55 * SECOND))
        found = count(counts, "A", MINUTE, ts)
        assert found.times == recent(found, MINUTE, ts) == sum(found.parts)
        if found.times < 7:
            note(found)
            sent.append(ts)
        else:
            assert sum(t > ts - MINUTE - SECOND for t in sent) >= 7, "refused without need"
    for first in sent:
        assert sum(first <= t < first + MINUTE for t in sent) <= 7


def test_what_was_just_before_a_window_ended_counts_in_the_next_one():
    """A window that ran on and began anew let twice as many out around its end."""
    counts: dict[str, Count] = {}
    for ts in (0, 59 * SECOND, 59 * SECOND + 1):
        note(count(counts, "A", MINUTE, ts))
    assert count(counts, "A", MINUTE, 61 * SECOND).times == 2


def test_another_window_forgets_nothing_that_was_counted():
    """By the policy of now: what was counted in slots of another width counts as of the last of them."""
    counts: dict[str, Count] = {}
    for ts in (0, 30 * SECOND):
        note(count(counts, "A", MINUTE, ts))
    assert count(counts, "A", 10 * SECOND, 40 * SECOND).times == 2
    assert count(counts, "A", 10 * SECOND, 42 * SECOND).times == 0
    again = msgspec.json.decode(msgspec.json.encode(counts), type=dict[str, Count])
    assert again == counts
