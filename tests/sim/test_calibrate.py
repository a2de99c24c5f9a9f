"""`algoserver tape fit`: a crowd is found again in its own tape and in its own volumes. See sim/calibrate.py."""

import json
import math
import random
from pathlib import Path

import pytest
from typer.testing import CliRunner

from algoserver.cli import app
from algoserver.domain.types import Instrument, px
from algoserver.recorded import VOLUME_DIR
from algoserver.sim.calibrate import EVEN_DAY, fit, fit_volume, looks, played
from algoserver.sim.config import RatesConfig, ReactingConfig
from algoserver.sim.tape_file import BrokenTape, write
from algoserver.sim.volume import recorded_bins

SHARE = Instrument("XYZ", px("0.01"), 1, 100, 0, adv=0)


def invoke(*arguments: object) -> str:
    done = CliRunner().invoke(app, ["tape", "fit", *map(str, arguments)])
    assert done.exit_code == 0, done.output
    return done.output


def test_a_crowd_is_found_again_in_its_tape(tmp_path):
    """What the tape was made with, from six minutes of it, within a factor of 1.7 (snipers count as takers, and takers find too little); the fitted
    crowd looks like the tape, within 1.5."""
    rates = RatesConfig(limit=1.6, inner=0.4, deeper=0.5, take_size=2.0)
    made = ReactingConfig(recorded="AAPL", price="197.90", sigma_daily=0.02, unit_qty=1_200, slow_sigma=0.0, jumps_per_day=0.0, rates=rates)
    events = played(made, SHARE, 360)
    found = {f.name: f.value for f in fit(looks(events, SHARE), SHARE)}
    wanted = {"unit_qty": 1_200, "rates.take_size": 2.0, "rates.limit": 1.6, "rates.inner": 0.4, "rates.deeper": 0.5, "sigma_daily": 0.02}
    off = {name: abs(math.log(found[name] / value)) for name, value in wanted.items()}
    assert max(off.values()) < math.log(1.7), (off, found)
    assert 0.01 < found["rates.cancel"] < 0.05
    assert found["rates.signal"] > 0.2

    tape = tmp_path / "crowd.tape.gz"
    write(tape, events)
    said = json.loads(invoke(tape, "--seconds", 180, "--json"))
    assert said["fit"]["unit_qty"] == found["unit_qty"]
    for name in ("sigma", "spread", "standing", "takers", "size", "adds", "cancels"):
        recorded, crowd = said["looks"][name]
        assert abs(math.log(crowd / recorded)) < math.log(1.5), (name, said["looks"])


def test_levels_and_lulls_are_found_again_in_volumes(tmp_path):
    """400 days drawn by known numbers; and of the shipped days what the page says."""
    rng, level, rows = random.Random(3), 0.0, []
    for _ in range(400):
        level = 0.6 * level + 0.3 * math.sqrt(1 - 0.36) * rng.gauss(0, 1)
        slow, day = 0.25 * rng.gauss(0, 1), []
        memory = math.exp(-15 / 30)
        for n in range(26):
            slow = memory * slow + 0.25 * math.sqrt(1 - memory**2) * rng.gauss(0, 1)
            day.append(1e5 * (1 + abs(n - 13) / 6) * math.exp(level + slow + 0.1 * rng.gauss(0, 1)))
        rows.append(day)
    path = tmp_path / "volume.csv"
    lines = [f"{b}," + ",".join(f"{day[b]:.0f}" for day in rows) for b in range(26)]
    path.write_text("\n".join(["bin," + ",".join(f"d{n}" for n in range(400)), *lines]) + "\n")
    found = {f.name: f.value for f in fit_volume(path)}
    assert found["level_sigma"] == pytest.approx(0.3, rel=0.2)
    assert found["level_memory"] == pytest.approx(0.6, abs=0.12)
    assert found["slow_sigma"] == pytest.approx(0.25, rel=0.25)
    assert found["slow_minutes"] == pytest.approx(30, rel=0.4)
    assert recorded_bins(str(path), "d0")[0] == round(rows[0][0])
    assert "level_memory = 0.5797" in invoke("--volume", VOLUME_DIR / "AAPL_15min_volume_2019H1.csv")


def test_too_little_is_not_fitted(tmp_path):
    made = ReactingConfig(recorded="GE", price="10.50", sigma_daily=0.02, unit_qty=40_000)
    with pytest.raises(BrokenTape, match="too few"):
        looks(played(made, SHARE, 61), SHARE)
    (tmp_path / "v.csv").write_text(f"bin,{EVEN_DAY}\n0,5\n")
    with pytest.raises(BrokenTape, match="ten days"):
        fit_volume(Path(tmp_path / "v.csv"))
    assert CliRunner().invoke(app, ["tape", "fit"]).exit_code == 2
