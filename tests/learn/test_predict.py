"""A curve is a curve, the same after every reload, and exact when it becomes ints."""

import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from algoserver.learn.fit import fit_volume, rows_by_day
from algoserver.learn.predict import CurveModel, MedianModel, VolumeModel, to_ppm
from algoserver.learn.store import Manifest, ModelDamaged, save_model
from algoserver.learn.volumes import Volumes

Trained = tuple[Path, Manifest]


def test_a_reloaded_model_predicts_the_same_bits(trained: Trained, recorded: list[Volumes]):
    model_dir, manifest = trained
    fitted = VolumeModel(fit_volume(list(rows_by_day(recorded).values())), manifest.version, manifest.n_bins)
    first, second = VolumeModel.load(model_dir), VolumeModel.load(model_dir)
    for one in recorded:
        bits = fitted.curve(one.symbol, one.bins[-60:], 0).tobytes()
        assert first.curve(one.symbol, one.bins[-60:], 0).tobytes() == bits
        assert second.curve(one.symbol, one.bins[-60:], 0).tobytes() == bits


@pytest.mark.parametrize("kind", ["volume", "median20"])
def test_both_models_give_a_curve_of_the_whole_day(trained: Trained, recorded: list[Volumes], kind: str):
    model: CurveModel = VolumeModel.load(trained[0]) if kind == "volume" else MedianModel()
    assert model.kind == kind
    assert model.version == (trained[1].version if kind == "volume" else "median20")
    for one in recorded:
        curve = model.curve(one.symbol, one.bins[-60:], 0)
        assert curve.shape == (26,)
        assert (curve > 0).all()
        assert curve.sum() == pytest.approx(1)
        assert curve == pytest.approx(model.volume(one.symbol, one.bins[-60:], 0) / model.volume(one.symbol, one.bins[-60:], 0).sum())
        # Open and close trade more than the middle of the day, on every one of these.
        assert min(curve[0], curve[-1]) > curve[10:16].max()


def test_a_curve_depends_on_shape_not_on_size(trained: Trained, recorded: list[Volumes]):
    """A symbol that the model never saw gets its own curve: the name and the unit of volume carry nothing."""
    model = VolumeModel.load(trained[0])
    history = np.rint(recorded[0].bins[-60:])

    assert model.curve("NEW", history * 64, 0) == pytest.approx(model.curve("AAPL", history, 0), rel=1e-2)


def test_a_history_of_other_bins_is_refused(trained: Trained):
    with pytest.raises(ValueError, match=r"history of NEW has 13 bins; model [0-9a-f]{12} knows days of 26"):
        VolumeModel.load(trained[0]).curve("NEW", np.ones((20, 13)), 0)


def test_too_short_a_history_is_refused_by_both(trained: Trained):
    for model in (VolumeModel.load(trained[0]), MedianModel()):
        with pytest.raises(ValueError, match="history of 19 days; at least 20 are needed"):
            model.curve("NEW", np.ones((19, 26)), 0)


def test_a_tampered_model_is_refused(trained: Trained, tmp_path: Path):
    text = (trained[0] / "model.txt").read_text()
    save_model(tmp_path, trained[1], text)
    (tmp_path / trained[1].name / "model.txt").write_text(text.replace("leaf_value=", "leaf_value=-", 1))

    with pytest.raises(ModelDamaged, match="the file was changed after training"):
        VolumeModel.load(tmp_path / trained[1].name)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"kind": "impact"}, "model of kind 'impact'; 'volume' is needed"), ({"feature_names": ("bin",)}, "trained by 0.* train again")],
)
def test_a_model_for_something_else_is_refused(trained: Trained, tmp_path: Path, change: dict, message: str):
    other = msgspec.structs.replace(trained[1], **change)
    save_model(tmp_path, other, (trained[0] / "model.txt").read_text())

    with pytest.raises(ValueError, match=message):
        VolumeModel.load(tmp_path / other.name)


def test_lightgbm_is_not_imported_before_a_model_is_needed():
    code = "import sys, algoserver.learn.train, algoserver.learn.predict; sys.exit('lightgbm' in sys.modules)"
    root = Path(__file__).resolve().parents[2]

    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


weights = st.lists(st.floats(0, 1e12, allow_subnormal=False), min_size=1, max_size=400).filter(lambda parts: sum(parts) > 1e-6)


@settings(max_examples=500, deadline=None)
@given(weights)
def test_ppm_sum_to_a_million_and_each_is_its_share_rounded(parts: list[float]):
    shares = np.array(parts) / np.sum(parts)
    ppm = to_ppm(shares)

    assert sum(ppm) == 1_000_000
    assert all(type(part) is int and part >= 0 for part in ppm)
    assert np.abs(np.array(ppm) - shares * 1e6).max() < 1 + 1e-6


def test_ties_of_the_largest_remainder_go_to_the_earlier_bin():
    assert to_ppm([1 / 3, 1 / 3, 1 / 3]) == [333_334, 333_333, 333_333]
    assert to_ppm([0.5, 0.5]) == [500_000, 500_000]
    assert to_ppm([0.0, 1.0]) == [0, 1_000_000]
    assert to_ppm([0.2500004, 0.2500004, 0.4999992]) == [250_001, 250_000, 499_999]


@pytest.mark.parametrize("shares", [[], [0.5, 0.4], [2.0], [-0.5, 1.5], [np.nan, 1.0], [np.inf, 1.0], [[0.5, 0.5]]])
def test_what_is_no_curve_is_refused(shares: list):
    with pytest.raises(ValueError, match=r"^shares "):
        to_ppm(shares)
