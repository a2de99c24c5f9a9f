"""The numbers to beat, measured on the recorded volumes and pinned; and that scoring can't see ahead."""

from datetime import timedelta

import numpy as np
import pytest

from algoserver.learn.evaluate import evaluate, walk_forward
from algoserver.learn.volumes import Volumes

# Day-ahead MAPE and curve error in percent, as evaluate.py defines them: AAPL, ADBE, GE, 26 bins, out of sample.
# 20-day mean and median need no fit, so they are arithmetic on the data; the model's may move with LightGBM's version.
GOLDEN = """
# days  mape_mean20  mape_median20  curve_error_mean20  curve_error_median20
24      52.87        42.99          29.40               28.95
64      56.40        44.34          28.66               28.47
"""
ROWS = [line.split() for line in GOLDEN.strip().splitlines()[1:]]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]} days")
def test_the_benchmarks_have_the_numbers_measured(recorded: list[Volumes], row: list[str]):
    metrics, _ = evaluate(recorded, scored_days=int(row[0]))

    names = ["mape_mean20", "mape_median20", "curve_error_mean20", "curve_error_median20"]
    assert [f"{metrics[name]:.2f}" for name in names] == row[1:]


def test_the_benchmarks_agree_with_plain_arithmetic(recorded: list[Volumes]):
    """The definition once more, without the code under test: 24 days, three symbols, 26 bins, one mean."""
    ape = {"mean20": [], "median20": []}
    for one in recorded:
        for day in range(100, 124):
            for bin_ in range(26):
                past, volume = one.bins[day - 20 : day, bin_], one.bins[day, bin_]
                ape["mean20"].append(abs(np.mean(past) - volume) / volume)
                ape["median20"].append(abs(np.median(past) - volume) / volume)
    metrics, _ = evaluate(recorded)

    assert metrics["mape_mean20"] == pytest.approx(100 * np.mean(ape["mean20"]))
    assert metrics["mape_median20"] == pytest.approx(100 * np.mean(ape["median20"]))


def test_the_model_beats_the_median_out_of_sample(recorded: list[Volumes]):
    """Measured over the last 24 days: MAPE 37.49 against 42.99, curve error 28.50 against 28.95; a little room for other CPUs."""
    metrics, by_date = evaluate(recorded)

    assert metrics["mape_model"] == pytest.approx(37.49, abs=0.3)
    assert metrics["curve_error_model"] == pytest.approx(28.50, abs=0.15)
    assert metrics["scored_days"] == len(by_date) == 24
    assert sum(errors["model"] < errors["median20"] for errors in by_date.values()) >= 16  # 18 measured
    assert metrics["curve_error_model"] == pytest.approx(np.mean([errors["model"] for errors in by_date.values()]))


def test_the_model_beats_the_median_on_64_days_too(recorded: list[Volumes]):
    """Measured: MAPE 37.53 against 44.34, curve error 27.94 against 28.47."""
    metrics, _ = evaluate(recorded, scored_days=64)

    assert metrics["mape_model"] == pytest.approx(37.53, abs=0.3)
    assert metrics["curve_error_model"] == pytest.approx(27.94, abs=0.15)


def test_a_forecast_does_not_see_its_day_or_later(recorded: list[Volumes]):
    """Another last day: no forecast changes, neither that of the day nor those of its block, which shares its fit."""
    other = [Volumes(one.symbol, one.dates, one.bin_starts, one.bins.copy()) for one in recorded]
    for one in other:
        one.bins[-1] = np.random.default_rng(seed=5).integers(1, 10**7, size=26)

    for (day, _, before), (other_day, _, after) in zip(walk_forward(recorded), walk_forward(other), strict=True):
        assert day == other_day
        assert before.keys() == after.keys()
        assert all(np.array_equal(before[name], after[name]) for name in before)


def test_too_few_days_are_refused_with_the_number_needed(recorded: list[Volumes]):
    cut = [one.through(one.dates[62]) for one in recorded]

    with pytest.raises(ValueError, match="63 days; 64 are needed: 20 of history, 20 to learn from, 24 to score"):
        evaluate(cut)


def test_days_and_bins_without_volume_are_left_out_of_the_score(recorded: list[Volumes]):
    """A halted day scores nothing, and a symbol that never trades does not turn the metrics into NaN."""
    one = recorded[0]
    halted = one.bins.copy()
    halted[-3] = 0
    halted[-5, 7] = 0
    never = Volumes("NEVER", one.dates, one.bin_starts, np.zeros_like(one.bins))
    rare = Volumes("RARE", one.dates, one.bin_starts, np.zeros_like(one.bins))
    rare.bins[-1, 4] = 100
    metrics, by_date = evaluate([Volumes("HALTED", one.dates, one.bin_starts, halted), never, rare])

    assert all(np.isfinite(value) for value in metrics.values())
    assert by_date[one.dates[-3].isoformat()] == {}


def test_symbols_may_have_different_days(recorded: list[Volumes]):
    aapl, adbe, _ = recorded
    shifted = Volumes("ADBE", tuple(day + timedelta(days=1) for day in adbe.dates), adbe.bin_starts, adbe.bins)

    metrics, by_date = evaluate([aapl, shifted])

    assert len(by_date) == 24
    assert metrics["mape_model"] < metrics["mape_mean20"]
