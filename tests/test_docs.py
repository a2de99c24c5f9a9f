"""Every command of the README is run here, as it stands there but for ports and places of its own."""

import json
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from algoserver.domain.params import USES
from algoserver.processes import free_port

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = [
    line.split("  #")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    for line in block.splitlines()
    if line.strip() and not line.startswith("#")
]
# Run elsewhere: the suite itself, make lint by the same run that calls the suite,
# the drill by tests/test_drills.py, a shorter backtest by tests/test_study.py.
BACKTEST = ".venv/bin/algoserver backtest --seeds 1:3 --out state/backtest"
ELSEWHERE = {"make test", "make lint", ".venv/bin/algoctl drill kill", BACKTEST}
PATIENCE_S, TRIES = 400, 2
STREET = [".venv/bin/algoserver sim", ".venv/bin/algoserver serve"]
OMS = next(c for c in COMMANDS if "algoserver.oms" in c)
CTL = ".venv/bin/algoctl status"
CERTIFY = next(c for c in COMMANDS if "certify" in c)
RUN_ALONE = {
    "make demo": 0,
    ".venv/bin/algoserver demo --json": 0,
}
LEARN = next(c for c in COMMANDS if "model train" in c)
EXPORT = next(c for c in COMMANDS if "server export" in c)
REPLAY = next(c for c in COMMANDS if "replay" in c)
PASSWORD = next(c for c in COMMANDS if c.endswith("algoserver password"))
DOCTOR = ".venv/bin/algoserver doctor"
MANIFEST = next(c for c in COMMANDS if "manifest write" in c)
ATDL = next(c for c in COMMANDS if "atdl export" in c)
TAPE = next(c for c in COMMANDS if "sim-tape" in c)
SMALL = {
    "bench_core": "--parents 100 --events 3000 --warm 3000 --rounds 1",
    "bench_ack": "--rounds 1 --burst 300 --single 50",
    "bench_kill": "--runs 1 --children 6",
    "bench_alert": "--seconds 1",
}
INJECT = next(c for c in COMMANDS if "algoctl sim" in c)
BENCHES = [c for c in COMMANDS if "tools/bench" in c]
PICTURES = next(c for c in COMMANDS if "algo_runs" in c)


def test_every_command_of_the_readme_is_run_by_a_test():
    """A command that is added there and not here fails."""
    named = {OMS, CTL, CERTIFY, LEARN, REPLAY, EXPORT, ATDL, TAPE, PASSWORD, DOCTOR, MANIFEST, PICTURES, INJECT}
    known = {*ELSEWHERE, *STREET, *RUN_ALONE, *named, *BENCHES}
    assert set(COMMANDS) == known


def test_the_street_trades_an_order_and_replays(tmp_path):
    """Simulator, server, sample OMS, algoctl, a stop, replay: the README's lines in their order.

    Numbers are left out, a venue's line breaks and another does not read for a second: the order is filled all the same, and the books are right.
    Its minute is real time: where the machine stood still for too much of it, all of that comes once more.
    """
    venue_port, client_port = free_port(), free_port()
    state = str(tmp_path / "server")
    with (
        running(f"{STREET[0]} --port {venue_port} --state {tmp_path / 'sim'}"),
        running(f"{STREET[1]} --port {client_port} --venue-port {venue_port} --state {state}"),
    ):
        await_quote("AAPL", tmp_path / "server")
        for _ in range(TRIES):
            for fault in (INJECT, "algoctl sim inject slow_consumer venue=XLIT1 seconds=1", "algoctl sim inject disconnect venue=XLIT2 client=ALGO"):
                injected = run(f".venv/bin/{fault.removeprefix('.venv/bin/')} --state {tmp_path / 'sim'}")
                assert injected.returncode == 0, injected.stderr
            done = run(f"{OMS} --port {client_port}")
            reports = [json.loads(line) for line in done.stdout.splitlines()]
            if done.returncode == 0 or reports[-1].get("ord_status") != "4":
                break  # only a window that was over too soon is tried again
        assert (done.returncode, reports[-1]["cum_qty"], reports[-1]["ord_status"]) == (0, "2000", "2"), done.stdout[-500:]
        status = asked(f"{CTL} --state {state}")
        assert status.returncode == 0, status.stderr
        priced = asked(f".venv/bin/algoctl estimate --symbol AAPL --side BUY --qty 200000 --minutes 30 --state {state}")
        assert (priced.returncode, len(json.loads(priced.stdout)["algos"])) == (0, 9), priced.stdout + priced.stderr
        assert "Expected cost " in reports[0]["text"]
        page = tmp_path / "certify.html"
        certified = run(f"{CERTIFY.replace('state/certify.html', str(page))} --port {client_port} --only S. --only B.")
        assert (certified.returncode, page.exists()) == (0, True), certified.stdout + certified.stderr
        listed = json.loads(asked(f".venv/bin/algoctl --state {state} -o json order ls").stdout)
        assert "2000" in [order["cum_qty"] for order in listed["orders"] if order["order_id"] == reports[-1]["order_id"]]
        taken = run(EXPORT.replace("state/export", str(tmp_path / "export")).replace("state/server", state))
        assert taken.returncode == 0, taken.stderr
        assert '"cum_qty":"2000"' in (tmp_path / "export" / "parents.jsonl").read_text()
    replayed = run(REPLAY.replace("state/server", state))
    assert (replayed.returncode, "all equal" in replayed.stdout) == (0, True), replayed.stderr


@pytest.mark.parametrize("command", RUN_ALONE)
def test_the_demo_fills_its_order_in_time(command):
    """make demo ends with its table, demo --json with one object; all filled by the end of its half hour of market time.

    That is a minute of real time: where the machine stood still for too much of it, the demo is run once more.
    """
    for _ in range(TRIES):
        done = run(command)
        if done.returncode == 0 or "Traceback" in done.stderr:
            break
    assert done.returncode == 0, done.stderr[-2000:]
    if "--json" in command:
        result = json.loads(done.stdout.splitlines()[-1])
        assert result["cum_qty"] == result["order_qty"] == 200_000
        assert sum(v["qty"] for v in result["venues"].values()) == 200_000
        assert 0 < result["participation"] <= 0.2
    else:
        assert "200,000 of 200,000" in done.stdout


def test_a_model_is_trained(tmp_path):
    """model train writes a model and says what it is worth."""
    done = run(LEARN.replace("state/models", str(tmp_path)))
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.glob("volume-*/manifest.json"))
    assert 20 < json.loads(done.stdout)["mape_one_bin"] < 30


def test_the_algos_are_exported(tmp_path):
    """atdl export writes the file, and makes its folder."""
    out = tmp_path / "new" / "algos.xml"
    done = run(ATDL.replace("state/algos.xml", str(out)))
    assert done.returncode == 0, done.stderr
    assert "</Strategies>" in out.read_text()


def test_a_manifest_is_written_and_the_doctor_is_content(tmp_path):
    """On the shipped configuration, before a first start; what the machine's clock is like may be a warning."""
    done = run(MANIFEST.replace("state/approved.toml", str(tmp_path / "new" / "approved.toml")))
    assert (done.returncode, (tmp_path / "new" / "approved.toml").exists()) == (0, True), done.stderr
    seen = run(f"{DOCTOR} --state {tmp_path / 'server'} --port {free_port()}")
    assert (seen.returncode, json.loads(seen.stdout)["is_healthy"]) == (0, True), seen.stdout


def test_a_password_becomes_a_hash():
    """Without a terminal it reads its standard input; twice the same, or nothing."""
    done = subprocess.run(shlex.split(PASSWORD), cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, input="some password\nsome password\n")
    assert (done.returncode, done.stdout.startswith("scrypt$")) == (0, True), done.stderr
    assert "some password" not in done.stdout + done.stderr


def test_the_recorded_tape_can_be_traded(tmp_path):
    """The tape's simulator opens its doors, and a POV order in BTCUSDT gets fills from it."""
    venue_port, client_port = free_port(), free_port()
    with (
        running(f"{TAPE.replace('state/tape', str(tmp_path / 'sim'))} --port {venue_port}"),
        running(f"{STREET[1]} --port {client_port} --venue-port {venue_port} --state {tmp_path / 'server'}"),
    ):
        await_quote("BTCUSDT", tmp_path / "server")
        oms = ".venv/bin/python -m algoserver.oms --symbol BTCUSDT --qty 1 --strategy 1001 --minutes 0.5 --param Urgency=5"
        done = run(f"{oms} --port {client_port}")
        reports = [json.loads(line) for line in done.stdout.splitlines()]
        assert float(reports[-1]["cum_qty"]) > 0, done.stdout[-500:]


@pytest.mark.parametrize("command", BENCHES)
def test_a_bench_ends_with_one_json_line(command):
    """Small runs: that they work, not how fast they are."""
    small = next(flags for name, flags in SMALL.items() if name in command)
    done = run(f"{command} {small} --json")
    assert done.returncode == 0, done.stderr[-2000:]
    assert isinstance(json.loads(done.stdout.splitlines()[-1]), dict)


def test_every_algo_is_drawn(tmp_path):
    """The page has a row and a picture of each; one that is run is inside its cap."""
    done = run(f"{PICTURES} --seeds 1 --only POV --out {tmp_path} --json")
    assert done.returncode == 0, done.stderr
    [figures] = json.loads(done.stdout.splitlines()[-1])["POV"]
    assert (figures["completion"], figures["above_cap"]) == (1.0, 0.0)
    assert "<svg" in (tmp_path / "algos" / "pov.svg").read_text()
    page = (ROOT / "docs" / "algos.md").read_text()
    for strategy in USES:
        assert f"\n| {strategy.name} |" in page
        assert f"](algos/{strategy.name.lower()}.svg)" in page
        assert (ROOT / "docs" / "algos" / f"{strategy.name.lower()}.svg").is_file()


class Running:
    """A process that has said that it is ready."""

    def __init__(self, command: str) -> None:
        self.process = subprocess.Popen(shlex.split(command), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.ready_line = self.process.stdout.readline()


@contextmanager
def running(command: str) -> Iterator[Running]:
    """Start a server of the README, stop it in good order; its exit status must be 0."""
    started = Running(command)
    try:
        assert started.ready_line.startswith("ready"), started.process.stderr.read() if started.process.stderr else ""
        yield started
    finally:
        if started.process.poll() is None:
            started.process.send_signal(signal.SIGTERM)
        assert started.process.wait(PATIENCE_S) == 0


def run(command: str) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end."""
    return subprocess.run(shlex.split(command), cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S)


def asked(command: str) -> "subprocess.CompletedProcess[str]":
    """A question to the server, asked again where a machine with much to do kept it from answering in time."""
    while (done := run(command)).returncode and ("no answer within" in done.stderr or "did not answer in time" in done.stderr):
        pass
    return done


def await_quote(symbol: str, state: Path) -> None:
    """Until the server has a price of `symbol`: it takes no order without one."""
    deadline = time.monotonic() + PATIENCE_S
    while symbol not in run(f".venv/bin/algoctl --state {state} -o json venue ls").stdout:
        assert time.monotonic() < deadline, f"no quote of {symbol} came"
