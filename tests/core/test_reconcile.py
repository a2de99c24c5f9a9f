"""A venue's drop copy against its order session: each trade must be told by both, and what only one has told is a discrepancy after a while."""

from typing import Any

import msgspec
import pytest

from algoserver.copy_desk import reconciled
from algoserver.core import reconcile
from algoserver.core.engine import next_wakeup
from algoserver.core.state import dump, load
from algoserver.domain.commands import Command, EndAlert, RaiseAlert, SendChild
from algoserver.domain.events import CopyReported, Garbled
from algoserver.domain.policy import Venue
from algoserver.domain.types import SECOND, Side
from tests.core.day import Day, policy_loaded

TOLERANCE = 5 * SECOND
VENUES = (Venue("XLIT1", has_copy=True), Venue("XLIT2"))


def compared() -> tuple[Day, SendChild]:
    """A child rests at a venue whose drop copy is up."""
    day = Day(policy_loaded(venues=VENUES))
    day.up("XLIT1.dc")
    child = day.resting()
    day.accept(child)
    return day, child


def copied(day: Day, child: SendChild, qty: int, exec_id: str, exec_type: str = "F", **more: Any) -> list[Command]:
    """The copy's word on a trade of a child at its price."""
    fields = {"child_id": child.child_id, "symbol": "AAPL", "side": Side.BUY, "last_px": child.price, **more}
    return day.feed(CopyReported(session="XLIT1.dc", exec_id=exec_id, exec_type=exec_type, last_qty=qty, **fields))


def alerts(out: list[Command]) -> list[str]:
    """Codes of the alerts of a comparison that begin, and with a minus of those that end."""
    told = [c for c in out if isinstance(c, RaiseAlert | EndAlert) and c.code.startswith(("fill_not", "copy_"))]
    return [c.code if isinstance(c, RaiseAlert) else f"-{c.code}" for c in told]


def row(day: Day) -> dict[str, Any]:
    """What algoctl shows of the venue."""
    return reconciled(day.state)["venues"][0]


def test_what_both_tell_is_matched_whoever_is_first():
    """Trades, a bust and a correction; nothing waits, and nobody is told anything."""
    day, child = compared()
    day.fill(child, 100, "E1")
    copied(day, child, 100, "E1")
    copied(day, child, 200, "E2")
    day.fill(child, 200, "E2")
    copied(day, child, 200, "E2")  # a venue that tells it twice
    day.bust(child, "E1", "B1")
    copied(day, child, 0, "B1", "H", last_px=0, exec_ref_id="E1")
    copied(day, child, 150, "K1", "G", exec_ref_id="E2")
    day.correct(child, "E2", 150, exec_id="K1")
    out = day.wait(3 * TOLERANCE)
    shown = row(day)
    assert (alerts(out), shown["matched"], shown["waiting"], shown["bought"] == shown["bought_by_copy"]) == ([], 4, 0, True)


def test_control_30_a_fill_that_only_the_copy_knows_pauses_its_order_and_is_an_alert():
    """At the tolerance and not before; the venue is asked; the exposure by the copy has it; the fill's late arrival ends the alert."""
    day, child = compared()
    day.quote()
    copied(day, child, 100, "E1")
    assert alerts(day.wait(TOLERANCE - SECOND)) == []
    out = day.wait(2 * SECOND)
    assert (alerts(out), day.order().paused_by) == (["fill_not_heard"], "fill_not_heard")
    assert day.child(child).is_unknown
    shown = row(day)
    assert (shown["not_heard"], shown["bought"], shown["bought_by_copy"]) == (1, "0", "20000")
    (found,) = reconciled(day.state)["discrepancies"]
    assert (found["told_by"], found["order_id"], found["value"]) == ("its drop copy", child.child_id.rpartition(".")[0], "20000")
    assert alerts(day.fill(child, 100, "E1")) == ["-fill_not_heard"]
    shown = row(day)
    assert (shown["matched"], shown["not_heard"], shown["bought"], shown["bought_by_copy"]) == (1, 0, "20000", "20000")
    assert day.order().paused_by == "fill_not_heard"  # a person looks, and resumes


def test_control_30_a_fill_that_the_copy_does_not_tell_is_an_alert():
    """The books have it, and by the copy it is not there; the order goes on."""
    day, child = compared()
    day.fill(child, 100, "E1")
    assert alerts(day.wait(TOLERANCE + SECOND)) == ["fill_not_copied"]
    shown = row(day)
    assert (shown["not_copied"], shown["bought"], shown["bought_by_copy"], day.order().paused_by) == (1, "20000", "0", "")
    assert alerts(copied(day, child, 100, "E1")) == ["-fill_not_copied"]
    assert row(day)["not_copied"] == 0


@pytest.mark.parametrize("changed", [{"last_px": 1}, {"symbol": "GE"}])
@pytest.mark.parametrize("is_copy_first", [True, False])
def test_control_30_what_differs_is_an_alert_at_once(is_copy_first: bool, changed: dict[str, Any]):
    """Another price, or another instrument: the order waits for a person."""
    day, child = compared()
    if is_copy_first:
        copied(day, child, 100, "E1", **changed)
    out = day.fill(child, 100, "E1")
    if not is_copy_first:
        out += copied(day, child, 100, "E1", **changed)
    assert (alerts(out), day.order().paused_by, row(day)["differing"]) == (["copy_differs"], "copy_differs", 1)


def test_while_a_copy_is_down_nothing_is_missing_there():
    """Its loss is an alert; when it is back it has the tolerance to tell what it missed. What it tells and we do not know is one all the same."""
    day, child = compared()
    assert alerts(day.down("XLIT1.dc")) == ["copy_down"]
    day.fill(child, 100, "E1")
    assert alerts(day.wait(20 * TOLERANCE)) == []
    assert alerts(day.up("XLIT1.dc")) == ["-copy_down"]
    assert alerts(day.wait(TOLERANCE - SECOND)) == []
    copied(day, child, 100, "E1")
    assert alerts(day.wait(3 * TOLERANCE)) == []
    assert row(day)["matched"] == 1


def test_a_trade_of_an_order_that_is_not_ours_is_told_and_pauses_nothing():
    """By the copy alone; the exposure by the copy has it."""
    day, child = compared()
    copied(day, msgspec.structs.replace(child, child_id="stranger"), 100, "E1")
    assert alerts(day.wait(2 * TOLERANCE)) == ["fill_not_heard"]
    assert (day.order().paused_by, row(day)["bought_by_copy"]) == ("", "20000")


def test_what_waits_outlives_a_restart_and_a_venue_without_a_copy_waits_for_nothing():
    """The state is written and read; a start that has no copy any more forgets what it waited for, and is not woken."""
    day, child = compared()
    day.fill(child, 100, "E1")
    day.state = load(dump(day.state))
    assert list(day.state.half_told) == [f"XLIT1 {child.child_id} E1"]
    day.feed(policy_loaded(venues=(Venue("XLIT1"), Venue("XLIT2"))))
    assert (day.state.half_told, day.state.copies_due_ts, row(day)["drop_copy"]) == ({}, 0, "none")
    copied(day, child, 100, "E2")
    day.fill(child, 100, "E3")
    assert day.state.half_told == {}


def test_a_copy_that_never_comes_is_missed():
    """A minute after the start."""
    day = Day(policy_loaded(venues=VENUES))
    assert next_wakeup(day.state) is not None
    assert alerts(day.wait(61 * SECOND)) == ["copy_down"]


def test_what_a_copy_tells_alone_is_bounded_and_what_is_given_up_is_told(monkeypatch: pytest.MonkeyPatch):
    """The oldest goes, as a discrepancy though its time has not come: its order is paused. It counts on, and the exposure by the copy is unknown."""
    monkeypatch.setattr(reconcile, "AHEAD_MAX", 2)
    day, child = compared()
    out = [c for n in (1, 2) for c in copied(day, child, 100, f"E{n}")]
    assert alerts(out) == []
    out = copied(day, child, 100, "E3")
    assert (alerts(out), day.order().paused_by) == (["fill_not_heard", "copy_given_up"], "fill_not_heard")
    assert "trade E1 of 100 at" in next(c.text for c in out if isinstance(c, RaiseAlert) and c.code == "copy_given_up")
    day.wait(2 * TOLERANCE)
    assert alerts(copied(day, child, 100, "E4")) == []  # a minute is not over: the alert counts up
    shown = row(day)
    assert (shown["waiting"], shown["not_heard"], shown["given_up"], shown["bought_by_copy"]) == (1, 1, 2, "")
    # The other side of one that was given up comes late: it is said again, for nobody can compare the two any more.
    day.fill(child, 100, "E1")
    assert "fill_not_copied" in alerts(day.wait(2 * TOLERANCE))
    assert list(day.state.copied["XLIT1"].ahead) == [f"XLIT1 {child.child_id} {n}" for n in ("E3", "E4")]


class Unscanned(dict[str, Any]):
    """What may be looked into, and not gone through."""

    def items(self) -> Any:
        raise AssertionError("every event goes through all that was ever told by one")

    __iter__ = values = items  # type: ignore[assignment]  # none of them returns


def test_what_is_given_up_is_found_though_much_else_waits_before_it(monkeypatch: pytest.MonkeyPatch):
    """A morning's trades that the copy was not there to tell wait in front; what an event costs does not follow them."""
    monkeypatch.setattr(reconcile, "AHEAD_MAX", 2)
    day, child = compared()
    day.fill(child, 100, "B1")
    for n in range(2):
        copied(day, child, 100, f"E{n}")
    day.state.half_told = Unscanned(day.state.half_told)
    assert alerts(copied(day, child, 100, "E2")) == ["fill_not_heard", "copy_given_up"]
    day.state.half_told = dict(dict.items(day.state.half_told))
    assert [one.exec_id for one in day.state.half_told.values()] == ["B1", "E1", "E2"]


def test_a_copys_message_that_can_not_be_read_is_told_a_person_and_answered_to_nobody():
    """It asks for no child's status, and no client hears of it."""
    day, _ = compared()
    out = day.feed(Garbled(session="XLIT1.dc", msg_type="8", code="unreadable_message", text="35=8", reject_reason=0))
    assert [type(c) for c in out] == [RaiseAlert]
