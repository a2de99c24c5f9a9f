"""Faults over FIX and by the operator: what only an engine can do, and `algoctl sim` against a running simulator."""

import json

import pytest
from typer.testing import CliRunner

from algoserver.ctl import app
from algoserver.door import call
from tests.sim.fixclient import Client, Simulator, order

RESTING = "150"


@pytest.fixture(scope="module")
def simulator(tmp_path_factory):
    simulator = Simulator(tmp_path_factory.mktemp("faults"), "cfg/sim-venues.toml")
    yield simulator
    assert simulator.stop() == 0


@pytest.fixture
def client(simulator):
    client = Client(simulator.port, reset=True)
    yield client
    client.logout()


def inject(simulator, kind, **values):
    said = call(simulator.state, {"verb": "sim.inject", "target": kind, "values": values})
    assert "error" not in said, said
    return said


def ctl(simulator, *words, status=0):
    """What `algoctl sim` prints, as JSON; on stderr if it fails."""
    done = CliRunner().invoke(app, ["sim", *words, "--state", str(simulator.state)])
    assert done.exit_code == status, done.stderr
    return json.loads(done.stdout) if status == 0 else done.stderr


def test_a_sequence_gap_is_asked_for_and_filled(simulator, client):
    """Numbers are left out; the report behind them comes, and a resend request is answered by a gap fill."""
    client.send(order("g1", RESTING))
    before = int(client.report(_11="g1")["34"])
    inject(simulator, "sequence_gap", client="ALGO", venue="XLIT1", count=3)
    client.send(order("g2", RESTING))
    after = int(client.report(_11="g2", _150="0")["34"])
    assert after == before + 4
    client.send(f"35=2|7={before + 1}|16={after - 1}|")
    filled = client.wait(lambda m: m["35"] == "4")
    assert (filled["123"], filled["36"]) == ("Y", str(after))


def test_a_broken_connection_loses_nothing(simulator):
    """It breaks while an order stands; what happened meanwhile is there when the client is back."""
    client = Client(simulator.port, reset=True)
    client.send(order("d1", RESTING))
    client.report(_11="d1", _150="0")
    inject(simulator, "disconnect", client="ALGO", venue="XLIT1")
    with pytest.raises(AssertionError, match="closed the connection"):
        client.wait(lambda m: False)
    client.close()
    inject(simulator, "halt", symbol="AAPL", resting="cancel")
    client = Client(simulator.port, seq=client.seq)
    client.send("35=2|7=1|16=0|")
    canceled = client.wait(lambda m: m["35"] == "8" and m["150"] == "4" and m["11"] == "d1")
    assert (canceled["11"], canceled["378"], canceled["58"]) == ("d1", "6", "trading halt")
    client.logout()
    assert "error" not in call(simulator.state, {"verb": "sim.resume", "target": "AAPL"})


def test_a_venue_that_does_not_read_answers_in_order_afterwards(simulator, client):
    slow = 0
    while slow == 0 or "slow_consumer" not in [f["kind"] for f in call(simulator.state, {"verb": "sim.status"})["lasting"]]:
        inject(simulator, "slow_consumer", seconds=1, venue="XLIT1")  # over already, on a busy machine
        slow += 1
    for n in range(3):
        client.send(order(f"s{n}", RESTING))
    assert [client.report(_150="0")["11"] for _ in range(3)] == ["s0", "s1", "s2"]


def test_a_storm_of_rejects_and_doubled_reports(simulator, client):
    inject(simulator, "reject_storm", seconds=600, venue="XLIT1", share="1")
    client.send(order("r1", RESTING))
    client.report(_11="r1", _150="8", _103="0")
    inject(simulator, "duplicate", seconds=600, venue="XLIT1")
    client.send(order("r2", RESTING))
    first, second = client.report(_11="r2", _150="8"), client.report(_11="r2", _97="Y")
    assert first["17"] == second["17"]


def test_algoctl_operates_a_running_simulator(simulator):
    """phase, halt, resume, scenario, run, inject, status; a mistake is named and its exit status tells its kind."""
    assert [p["symbol"] for p in ctl(simulator, "phase")["phases"]] == ["AAPL"]
    assert ctl(simulator, "halt", "AAPL", "--seconds", "600")["phases"][0]["phase"] == "halted"
    client = Client(simulator.port, target="XLIT2", reset=True)
    client.send(order("o1", RESTING))
    client.report(_11="o1", _150="8", _103="2")
    client.logout()
    assert ctl(simulator, "resume", "AAPL")["phases"][0]["phase"] == "continuous"
    assert "bad-day" in [s["scenario"] for s in ctl(simulator, "scenario")["scenarios"]]
    assert ctl(simulator, "run", "bad-network")["faults"] == 5
    assert "delay" in [f["kind"] for f in ctl(simulator, "status")["lasting"]]
    assert "no scenario nowhere" in ctl(simulator, "run", "nowhere", status=3)
    assert "must not be negative" in ctl(simulator, "inject", "drop", "seconds=1", "share=-0.5", status=2)
