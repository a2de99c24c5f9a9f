"""LIQUIDITY: the dark has it alone first, lit does only what it must, and nobody sees more of us than the cap allows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from algoserver.core.algos import liquidity
from algoserver.core.algos.liquidity import ALONE_PPM
from algoserver.core.algos.schedule import Window, planned
from algoserver.core.orders import leaves_qty
from algoserver.domain.commands import SendChild
from algoserver.domain.types import PPM_ONE, SECOND, OrdType, Strategy
from tests.core.algos.test_schedule import _work_through, assert_within_a_tenth
from tests.core.day import HOURS, OPEN_TS, Day, policy_loaded
from tests.core.test_dark import KINDS, dark, lit, played


def seek(minutes: int = 20, qty: int = 20_000, max_pct_vol: int = PPM_ONE, **more: int) -> Day:
    """P1 by LIQUIDITY; the market trades at once so much that the cap leaves it room."""
    day = Day(policy_loaded(venues=KINDS))
    day.up("XDARK1")
    day.quote()
    day.parent("P1", qty, Strategy.LIQUIDITY, minutes=minutes, max_pct_vol=max_pct_vol, **more)
    return day


@given(st.integers(1, 10**9), st.sampled_from(ALONE_PPM), st.integers(1, 10_000))
def test_a_plan_waits_and_then_does_everything(order_qty: int, alone_ppm: int, seconds: int):
    """Nothing while the dark is alone, all at the end, half of it half way between."""
    window = Window(OPEN_TS, OPEN_TS + seconds * SECOND, (), HOURS, alone_ppm=alone_ppm)
    schedule = liquidity.plan(order_qty, window)
    joins = OPEN_TS + seconds * SECOND * alone_ppm // PPM_ONE
    assert planned(schedule, joins) == 0
    assert abs(planned(schedule, (joins + window.end_ts) // 2) - order_qty // 2) <= 1
    assert planned(schedule, window.end_ts) == order_qty
    assert sorted(set(schedule.moments)) == list(schedule.moments)


@pytest.mark.parametrize("urgency", [1, 2, 3, 4, 5])
def test_urgency_says_when_lit_joins_in(urgency: int):
    """All of it rests in the dark until then; from then on lit works, and at the end all is done."""
    day = seek(urgency=urgency)
    played(day, 1)
    alone = 20 * 60 * ALONE_PPM[urgency - 1] // PPM_ONE
    played(day, max(0, alone - 66))  # a slice looks a minute ahead
    if alone:
        assert lit(day) == []
        assert day.order().order.cum_qty == 0
        assert [c.order_qty for c in dark(day)] == [16_000, 4_000]  # the cap had room for a part at first
    played(day, 20 * 60 - max(1, alone - 65) - 5)
    assert day.order().order.cum_qty == 20_000


def test_what_the_dark_has_done_lit_need_not_do():
    """Half of it filled in the dark: lit begins when its plan has caught up with that."""
    day = seek()
    played(day, 5)
    day.fill(dark(day)[0], 10_000)
    played(day, 14 * 60)  # the plan joins after ten minutes and is at 8,000 now
    assert lit(day) == []
    assert day.order().order.cum_qty == 10_000
    played(day, 5 * 60 + 50)
    assert day.order().order.cum_qty == 20_000


def test_min_pct_vol_makes_lit_work_before_its_time():
    """A floor of 1 % of 20,000 a second, which the dark alone does not bring."""
    day = seek(min_pct_vol=10_000, qty=40_000)
    played(day, 100)
    assert 100 * 200 - 400 <= day.order().order.cum_qty <= 100 * 200 + 400
    assert {c.venue for c in day.sent() if day.child(c).order.cum_qty} == {"XLIT1", "XLIT2"}
    assert leaves_qty(day.order().order) - sum(leaves_qty(day.child(c).order) for c in dark(day)) < 2_000


def test_dark_pct_of_nothing_is_lit_alone():
    """0 is said and not left out: its plan for lit, and no child in the dark."""
    day = seek(dark_pct=0)
    played(day, 19 * 60 + 55)
    assert {c.ord_type for c in day.sent()} == {OrdType.LIMIT}
    assert day.order().order.cum_qty == 20_000


@pytest.mark.parametrize("volume", [[500], [0] * 200 + [20_000], [3_000] * 120 + [10] * 300], ids=["steady", "bursts", "dries up"])
def test_participation_is_within_the_cap_with_every_dark_fill(volume: list[int]):
    """Every child fills at once, wherever it is: since the start and over every five minutes ours is at most 10 % of the market's."""
    day = seek(minutes=30, qty=40_000, max_pct_vol=100_000)
    rows = _work_through(day, 30, volume)
    hidden = {c.child_id for c in day.commands if isinstance(c, SendChild) and c.ord_type is OrdType.PEGGED}
    assert sum(day.state.children[c].order.cum_qty for c in hidden) > rows[-1][2] / 3
    assert_within_a_tenth(rows)


def test_its_sentence_says_when_lit_joins():
    """The plan at accept."""
    text = seek(minutes=20).reports()[0].text
    assert text.startswith("LIQUIDITY: BUY 20000 AAPL ")
    assert "up to 100 % of the remainder in the dark, lit from 13:40:00, at most 100 % of volume, then CANCEL." in text
