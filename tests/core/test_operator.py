"""A person's commands: the gate first, then the children, then the word that none is left."""

from algoserver.core.orders import is_open
from algoserver.domain.commands import CancelChild, RaiseAlert, ReportParent, SendChild
from algoserver.domain.types import MINUTE, SECOND, ExecType, OrdStatus
from tests.core.day import Day


def test_a_kill_shuts_the_gate_cancels_every_child_and_says_when_none_is_left():
    """Control 25: killed, canceled, verified."""
    day = Day()
    child = day.resting()
    out = day.operator("kill")
    assert [type(c) for c in out] == [RaiseAlert, CancelChild]
    assert day.alerts() == ["killed"]
    day.canceled(child)
    assert day.alerts() == ["killed", "kill_verified"]


def test_a_killed_firm_orders_nothing_and_leaves_nothing_resting():
    """For ten minutes of quotes and trades not one child leaves, and a new order is refused."""
    day = Day()
    child = day.resting()
    day.operator("kill")
    day.canceled(child)
    for _ in range(10):
        day.quote()
        day.trade(50_000)
        day.wait(MINUTE)
    assert day.sent() == [child]
    (report,) = day.parent("P2")
    assert isinstance(report, ReportParent)
    assert (report.ord_status, report.text.split(":")[0]) == (OrdStatus.REJECTED, "killed")


def test_a_kill_cancels_a_child_whose_venue_comes_back_later():
    """Unknown at the kill; known and resting after it: canceled then, and verified only after that."""
    day = Day()
    child = day.resting()
    day.down("XLIT1")
    day.operator("kill")
    assert "kill_verified" not in day.alerts()
    day.up("XLIT1")
    assert [type(c) for c in day.status_of(child)] == [CancelChild]
    day.canceled(child)
    assert day.alerts()[-1] == "kill_verified"


def test_a_released_firm_goes_on():
    """The parents that were alive trade again."""
    day = Day()
    child = day.resting()
    day.operator("kill")
    day.canceled(child)
    out = day.operator("release")
    assert sum(c.order_qty for c in out if isinstance(c, SendChild)) == 1_000


def test_a_paused_parent_takes_back_and_sends_nothing_until_it_is_resumed():
    """Pause beside stop: one order, not the firm."""
    day = Day()
    child = day.resting()
    parent_id = day.order().parent_id
    assert [type(c) for c in day.operator("pause", parent_id)] == [CancelChild]
    day.canceled(child)
    day.trade(50_000)
    day.wait(30 * SECOND)
    assert day.sent() == [child]
    assert [type(c) for c in day.operator("resume", parent_id)] == [SendChild]


def test_an_operators_cancel_ends_the_parent_when_no_child_is_open():
    """The client hears Canceled with who and why."""
    day = Day()
    child = day.resting()
    assert [type(c) for c in day.operator("cancel", day.order().parent_id, reason="client called")] == [CancelChild]
    assert is_open(day.order().order)
    (report,) = day.canceled(child)
    assert isinstance(report, ReportParent)
    assert (report.exec_type, report.text) == (ExecType.CANCELED, "canceled by the desk: client called")


def test_an_order_that_is_not_there_is_said_not_to_be():
    """An alert, and nothing else."""
    day = Day()
    for verb in ("pause", "resume", "cancel"):
        (alert,) = day.operator(verb, "nobody")
        assert isinstance(alert, RaiseAlert)
        assert alert.code == "no_such_order"


def test_an_operators_word_to_an_order_that_is_over_changes_nothing():
    """No second end."""
    day = Day()
    child = day.resting()
    day.fill(child, 1_000)
    assert day.operator("cancel", day.order().parent_id) == []
    assert day.order().order.status is OrdStatus.FILLED
