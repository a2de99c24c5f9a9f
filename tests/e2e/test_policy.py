"""A policy is applied to a running server by the real algoctl: what leaves on the wire, after kill -9 too, and what a changed file does."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from algoserver.policies import digest_of
from tests.e2e.street import ROOT, ask, replay
from tests.e2e.venue import MESSAGE_S_MAX, Scripted


def ctl(scripted: Scripted, *arguments: str) -> dict[str, Any]:
    """algoctl, piped."""
    command = [sys.executable, "-m", "algoserver.ctl", "--state", str(scripted.state), *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=MESSAGE_S_MAX)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def alerted(scripted: Scripted, code: str) -> list[dict[str, Any]]:
    """The alerts of a code that the server has, once there is one. Each look waits for its answer."""
    deadline = time.monotonic() + MESSAGE_S_MAX
    found: list[dict[str, Any]] = []
    while not found and time.monotonic() < deadline:
        found = [a for a in ask(scripted.state, {"verb": "alert.ls"})["alerts"] if a["code"] == code]
    return found


def iceberg(scripted: Scripted, cl_ord_id: str) -> dict[str, str]:
    """2,000 AAPL, of which up to 200 show, and a market to take part in; its first child."""
    client = scripted.client()
    client.order(cl_ord_id, (111, 200), t847=1004, t38=2_000, t40=2, t44="200.00")
    assert client.next()["150"] == "0"
    scripted.venue.trade(100_000, "200.01")
    return scripted.venue.next("D")


def filled(scripted: Scripted, child: dict[str, str]) -> None:
    """The venue takes a child and trades it."""
    quantity = int(child["38"])
    scripted.venue.report(child, "0", "0", 0, quantity)
    scripted.venue.report(child, "F", "2", quantity, 0, quantity)


def test_a_lowered_limit_holds_on_the_wire_at_once_and_after_kill_9(tmp_path: Path):
    """Children of a hundred and more are of 50 and less from the answer on; the file on disk says 100,000 all the while, and then nonsense."""
    scripted = Scripted(tmp_path / "street")
    file = tmp_path / "street" / "cfg" / "policy.toml"
    first = file.read_text()
    child = iceberg(scripted, "P1")
    assert int(child["38"]) > 50
    lower = tmp_path / "lower.toml"
    lower.write_text(first.replace("child_qty_max = 100_000 ", "child_qty_max = 50 "))
    said = ctl(scripted, "policy", "apply", str(lower), "--reason", "test", "--yes")
    assert (said["is_applied"], said["digest"]) == (True, digest_of(lower.read_bytes()))
    filled(scripted, child)
    assert int(scripted.venue.next("D")["38"]) <= 50

    scripted.server.kill()
    scripted.server.start()
    scripted.venue.await_feed()
    scripted.venue.quote("200.00", "200.02", 20_000)
    assert [a["text"] for a in alerted(scripted, "policy_file_differs") if digest_of(first.encode())[:12] in a["text"]]
    rows = ask(scripted.state, {"verb": "policy.history"})["policies"]
    assert [(r["digest"], r["is_in_force"]) for r in rows] == [(digest_of(first.encode()), False), (said["digest"], True)]
    shown = [ask(scripted.state, {"verb": "policy.show", "target": target})["text"] for target in (rows[0]["version"], "")]
    assert shown == [first, lower.read_text()]
    child = iceberg(scripted, "P2")
    assert int(child["38"]) <= 50
    explained = ask(scripted.state, {"verb": "policy.explain", "target": "P2"})
    assert [r["value"] for r in explained["limits"] if r["limit"] == "child_qty_max"] == ["50"]

    file.write_text("no policy at all")
    (drifted,) = alerted(scripted, "config_drifted")
    assert (drifted["subject"], digest_of(b"no policy at all")[:12] in drifted["text"]) == ("policy.toml", True)
    assert ctl(scripted, "policy", "rollback", rows[0]["digest"], "--reason", "test", "--yes")["raises"] == 1
    filled(scripted, child)
    assert int(scripted.venue.next("D", child["11"].rpartition(".")[0])["38"]) > 50
    scripted.server.kill()
    scripted.venue.close()
    replay(scripted.state, "0")
