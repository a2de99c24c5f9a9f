"""tools/bench_volume.py on small folders: what it prints is one object a model, and too little data is said."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from algoserver.learn.volumes import Volumes, read_volumes
from algoserver.recorded import VOLUME_DIR

ROOT = Path(__file__).resolve().parents[1]
MODELS = ["mean", "median", "kalman", "lightgbm", "hybrid"]
FIGURES = {"mape_day_ahead", "mape_one_bin", "coverage_day_ahead", "coverage_one_bin"}


def written(folder: Path, one: Volumes, days: int, kind: str = "volume") -> Path:
    folder.mkdir(exist_ok=True)
    lines = ["bin," + ",".join(day.isoformat() for day in one.dates[:days])]
    for start, row in zip(one.bin_starts, one.bins[:days].T, strict=True):
        lines.append(start + "," + ",".join("" if np.isnan(volume) else f"{volume:.2f}" for volume in row))
    (folder / f"{one.symbol}_15min_{kind}.csv").write_text("\n".join(lines))
    return folder


def bench(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "tools/bench_volume.py", "--data", str(folder), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def test_the_last_line_ends_with_one_object_a_model(tmp_path: Path):
    """On two symbols with prices, a hole and a split; progress and warnings go to stderr."""
    adbe, ge = read_volumes(VOLUME_DIR)[1:]
    adbe.bins[5, 3] = np.nan
    ge.bins[30:] *= 20
    written(tmp_path, adbe, 44)
    written(tmp_path, ge, 44)
    prices = np.full((124, 26), 100.0) + np.arange(26)
    written(tmp_path, Volumes("ADBE", adbe.dates, adbe.bin_starts, prices), 44, "price")
    done = bench(tmp_path, "--days", "2", "--json")

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert list(found)[-5:] == MODELS
    assert all(set(found[name]) >= FIGURES for name in MODELS)
    assert found["tracking"] == "vwap_bp"
    assert 0 < found["hybrid"]["vwap_bp"] < 200
    assert "forecast days 43 to 44 of 44" in done.stderr
    assert "44 days: only 2 of 32 calibrate the bands" in done.stderr
    assert "GE: from 2019-02-14 on volume is" in done.stderr


@pytest.mark.parametrize(
    ("days", "text"), [(41, "41 days; 42 are needed: 20 of history, 20 to learn from, 2 to score"), (1, "1 days; 42 are needed")]
)
def test_too_few_days_are_said(tmp_path: Path, days: int, text: str):
    done = bench(written(tmp_path, read_volumes(VOLUME_DIR)[0], days), "--days", "2")

    assert (done.returncode, done.stdout) == (2, "")
    assert text in done.stderr
