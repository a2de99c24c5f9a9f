"""Twice the peak for a moment, through a real server and sockets: what must hold whatever the machine, and the export of what it left."""

import json
import subprocess
import sys
from pathlib import Path

from tests.test_export import agrees, exported

ROOT = Path(__file__).resolve().parents[1]


def test_control_33_at_twice_the_peak_nothing_is_lost_and_the_books_agree(tmp_path):
    """Orders, children, reports and trades arrive once each, limits hold, alerts are everywhere; the export counts what the journal has."""
    command = [sys.executable, "tools/bench_stress.py", "--seconds", "1.5", "--untimed", "--json", "--keep", str(tmp_path / "street")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=550)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    found = {f["must_hold"]: f["is_met"] for f in report["findings"]}
    assert all(found.values())
    assert {
        "every order has one answer", "every child that was sent arrived, once", "every report reached its client, once", "no session has a gap",
        "books of client, server and venue agree", "every alert is in log, webhook and algoctl",
    } <= set(found)  # fmt: skip
    assert (report["is_passed"], report["peak"]) == (True, {"orders": 400, "reports": 1_500, "market_data": 1_000})
    tables = exported(tmp_path / "street" / "server", tmp_path / "export")
    agrees(tmp_path / "street" / "server", tables)
    assert sum(int(row["last_qty"]) for row in tables["executions"]) == report["measured"]["shares_traded"]
    # A core that is slow for seconds has the kill done past it first.
    assert [(row["verb"], row["result"]) for row in tables["commands"] if row["result"] != "past_core"] == [("kill", "done")]
