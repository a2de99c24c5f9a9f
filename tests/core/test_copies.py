"""Reports of children, made only for a drop copy that wants them."""

from typing import Any

from algoserver.domain.commands import ReportChild
from algoserver.domain.policy import DropCopy
from algoserver.domain.types import ExecType, OrdStatus
from tests.core.day import Day, policy_loaded

WANTED = policy_loaded(drop_copies=(DropCopy("DROP1", ("CLIENT1",), has_children=True),))


def copies(out: list[Any]) -> list[tuple[ExecType, OrdStatus, str, str, int, int]]:
    """150, 39, 17, 19, 14, 151 of the children's reports."""
    told = [c.report for c in out if isinstance(c, ReportChild)]
    return [(r.exec_type, r.ord_status, r.exec_id, r.exec_ref_id, r.cum_qty, r.leaves_qty) for r in told]


def test_the_life_of_a_child_is_told_in_executions_of_its_own():
    """Accepted, traded, corrected, busted, canceled; a bust names the trade that it takes back."""
    day = Day(WANTED)
    child = day.resting()
    own = child.child_id
    assert copies(day.accept(child)) == [(ExecType.NEW, OrdStatus.NEW, f"{own}.x1", "", 0, 1_000)]
    assert copies(day.fill(child, 300, "E1")) == [(ExecType.TRADE, OrdStatus.PARTIALLY_FILLED, f"{own}/E1", "", 300, 700)]
    assert copies(day.fill(child, 300, "E1")) == []
    assert copies(day.correct(child, "E1", 200)) == [(ExecType.TRADE_CORRECT, OrdStatus.PARTIALLY_FILLED, f"{own}/K1", f"{own}/E1", 200, 800)]
    assert copies(day.bust(child, "K1")) == [(ExecType.TRADE_CANCEL, OrdStatus.PENDING_CANCEL, f"{own}/B1", f"{own}/K1", 0, 1_000)]
    assert copies(day.canceled(child)) == [(ExecType.CANCELED, OrdStatus.CANCELED, f"{own}.x2", "", 0, 0)]
    (told,) = {(c.parent_id, c.report.session, c.price) for c in day.commands if isinstance(c, ReportChild)}
    assert told == (own.rpartition(".")[0], "CLIENT1", child.price)


def test_every_end_of_a_child_is_told():
    """Refused, lost, never left: Rejected once, whatever comes after."""
    for end in (Day.rejected, lambda day, child: day.status_of(child, is_known=False)):
        day = Day(WANTED)
        child = day.resting()
        assert [c[:2] for c in copies(end(day, child))] == [(ExecType.REJECTED, OrdStatus.REJECTED)]
        assert copies(end(day, child)) == []


def test_nothing_is_made_for_nobody():
    """Without a drop copy, with one of parents alone, with one of another client."""
    for drops in ((), (DropCopy("DROP1"),), (DropCopy("DROP1", ("CLIENT2",), has_children=True),)):
        day = Day(policy_loaded(drop_copies=drops))
        child = day.resting()
        day.accept(child)
        day.fill(child, 1_000)
        assert copies(day.commands) == []
