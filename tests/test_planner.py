"""Requests for plans are answered on a thread of their own, each, whatever becomes of the one before."""

import queue
from itertools import pairwise

import msgspec

from algoserver.dispatch import Dispatcher
from algoserver.domain.commands import RequestPlan
from algoserver.domain.model_events import PlanReady
from algoserver.learn.cost import PUBLISHED_MODEL
from algoserver.planner import Planner, plan

ASKED = RequestPlan(
    parent_id="P-1", symbol="AAPL", qty=300_000, moments=tuple(range(0, 3_100, 100)), volume=6_000_000, adv=30_000_000, volatility_ppm=20_000,
    day_value=6_000_000_000 * 10**8, aversion_e9=300, cap_ppm=250_000,
)  # fmt: skip


def test_each_request_that_leaves_the_core_is_answered():
    """Through the dispatcher to the planner and back; one that can't be planned, and then one that can."""
    said: queue.SimpleQueue[PlanReady] = queue.SimpleQueue()
    planner = Planner(lambda: PUBLISHED_MODEL, said.put)
    dispatcher = Dispatcher({}, lambda request: None, plan=planner.ask)
    impossible = msgspec.structs.replace(ASKED, parent_id="P-2", volume=0)
    for seq, request in enumerate((ASKED, impossible, ASKED), 1):
        dispatcher.dispatch(seq, seq, request)
    first, second, third = (said.get(timeout=60) for _ in range(3))
    planner.stop()

    assert first == third == plan(PUBLISHED_MODEL, ASKED)
    assert (first.totals[0], first.totals[-1], len(first.totals)) == (0, 300_000, len(ASKED.moments))
    assert first.totals[15] > 150_000  # who is averse to risk trades early
    assert (second.parent_id, second.totals, second.text.startswith("no volume")) == ("P-2", (), True)


def test_a_model_that_fails_costs_its_plan_and_not_the_next():
    """Its mistake is of no kind that was foreseen; the answer says what it was, and the thread goes on."""
    said: queue.SimpleQueue[PlanReady] = queue.SimpleQueue()
    models = iter([lambda: 1 // 0, lambda: PUBLISHED_MODEL])
    planner = Planner(lambda: next(models)(), said.put)
    planner.ask(ASKED)
    planner.ask(ASKED)
    first, second = said.get(timeout=60), said.get(timeout=60)
    planner.stop()

    assert (first.parent_id, first.qty, first.totals, first.text.startswith("ZeroDivisionError")) == ("P-1", 300_000, (), True)
    assert second == plan(PUBLISHED_MODEL, ASKED)


def test_the_plan_keeps_the_cap_where_it_can_and_is_nearly_even_where_it_can_not():
    """A fifth of the volume is wanted where a quarter is allowed, however averse; then a half."""
    hurried = plan(PUBLISHED_MODEL, msgspec.structs.replace(ASKED, aversion_e9=10**6, qty=1_200_000))
    assert max(b - a for a, b in pairwise(hurried.totals)) <= 50_001
    large = plan(PUBLISHED_MODEL, msgspec.structs.replace(ASKED, aversion_e9=10**6, qty=3_000_000))
    assert max(b - a for a, b in pairwise(large.totals)) <= 102_001
