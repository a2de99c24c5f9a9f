"""What operators ask of the policy: it is compared, applied and taken back; what is impossible leaves no trace."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from algoserver import policy_desk
from algoserver.control import answer
from algoserver.core.alerts import AlertBook
from algoserver.core.state import State, dump, load
from algoserver.domain.changes import Change
from algoserver.domain.events import ActionProposed, ConfigDrifted, OperatorCommanded
from algoserver.domain.types import MINUTE
from algoserver.policies import digest_of, parse_policy
from tests.core.day import Day, policy_loaded

FILE = (Path(__file__).resolve().parents[1] / "cfg" / "policy.toml").read_text()
LOWER = FILE.replace("child_qty_max = 100_000 ", "child_qty_max = 50 ")
CLIENT = '\n[[clients]]\nname = "CLIENT1"\nchildren_open_max = 4\ngross_value_max = 1_000_000\nallow_venues = ["XLIT1"]\n'
DESK = '\n[[desks]]\nname = "cash"\nclients = ["CLIENT1"]\nnet_value_max = 900_000\nallow_algos = ["TWAP", "VWAP"]\n'
SYMBOL = '\n[[symbols]]\nname = "AAPL"\nposition_max = 2_000\ncollar = "0.04"\n'


def opened(text: str = FILE) -> Day:
    """A day under a policy's text."""
    return Day(_loaded(text))


def _loaded(text: str) -> Any:
    return policy_loaded(policy=parse_policy(text.encode(), "policy.toml"), policy_digest=digest_of(text.encode()))


def asked(day: Day, verb: str, target: str = "", **more: Any) -> dict[str, Any]:
    """The answer to a question; it makes no event, and no trace."""
    before = dump(day.state)
    said, event = answer(day.state, {"verb": verb, "target": target, **more}, "ann")
    assert (event, dump(day.state) == before) == (None, True)
    return said


def refused(day: Day, verb: str, target: str = "", **more: Any) -> tuple[str, str]:
    """Code and text of a refusal."""
    wrong = asked(day, verb, target, **more)["error"]
    return wrong["code"], wrong["text"]


def applied(day: Day, text: str, verb: str = "policy.apply", **more: Any) -> dict[str, Any]:
    """Ann applies it."""
    said, event = answer(day.state, {"verb": verb, "text": text, "reason": "test", **more}, "ann")
    assert isinstance(event, ActionProposed), said
    day.feed(event)
    return said


def test_a_difference_says_place_key_old_new_and_its_way():
    """In the file's units, the firm first."""
    text = LOWER.replace("children_open_max = 20_000", "children_open_max = 20_001") + CLIENT
    said = asked(opened(), "policy.diff", text=text)
    assert [list(c.values()) for c in said["changes"]] == [
        ["firm", "child_qty_max", "100000", "50", "lower"],
        ["firm", "children_open_max", "20000", "20001", "raise"],
        ["client:CLIENT1", "children_open_max", "", "4", "lower"],
        ["client:CLIENT1", "gross_value_max", "", "1000000", "lower"],
        ["client:CLIENT1", "allow_venues", "", "XLIT1", "lower"],
    ]
    assert (said["changed"], said["raises"], said["is_in_force"]) == (5, 1, False)
    same = asked(opened(), "policy.validate", text=FILE)
    assert (same["changed"], same["is_in_force"], same["digest"], "changes" in same) == (0, True, digest_of(FILE.encode()), False)


@pytest.mark.parametrize("verb", ["policy.validate", "policy.diff", "policy.apply"])
def test_an_impossible_policy_is_refused_and_what_is_in_force_stays(verb: str):
    """With the place and the reason, for each way to ask; also what only this server knows to be wrong."""
    day = opened()
    for text, said in (
        (FILE.replace("child_qty_max = 100_000", "child_qty_max = -1"), "`child_qty_max` is negative"),
        (FILE + '[[clients]]\nname = "CLIENT2"\n', "client:CLIENT2: no such client; there are CLIENT1"),
        (FILE + '[[venues]]\nname = "XDARK1"\n', "venue:XDARK1: no such venue; there are XLIT1, XLIT2"),
        ("x = " + "[" * 1_900, "recursion"),
        ("name = '\ud800'", "surrogates"),
    ):
        code, why = refused(day, verb, text=text, reason="test")
        assert (code, said in why, why.endswith("what is in force stays")) == ("refused", True, True), why
    assert refused(day, verb)[0] == "usage"


def test_an_applied_policy_holds_for_new_children_of_orders_at_work():
    """A child limit is lowered while an order works: what rests stays, what comes is smaller. Lifted, it grows again."""
    day = opened()
    day.quote()
    day.parent("P1", 10_000, minutes=10, max_pct_vol=1_000_000, urgency=5)
    sizes = {}
    for name, text in (("before", ""), ("lowered", LOWER), ("lifted", FILE)):
        if text:
            said = applied(day, text)
            assert (said["is_applied"], said["proposal"]) == (True, "")
        known = len(day.sent())
        for _ in range(3):
            day.trade(50_000)
            day.quote()
            day.wait(MINUTE)
            for child in day.sent()[known:]:
                if child.child_id in day.order().open_children:
                    day.fill(child, child.order_qty)
        sizes[name] = [c.order_qty for c in day.sent()[known:]]
    assert max(sizes["before"]) > 50
    assert 0 < max(sizes["lowered"]) <= 50
    assert max(sizes["lifted"]) > 50


def test_what_was_applied_survives_a_restart_with_another_file():
    """A snapshot and a start: the file is only a wish, and it is said."""
    day = opened()
    applied(day, LOWER)
    day.state = load(dump(day.state))
    day.feed(_loaded(FILE))
    assert day.state.setup.policy.child_qty_max == 50
    assert day.alerts()[-1] == "policy_file_differs"
    assert [p["is_in_force"] for p in asked(day, "policy.history")["policies"]] == [False, True]
    day.feed(_loaded(LOWER))
    assert day.alerts().count("policy_file_differs") == 1


def test_history_names_who_and_why_and_a_rollback_goes_back():
    """By a digest's beginning, with the text that the shell has kept; then it is one more line."""
    day = opened()
    first, second = digest_of(FILE.encode()), digest_of(LOWER.encode())
    applied(day, LOWER)
    assert refused(day, "policy.rollback", second, text=LOWER, reason="test")[0] == "nothing_to_do"
    back = applied(day, FILE, "policy.rollback", target=first[:8])
    assert (back["digest"], back["changes"][0]["way"]) == (first, "raise")
    rows = asked(day, "policy.history")["policies"]
    assert [(r["digest"], r["by"], r["reason"], r["is_in_force"]) for r in rows] == [
        (first, "start", "the first policy of this journal", False), (second, "ann", "test", False), (first, "ann", "test", True),
    ]  # fmt: skip
    shown = asked(day, "policy.show", text=FILE)
    assert (shown["text"], shown["is_kept"], shown["is_in_force"]) == (FILE, True, True)


def test_a_text_that_is_missing_or_another_is_said_plainly():
    """Show without it, no rollback to it, and never to what was put in its place."""
    day = opened()
    applied(day, LOWER)
    first = digest_of(FILE.encode())
    assert (asked(day, "policy.show", first)["is_kept"], asked(day, "policy.show", first)["text"]) == (False, "")
    assert refused(day, "policy.rollback", first, reason="test") == (
        "refused", f"the text of policy {first[:12]} is not kept; apply a file that says the same"
    )  # fmt: skip
    assert refused(day, "policy.rollback", first, text=LOWER, reason="test")[0] == "failed"
    assert refused(day, "policy.show", "ffff")[0] == "not_found"
    assert refused(day, "policy.rollback", "../../etc", reason="test")[0] == "not_found"


def test_a_policy_is_applied_with_a_reason_once_and_not_by_a_dry_run():
    """The same again is nothing to do; comments alone are a new text without a change."""
    day = opened()
    assert refused(day, "policy.apply", text=LOWER)[0] == "usage"
    ahead = asked(day, "policy.apply", text=LOWER, reason="test", dry_run=True)
    assert (ahead["is_applied"], ahead["changed"]) == (False, 1)
    applied(day, LOWER)
    assert refused(day, "policy.apply", text=LOWER, reason="again")[0] == "nothing_to_do"
    assert applied(day, LOWER + "# said\n")["changed"] == 0


@pytest.mark.parametrize(
    ("is_one_person", "is_raise", "needs"), [(True, True, False), (True, False, False), (False, True, True), (False, False, False)]
)
def test_a_raise_needs_another_person_where_there_are_persons(is_one_person: bool, is_raise: bool, needs: bool, monkeypatch):
    """The decision is made in one place, and what it says is proposed and not done."""
    assert policy_desk.needs_second([Change("firm", "collar", "0.1", "0.2", is_raise)], is_one_person) is needs
    if not needs:
        return
    day = opened()
    monkeypatch.setattr(policy_desk, "needs_second", lambda changes, is_alone: True)
    said = applied(day, LOWER)
    assert (said["is_applied"], list(day.state.proposals)) == (False, [said["proposal"]])
    assert day.state.setup.policy.child_qty_max == 100_000


def test_a_proposal_is_not_approved_over_a_policy_that_came_after_it(monkeypatch):
    """What was compared is not in force any more: a limit that was lowered meanwhile would be lifted unseen."""
    day = opened()
    with monkeypatch.context() as patch:
        patch.setattr(policy_desk, "needs_second", lambda changes, is_alone: True)
        waits = applied(day, FILE.replace('collar = "0.05"', 'collar = "0.06"'))["proposal"]
    applied(day, LOWER)
    day.feed(OperatorCommanded(operator="bob", verb="approve", target=waits))
    assert (day.alerts()[-1], day.state.setup.policy.child_qty_max, day.state.setup.policy.collar_ppm) == ("approval_refused", 50, 50_000)
    with monkeypatch.context() as patch:
        patch.setattr(policy_desk, "needs_second", lambda changes, is_alone: True)
        again = applied(day, LOWER.replace('collar = "0.05"', 'collar = "0.06"'))["proposal"]
    day.feed(OperatorCommanded(operator="bob", verb="approve", target=again))
    assert (day.alerts()[-1], day.state.setup.policy.child_qty_max, day.state.setup.policy.collar_ppm) == ("policy_applied", 50, 60_000)


@pytest.mark.parametrize("without", ["", DESK.replace('"CLIENT1"', '"CLIENT2"')])
def test_no_policy_lifts_the_stop_of_a_desk(without: str, monkeypatch):
    """A client who leaves it would trade again, and the kill be verified over his orders. One who is stopped himself may leave."""
    day = Day(msgspec.structs.replace(_loaded(FILE + DESK), clients=("CLIENT1", "CLIENT2")))
    with monkeypatch.context() as patch:
        patch.setattr(policy_desk, "needs_second", lambda changes, is_alone: True)
        waits = applied(day, FILE + without)["proposal"]
    child = day.resting()
    day.operator("kill", "desk:cash")
    why = "desk:cash is stopped, and client:CLIENT1 would not be any more; release the desk first, or stop the client too"
    assert refused(day, "policy.apply", text=FILE + without, reason="x") == ("refused", f"policy: {why}; what is in force stays")
    assert answer(day.state, {"verb": "approval.approve", "target": waits}, "bob")[0]["error"]["text"].endswith(why)
    day.feed(OperatorCommanded(operator="bob", verb="approve", target=waits))
    assert (day.alerts()[-1], asked(day, "status")["kill_verified"]) == ("approval_refused", False)
    day.operator("kill", "client:CLIENT1")
    day.feed(OperatorCommanded(operator="bob", verb="approve", target=waits))
    assert ("policy_applied" in day.alerts(), asked(day, "status")["kill_verified"]) == (True, False)
    day.canceled(child)
    assert asked(day, "status")["kill_verified"] is True


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from(["fill", "order", "kill", "cancel", "day", "apply"]), max_size=8))
def test_who_asks_leaves_no_trace(happened: list[str]):
    """Whatever has happened: every question, also on a new day, leaves the state as it was, byte for byte."""
    day = opened(FILE + DESK + CLIENT)
    child = day.resting(400)
    for number, what in enumerate(happened):
        if what == "fill" and child.child_id in day.order().open_children:
            day.fill(child, 100)
        elif what == "order":
            day.parent(f"N{number}", 500)
        elif what == "kill":
            day.operator("kill", "client:CLIENT1")
        elif what == "cancel":
            day.cancel()
        elif what == "day":
            day.now += 24 * 60 * MINUTE
            day.quote()
        elif what == "apply" and day.state.setup.policy.child_qty_max != 50:
            applied(day, LOWER)
    for verb, target in (("policy.explain", "P1"), ("risk.usage", ""), ("risk.limits", ""), ("policy.history", ""), ("policy.show", "")):
        asked(day, verb, target)


def test_before_a_policy_is_loaded_there_is_nothing_to_ask():
    """Said, not failed."""
    day = opened()
    day.state = State()
    for verb in ("policy.history", "policy.diff", "risk.limits", "risk.usage"):
        assert refused(day, verb, text=FILE) == ("failed", "no policy is loaded yet")


def test_a_file_that_drifted_is_an_alert_and_nothing_else():
    """Changed, or gone."""
    day = opened()
    before = dump(msgspec.structs.replace(day.state, seq=0, ts=0, alerts=AlertBook()))
    (changed,) = day.feed(ConfigDrifted(file="policy.toml", digest="abc"))
    (gone,) = day.feed(ConfigDrifted(file="instruments.toml", digest=""))
    assert (changed.code, changed.subject, "it is abc on disk" in changed.text) == ("config_drifted", "policy.toml", True)
    assert (gone.code, gone.subject, "is gone from the disk" in gone.text) == ("config_drifted", "instruments.toml", True)
    assert dump(msgspec.structs.replace(day.state, seq=0, ts=0, alerts=AlertBook())) == before
