"""What operators ask: every key of the answers, and the words for what an order waits for."""

import pytest

from algoserver.answers import ROWS_MAX
from algoserver.domain.types import MINUTE, SECOND, OrdStatus, Strategy
from tests.core.day import Day, policy_loaded
from tests.test_control import foreign, refused, said

ROW = [
    "order_id", "cl_ord_id", "session", "symbol", "side", "algo", "order_qty", "cum_qty", "leaves_qty", "avg_px", "ord_status", "state", "because",
]  # fmt: skip


def test_status_tells_the_machine_at_a_glance():
    """Every key is there, always."""
    day = Day()
    day.resting()
    status = said(day, "status")
    assert list(status) == [
        "market_time", "seq", "run", "policy", "config_sha256", "killed", "kill_verified", "stops", "parents", "parents_open", "children_open",
        "sessions_up", "sessions_down", "model", "forecasts", "alerts",
    ]  # fmt: skip
    assert (status["market_time"][:8], status["policy"], status["config_sha256"]) == ("20190628", "test", "test")
    assert (status["parents"], status["parents_open"], status["children_open"], status["killed"]) == (1, 1, 1, "")
    assert status["sessions_up"] == ["XLIT1", "XLIT2"]
    assert status["alerts"] == 0
    day.operator("kill")
    assert said(day, "status")["alerts"] == 1


def test_a_kill_is_verified_when_no_child_is_open():
    """Said by status: killed by whom, and whether it is done."""
    day = Day()
    child = day.resting()
    day.operator("kill", reason="drill")
    assert (said(day, "status")["killed"], said(day, "status")["kill_verified"]) == ("ann: drill", False)
    assert said(day, "order.show", "P1")["state"] == "stopped"
    day.canceled(child)
    assert said(day, "status")["kill_verified"] is True


def test_a_kill_of_a_scope_where_nothing_is_open_is_verified_at_once():
    """Whatever its scope, and whatever is open elsewhere; with a second scope that is not verified yet, the whole is not."""
    day = Day()
    day.down("XLIT2")
    child = day.resting()
    assert said(day, "status")["kill_verified"] is False
    day.operator("kill", "venue:XLIT2")
    assert (said(day, "status")["kill_verified"], said(day, "status")["children_open"]) == (True, 1)
    day.operator("kill", "symbol:AAPL")
    assert said(day, "status")["kill_verified"] is False
    day.canceled(child)
    assert said(day, "status")["kill_verified"] is True


def test_a_kill_after_a_restart_is_not_verified_while_a_child_is_unknown():
    """What the last process left open is open until its venue has said that it is not."""
    day = Day()
    child = day.resting()
    day.down("XLIT1", is_restart=True)
    day.operator("kill")
    assert said(day, "status")["kill_verified"] is False
    day.up("XLIT1")
    day.status_of(child, status=OrdStatus.CANCELED)
    assert said(day, "status")["kill_verified"] is True


def test_orders_are_listed_with_quantities_as_text():
    """All, or those that are not over."""
    day = Day()
    child = day.resting()
    day.fill(child, 400)
    day.trade(50_000)
    day.parent("P2", 200, strategy=Strategy.VWAP)
    day.cancel("P2")
    rows = said(day, "order.ls")["orders"]
    assert [list(r) for r in rows] == [ROW, ROW]
    assert (rows[0]["order_qty"], rows[0]["cum_qty"], rows[0]["leaves_qty"], rows[0]["avg_px"]) == ("1000", "400", "600", "200")
    assert (rows[0]["side"], rows[0]["algo"], rows[0]["ord_status"], rows[0]["state"]) == ("BUY", "TWAP", "PARTIALLY_FILLED", "working")
    assert (rows[1]["algo"], rows[1]["ord_status"], rows[1]["state"]) == ("VWAP", "CANCELED", "over")
    still = said(day, "order.ls", is_open=True)
    assert ([r["cl_ord_id"] for r in still["orders"]], still["total"]) == (["P1"], 1)


def test_a_long_list_is_cut_to_its_latest_and_says_so():
    """The core waits while it is made."""
    day = Day()
    for i in range(ROWS_MAX + 5):
        day.parent(f"P{i}", symbol="NONE")
    listed = said(day, "order.ls")
    assert (listed["total"], len(listed["orders"]), listed["orders"][-1]["cl_ord_id"]) == (ROWS_MAX + 5, ROWS_MAX, f"P{ROWS_MAX + 4}")


def test_an_order_is_shown_with_its_children_and_parameters():
    """By OrderID and by ClOrdID."""
    day = Day()
    child = day.resting()
    day.fill(child, 400)
    shown = said(day, "order.show", "P1")
    assert shown == said(day, "order.show", day.order().parent_id)
    assert list(shown)[: len(ROW)] == ROW
    assert (shown["arrival_px"], shown["forgiven"], shown["children_sent"]) == ("200.01", "0", 1)
    assert (shown["params"]["Completion"], shown["params"]["MaxPctVol"], shown["params"]["IWouldPrice"]) == ("SOFT", "1", "")
    assert shown["params"]["EndTime"] == shown["end"]
    assert shown["plan"].startswith("TWAP: BUY 1000 AAPL")
    (row,) = shown["children"]
    assert (row["child_id"], row["venue"], row["price"], row["order_qty"], row["cum_qty"]) == (child.child_id, "XLIT1", "200", "1000", "400")


@pytest.mark.parametrize(("strategy", "shown"), [(Strategy.LIQUIDITY, "1"), (Strategy.TWAP, "")])
def test_a_share_that_is_the_strategys_own_is_shown_as_it_is(strategy, shown):
    """Left out, DarkPct is all for LIQUIDITY and nothing for the others."""
    day = Day()
    day.quote()
    day.parent("P1", 1_000, strategy)
    assert said(day, "order.show", "P1")["params"]["DarkPct"] == shown


def test_a_state_word_says_why():
    """Waiting, paused, ending, over."""
    day = Day()
    child = day.resting()
    day.quote()
    day.parent("P2", start_ts=day.now + MINUTE)
    assert (said(day, "order.show", "P2")["state"], said(day, "order.show", "P2")["because"]) == ("waiting", "for its start")
    day.operator("pause", day.order().parent_id)
    assert (said(day, "order.show", "P1")["state"], said(day, "order.show", "P1")["because"]) == ("paused", "operator ann: test")
    day.cancel()
    assert (said(day, "order.show", "P1")["state"], said(day, "order.show", "P1")["because"]) == ("ending", "canceled by the client, C1")
    day.canceled(child)
    assert said(day, "order.show", "P1")["state"] == "over"


def test_a_plan_is_shown_by_slices_with_its_band_and_what_was_done():
    """The band reaches one slice to each side; the future has no done."""
    day = Day()
    day.quote()
    day.parent("P1", 1_000, minutes=10)
    day.wait(90 * SECOND)
    plan = said(day, "order.plan", "P1")
    assert (plan["follows"], plan["slice_s"], len(plan["slices"])) == ("clock", 60, 10)
    # The order came a few microseconds after the open, and quantities are rounded down.
    assert [int(s["planned"]) for s in plan["slices"]] == [100, 200, 300, 400, 500, 600, 700, 800, 900, 1000]
    assert (plan["slices"][4]["low"], plan["slices"][4]["high"]) == ("400", "600")
    assert [s["done"] for s in plan["slices"]][:3] == ["0", None, None]
    assert 145 < int(plan["due_qty"]) <= 150


def test_what_was_done_by_a_slices_end_stays_what_it_was():
    """Later fills do not change it."""
    day = Day()
    day.quote()
    day.parent("P1", 1_000, minutes=10, max_pct_vol=1_000_000)
    day.trade(50_000)
    day.wait(2 * SECOND)
    day.fill(day.sent()[0], 100)
    day.wait(MINUTE)
    day.quote()
    day.trade(50_000)
    day.wait(2 * SECOND)
    day.fill(day.sent()[-1], 50)
    plan = said(day, "order.plan", "P1")
    assert (plan["slices"][0]["done"], plan["cum_qty"]) == ("100", "150")


def test_pov_follows_the_volume_and_an_order_that_is_over_has_no_plan():
    """No slices by the clock."""
    day = Day()
    day.quote()
    day.parent("P1", strategy=Strategy.POV, target_pct_vol=100_000)
    plan = said(day, "order.plan", "P1")
    assert (plan["follows"], plan["slices"]) == ("volume", [])
    assert "10 % of volume" in plan["plan"]
    day.cancel()
    assert refused(day, "order.plan", "P1") == "already_over"


def test_a_window_of_months_is_shown_in_a_thousand_rows():
    """Its last row is the end."""
    day = Day(policy_loaded(hours=policy_loaded().hours.__class__(0, 86_400 * SECOND)))
    day.quote()
    day.parent("P1", minutes=60 * 24 * 90)
    slices = said(day, "order.plan", "P1")["slices"]
    assert len(slices) <= ROWS_MAX
    assert slices[-1]["planned"] == "1000"


def test_sessions_and_venues_are_listed():
    """A client that never came is down; quotes are by symbol."""
    day = Day()
    day.resting()
    day.up("CLIENT1")
    day.down("XLIT2")
    sessions = {s["session"]: s for s in said(day, "session.ls")["sessions"]}
    assert sessions["CLIENT1"] == {"session": "CLIENT1", "kind": "client", "state": "up", "msg_seq_heard": 0}
    assert (sessions["XLIT2"]["kind"], sessions["XLIT2"]["state"]) == ("venue", "down")
    first, second = said(day, "venue.ls")["venues"]
    assert (first["venue"], first["state"], first["children_open"], first["children_unknown"]) == ("XLIT1", "up", 1, 0)
    assert {k: first["quotes"][0][k] for k in ("symbol", "bid_px", "ask_px", "bid_qty")} == {
        "symbol": "AAPL", "bid_px": "200", "ask_px": "200.02", "bid_qty": "5000",
    }  # fmt: skip
    assert (second["state"], second["children_open"]) == ("down", 0)


def test_what_never_came_is_down():
    """A client that may log on and has not; a venue whose session has not come up since the start."""
    day = Day(policy_loaded(clients=("CLIENT1", "CLIENT2")))
    day.up("CLIENT1")
    sessions = said(day, "session.ls")["sessions"]
    assert [(s["session"], s["kind"], s["state"]) for s in sessions if s["kind"] == "client"] == [
        ("CLIENT1", "client", "up"), ("CLIENT2", "client", "down"),
    ]  # fmt: skip
    day.state.sessions.pop("XLIT2")
    day.state.venues_up["XLIT2"] = False
    assert "XLIT2" in said(day, "status")["sessions_down"]


def test_foreign_orders_are_listed_with_what_they_stop():
    """And by whose word they stop nothing any more; venues list what is stopped and halted there."""
    day = Day()
    foreign(day)
    foreign(day, "WHO2", OrdStatus.PARTIALLY_FILLED, 200)
    day.operator("adopt", "XLIT1 WHO2")
    day.halt("XLIT2")
    listed = said(day, "venue.foreign")
    assert [(f["cl_ord_id"], f["order_qty"], f["cum_qty"], f["stops"], f["released_by"]) for f in listed["foreign"]] == [
        ("WHO1", "500", "0", "AAPL at XLIT1", ""), ("WHO2", "500", "200", "", "ann"),
    ]  # fmt: skip
    assert [(v["stopped"], v["halted"]) for v in said(day, "venue.ls")["venues"]] == [(["AAPL"], []), ([], ["AAPL"])]
