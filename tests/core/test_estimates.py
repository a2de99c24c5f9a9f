"""What an order is told of its cost before it trades: read from a table, in whole numbers, by the model that made it."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from algoserver.core.engine import step
from algoserver.core.estimates import NEVER, SURE, Volume, basis_points, completion, look_up, percent
from algoserver.core.state import State, dump, load
from algoserver.domain.commands import ReportParent
from algoserver.domain.events import ForecastReady
from algoserver.domain.types import ExecType, OrdType, Side, Strategy, TimeInForce
from algoserver.learn.cost import PUBLISHED_MODEL, CostModel, Terms
from algoserver.learn.tables import SIZES, SPANS, cost_table
from tests.core.day import AAPL, FLAT_26, Day
from tests.core.test_amend import amend

MODEL = CostModel(np.array([0.5, 0.8, 0.2, 0.4]), z10=-1.2, z90=1.3, version="m1")
TABLE = cost_table(MODEL, AAPL.volatility_ppm / 1e6)
BIN = AAPL.adv // 26


def _day(**changes: object) -> Day:
    """AAPL at 200.00 to 200.02, with a forecast of an average day that knows what trading costs."""
    day = Day()
    day.quote()
    known = {
        "symbol": "AAPL", "date": "2019-06-28", "model": "m1", "curve": FLAT_26, "trained_through": "2019-06-27", "volume": (BIN,) * 26,
        "volume_p10": (BIN // 2,) * 26, "volume_p90": (2 * BIN,) * 26, "costs": TABLE,
    }  # fmt: skip
    day.feed(ForecastReady(**{**known, **changes}))
    return day


def _text(day: Day, qty: int, strategy: int = Strategy.VWAP, **more: object) -> str:
    """Text of the New report."""
    (new,) = (c for c in day.parent("P1", qty, strategy, **more) if isinstance(c, ReportParent) and c.exec_type is ExecType.NEW)
    return new.text


def _said(text: str) -> list[float]:
    """Cost, P10, P90, share of the volume, chance to complete."""
    words = text.partition("Expected cost ")[2].translate(str.maketrans(",()", "   ")).split()
    return [float(words[i]) for i in (0, 3, 5, 6, 11)]


def test_a_new_order_is_told_its_cost_in_text():
    """115,384 shares over an hour: a tenth of the expected volume, of which the cap of a quarter lets it have enough even in a poor day."""
    text = _text(_day(), BIN * 4 // 10, minutes=60)
    cost = MODEL.cost(Terms(BIN * 0.4 / AAPL.adv, 4 / 26, np.full(20, 0.05), 0.02, 0.01 / 200.01, 0.0))

    assert text.startswith("VWAP: BUY 461538 AAPL")
    assert text.endswith(" % to complete (model m1).")
    assert _said(text)[:3] == pytest.approx([1e4 * cost.expected, 1e4 * cost.p10, 1e4 * cost.p90], rel=0.03)
    assert _said(text)[3:] == pytest.approx([10.0, 92.0], abs=3)


def test_an_urgent_is_is_told_which_urgency_has_the_least_bad_case():
    """The number is one of five, and it is the one whose P90 is least when each is asked."""
    texts = [_text(_day(), 600_000, Strategy.IS, minutes=390, urgency=u) for u in range(1, 6)]
    best = {text.partition("best Urgency ")[2][0] for text in texts}
    bad = [_said(text)[2] for text in texts]

    assert best == {str(1 + bad.index(min(bad)))}
    assert bad != sorted(bad)


def test_a_seller_and_an_impatient_one_pay_as_the_table_says():
    """A sale costs what a buy costs; POV's window ends when it is done; an IOC has no plan that could be costed."""
    buy, sale = _text(_day(), 100_000, minutes=60), _text(_day(), 100_000, minutes=60, side=Side.SELL)
    assert _said(buy) == _said(sale)
    assert _said(_text(_day(), 100_000, Strategy.POV, minutes=300, target_pct_vol=100_000))[3] == pytest.approx(10)
    once = _text(_day(), 100_000, time_in_force=TimeInForce.IOC, ord_type=OrdType.LIMIT, price=20_002_000_000)
    assert "Expected" not in once


@pytest.mark.parametrize("changes", [{"costs": None}, {"volume": (0,) * 26, "volume_p10": (0,) * 26, "volume_p90": (0,) * 26}])
def test_where_nobody_knows_nothing_is_said(changes: dict):
    """No model, or no volume expected."""
    assert "Expected" not in _text(_day(**changes), 1_000)


def test_what_an_amended_order_is_told_is_its_plan_alone_and_a_replay_is_the_same():
    """The New report foresees, the Replaced one does not; the state with a table in it is written, read back and made again from its events."""
    day = _day()
    assert "Expected cost" in _text(day, 10_000)
    (replaced,) = (c for c in amend(day, order_qty=20_000) if isinstance(c, ReportParent) and c.exec_type is ExecType.REPLACED)
    assert (replaced.text.startswith("VWAP: BUY 20000 AAPL"), "Expected" in replaced.text) == (True, False)
    again = State()
    for event in day.fed:
        step(again, msgspec.json.decode(msgspec.json.encode(event), type=type(event)))
    assert dump(again) == dump(day.state) == dump(load(dump(day.state)))


@given(st.integers(SIZES[0], SIZES[-1]), st.integers(SPANS[0], SPANS[-1]), st.integers(0, 300_000_000))
def test_the_table_is_the_model_s_within_six_per_cent(size: int, span: int, haste: int):
    """Whole numbers between nodes against the formula, for an even plan; and a hastier one never costs less than an even one."""
    even = Terms(size / 1e9, span / 1e9, np.full(20, 0.05), 0.02, 0.0, 0.5)
    cost, p10, p90 = look_up(TABLE, size, span, 0, 0)

    assert cost == pytest.approx(1e8 * MODEL.expected(even), rel=0.06)
    assert p10 < cost < p90
    assert look_up(TABLE, size, span, haste, 0)[0] >= cost - 2


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_more_is_never_likelier_to_be_done(first: int, second: int):
    """Nine of ten at P10, half at P50, one of ten at P90, and never quite sure."""
    volume = Volume(p50=1_000, p10=600, p90=1_800)
    low, high = sorted((first, second))

    assert SURE >= completion(low, volume) >= completion(high, volume) >= NEVER
    assert [completion(x, volume) for x in (600, 1_000, 1_800)] == [900_000, 500_000, 100_000]


def test_numbers_are_said_to_a_tenth():
    assert [basis_points(x) for x in (0, 499, 500, -499, -123_456, 999_999)] == ["0.0", "0.0", "0.1", "0.0", "-12.3", "100.0"]
    assert [percent(x) for x in (0, 100_000, 123_456)] == ["0", "10", "12.3"]


def test_the_published_table_is_made_for_any_volatility():
    assert cost_table(PUBLISHED_MODEL, 0.01).model == "published"
