"""Training is a function of data and code: read, scored, fitted, saved, and again the same."""

from pathlib import Path

import pytest

from algoserver import __version__
from algoserver.learn.features import FEATURE_NAMES
from algoserver.learn.predict import VolumeModel
from algoserver.learn.store import Manifest, read_manifest
from algoserver.learn.train import train_volume
from algoserver.learn.volumes import Volumes, volumes_sha256
from algoserver.recorded import VOLUME_DIR


def test_the_manifest_says_what_the_model_is(trained: tuple[Path, Manifest], recorded: list[Volumes]):
    model_dir, manifest = trained

    assert read_manifest(model_dir) == manifest
    assert model_dir.name == manifest.name == f"volume-{manifest.model_sha256[:12]}"
    assert manifest.data_sha256 == volumes_sha256(recorded)
    assert manifest.code_version == __version__
    assert manifest.feature_names == FEATURE_NAMES
    assert manifest.symbols == ("AAPL", "ADBE", "GE")
    assert manifest.n_bins == 26
    assert manifest.trained_through == "2019-06-28"
    assert manifest.created_at == "2019-06-29T00:00:00Z"
    assert manifest.params["num_threads"] == 1
    assert manifest.metrics["mape_model"] < manifest.metrics["mape_median20"] < manifest.metrics["mape_mean20"]
    assert manifest.metrics["curve_error_model"] < manifest.metrics["curve_error_median20"]
    assert list(manifest.curve_error_by_date)[-1] == "2019-06-28"


def test_training_twice_gives_the_same_bytes(trained: tuple[Path, Manifest], tmp_path: Path):
    again = train_volume(VOLUME_DIR, tmp_path, created_at="2019-06-29T00:00:00Z")

    for name in ("model.txt", "manifest.json"):
        assert (tmp_path / again.name / name).read_bytes() == (trained[0] / name).read_bytes()


def test_a_model_through_a_day_does_not_know_the_days_after(tmp_path: Path):
    """Other volumes after the last day, or none: the same model."""
    other_dir = tmp_path / "volume"
    other_dir.mkdir()
    for path in VOLUME_DIR.glob("*.csv"):
        header, *rows = (line.split(",") for line in path.read_text().splitlines())
        first = 1 + next(n for n, day in enumerate(header[1:]) if day > "2019-05-24")
        lines = [header, *([*row[:first], *("12345" for _ in row[first:])] for row in rows)]
        (other_dir / path.name).write_text("\n".join(",".join(line) for line in lines))

    true = train_volume(VOLUME_DIR, tmp_path / "true", through="2019-05-26")  # a Sunday
    other = train_volume(other_dir, tmp_path / "other", through="2019-05-24")

    assert true == other
    assert true.trained_through == "2019-05-24"
    assert VolumeModel.load(tmp_path / "true" / true.name).version == true.version


@pytest.mark.parametrize(
    ("through", "message"),
    [("24.05.2019", "through '24.05.2019' is not a date; YYYY-MM-DD is needed"), ("2018-12-31", "0 days; 64 are needed")],
)
def test_a_last_day_without_enough_before_it_is_refused(tmp_path: Path, through: str, message: str):
    with pytest.raises(ValueError, match=message):
        train_volume(VOLUME_DIR, tmp_path, through=through)
    assert list(tmp_path.iterdir()) == []


def test_training_prints_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    train_volume(VOLUME_DIR, tmp_path, through="2019-05-24")

    assert capfd.readouterr() == ("", "")
