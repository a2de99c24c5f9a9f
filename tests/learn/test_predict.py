"""A forecast is one, the same after every reload, by the best that can and with its reason, and exact when it becomes ints."""

import queue
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from algoserver.domain.commands import RequestForecast
from algoserver.domain.events import ForecastReady
from algoserver.forecast import Forecaster, predict
from algoserver.learn.predict import Asked, CurveModel, Forecast, HybridModel, MedianModel, to_ppm
from algoserver.learn.store import Manifest, ModelDamaged, save_model
from algoserver.learn.train import fit_all
from algoserver.learn.volumes import Volumes
from algoserver.learn.walk import Walk

Trained = tuple[Path, Manifest]

MONDAY = date(2019, 7, 1)


def asked(one: Volumes, days: int = 60, symbol: str = "", today: tuple[float, ...] = (), day: date = MONDAY) -> Asked:
    """The day after the recorded ones, with so many of them."""
    first = len(one.dates) - days
    return Asked(symbol or one.symbol, day, one.dates[first:], np.rint(one.bins[first:]), today)


def bits(found: Forecast) -> bytes:
    return b"".join(row.tobytes() for row in (found.p10, found.p50, found.p90, found.point))


@pytest.fixture(scope="module")
def model(trained: Trained) -> HybridModel:
    return HybridModel.load(trained[0])


def test_a_reloaded_model_predicts_the_same_bits_in_any_order(trained: Trained, model: HybridModel, recorded: list[Volumes]):
    """Symbols that it knows and one that it does not, before the day and in it."""
    questions = [asked(one, symbol=symbol, today=today) for one in recorded for symbol in ("", "NEW") for today in ((), (1e6, 5e5, 4e5))]
    second = HybridModel.load(trained[0])
    first = [bits(model.forecast(q)) for q in questions]

    assert [bits(second.forecast(q)) for q in reversed(questions)] == first[::-1]


def test_what_is_stored_is_what_was_fitted(model: HybridModel, recorded: list[Volumes]):
    """Trees and lines of every recorded day: the same numbers before they are written and after they are read."""
    walk = Walk(recorded[:1], 1, has_trees=False, warm_days_max=0)
    list(walk.run())
    hybrid, levels = fit_all(recorded[:1], walk.levels)
    other = HybridModel(hybrid, levels, levels["AAPL"], model.stretches, "x", 26)

    assert set(model.levels) == {"AAPL", "ADBE", "GE"}
    assert bits(other.forecast(asked(recorded[0]))) != bits(model.forecast(asked(recorded[0])))
    assert other.forecast(asked(recorded[0])).p50 == pytest.approx(model.forecast(asked(recorded[0])).p50, rel=0.5)


@pytest.mark.parametrize("kind", ["hybrid", "median20"])
def test_both_models_forecast_the_whole_day_in_bands(model: HybridModel, recorded: list[Volumes], kind: str):
    served: CurveModel = model if kind == "hybrid" else MedianModel()
    for one in recorded:
        found = served.forecast(asked(one))
        assert (found.model, found.why) == (served.version, "")
        assert found.curve.shape == (26,)
        assert found.curve.sum() == pytest.approx(1)
        assert (found.p10 > 0).all()
        assert (found.p10 < found.p50).all()
        assert (found.p50 < found.p90).all()
        # Open and close trade more than the middle of the day, on every one of these.
        assert min(found.curve[0], found.curve[-1]) > found.curve[10:16].max()


def test_the_bins_so_far_move_the_rest_and_stay_what_they_were(model: HybridModel, recorded: list[Volumes]):
    """A morning three times as loud as expected: the rest is expected louder, its bands narrower than before the day; a quiet one, quieter."""
    before = model.forecast(asked(recorded[0]))
    for factor in (3.0, 1 / 3):
        today = tuple((before.p50[:6] * factor).tolist())
        found = model.forecast(asked(recorded[0], today=today))
        assert tuple(found.p50[:6]) == tuple(found.p10[:6]) == tuple(found.p90[:6]) == today
        assert ((found.p50[6:] > before.p50[6:]) == (factor > 1)).all()
        assert np.log(found.p90[6] / found.p10[6]) < np.log(before.p90[6] / before.p10[6])
        assert found.curve.sum() == pytest.approx(1)


def test_a_symbol_that_the_model_never_saw_gets_its_own_curve(model: HybridModel, recorded: list[Volumes]):
    """From its own days, whatever its unit: 64 times the volume is 64 times the forecast, but for the level's slow return to one share."""
    one = recorded[1]
    small = model.forecast(asked(one, symbol="NEW"))
    large = model.forecast(Asked("NEW", MONDAY, one.dates[-60:], np.rint(one.bins[-60:]) * 64))

    assert (small.model, small.why) == (model.version, "")
    assert large.p50 == pytest.approx(small.p50 * 64, rel=1e-2)
    assert small.p50 == pytest.approx(model.forecast(asked(one)).p50, rel=0.2)


def test_the_chain_is_hybrid_filter_median_and_each_step_says_why(model: HybridModel, recorded: list[Volumes]):
    one = recorded[0]
    hybrid, week, none = (model.forecast(asked(one, days)) for days in (20, 7, 0))
    other_bins = Asked("NEW", MONDAY, one.dates[-20:], np.full((20, 13), 100.0))

    assert (hybrid.model, hybrid.why) == (model.version, "")
    assert (week.model, week.why) == (f"{model.version} kalman", "history of 7 days; the hybrid needs 20")
    assert (none.model, none.why) == (f"{model.version} kalman", "no recorded days: the season of the symbols learnt from")
    assert (model.forecast(other_bins).model, model.forecast(other_bins).curve.tolist()) == ("median20", [1 / 13] * 13)
    assert model.forecast(other_bins).why == f"history of NEW has 13 bins; model {model.version} knows days of 26"
    for found in (hybrid, week, none):
        assert np.isfinite(bits_of(found)).all()
        assert min(found.curve[0], found.curve[-1]) > found.curve[10:16].max()
    with pytest.raises(ValueError, match="history of 19 days; at least 20 are needed"):
        MedianModel().forecast(asked(one, 19))


def bits_of(found: Forecast) -> np.ndarray:
    return np.concatenate([found.p10, found.p50, found.p90, found.point])


def test_one_day_of_history_or_bins_of_today_alone_give_a_level(model: HybridModel, recorded: list[Volumes]):
    """A symbol's first day ends, and a symbol that has only begun to trade: what it traded is near what is expected of it."""
    one = recorded[0]
    first = model.forecast(asked(one, 1, symbol="NEW"))
    begun = model.forecast(asked(one, 0, symbol="NEW", today=tuple(one.bins[-1, :8].tolist())))

    assert first.p50.sum() == pytest.approx(one.bins[-1].sum(), rel=0.6)
    assert begun.p50[8:].sum() == pytest.approx(one.bins[-1, 8:].sum(), rel=0.6)


@pytest.mark.parametrize("shape", ["constant", "zero bins", "zero days", "a split"])
def test_strange_days_are_forecast_in_numbers(model: HybridModel, recorded: list[Volumes], shape: str):
    one = recorded[2]
    history = np.rint(one.bins[-60:])
    if shape == "constant":
        history[:] = 1_000
    elif shape == "zero bins":
        history[:, 3] = history[5:9, 10:] = 0
    elif shape == "zero days":
        history[20:40] = 0
    else:
        history[30:] *= 10
    found = model.forecast(Asked("NEW", MONDAY, one.dates[-60:], history))

    assert found.model.startswith(model.version)
    assert np.isfinite(bits_of(found)).all()
    assert (found.p10 <= found.p90).all()
    if shape == "constant":
        assert found.p50 == pytest.approx(1_000, rel=0.35)
    if shape == "a split":
        assert found.p50.sum() == pytest.approx(10 * model.forecast(asked(one, symbol="NEW")).p50.sum(), rel=0.25)


def test_days_in_which_nothing_traded_carry_no_curve(model: HybridModel, recorded: list[Volumes]):
    found = model.forecast(Asked("DEAD", MONDAY, recorded[0].dates[-60:], np.zeros((60, 26))))

    assert (found.model, found.why) == ("median20", "nothing traded in the recorded days")
    with pytest.raises(ValueError, match="no volume is expected in any bin"):
        assert found.curve is None


def test_a_half_day_ends_at_one_with_a_close(model: HybridModel, recorded: list[Volumes]):
    """July 3, 2019: nothing is expected after 13:00, and the close is in the bin before it."""
    for served in (model, MedianModel()):
        half = served.forecast(asked(recorded[0], day=date(2019, 7, 3)))
        assert half.p50[14:].tolist() == [0.0] * 12
        assert half.p50[13] > 2 * half.p50[12]
        assert half.curve.sum() == pytest.approx(1)


def test_a_history_longer_than_needed_changes_next_to_nothing(model: HybridModel, recorded: list[Volumes]):
    """The server keeps 60 days of what was learnt from: where the filter began is forgotten."""
    short, long = (model.forecast(asked(recorded[0], days)) for days in (60, 124))

    assert short.p50 == pytest.approx(long.p50, rel=5e-3)


@pytest.mark.parametrize(
    ("question", "message"),
    [
        (Asked("X", MONDAY, (MONDAY - timedelta(1),), [[1, 2, 3]]), r"history of shape \(1, 3\)"),
        (Asked("X", MONDAY, (MONDAY - timedelta(1),), [[-1.0] * 26]), "not a number >= 0"),
        (Asked("X", MONDAY, (MONDAY - timedelta(1),), [[float("nan")] * 26]), "not a number >= 0"),
        (Asked("X", MONDAY, (), (), (1.0,) * 27), "27 bins of today; model .* knows days of 26"),
    ],
)
def test_what_can_t_be_volumes_is_refused(model: HybridModel, question: Asked, message: str):
    with pytest.raises(ValueError, match=message):
        model.forecast(question)


def test_the_server_s_forecaster_serves_the_model_before_the_day_and_in_it(trained: Trained, model: HybridModel, recorded: list[Volumes]):
    """From whole units as they come through the journal: a curve of a million parts, and the volume between its bands, in order."""
    one = recorded[0]
    history = tuple(tuple(round(volume) for volume in day) for day in one.bins[-60:].tolist())
    dates = tuple(day.isoformat() for day in one.dates[-60:])
    first = RequestForecast(symbol="AAPL", date="2019-07-01", weekday=0, history_dates=dates, history=history, model=str(trained[0]))
    later = msgspec.structs.replace(first, today=(6_000_000, 3_000_000, 2_000_000))
    lost = msgspec.structs.replace(first, history_dates=("yesterday", *dates[1:]))
    said: queue.SimpleQueue[ForecastReady] = queue.SimpleQueue()
    forecaster = Forecaster(Path, said.put)
    for request in (first, later, lost, first):
        forecaster.ask(request)
    before, during, none, again = (said.get(timeout=120) for _ in range(4))
    forecaster.stop()

    assert before == again == predict(model, first)
    assert (before.model, before.text, before.trained_through, before.now_bin) == (model.version, "", "2019-06-28", 0)
    assert (during.now_bin, during.volume[:3], during.volume_p10[:3]) == (3, later.today, later.today)
    assert (none.curve, none.text) == ((), "Invalid isoformat string: 'yesterday'")
    for ready in (before, during):
        assert sum(ready.curve) == 1_000_000
        assert all(low < middle < high for low, middle, high in list(zip(ready.volume_p10, ready.volume, ready.volume_p90, strict=True))[3:])
    assert before.volume[3:] != during.volume[3:]


def test_a_tampered_model_is_refused(trained: Trained, tmp_path: Path):
    files = files_of(trained)
    save_model(tmp_path, trained[1], files)
    (tmp_path / trained[1].name / "p50.txt").write_text(files["p50.txt"].replace("leaf_value=", "leaf_value=-", 1))

    with pytest.raises(ModelDamaged, match="changed after training"):
        HybridModel.load(tmp_path / trained[1].name)


def files_of(trained: Trained) -> dict[str, str]:
    return {path.name: path.read_text() for path in trained[0].iterdir() if path.name != "manifest.json"}


@pytest.mark.parametrize(
    ("change", "message"),
    [({"kind": "impact"}, "model of kind 'impact'; 'volume' is needed"), ({"feature_names": ("bin",)}, "trained by 0.* train again")],
)
def test_a_model_for_something_else_is_refused(trained: Trained, tmp_path: Path, change: dict, message: str):
    other = msgspec.structs.replace(trained[1], **change)
    save_model(tmp_path, other, files_of(trained))

    with pytest.raises(ValueError, match=message):
        HybridModel.load(tmp_path / other.name)


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
