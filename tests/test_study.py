"""`algoserver backtest`: the same bytes on every run, a study that goes on where it was stopped, and mistakes that are named."""

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from algoserver.cli import app
from algoserver.recovery import replay
from algoserver.settings import BadConfig
from algoserver.sim.config import HaltConfig
from algoserver.study import load, one, run

ROOT = Path(__file__).resolve().parents[1]
CFG = ROOT / "cfg"


def written(folder: Path, old: str = "", new: str = "") -> Path:
    """The shipped study, shorter: six minutes, and perhaps with a mistake."""
    text = (CFG / "backtest.toml").read_text()
    for name in ("server.toml", "sim-reacting.toml"):
        text = text.replace(f'"{name}"', f'"{CFG / name}"')
    for long, short in (
        ("15:40:00", "14:03:30"), ("15:30:00", "14:03:00"), ("13:29:00", "13:58:00"), ('"2000000"', '"60000"'),
    ):  # fmt: skip
        assert long in text
        text = text.replace(long, short)
    assert old in text
    path = folder / "study.toml"
    path.write_text(text.replace(old, new))
    return path


@pytest.mark.parametrize("told", ["sums_trades = false", "sums_trades = true\nbook_interval_ms = 3_000"])
def test_what_the_core_does_unseen_could_as_well_have_been_seen(tmp_path, monkeypatch, told):
    """The market need not have come where the core acts before it hears of it: one that is always brought there first gives the same bytes.

    A halt comes between two books, when no order lives.
    """
    study = load(written(tmp_path, "sums_trades = true", told))
    study = study._replace(config=msgspec.structs.replace(study.config, begin="20190628-13:59:50", end="20190628-14:01:00"))
    halts = [HaltConfig(symbol="AAPL", begin="14:00:27", seconds=10)]
    study = study._replace(scenario=msgspec.structs.replace(study.scenario, halts=halts))
    found = one(study, 3, tmp_path / "unseen")
    monkeypatch.setattr("algoserver.backtest.Backtest._is_unseen", lambda *_: False)
    assert one(study, 3, tmp_path / "seen") == found
    assert files(tmp_path / "seen") == files(tmp_path / "unseen")


def test_a_study_runs_on_a_recording_and_knows_it_by_its_content(tmp_path):
    """A TWAP over two minutes of bars; what was mended is told; the same directory takes no results of another recording."""
    bars, tape = tmp_path / "bars.csv", tmp_path / "bars.tape"
    rows = [f"{1_723_118_400 + 60 * n},60000,60010,59990,{60000 + n},3.5" for n in range(8)]
    bars.write_text("\n".join(["time,open,high,low,close,volume", *rows]) + "\n")
    made = CliRunner().invoke(app, ["tape", "convert", str(bars), "--from", "bars", "--decimals", "5", "--out", str(tape)])
    assert made.exit_code == 0, made.output
    config = tmp_path / "study.toml"
    config.write_text(
        f'server = "{CFG / "server.toml"}"\nmarket = "{CFG / "sim-tape.toml"}"\nbegin = "20240808-12:00:00"\nend = "20240808-12:07:00"\n'
        '[[parents]]\ncl_ord_id = "P1"\nat = "20240808-12:00:05"\nsymbol = "BTCUSDT"\nside = "BUY"\norder_qty = "0.4"\nstrategy = "TWAP"\n'
        'params = {EndTime = "20240808-12:06:00"}\n'
    )
    command = ["backtest", "--config", str(config), "--tape", str(tape), "--seeds", "1:2", "--jobs", "1", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert "96 trades" in done.output
    [outcome] = one(load(config, str(tape)), 1, tmp_path / "again")
    assert (outcome.cum_qty, outcome.ord_status) == ("0.4", "FILLED")
    tape.write_text(tape.read_text() + "1723118880000000000,T,B,60000,1\n")
    done = CliRunner().invoke(app, command)
    assert (done.exit_code, "another configuration" in done.output) == (2, True)
    assert CliRunner().invoke(app, ["backtest", "--tape", str(tape), "--out", str(tmp_path / "x")]).exit_code == 2


def test_a_cluster_whose_worker_is_killed_loses_no_seed_and_runs_none_twice(tmp_path):
    """Five seeds on two workers; one is killed -9 while it works. Each seed is told once, and its files are those that are made here."""
    pytest.importorskip("distributed", reason="the extra `cluster` is not installed")
    config, out, at = written(tmp_path, "14:03:30", "14:00:30"), tmp_path / "out", tmp_path / "scheduler.json"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    dask = [sys.executable, "-m", "dask"]
    worker = [*dask, "worker", "--scheduler-file", str(at), "--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", str(tmp_path)]
    scheduler = [*dask, "scheduler", "--scheduler-file", str(at), "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": tmp_path, "env": environment}
    with ExitStack() as running:

        def start(command, **more):
            process = subprocess.Popen(command, **{**quiet, **more})
            running.callback(process.wait, 120)
            running.callback(process.kill)
            return process

        start(scheduler)
        doomed, _ = start(worker), start(worker)
        address = awaited(at, workers=2)
        command = f"-m algoserver backtest --config {config} --seeds 1:6 --dask {address} --out {out}"
        study = start([sys.executable, *command.split()], stderr=subprocess.PIPE, cwd=ROOT, text=True)
        first = study.stderr.readline()
        doomed.kill()
        told = [first, *study.stderr]
        assert study.wait(600) == 0, told
    seeds = [line.split(":")[0] for line in told if line.startswith("seed ")]
    assert sorted(seeds) == [f"seed {n}" for n in range(1, 6)]
    assert len((out / "results.csv").read_text().splitlines()) == 6
    one(load(config), 4, tmp_path / "here")
    assert files(tmp_path / "here") == {k: v for k, v in files(out).items() if k.startswith("seed-000004")}


def awaited(at: Path, workers: int) -> str:
    """The address of a scheduler that has so many workers."""
    from distributed import Client

    with Client(scheduler_file=str(at), timeout=240, set_as_default=False) as client:  # it waits for the file
        client.wait_for_workers(workers, timeout=240)
        return client.scheduler.address


def test_a_cluster_that_is_not_there_is_said(tmp_path, monkeypatch):
    config = written(tmp_path)
    monkeypatch.setitem(sys.modules, "distributed", None)
    done = CliRunner().invoke(app, ["backtest", "--config", str(config), "--dask", "tcp://127.0.0.1:1", "--out", str(tmp_path / "out")])
    assert (done.exit_code, "extra `cluster`" in done.output) == (2, True)


def files(out: Path) -> dict[str, bytes]:
    return {str(p.relative_to(out)): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file() and p.name != "lock"}


def test_processes_and_interruptions_change_no_byte(tmp_path):
    """Two seeds in processes of their own, as the command runs them; then here, one after the other, with one seed stopped half way."""
    config, apart, here = written(tmp_path), tmp_path / "apart", tmp_path / "here"
    command = f"-m algoserver backtest --config {config} --seeds 1:3 --jobs 2 --out {apart} --json"
    done = subprocess.run([sys.executable, *command.split()], cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert sorted(line.split(":")[0] for line in done.stderr.splitlines()) == ["seed 1", "seed 2"]
    outcomes = json.loads(done.stdout.splitlines()[-1])["outcomes"]
    assert [(o["seed"], o["cum_qty"], o["ord_status"]) for o in outcomes] == [(1, "60000", "FILLED"), (2, "60000", "FILLED")]
    assert len({o["journal_sha256"] for o in outcomes}) == 2

    study = load(config)
    one(study, 1, here)
    (here / "seed-000002" / "journal").mkdir(parents=True)  # a seed that was stopped: no result
    (here / "seed-000002" / "journal" / "0000000000000001.log").write_text("half a li")
    told = []
    run(study, range(1, 3), here, 1, lambda seed, found, left: told.append((seed, left)))
    assert told == [(2, 0)]
    assert files(here) == files(apart)
    assert replay(here / "seed-000001" / "journal").outputs > 0
    lines = (here / "results.csv").read_text().splitlines()
    assert len(lines) == 3


def test_results_of_two_configurations_are_not_mixed(tmp_path):
    """The directory remembers its study."""
    out = tmp_path / "out"
    run(load(written(tmp_path)), range(0), out, 1, lambda *_: None)
    other = load(written(tmp_path, 'side = "BUY"', 'side = "SELL"'))
    with pytest.raises(BadConfig, match="another configuration"):
        run(other, range(0), out, 1, lambda *_: None)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('strategy = "VWAP"', 'strategy = "VWOP"', "parents 'AAPL'.*strategy"),
        ('MaxPctVol = "0.15"', 'MaxPctVol = "15"', "parents 'AAPL'.*MaxPctVol"),
        ('MaxPctVol = "0.15"', 'TargetPctVol = "0.15"', "parents 'AAPL'.*VWAP takes"),
        ('symbol = "AAPL"', 'symbol = "MSFT"', "MSFT is not traded by both"),
        ("14:00:00", "18:00:00", "`at`"),
        ("latency_ms = 1.0", "latency_ms = 0.0", "latency_ms"),
        ("sums_trades", "sum_trades", "sum_trades"),
    ],
)
def test_a_mistake_is_named(tmp_path, old, new, said):
    """File, entry and key."""
    with pytest.raises(BadConfig, match=f"study.toml: .*{said}"):
        load(written(tmp_path, old, new))


@pytest.mark.parametrize("seeds", ["1", "3:3", "a:b", "1:2:3"])
def test_seeds_are_a_range(seeds):
    """Anything else is refused with exit status 2."""
    refused = CliRunner().invoke(app, ["backtest", "--seeds", seeds])
    assert (refused.exit_code, "A:B" in refused.output) == (2, True)
