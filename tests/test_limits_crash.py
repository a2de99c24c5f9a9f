"""kill -9 while a limit is being consumed: what was used before the crash is used after it."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from algoserver.core.state import dump
from algoserver.domain import commands, events
from algoserver.domain.policy import OverrideTerms
from algoserver.domain.types import PX_ONE, SECOND, Side, TimeInForce
from algoserver.journal import Journal
from algoserver.recovery import recover
from tests.core.day import POLICY, Day, policy_loaded

ROOT = Path(__file__).resolve().parents[1]
NOW = {"time_in_force": TimeInForce.IOC}
# Four orders of a hundred at 200.02, or one that two persons have let pass.
LIMITS = {
    "repeats": {"repeats_max": 4},
    "gross": {"gross_value_max": 4 * 100 * 20_002 * PX_ONE // 100},
    "override": {"parent_qty_max": 50, "child_qty_max": 50},
}
USES = 4


def started(name: str) -> Day:
    """A day under that limit, with an override that is not used yet."""
    day = Day(policy_loaded(policy=msgspec.structs.replace(POLICY, **LIMITS[name])))
    day.quote()
    if name == "override":
        terms = OverrideTerms("CLIENT1", "AAPL", Side.BUY, 100, 3_600 * SECOND)
        out = day.feed(events.ActionProposed(operator="ann", verb="override", target="CLIENT1", override=terms))
        (proposal,) = [c.subject for c in out if isinstance(c, commands.RaiseAlert)]
        day.feed(events.OperatorCommanded(operator="bob", verb="approve", target=proposal))
    return day


def uses(day: Day, number: int) -> bool:
    """One more order; whether a child of it left."""
    out = day.parent(f"P{number}", 100, **NOW)
    sent = [c for c in out if isinstance(c, commands.SendChild)]
    for child in sent[:1]:
        day.fill(child, child.order_qty)
    return bool(sent)


def main(name: str, directory: str) -> None:
    """Use half of the limit, each event durable before the next; say so, and wait for death."""
    day = started(name)
    with Journal(Path(directory)) as journal:
        written = 0

        def write() -> None:
            nonlocal written
            for event in day.fed[written:]:
                journal.append_input(event)
                journal.commit()
            written = len(day.fed)

        for number in range(1 if name == "override" else USES // 2):
            uses(day, number)
            write()
        print("half", flush=True)
        sys.stdin.read()


@pytest.mark.parametrize("name", LIMITS)
def test_a_crash_in_the_middle_of_a_limit_does_not_loosen_it(tmp_path: Path, name: str):
    """The recovered state is the one that died, to the byte; what is left of the limit is what was left, and not one more."""
    process = subprocess.Popen(
        [sys.executable, "-c", f"from tests.test_limits_crash import main; main({name!r}, {str(tmp_path)!r})"],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "half\n"
    process.kill()
    process.communicate()
    used = 1 if name == "override" else USES // 2
    twin = started(name)
    for number in range(used):
        assert uses(twin, number)
    with Journal(tmp_path) as journal:
        state = recover(tmp_path, journal.sent_seq, journal.next_seq - 1).state
    assert dump(state) == dump(twin.state)
    twin.state = state
    left = 0 if name == "override" else USES - used
    assert [uses(twin, used + n) for n in range(left + 2)] == [True] * left + [False] * 2
