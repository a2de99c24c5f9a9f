"""Training is a function of data and code: read, scored, fitted, saved, and again the same."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from algoserver import __version__
from algoserver.ctl import app
from algoserver.learn.bands import Stretch
from algoserver.learn.card import FEW, FIGURES, NOT_FOR
from algoserver.learn.predict import HybridModel
from algoserver.learn.rows import ROW_NAMES
from algoserver.learn.store import Manifest, load_model, read_manifest
from algoserver.learn.train import train_volume
from algoserver.learn.volumes import Volumes, volumes_sha256
from algoserver.recorded import VOLUME_DIR
from algoserver.source import LEARN, source_hash
from tests.learn.test_card import text_of


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest]:
    """Measured on the 24 days of the bars."""
    store_dir = tmp_path_factory.mktemp("models")
    manifest = train_volume(VOLUME_DIR, store_dir, created_at="2019-06-29T00:00:00Z")
    return store_dir / manifest.name, manifest


def test_the_manifest_says_what_the_model_is(trained: tuple[Path, Manifest], recorded: list[Volumes]):
    model_dir, manifest = trained

    assert read_manifest(model_dir) == manifest
    assert model_dir.name == manifest.name == f"volume-{manifest.model_sha256[:12]}"
    assert manifest.data_sha256 == volumes_sha256(recorded)
    assert manifest.code_version == __version__
    assert manifest.feature_names == ROW_NAMES
    assert manifest.symbols == ("AAPL", "ADBE", "GE")
    assert manifest.n_bins == 26
    assert manifest.trained_through == "2019-06-28"
    assert manifest.created_at == "2019-06-29T00:00:00Z"
    assert manifest.params["num_threads"] == 1
    assert sorted(path.name for path in model_dir.iterdir()) == list(FILES)
    assert list(manifest.errors_by_date)[-1] == "2019-06-28"
    assert len(manifest.errors_by_date) == 24
    assert manifest.data["GE"] == "2019-01-02 to 2019-06-28, 124 days"
    assert manifest.code_sha256 == source_hash(LEARN)
    assert (manifest.parent, manifest.params["seed"]) == ("", 7)


FILES = ("card.html", "filter.json", "manifest.json", "p10.txt", "p50.txt", "p90.txt", "point.txt")


def test_the_card_shows_what_the_manifest_says_and_needs_nothing_else(trained: tuple[Path, Manifest]):
    """Well-formed, every figure of the hybrid on it, four pictures, nothing from anywhere else."""
    m = trained[1]
    page = load_model(trained[0])[1]["card.html"]
    text = text_of(page)
    for said in (m.name, m.trained_through, m.data_sha256, m.code_sha256, "AAPL, ADBE, GE", "seed 7", "none: there was no champion", *NOT_FOR):
        assert said in text
    for figure, title in FIGURES:
        assert title in text
        assert f"{m.metrics[f'{figure}_hybrid']:.1f}" in text
    assert (page.count("<svg"), FEW in text) == (4, False)
    assert not any(word in page for word in ("<script", "href=", "src=", "url(", "@import"))


# MAPE and curve error in percent of what needs no fit, so they are arithmetic on the data: AAPL, ADBE, GE, 26 bins, the last 24 days.
GOLDEN = {"mape_day_ahead_mean": 52.87, "mape_day_ahead_median": 42.99, "curve_error_mean": 29.40, "curve_error_median": 28.95}


def test_the_figures_of_mean_and_median_are_the_arithmetic_s(trained: tuple[Path, Manifest], recorded: list[Volumes]):
    """As measured, and once more without the code under test."""
    ape: dict[str, list[float]] = {"mean": [], "median": []}
    for one in recorded:
        for day in range(100, 124):
            for bin_ in range(26):
                past, volume = one.bins[day - 20 : day, bin_], one.bins[day, bin_]
                ape["mean"].append(abs(np.mean(past) - volume) / volume)
                ape["median"].append(abs(np.median(past) - volume) / volume)

    for name, value in GOLDEN.items():
        assert trained[1].metrics[name] == pytest.approx(value, abs=0.005), name
    for name, errors in ape.items():
        assert trained[1].metrics[f"mape_day_ahead_{name}"] == trained[1].metrics[f"mape_one_bin_{name}"] == pytest.approx(100 * np.mean(errors))


def test_the_hybrid_is_within_its_bars_out_of_sample(trained: tuple[Path, Manifest]):
    """Last 24 days, measured 34.1 % and 26.6 %, the filter alone 41.6 and 28.6; the median of the same hybrid 37.8 and 27.8. Bands 80 and 80 %."""
    found = trained[1].metrics

    assert found["mape_day_ahead_hybrid"] <= 37 < found["mape_day_ahead_kalman"]
    assert found["mape_one_bin_hybrid"] <= 27.5 < found["mape_one_bin_kalman"]
    assert found["mape_day_ahead_hybrid"] + 1 < found["mape_p50_day_ahead_hybrid"] <= found["mape_p50_day_ahead_kalman"]
    assert found["mape_one_bin_hybrid"] + 0.5 < found["mape_p50_one_bin_hybrid"] <= found["mape_p50_one_bin_kalman"]
    assert 75 <= found["coverage_day_ahead_hybrid"] <= 85
    assert 75 <= found["coverage_one_bin_hybrid"] <= 85
    assert found["curve_error_dynamic_hybrid"] < found["curve_error_hybrid"] < found["curve_error_median"]


def test_evaluate_says_of_the_recipe_what_train_says(trained: tuple[Path, Manifest]):
    """Figure by figure: the same days are scored, and the bands have settled on the same days before them."""
    done = CliRunner().invoke(app, ["model", "evaluate", "--data", str(VOLUME_DIR)])
    assert done.exit_code == 0, done.stderr
    for row in json.loads(done.stdout)["models"]:
        name = row.pop("model")
        assert row == {figure: round(trained[1].metrics[f"{figure}_{name}"], 2) for figure in row}


def test_a_model_through_a_day_does_not_know_the_days_after_and_its_bytes_are_of_its_data(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    """In another process, under another hash seed, of files with other volumes after the last day: the same bytes. And nothing is printed."""
    other_dir = tmp_path / "volume"
    other_dir.mkdir()
    for path in VOLUME_DIR.glob("*.csv"):
        header, *rows = (line.split(",") for line in path.read_text().splitlines())
        first = 1 + next(n for n, day in enumerate(header[1:]) if day > "2019-03-15")
        lines = [header, *([*row[:first], *("12345" for _ in row[first:])] for row in rows)]
        (other_dir / path.name).write_text("\n".join(",".join(line) for line in lines))

    true = train_volume(VOLUME_DIR, tmp_path / "true", through="2019-03-17", scored_days=2)  # a Sunday
    code = "import sys; from pathlib import Path; from algoserver.learn.train import train_volume; "
    code += "train_volume(Path(sys.argv[1]), Path(sys.argv[2]), through='2019-03-15', scored_days=2)"
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", code, str(other_dir), str(tmp_path / "other")]
    subprocess.run(command, check=True, timeout=200, env=os.environ | {"PYTHONHASHSEED": "5"}, cwd=root)

    assert true.trained_through == "2019-03-15"
    assert [path.name for path in (tmp_path / "other").iterdir()] == [true.name]
    for path in (tmp_path / "true" / true.name).iterdir():
        assert (tmp_path / "other" / true.name / path.name).read_bytes() == path.read_bytes()
    assert HybridModel.load(tmp_path / "true" / true.name).version == true.version
    assert capfd.readouterr() == ("", "")


def test_without_scored_days_it_learns_the_same_and_says_nothing_of_its_worth(tmp_path: Path, recorded: list[Volumes]):
    """Nothing is measured, the bands are not stretched; 20 days of history and one to learn from are enough."""
    manifest = train_volume(VOLUME_DIR, tmp_path, through=recorded[0].dates[20].isoformat(), scored_days=0)
    model = HybridModel.load(tmp_path / manifest.name)

    assert manifest.metrics == {"scored_days": 0.0}
    assert manifest.errors_by_date == {}
    assert {stretch for of in model.stretches.values() for stretch in of.values()} == {Stretch()}
    with pytest.raises(ValueError, match="no day to learn from"):
        train_volume(VOLUME_DIR, tmp_path, through=recorded[0].dates[19].isoformat(), scored_days=0)


@pytest.mark.parametrize(
    ("through", "message"),
    [
        ("24.05.2019", "through '24.05.2019' is not a date; YYYY-MM-DD is needed"),
        ("2018-12-31", "0 days; 64 are needed: .*; no model was written, what is configured stays in force"),
    ],
)
def test_a_last_day_without_enough_before_it_is_refused(tmp_path: Path, through: str, message: str):
    with pytest.raises(ValueError, match=message):
        train_volume(VOLUME_DIR, tmp_path, through=through)
    assert list(tmp_path.iterdir()) == []
