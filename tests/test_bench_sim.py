"""tools/bench_sim.py and tools/sim_endurance.py, small: what they print is one object, and a peer that can't be had is said, not made up."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OURS = {"kernel_events_per_s", "venue_requests_per_s", "book_operations_per_s", "days_per_minute", "day_events_per_s"}
FIX = {"fix_orders_per_s", "fix_p50_us", "fix_p99_us", "bare_orders_per_s", "bare_text_orders_per_s"}


def run(*arguments: str, **environment: str) -> tuple[dict, str]:
    command = [sys.executable, *arguments, "--json"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False, env={**os.environ, "PYTHONPATH": str(ROOT), **environment}
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stdout


def test_the_bench_measures_ours_and_says_which_reference_is_missing(tmp_path):
    """Nowhere to install: each peer is not available, its bars have no result; ours and FIX are there."""
    (tmp_path / "cache").write_text("a file where a folder should be")
    # The compiled kernel's own cache would be there too: uncompiled is quicker than compiled anew.
    found, said = run("tools/bench_sim.py", "--quick", XDG_CACHE_HOME=str(tmp_path / "cache"), NUMBA_DISABLE_JIT="1")
    assert found["figures"].keys() >= OURS | FIX
    assert min(found["figures"].values()) > 0
    assert {name: note.split(":")[0] for name, note in found["notes"].items()} == {
        "nautilus_trader": "reference not available", "hftbacktest": "reference not available",
    }  # fmt: skip
    missing = [b for b in found["bars"] if "nautilus" in b["against"] or "hft" in b["against"]]
    assert [b["passed"] for b in missing] == [None] * 3
    assert next(b for b in found["bars"] if b["against"] == "bare_orders_per_s")["passed"] in (True, False)
    assert "no reference" in said


def test_books_and_reports_agree_through_a_quarter_of_an_hour():
    """Six minutes with clients and six without, at three venues in five instruments."""
    for crowd in ("flow", "reacting"):
        found, _ = run("tools/sim_endurance.py", "--hours", "0.1", "--crowd", crowd, NUMBA_DISABLE_JIT="0")
        assert (found["differences"], found["rejected"]) == (0, 0)
        assert found["fills"] > 50
        assert found["hours"][0]["live"] > 0


def test_books_and_reports_agree_over_fix():
    """Six minutes, at a hundred times real time: the venues' answers about every live order, and how many a mass cancel ends."""
    found, _ = run("tools/sim_endurance.py", "--fix", "--hours", "0.1", "--speed", "100", "--requests-per-s", "0.5")
    assert (found["differences"], found["rejected"]) == (0, 0)
    assert found["fills"] > 5
    assert found["hours"][0]["live"] > 0
