"""What operators tell the core at its door: what becomes an event, and what is refused. What it answers: test_answers."""

import json
from typing import Any

import pytest

from algoserver import control
from algoserver.control import answer
from algoserver.core import stops
from algoserver.core.state import dump
from algoserver.domain.events import ForeignOrderReported, OperatorAmended, OperatorCommanded
from algoserver.domain.params import AlgoParams
from algoserver.domain.types import DAY, PX_ONE, OrdStatus
from tests.core.day import Day, policy_loaded


def said(day: Day, verb: str, target: str = "", **more: Any) -> dict[str, Any]:
    """The answer to a query, as it arrives at the other end; a query makes no event."""
    answered, event = answer(day.state, {"verb": verb, "target": target, **more}, "ann")
    assert event is None
    return json.loads(json.dumps(answered))


def refused(day: Day, verb: str, target: str = "", **more: Any) -> str:
    """Code of the refusal."""
    return said(day, verb, target, **more)["error"]["code"]


def commanded(day: Day, verb: str, target: str = "", **more: Any) -> OperatorCommanded | OperatorAmended:
    """The event that a command becomes."""
    answered, event = answer(day.state, {"verb": verb, "target": target, **more}, "ann")
    assert event is not None, answered
    return event


def foreign(day: Day, child_id: str = "WHO1", status: OrdStatus = OrdStatus.NEW, cum: int = 0) -> None:
    """XLIT1 reports on an order of 500 AAPL that we never sent."""
    told = ForeignOrderReported(session="XLIT1", child_id=child_id, ord_status=status, symbol="AAPL", side="1", order_qty=500, cum_qty=cum)
    day.feed(told)


def test_a_word_about_a_foreign_order_becomes_an_event():
    """The target names venue and order; a dry run does nothing."""
    day = Day()
    foreign(day)
    for verb, does in (("venue.adopt", "adopt"), ("venue.cancel", "cancel_foreign")):
        event = commanded(day, verb, "WHO1", venue="XLIT1", reason="voice order")
        assert event == OperatorCommanded(operator="ann", verb=does, target="XLIT1 WHO1", reason="voice order")
        assert said(day, verb, "WHO1", venue="XLIT1", dry_run=True)["order_qty"] == "500"


def test_a_word_about_a_foreign_order_that_makes_no_sense_is_refused():
    """Unknown, released already, over, without a name, and at a venue that is down."""
    day = Day()
    foreign(day)
    foreign(day, "#V7")
    foreign(day, "WHO2", OrdStatus.FILLED, 500)
    assert refused(day, "venue.cancel", "WHO1", venue="XLIT2") == "not_found"
    assert refused(day, "venue.cancel", "#V7", venue="XLIT1") == "refused"
    assert refused(day, "venue.cancel", "WHO2", venue="XLIT1") == "already_over"
    day.operator("adopt", "XLIT1 WHO2")
    assert refused(day, "venue.adopt", "WHO2", venue="XLIT1") == "nothing_to_do"
    day.down("XLIT1")
    assert refused(day, "venue.cancel", "WHO1", venue="XLIT1") == "refused"


def test_an_amend_becomes_an_event_and_is_judged_before():
    """Texts become values in the order's units; a dry run, and judging, leave the state as it is."""
    day = Day()
    day.resting()
    before = dump(day.state)
    values = {"OrderQty": "1500", "Price": "201.5", "OrdType": "LIMIT", "MaxPctVol": "0.3", "CatchUp": "N"}
    event = commanded(day, "order.amend", "P1", values=values, is_verbal=True, reason="client called")
    assert event == OperatorAmended(
        operator="ann", target=day.order().parent_id, order_qty=1_500, price=201 * PX_ONE + PX_ONE // 2, ord_type="2", is_verbal=True,
        params=AlgoParams(max_pct_vol=300_000, catch_up=False), given=("max_pct_vol", "catch_up"), reason="client called",
    )  # fmt: skip
    assert said(day, "order.amend", "P1", values=values, dry_run=True)["children_open"] == 1
    assert dump(day.state) == before


def test_how_far_a_kill_would_reach_is_asked_without_a_trace():
    """A scope that nothing was ever counted in, on a day that nothing was traded on yet: what is asked is in no journal."""
    day = Day()
    day.fill(day.resting(), 400)
    day.now += DAY
    day.quote()
    before = dump(day.state)
    for scope in ("firm", "client:CLIENT1", "symbol:AAPL", "algo:CLOSE", "algo:CLOSE@AAPL", "venue:XLIT2"):
        said(day, "kill", scope, dry_run=True)
        assert dump(day.state) == before, scope


@pytest.mark.parametrize(
    ("values", "code", "text"),
    [
        ({}, "usage", "NAME=VALUE"), ({"Side": "2"}, "usage", "MaxPctVol"), ({"OpenAuction": "Y"}, "refused", "auction_over"),
        ({"OrderQty": "many"}, "usage", "OrderQty: not a number"), ({"OrderQty": "0"}, "usage", "not above 0"),
        ({"Urgency": "9"}, "usage", "Urgency: 9 is not within 1 and 5"), ({"OrdType": "PEG"}, "usage", "MARKET, LIMIT"),
        ({"MaxPctVol": "20"}, "usage", "a fraction"), ({"OrderQty": "2000000"}, "refused", "parent_qty_max"),
        ({"TargetPctVol": "0.1"}, "refused", "not for TWAP"), ({"EndTime": "20190101-00:00:00"}, "refused", "end_in_the_past"),
    ],
)  # fmt: skip
def test_an_amend_that_makes_no_sense_is_refused_with_what_to_change(values, code, text):
    """By the declarations of the parameters and the checks of a client's G."""
    day = Day()
    day.resting()
    refusal = said(day, "order.amend", "P1", values=values)["error"]
    assert (refusal["code"], text in refusal["text"]) == (code, True), refusal


@pytest.mark.parametrize("verb", ["pause", "cancel"])
def test_a_command_to_an_order_becomes_an_event(verb):
    """Operator, verb, OrderID and reason; the ClOrdID is only a way to find it."""
    day = Day()
    day.resting()
    event = commanded(day, f"order.{verb}", "P1", reason="client called")
    assert event == OperatorCommanded(operator="ann", verb=verb, target=day.order().parent_id, reason="client called")
    day.feed(event)
    assert refused(day, f"order.{verb}", "P1") == "nothing_to_do"


def test_kill_and_release_become_events():
    """Kill always, a second time too; release only of what is killed."""
    day = Day()
    day.resting()
    assert refused(day, "release") == "nothing_to_do"
    day.feed(commanded(day, "kill", reason="drill"))
    day.feed(commanded(day, "kill", "firm", reason="again"))
    assert day.state.gate.killed == "ann: again"
    day.feed(commanded(day, "release"))
    assert day.state.gate.killed == ""


def test_a_stopping_server_is_not_released_but_can_be_killed():
    """Its next start opens the gate; a person's kill outlives it."""
    day = Day()
    day.operator("stop")
    assert day.state.gate.killed == stops.STOPPING
    assert refused(day, "release") == "nothing_to_do"
    day.feed(commanded(day, "kill"))
    assert day.state.gate.killed == "ann"


def test_resume_is_for_what_is_paused():
    """A paused order goes on; a working one has nothing to resume."""
    day = Day()
    day.resting()
    assert refused(day, "order.resume", "P1") == "nothing_to_do"
    day.operator("pause", day.order().parent_id)
    day.feed(commanded(day, "order.resume", "P1"))
    assert day.order().paused_by == ""


def test_nothing_is_commanded_of_an_order_that_is_over_or_not_there():
    """Refused before there is an event."""
    day = Day()
    day.fill(day.resting(), 1_000)
    assert day.order().order.status is OrdStatus.FILLED
    for verb in ("order.pause", "order.resume", "order.cancel"):
        assert refused(day, verb, "P1") == "already_over"
        assert refused(day, verb, "P9") == "not_found"


def test_a_dry_run_is_judged_and_changes_nothing():
    """How far it would reach; or the same refusal."""
    day = Day()
    day.resting()
    ahead = said(day, "kill", dry_run=True)
    assert (ahead["dry_run"], ahead["parents_open"], ahead["children_open"]) == (True, 1, 1)
    assert said(day, "order.cancel", "P1", dry_run=True)["children_open"] == 1
    assert refused(day, "release", dry_run=True) == "nothing_to_do"


def test_a_cl_ord_id_of_two_clients_is_ambiguous():
    """The refusal names the OrderIDs."""
    day = Day(policy_loaded(clients=("CLIENT1", "CLIENT2")))
    day.quote()
    day.parent("P1")
    day.parent("P1", session="CLIENT2")
    refusal = said(day, "order.cancel", "P1")["error"]
    assert refusal["code"] == "ambiguous"
    assert all(parent_id in refusal["text"] for parent_id in day.state.parents)


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({}, "usage"),
        ({"verb": 1}, "usage"),
        ({"verb": "order.eat"}, "usage"),
        ({"verb": "status", "colour": "red"}, "usage"),
        ({"verb": "order.show", "target": ["P1"]}, "usage"),
        ({"verb": "order.show"}, "not_found"),
        ({"verb": "kill", "dry_run": "yes"}, "usage"),
        ({"verb": "kill", "target": "symbol:NONE"}, "not_found"), ({"verb": "kill", "target": "room:AAPL"}, "not_found"),
        ({"verb": "release", "target": "symbol:AAPL"}, "nothing_to_do"),
        ({"verb": "kill", "reason": "x\x0135=D"}, "usage"),
        ({"verb": "kill", "reason": "x" * 201}, "usage"),
        ({"verb": "kill", "reason": "\ud800"}, "usage"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(request_, code):
    """No event, no exception."""
    answered, event = answer(Day().state, request_, "ann")
    assert (answered["error"]["code"], event) == (code, None)


def test_an_answer_that_fails_stops_nothing(monkeypatch):
    """The core goes on; the person is told."""
    monkeypatch.setattr(control.answers, "status", lambda state: 1 / 0)
    answered, event = answer(Day().state, {"verb": "status"}, "ann")
    assert (answered["error"]["code"], event) == ("failed", None)
