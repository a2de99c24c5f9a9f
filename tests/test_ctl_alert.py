"""The exception queue through the real CLI on the real socket."""

import json

import pytest

from tests.desk import Street

pytestmark = pytest.mark.usefixtures("street")


def troubled(street: Street) -> None:
    """A venue is down, a client disputes a trade, and an order was paused and resumed."""
    street.day.down("XLIT2")
    street.day.fill(street.child, 1_200)
    street.day.operator("resume", street.day.order().parent_id)
    street.day.canceled(street.child)


def test_what_is_not_done_with_is_listed_the_worst_first(street):
    """By owner on demand; --all has what is over too, with its end; each says what it means and what to do."""
    troubled(street)
    listed = street.json("alert", "ls")
    assert [(a["code"], a["subject"], a["state"], a["owner"]) for a in listed["alerts"]] == [("venue_down", "XLIT2", "open", "operator")]
    assert listed["alerts"][0]["to_do"] == "call the venue if it stays down"
    everything = street.json("alert", "ls", "--all")["alerts"]
    assert [(a["code"], a["state"], bool(a["ended"])) for a in everything] == [("venue_down", "open", False), ("overfill", "over", True)]
    assert street.json("alert", "ls", "--owner", "fix_desk")["alerts"] == []
    assert [a["code"] for a in street.json("alert", "ls", "--owner", "risk", "--all")["alerts"]] == ["overfill"]
    table = street.ctl("-o", "table", "alert", "ls")
    assert (table.exit_code, "venue_down" in table.stdout, table.stderr) == (0, True, "")


def test_an_acknowledgement_is_an_event_with_its_person_and_reason(street):
    """By the id in full or by its end; status counts what still waits."""
    troubled(street)
    [known] = street.json("alert", "ls")["alerts"]
    assert street.json("status")["alerts"] == 1
    assert street.json("alert", "ack", known["alert_id"], "--reason", "calling them", "--dry-run")["dry_run"] is True
    assert street.json("status")["alerts"] == 1
    done = street.json("alert", "ack", known["alert_id"].partition(".")[2], "--reason", "calling them")
    event = street.day.fed[-1]
    assert (event.verb, event.target, event.reason, event.operator) == ("ack", known["alert_id"], "calling them", done["operator"])
    [shown] = street.json("alert", "ls")["alerts"]
    assert (shown["state"], shown["acknowledged_by"], shown["acknowledged_because"]) == ("acknowledged", done["operator"], "calling them")
    assert street.json("status")["alerts"] == 0


def test_what_can_not_be_acknowledged_says_why(street):
    """Unknown, without a reason, twice, over; an owner that is none. Nothing becomes an event."""
    troubled(street)
    [known] = street.json("alert", "ls")["alerts"]
    over = street.json("alert", "ls", "--all")["alerts"][1]
    before = street.day.state.seq
    for arguments, status, text in (
        (("ack", "a99", "--reason", "x"), 3, "not_found: no alert 'a99'"),
        (("ack", known["alert_id"]), 2, "usage: say why with --reason"),
        (("ack", over["alert_id"], "--reason", "x"), 5, "already_over: "),
        (("ls", "--owner", "me"), 2, "use trader, risk, operator, fix_desk"),
    ):
        done = street.ctl("alert", *arguments)
        assert (done.exit_code, done.stdout, text in done.stderr) == (status, "", True), done.stderr
    assert street.day.state.seq == before
    assert street.ctl("alert", "ack", known["alert_id"], "--reason", "x").exit_code == 0
    again = street.ctl("alert", "ack", known["alert_id"], "--reason", "x")
    assert (again.exit_code, "acknowledged already, by " in again.stderr) == (5, True)


def test_a_pause_shows_its_reason_to_the_operator(street):
    """The person, and why; the client hears of neither."""
    street.json("order", "pause", "P1", "--reason", "news about the stock")
    [row] = street.json("order", "ls", "--open")["orders"]
    assert row["because"].startswith("operator ")
    assert row["because"].endswith(": news about the stock")
    assert "news" not in json.dumps([r.text for r in street.day.reports()])
