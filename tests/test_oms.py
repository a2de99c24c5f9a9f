"""The sample OMS as a person starts it: what it says when it can't trade."""

import subprocess
import sys


def test_it_says_what_to_do_when_nobody_listens():
    """Not the system's number of the error."""
    done = subprocess.run([sys.executable, "-m", "algoserver.oms", "--port", "1", "--strategy", "twap"], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (2, "")
    assert "start `algoserver serve`" in done.stderr
