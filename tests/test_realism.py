"""tools/realism.py on two seeds and an hour of each: the market looks like one. All gates, and over a hundred seeds: docs/simulator.md."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_two_seeds_pass_every_gate_of_a_day():
    """Means inside their targets; the same tape compiled and not; the JSON has what it should."""
    parts = ["--only", "impact", "--only", "day", "--only", "markouts"]
    command = [sys.executable, "tools/realism.py", "--quick", "--seeds", "1:3", "--jobs", "1", "--json", *parts]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert done.stderr == ""
    gates = json.loads(done.stdout)["gates"]
    assert {tuple(g) for g in gates} == {("name", "target", "measured", "interval", "passed")}
    assert [g for g in gates if not g["passed"]] == []
    assert len(gates) >= 18
    assert done.returncode == 0
