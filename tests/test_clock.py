"""Core time: it never goes back, and never stands still for long, whatever the machine's clock does."""

from pathlib import Path

import pytest

from algoserver.checks import FAIL
from algoserver.clock import Clock, CoreTime
from algoserver.config import load
from algoserver.control import answer
from algoserver.core.alerts import live
from algoserver.domain.types import DAY, MINUTE, SECOND, utc
from algoserver.health import running
from algoserver.server import Server

ROOT = Path(__file__).resolve().parents[1]


class Machine:
    """The machine's two clocks: `wall` can be set, the other goes on by what passes."""

    def __init__(self) -> None:
        self.wall, self.mono = utc("20190628-15:00:00"), 0

    def time_ns(self) -> int:
        return self.wall

    def monotonic_ns(self) -> int:
        return self.mono

    def passes(self, ns: int) -> None:
        """Time passes."""
        self.wall += ns
        self.mono += ns


@pytest.fixture
def machine(monkeypatch):
    made = Machine()
    monkeypatch.setattr("algoserver.clock.time", made)
    return made


def test_time_goes_on_where_the_clock_has_gone_back_by_a_day(machine):
    """At its own pace, and by the clock again once that has caught up; said when it begins and when it is over."""
    core = CoreTime(Clock(), machine.wall - DAY)
    began = core.now()
    assert (began, core.look()) == (machine.wall, [])
    machine.wall -= DAY
    machine.passes(30 * SECOND)
    assert core.now() == began + 30 * SECOND
    (said,) = core.look()
    assert (said.code, said.subject) == ("clock_behind", "clock")
    assert said.text.startswith("the machine's clock is 86400.0 s behind")
    machine.passes(30 * SECOND)
    assert (core.now(), core.look()) == (began + 60 * SECOND, [])
    machine.wall += DAY + SECOND
    assert (core.now(), [w.code for w in core.look()]) == (machine.wall, ["clock_caught_up"])


def test_time_stands_still_where_the_clock_is_put_right_by_a_little(machine):
    """A second back, as after a leap second: it waits for the clock, and nobody is told."""
    core = CoreTime(Clock(), 0)
    began = core.now()
    machine.wall -= SECOND
    machine.passes(SECOND // 2)
    assert core.now() == began
    machine.passes(SECOND)
    assert (core.now(), core.look()) == (began + SECOND // 2, [])


@pytest.mark.parametrize("back", [4 * SECOND, 2 * SECOND])
def test_time_stands_still_for_no_longer_though_the_clock_goes_back_by_a_little_again_and_again(machine, back):
    """Two programs set it, or it stands: steps of which none is more than the bound add up to more, and no timer waits for ever."""
    core = CoreTime(Clock(), 0)
    began, told = core.now(), []
    for _ in range(100):
        for _ in range(back // SECOND * 5):
            machine.passes(SECOND // 5)
            assert core.now() > began + machine.mono - 6 * SECOND
            told += [w.code for w in core.look()]
        machine.wall -= back
    assert (core.now(), told) == (began + machine.mono, ["clock_behind"])


def test_time_goes_on_where_the_clock_stands(machine):
    """As under a hypervisor that has lost it. When it goes on, by what it has missed, all is well again."""
    core = CoreTime(Clock(), 0)
    began = core.now()
    for _ in range(60):
        machine.mono += SECOND
        core.now()
    assert (core.now(), [w.code for w in core.look()]) == (began + MINUTE, ["clock_behind"])
    machine.wall += MINUTE
    assert (core.now(), [w.code for w in core.look()]) == (began + MINUTE, ["clock_caught_up"])


def test_a_clock_that_goes_on_by_a_day_at_once_is_followed_and_said(machine):
    """It may have been put right. What ended by it has ended, so a person must look."""
    core = CoreTime(Clock(), 0)
    machine.wall += DAY
    assert (core.now(), [w.code for w in core.look()], core.look()) == (machine.wall, ["clock_jumped"], [])


def test_a_recorded_days_clock_is_bounded_in_wall_seconds(machine):
    """At sixty times the pace a second of the wall is a minute of the market: no accident."""
    core = CoreTime(Clock(60.0, utc("20190628-13:30:00"), machine.wall), 0)
    began = core.now()
    machine.wall -= SECOND
    assert (core.now(), core.look()) == (began, [])
    machine.wall -= DAY
    machine.passes(SECOND)
    assert (core.now(), [w.code for w in core.look()]) == (began + 60 * SECOND, ["clock_behind"])


def test_a_server_whose_clock_went_back_by_a_day_wakes_its_timers_and_says_so(machine, tmp_path):
    """It stood still until the clock had caught up: nobody heard that a venue does not come."""
    server = Server(load(ROOT / "cfg" / "server.toml"), tmp_path)
    server._introduce()
    machine.wall -= DAY
    server._turn([])
    machine.passes(5 * MINUTE)
    server._turn([])
    machine.passes(DAY)  # in which no event comes: the clock is at the last one, and orders a day ahead of it
    told = [alert.code for alert in live(server.state.alerts)]
    said = running(server._config, tmp_path, lambda asked: answer(server.state, asked, "ann", now=server._time.now())[0])
    found = {row["check"]: row for row in said["checks"]}
    server._journal.close()
    for endpoint in server._endpoints:
        endpoint._engine = None  # QuickFIX knows a session once in a process: another file's tests may need it
    assert ("clock_behind" in told, "venue_missing" in told) == (True, True)
    assert (found["clock"]["state"], found["clock"]["value"]) == (FAIL, "86400.0 s behind the time of the orders")
    assert "pause" in found["clock"]["to_do"]
