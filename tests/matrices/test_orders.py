"""The published scenarios, played to orders.py alone."""

import pytest

from algoserver.core import orders
from algoserver.core.orders import Order, leaves_qty, ord_status
from algoserver.domain.types import PX_ONE, OrdStatus
from tests.matrices.scenario import NEW, Scenario, Step
from tests.matrices.tables import SCENARIOS

WITHOUT_AN_ORDER = {"B.1.f", "G.1.a"}


@pytest.mark.parametrize("scenario", [s for s in SCENARIOS.values() if s.id not in WITHOUT_AN_ORDER], ids=lambda s: s.id)
def test_an_order_goes_through_the_published_states(scenario: Scenario):
    """After each line OrdStatus, CumQty and LeavesQty are those of the table."""
    order = Order(order_qty=scenario.order_qty)
    for i, step in enumerate(scenario.steps):
        if step.act in ("resendY", "statusY"):
            continue  # of another order
        _play(order, step, f"E{i}", list(order.fills)[:1])
        if step.ord_status is not None:
            assert (ord_status(order), order.cum_qty, leaves_qty(order)) == (step.ord_status, step.cum_qty, step.leaves_qty), step.line


def _play(order: Order, step: Step, exec_id: str, first: list[str]) -> None:
    if step.act in (*NEW, "accept"):
        if step.ord_status is OrdStatus.REJECTED:
            orders.on_ended(order, OrdStatus.REJECTED)
        elif step.ord_status is not None:
            orders.on_accepted(order)
    elif step.act == "trade":
        assert orders.on_fill(order, exec_id, 50 * PX_ONE, step.number)
    elif step.act == "cancel":
        orders.on_cancel_requested(order)
    elif step.act == "refuse":
        orders.on_cancel_rejected(order)
    elif step.act == "canceled":
        orders.on_ended(order, OrdStatus.CANCELED)
    elif step.act == "done":
        orders.on_ended(order, OrdStatus.DONE_FOR_DAY)
    elif step.act == "replace":
        orders.on_replace_requested(order)
    elif step.act in ("replaced", "restated"):
        orders.on_replaced(order, step.number)
    elif step.act == "irreplaced":
        orders.on_replace_rejected(order)
    elif step.act == "bust":
        assert orders.on_bust(order, exec_id, first[0])
    elif step.act == "correct":
        assert orders.on_correct(order, exec_id, first[0], 50 * PX_ONE, step.number)
    else:
        assert step.act in ("again", "resend", "status", "misreplace", "phoned", "halted", "resumed")
