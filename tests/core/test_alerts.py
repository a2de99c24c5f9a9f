"""The alert book by lists of events: what is told, how often, and what ends it."""

import msgspec
import pytest

from algoserver.core import alerts
from algoserver.core.alerts import LIVE_MAX, PAST_MAX, Alert, AlertBook, Standing, acknowledge, find, keep, live, waiting
from algoserver.core.engine import step
from algoserver.core.state import State, dump, load
from algoserver.domain.alerts import ALERTS
from algoserver.domain.commands import Command, EndAlert, RaiseAlert
from algoserver.domain.events import ActionProposed, OperatorCommanded
from algoserver.domain.types import MINUTE, PPM_ONE, SECOND, OrdType, Side, px
from tests.core.day import POLICY, Day, policy_loaded


def told(out: list[Command]) -> list[tuple[str, str, int]]:
    """What leaves: "told" or "over", code, times."""
    return [("told" if isinstance(c, RaiseAlert) else "over", c.code, c.times) for c in out if isinstance(c, RaiseAlert | EndAlert)]


def booked(day: Day, code: str) -> Alert:
    """The only alert of this code in the book."""
    [found] = [a for a in (*live(day.state.alerts), *day.state.alerts.past.values()) if a.code == code]
    return found


def raised(book: AlertBook, ts: int, code: str = "unknown_child", subject: str = "X") -> list[Command]:
    """One alert through the book."""
    out: list[Command] = [RaiseAlert(code=code, subject=subject, text=f"at {ts}")]
    keep(book, "r", ts, out)
    return out


def known_by(book: AlertBook, alert_id: str, operator: str, ts: int) -> list[Command]:
    """An acknowledgement through the book."""
    out: list[Command] = []
    acknowledge(book, alert_id, operator, "seen", ts, out)
    keep(book, "r", ts, out)
    return out


def test_a_venue_that_goes_is_told_once_and_its_return_ends_it():
    """One entry, open and then over, with the same id in both words."""
    day = Day()
    down = day.down("XLIT1")
    assert told(down) == [("told", "venue_down", 1)]
    assert (booked(day, "venue_down").standing, waiting(day.state.alerts)) == (Standing.OPEN, 1)
    up = day.up("XLIT1")
    assert told(up) == [("over", "venue_down", 1)]
    assert {c.alert_id for c in (*down, *up) if isinstance(c, RaiseAlert | EndAlert)} == {booked(day, "venue_down").alert_id}
    assert (booked(day, "venue_down").standing, waiting(day.state.alerts)) == (Standing.OVER, 0)


def test_what_flaps_is_one_alert_and_told_three_times_a_minute():
    """Down and up ten times in ten seconds: three times at once, the last word when the minute is over, and it is true."""
    day = Day()
    out = []
    for _ in range(10):
        out += [*day.down("XLIT1"), *day.wait(SECOND), *day.up("XLIT1")]
    out += day.down("XLIT1")
    assert told(out) == [(word, "venue_down", n) for n in (1, 2, 3) for word in ("told", "over")]
    assert told(day.wait(MINUTE)) == [("told", "venue_down", 11)]
    assert booked(day, "venue_down").standing is Standing.OPEN
    assert told(day.up("XLIT1")) == [("over", "venue_down", 11)]


def test_a_repeat_is_owed_and_told_when_the_minute_is_over():
    """With the latest text and how often; nothing more comes when nothing more happens."""
    book = AlertBook()
    assert told(raised(book, SECOND)) == [("told", "unknown_child", 1)]
    assert [told(raised(book, s * SECOND)) for s in (2, 3, 4)] == [[], [], []]
    assert alerts.next_ts(book) == SECOND + MINUTE
    out: list[Command] = []
    keep(book, "r", SECOND + MINUTE, out)
    [command] = out
    assert isinstance(command, RaiseAlert)
    assert (command.times, command.text) == (4, f"at {4 * SECOND}")
    assert alerts.next_ts(book) == 0


def crossing() -> Day:
    """P1 offers at 200.02, and S wants to buy there at every look: it would meet us."""
    day = Day()
    day.resting(1_000, side=Side.SELL, ord_type=OrdType.LIMIT, price=px("200.02"))
    day.parent("S", 10_000, minutes=30, max_pct_vol=PPM_ONE, i_would_price=px("200.05"))
    return day


def hurried() -> Day:
    """An order at a venue that takes one message a second."""
    day = Day(policy_loaded(policy=msgspec.structs.replace(POLICY, venue_messages_per_second_max=1, child_qty_max=100)))
    day.quote(venue="XLIT1")
    day.parent("S", 200_000, minutes=30, max_pct_vol=PPM_ONE, strategy=1, urgency=5)
    return day


@pytest.mark.parametrize(("begun", "code"), [(crossing, "gate_self_match"), (hurried, "gate_message_rate")])
def test_an_order_that_the_gate_makes_wait_does_not_flood(begun, code):
    """Refused at most turns for five minutes: one alert about the order, told once a minute, over when the order is."""
    day = begun()
    refused = []
    for _ in range(300):
        day.quote(venue="XLIT1")
        day.trade(5_000)
        refused += [c for c in day.wait(SECOND) if isinstance(c, RaiseAlert) and c.code == code]
    alert = booked(day, code)
    assert alert.times > 60
    assert len(refused) <= 5
    assert (alert.subject, alert.standing) == (day.order("S").parent_id, Standing.OPEN)
    day.cancel("S")
    for child in day.sent():
        if day.child(child).order.is_cancel_pending:
            day.canceled(child)
    day.wait(2 * SECOND)
    assert booked(day, code).standing is Standing.OVER


def test_an_acknowledged_alert_is_silent_until_its_end():
    """It counts on, is not told again, and its end is told."""
    day = Day()
    day.down("XLIT1")
    known = booked(day, "venue_down")
    day.operator("ack", known.alert_id, "calling them")
    assert (known.standing, known.acknowledged_by, known.reason) == (Standing.ACKNOWLEDGED, "ann", "calling them")
    assert told(day.down("XLIT1") + day.wait(2 * MINUTE)) == []
    assert told(day.up("XLIT1")) == [("over", "venue_down", 2)]


def test_an_alert_without_an_end_is_done_with_when_it_is_acknowledged():
    """The next of its kind is news again; a second acknowledgement, or one of nothing, changes nothing."""
    book = AlertBook()
    raised(book, SECOND)
    assert told(known_by(book, "r.a1", "ann", 2 * SECOND)) == [("over", "unknown_child", 1)]
    assert known_by(book, "r.a1", "bob", 3 * SECOND) + known_by(book, "r.a9", "bob", 3 * SECOND) == []
    assert (live(book), book.past["r.a1"].acknowledged_by, book.past["r.a1"].ended_ts) == ([], "ann", 2 * SECOND)
    assert book.past["r.a1"].standing is Standing.ACKNOWLEDGED
    assert told(raised(book, 4 * SECOND)) == [("told", "unknown_child", 1)]
    assert [a.alert_id for a in live(book)] == ["r.a2"]


def test_resume_ends_what_paused_an_order_and_nothing_else():
    """A late fill pauses; a person looks and resumes."""
    day = Day()
    child = day.resting()
    day.canceled(child)
    day.fill(child, 100)
    assert booked(day, "late_fill").standing is Standing.OPEN
    assert booked(day, "unsolicited_cancel").standing is Standing.OPEN
    assert day.order().pause_text.startswith(child.child_id)
    assert told(day.operator("resume", day.order().parent_id)) == [("over", "late_fill", 1)]
    assert booked(day, "unsolicited_cancel").standing is Standing.OPEN


def test_what_broke_the_books_stays_open_though_the_order_is_over():
    """An overfill ends its order in the same moment: only a person ends the alert, and the next one is news."""
    day = Day()
    child = day.resting()
    day.fill(child, 1_100)
    overfill = booked(day, "overfill")
    assert (day.order().order.cum_qty, day.state.works, overfill.standing) == (1_100, {}, Standing.OPEN)
    day.operator("ack", overfill.alert_id)
    assert [a for a in live(day.state.alerts) if a.code == "overfill"] == []
    assert ("told", "overfill", 1) in told(day.fill(child, 50))


def test_a_pause_that_lasts_is_over_with_its_order():
    """Five refusals pause it; the client cancels."""
    day = Day()
    day.quote()
    day.parent("P1", 100_000, minutes=30, max_pct_vol=PPM_ONE, urgency=5)
    while not day.order().paused_by:
        day.quote()
        day.trade(50_000)
        day.wait(SECOND)
        for child in day.sent():
            day.rejected(child)
    assert booked(day, "refusals").standing is Standing.OPEN
    day.cancel()
    day.wait(2 * SECOND)
    assert booked(day, "refusals").standing is Standing.OVER


def test_a_release_ends_the_kill_and_a_halts_end_the_halt():
    """By the table: one code ends another on the same subject. Two venues that halt a symbol are two halts."""
    day = Day()
    day.operator("kill")
    assert [a.code for a in live(day.state.alerts)] == ["killed"]
    assert told(day.operator("release")) == [("over", "killed", 1), ("told", "released", 1)]
    day.halt()
    assert told(day.halt("XLIT1", is_halted=False)) == [("over", "halted", 1), ("told", "halt_lifted", 1)]
    assert [a.subject for a in live(day.state.alerts)] == ["XLIT2 AAPL"]


def test_a_stop_that_comes_again_after_each_release_is_told_each_time():
    """What a person has let go is another alert when it comes back: nothing stops in silence because it has stopped three times in a minute."""
    book = AlertBook()
    for n in range(6):
        assert told(raised(book, n * SECOND, "stopped_by_limit", "algo:TWAP")) == [("told", "stopped_by_limit", 1)]
        assert ("over", "stopped_by_limit", 1) in told(raised(book, n * SECOND + 1, "released", "algo:TWAP"))
    assert len([a for a in book.past.values() if a.code == "stopped_by_limit"]) == 6


def test_a_proposal_waits_until_another_person_decides():
    """Its maker's own approval is no decision; a second person's ends it, and what it releases."""
    day = Day()
    day.operator("kill")
    assert told(day.feed(ActionProposed(operator="ann", verb="release", target="firm", reason="fixed"))) == [("told", "approval_wanted", 1)]
    [proposal] = day.state.proposals
    assert told(day.operator("approve", proposal)) == [("told", "approval_refused", 1)]
    assert booked(day, "approval_wanted").standing is Standing.OPEN
    out = day.feed(OperatorCommanded(operator="bob", verb="approve", target=proposal))
    assert told(out) == [("over", "approval_wanted", 1), ("over", "killed", 1), ("told", "released", 1)]


def test_a_stop_in_good_order_and_the_next_start_wait_for_nobody():
    """Not a kill, not a release; a venue that is awaited is over when it comes, and one with open children there is down."""
    day = Day()
    day.operator("stop")
    day.feed(OperatorCommanded(operator="server", verb="release", target="firm", reason="started"))
    day.down("XLIT1", is_restart=True)
    assert day.alerts() == ["stopping", "kill_verified", "started", "venue_awaited"]
    assert waiting(day.state.alerts) == 0
    assert told(day.up("XLIT1")) == [("over", "venue_awaited", 1)]
    day.resting()
    assert told(day.down("XLIT1", is_restart=True)) == [("told", "venue_down", 1)]


def test_a_restart_keeps_the_book_and_a_replay_says_the_same():
    """From nothing, and from a state that was written in the middle, with words still owed."""
    day = Day()
    child = day.resting()
    day.down("XLIT1")
    day.operator("ack", booked(day, "venue_down").alert_id)
    day.canceled(child)
    day.fill(child, 10)
    day.fill(child, 10)
    saved, fed, said = load(dump(day.state)), len(day.fed), len(day.commands)
    day.wait(2 * MINUTE)
    day.up("XLIT1")
    assert day.state.alerts.next_id > 2
    for state, events_at, commands_at in ((State(), 0, 0), (saved, fed, said)):
        again = [c for event in day.fed[events_at:] for c in step(state, event)]
        assert (again, dump(state)) == (day.commands[commands_at:], dump(day.state))


def test_the_book_is_bounded_and_a_flood_of_the_small_hides_nothing_great():
    """Ten thousand warnings: the oldest leave, counted; a critical alert stays, and one that left can still be acknowledged."""
    book = AlertBook()
    raised(book, SECOND, "overfill", "P1")
    for n in range(10_000):
        raised(book, (n + 2) * SECOND, "unknown_child", f"X{n}")
    assert [a.code for a in live(book)].count("overfill") == 1
    assert (len(live(book)), len(book.past)) == (LIVE_MAX + 1, PAST_MAX)
    assert book.crowded_out == 10_000 - LIVE_MAX
    assert book.raised == {"overfill": 1, "unknown_child": 10_000}
    assert sum(len(codes) for codes in book.known.values()) == LIVE_MAX + 1 + PAST_MAX
    left = next(iter(book.past))
    assert known_by(book, left, "ann", 20_000 * SECOND) == []
    alert = find(book, left)
    assert alert is not None
    assert alert.standing is Standing.ACKNOWLEDGED


def test_the_worst_come_first():
    """Critical, warning, info; of each the oldest first."""
    book = AlertBook()
    for n, code in enumerate(("gate_self_match", "unknown_child", "overfill", "bust", "killed")):
        raised(book, (n + 1) * SECOND, code)
    assert [a.code for a in live(book)] == ["overfill", "killed", "unknown_child", "bust", "gate_self_match"]
    assert [ALERTS[a.code].severity.value for a in live(book)] == ["critical"] * 2 + ["warning"] * 2 + ["info"]
