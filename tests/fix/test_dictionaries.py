"""The dictionaries that are carried are the stock ones with ours added, and nothing else."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_dictionaries_are_what_the_tool_makes_of_quickfixs_own():
    """A stock dictionary that changes, or an edit by hand, is noticed."""
    done = subprocess.run([sys.executable, str(ROOT / "tools" / "dictionaries.py"), "--check"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")
