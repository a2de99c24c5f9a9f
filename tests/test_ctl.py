"""algoctl against a door on a real socket: what it prints, what it asks before it acts, how it exits."""

import json
import os
import pty
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from algoserver import door
from algoserver.ctl import app
from algoserver.domain.events import ForeignOrderReported
from algoserver.domain.types import OrdStatus
from tests.desk import Street


def on_terminal(street: Street, typed: str, *arguments: str) -> tuple[int, str, str]:
    """algoctl as a process whose stdin is a terminal; exit status, stdout, stderr."""
    ours, its = pty.openpty()
    command = [sys.executable, "-m", "algoserver.ctl", *arguments, "--state", str(street.state_dir)]
    process = subprocess.Popen(command, stdin=its, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    os.write(ours, typed.encode())
    try:
        out, err = process.communicate(timeout=120)
    finally:
        os.close(its)
        os.close(ours)
    return process.returncode, out, err


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        (("status",), "market_time"),
        (("order", "ls"), "orders"),
        (("order", "ls", "--open"), "orders"),
        (("order", "show", "P1"), "children"),
        (("order", "plan", "P1"), "slices"),
        (("session", "ls"), "sessions"),
        (("venue", "ls"), "venues"),
        (("venue", "foreign"), "foreign"),
        (("approval", "ls"), "approvals"),
        (("audit", "tail"), "lines"),
        (("audit", "verify"), "is_whole"),
    ],
)
def test_every_question_has_json_when_piped_and_a_table_when_asked_for(street, arguments, key):
    """The same data; nothing on stderr; -o and --state behind the verb as well as before it."""
    assert key in street.json(*arguments)
    table = street.ctl("-o", "table", *arguments)
    assert (table.exit_code, table.stderr) == (0, "")
    assert "│" in table.stdout
    behind = CliRunner().invoke(app, [*arguments, "--state", str(street.state_dir), "-o", "json"])
    assert key in json.loads(behind.stdout)


def test_the_state_directory_may_come_from_the_environment(street):
    """The option is stronger."""
    environment = {"ALGOSERVER_STATE": str(street.state_dir)}
    assert CliRunner().invoke(app, ["status"], env=environment).exit_code == 0
    assert CliRunner().invoke(app, ["status", "--state", "nowhere"], env=environment).exit_code == 8


def test_a_tables_cells_do_nothing_to_the_terminal(street):
    """Neither escape codes nor markup of a ClOrdID work."""
    street.day.parent("[red]\x1b[2Jx", symbol="NONE")
    out = street.ctl("-o", "table", "order", "ls").stdout
    assert "\x1b" not in out
    assert "[red]?[2Jx" in out


def test_quotes_read_as_bid_and_ask(street):
    """Quantity at price on both sides, and their age."""
    out = street.ctl("-o", "table", "venue", "ls").stdout
    assert "AAPL  5000 @ 200 / 200.02 @ 5000, " in out


def test_an_order_is_paused_resumed_and_canceled(street):
    """Pause and resume ask nothing; a cancel is for good and needs --yes."""
    done = street.json("order", "pause", "P1", "--reason", "news")
    assert (done["verb"], done["children_open"], done["reason"]) == ("order.pause", 1, "news")
    assert street.day.order().paused_by.startswith("operator ")
    street.json("order", "resume", "P1")
    assert street.day.order().paused_by == ""
    refused = street.ctl("order", "cancel", "P1")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "--yes" in refused.stderr
    street.json("order", "cancel", "P1", "--yes", "--reason", "client called")
    assert street.day.order().end_text.endswith("client called")


def test_a_kill_without_a_terminal_needs_no_yes_and_a_release_does(street):
    """A kill is never harder than an order. How far it reaches stands on stderr before it acts."""
    killed = street.ctl("kill", "--reason", "drill")
    assert killed.exit_code == 0
    assert "1 open parents and 1 open children" in killed.stderr
    assert json.loads(killed.stdout)["verb"] == "kill"
    assert [r.get("dry_run", False) for r in street.asked] == [True, False]
    assert street.day.state.gate.killed.endswith(": drill")
    assert street.ctl("release").exit_code == 2
    assert street.day.state.gate.killed
    assert street.ctl("release", "--scope", "firm", "--yes").exit_code == 0
    assert street.day.state.gate.killed == ""


def test_a_kill_does_not_wait_for_a_slow_look_ahead(street, monkeypatch):
    """It is sent all the same."""
    monkeypatch.setattr("algoserver.ctl.LOOK_AHEAD_S", 0.05)
    with street.slow("kill", is_dry_run=True):
        killed = street.ctl("kill")
    assert (killed.exit_code, "nobody knows how much" in killed.stderr) == (0, True)
    assert street.day.state.gate.killed


@pytest.mark.parametrize("arguments", [("kill",), ("order", "cancel", "P1"), ("order", "pause", "P1")])
def test_a_dry_run_changes_nothing(street, arguments):
    """Judged by the server; no question is asked."""
    before = street.day.state.seq
    assert street.json(*arguments, "--dry-run")["dry_run"] is True
    assert street.day.state.seq == before


def test_on_a_terminal_a_kill_asks_first(street):
    """No is no, and exits 2; yes kills; the question is not part of the data."""
    status, out, err = on_terminal(street, "n\n", "kill")
    assert (status, out, street.day.state.gate.killed) == (2, "", "")
    assert "1 open parents and 1 open children" in err
    status, out, err = on_terminal(street, "y\n", "kill", "--reason", "drill")
    assert (status, json.loads(out)["verb"]) == (0, "kill")
    assert "Kill the firm?" in err
    assert street.day.state.gate.killed.endswith("drill")


def test_on_a_terminal_a_cancel_shows_its_reach_and_asks(street):
    """What the server refuses is refused before the question."""
    status, _, err = on_terminal(street, "y\n", "order", "cancel", "P1")
    assert (status, "BUY 1000 AAPL, 0 of it done, 1 open children. Go on?" in err) == (0, True)
    status, _, err = on_terminal(street, "y\n", "order", "cancel", "P1")
    assert (status, "Go on?" in err) == (5, False)


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (("order", "show", "P9"), 3, "not_found: "),
        (("order", "resume", "P1"), 5, "nothing_to_do: "),
        (("release", "--yes"), 5, "nothing_to_do: "),
        (("kill", "--scope", "symbol:NONE"), 3, "not_found: no symbol 'NONE' is known"),
        (("kill", "--reason", "two\nlines"), 2, "usage: "),
        (("order", "eat"), 2, "No such command"),
        (("order", "show"), 2, "Missing argument"),
        (("-o", "yaml", "status"), 2, "yaml"),
    ],
)
def test_exit_statuses_say_what_was_wrong(street, arguments, status, text):
    """On stderr; stdout stays empty."""
    done = street.ctl(*arguments)
    assert (done.exit_code, done.stdout) == (status, "")
    assert text in done.stderr


def test_denied_timeout_and_unreachable_have_their_own(street, monkeypatch):
    """4, 7 and 8."""
    with monkeypatch.context() as patch:
        patch.setattr(door, "peer_of", lambda peer: door.Caller(4_000_000_001, "eve"))
        assert street.ctl("kill").exit_code == 4
    with monkeypatch.context() as patch:
        patch.setattr(door, "CALL_TIMEOUT_S", 0.05)
        with street.slow("status"):
            assert street.ctl("status").exit_code == 7
    street.door.stop()
    gone = street.ctl("status")
    assert (gone.exit_code, "no server is running" in gone.stderr) == (8, True)


def test_help_loads_neither_engine_nor_model():
    """It is there at once."""
    heavy = "quickfix", "lightgbm", "numpy", "sklearn", "algoserver.server", "algoserver.core", "msgspec"
    code = f"import sys\nfrom algoserver.ctl import app\ntry: app(['--help'])\nfinally: print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines()[-1] == "[]", done.stdout + done.stderr
    heavy = "quickfix", "lightgbm", "numpy", "sklearn", "algoserver.core", "algoserver.domain"
    code = f"import sys, algoserver.door; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "[]", done.stderr


def test_a_foreign_order_is_shown_adopted_and_canceled(street):
    """Adopt asks nothing; a cancel needs --yes, and sends nothing before it."""
    for name in ("WHO1", "WHO2"):
        common = {"session": "XLIT1", "child_id": name, "symbol": "AAPL", "side": "1", "order_qty": 500, "cum_qty": 0}
        street.day.feed(ForeignOrderReported(**common, ord_status=OrdStatus.NEW))
    assert [f["cl_ord_id"] for f in street.json("venue", "foreign")["foreign"]] == ["WHO1", "WHO2"]
    assert street.json("venue", "adopt", "XLIT1", "WHO1", "--reason", "voice order")["target"] == "XLIT1 WHO1"
    refused = street.ctl("venue", "cancel", "XLIT1", "WHO2")
    assert (refused.exit_code, "--yes" in refused.stderr) == (2, True)
    assert not street.day.state.foreign["XLIT1 WHO2"].canceled_by
    assert street.json("venue", "cancel", "XLIT1", "WHO2", "--yes")["order_qty"] == "500"
    assert street.day.state.foreign["XLIT1 WHO2"].canceled_by
    assert street.ctl("venue", "cancel", "XLIT1", "WHO3", "--yes").exit_code == 3


def test_an_order_is_amended_by_name_and_value(street):
    """--yes without a terminal; the help lists the parameters as they are declared, and a mistake is usage."""
    done = street.json("order", "amend", "P1", "OrderQty=1200", "MaxPctVol=0.5", "--yes", "--verbal", "--reason", "client called")
    assert (done["values"], done["is_verbal"]) == ({"OrderQty": "1200", "MaxPctVol": "0.5"}, True)
    assert (street.day.order().order.order_qty, street.day.order().params.max_pct_vol) == (1_200, 500_000)
    assert street.day.reports()[-1].exec_restatement_reason == 2
    for wrong in (("OrderQty",), ("OrderQty=1", "OrderQty=2"), ("Urgency=9",)):
        assert street.ctl("order", "amend", "P1", *wrong, "--yes").exit_code == 2
    assert street.ctl("order", "amend", "P1", "OrderQty=1300").exit_code == 2  # nobody said yes
    assert street.ctl("order", "amend", "P1", "OrderQty=9000000", "--yes").exit_code == 5
    assert "Urgency (int, 1 to 5)" in street.ctl("order", "amend", "--help").stdout
