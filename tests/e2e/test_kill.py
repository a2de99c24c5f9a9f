"""A kill when the core stands still, over real processes and sockets: what is open is taken back, and the next start remembers."""

import contextlib
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from algoserver.ctl import app
from algoserver.door import Unreachable, call
from tests.e2e.street import END, PATIENCE_S, START, Street, ask, replay

# An iceberg at 195.00 where AAPL trades near 198: its child is open until it is canceled, however long a busy machine takes to get there.
RESTING = (
    f"35=D|11=K1|21=1|55=AAPL|54=1|60={START}|38=2000|40=2|44=195.00|59=0|847=1004|126={END}"
    "|957=2|958=MaxPctVol|960=1|958=DisplayQty|960=200"
)


def until(state: Path, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The status, once that holds of it."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds(status := ask(state, {"verb": "status"})):
        assert time.monotonic() < deadline, status
    return status


def open_at_venues(street: Street) -> int:
    """What the venues' ledger has open."""
    leaves = {r["order_id"]: r.get("leaves_qty", 0) for r in street.venue_reports()}
    return sum(leaves.values())


def block(state: Path) -> None:
    """Let the core stand still; nobody will answer."""
    with contextlib.suppress(Unreachable):
        call(state, {"verb": "order.pause", "target": "K1", "reason": "block"})


def test_a_kill_goes_around_a_stuck_core_and_holds_after_kill_9(tmp_path, monkeypatch):
    """Canceled at the venue by the asker's thread, exit 6; after a kill -9 the next start is killed, and unverified until the venue is back."""
    monkeypatch.setattr("algoserver.ctl.LOOK_AHEAD_S", 0.1)
    street = Street(tmp_path / "street", 15, server_module="tests.e2e.stuck")
    state = street.folder / "server"
    street.await_market()
    street.client.send(RESTING)
    until(state, lambda status: status["children_open"] > 0)
    threading.Thread(target=block, args=(state,), daemon=True).start()
    assert street.server.process.stdout.readline() == "blocked\n"

    killed = CliRunner().invoke(app, ["--state", str(state), "kill", "--reason", "drill"])
    assert killed.exit_code == 6, killed.stderr
    said = json.loads(killed.stdout)
    assert (said["is_past_core"], said["is_remembered"], said["unreached"]) == (True, True, [])
    assert "the core stands still: no child leaves any more" in killed.stderr
    assert said["canceled"] > 0
    deadline = time.monotonic() + PATIENCE_S
    while open_at_venues(street):
        assert time.monotonic() < deadline, "the venues have not confirmed"
    while not (written := [line for line in map(json.loads, (state / "audit.jsonl").read_text().splitlines()) if line["verb"] == "kill"]):
        assert time.monotonic() < deadline, "the audit has no kill"
    assert [(x["reason"], x["result"]) for x in written] == [("drill", "past_core")]

    street.server.kill()
    street.sim.kill()  # the venues are down when the server comes back
    street.server.command[2] = "algoserver"
    street.server.start()
    status = ask(state, {"verb": "status"})
    assert status["killed"].endswith(": drill")
    assert (status["kill_verified"], status["children_open"] > 0) == (False, True)
    assert (state / "kill").read_text().strip() == ""
    street.sim.start()
    status = until(state, lambda status: status["kill_verified"])
    assert (status["children_open"], open_at_venues(street)) == (0, 0)
    verified = CliRunner().invoke(app, ["--state", str(state), "audit", "verify"])
    assert verified.exit_code == 0, verified.stderr
    assert street.close() == [0, 0]
    assert "all equal" in replay(state, "0")


