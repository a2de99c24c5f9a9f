"""The sample OMS as a person starts it: what it says when it can't trade."""

import subprocess
import sys

import pytest

from algoserver.oms import words


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("150=0 39=0 38=2000 14=0 6=0", "New 0 of 2000"),
        ("150=F 39=1 38=2000 14=300 6=197.93 32=100 31=197.95 30=XLIT1", "PartiallyFilled 300 of 2000 at 197.93: 100 at 197.95 on XLIT1"),
        ("150=F 39=2 38=2000 14=2000 6=197.93 32=100 31=197.95", "Filled 2000 of 2000 at 197.93: 100 at 197.95"),
        ("150=8 39=8 38=2000 14=0 6=0", "Rejected 0 of 2000"),
        ("150=H 39=1 38=2000 14=200 6=197.9", "TradeCancel, PartiallyFilled 200 of 2000 at 197.9"),
        ("150=4 39=4 38=2000 14=200 6=197.9", "Canceled 200 of 2000 at 197.9"),
        ("150=Z 39=Z", "Z 0 of ?"),
    ],
)
def test_a_report_is_said_in_words(text: str, said: str):
    """Before its codes; what nobody knows stays as it came."""
    assert words(dict(pair.split("=") for pair in text.split())) == said


def test_it_says_what_to_do_when_nobody_listens():
    """Not the system's number of the error."""
    done = subprocess.run([sys.executable, "-m", "algoserver.oms", "--port", "1", "--strategy", "twap"], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (2, "")
    assert "start `algoserver serve`" in done.stderr
