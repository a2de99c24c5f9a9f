"""Features know the past and nothing else, and the same past gives the same bits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from algoserver.learn.features import (
    BASE_DAYS,
    FEATURE_NAMES,
    HISTORY_DAYS,
    base_log_volume,
    feature_rows,
    log_volume,
    median_curve,
    median_volume,
)
from algoserver.learn.fit import rows_by_day
from algoserver.learn.volumes import Volumes


def history(seed: int, n_days: int = BASE_DAYS, n_bins: int = 26) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 1_000_000, size=(n_days, n_bins))


def test_the_median_curve_is_the_median_of_the_last_20_days_normalised():
    days = np.ones((25, 4))
    days[:5] = 1e9  # too old to count
    days[5:14, 0] = 1e6  # nine wild days of twenty don't move a median
    days[:, 3] = 2

    assert median_volume(days).tolist() == [1, 1, 1, 2]
    assert median_curve(days).tolist() == [0.2, 0.2, 0.2, 0.4]


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32), n_days=st.integers(BASE_DAYS, 70))
def test_the_median_curve_is_a_curve(seed: int, n_days: int):
    curve = median_curve(history(seed, n_days))

    assert (curve >= 0).all()
    assert curve.sum() == pytest.approx(1)


@pytest.mark.parametrize(
    ("days", "message"),
    [
        (np.ones((19, 26)), "history of 19 days; at least 20 are needed"),
        (np.ones(26), r"history of shape \(26,\); \(n_days, n_bins\)"),
        (np.ones((20, 3)), r"history of shape \(20, 3\); .* at least 4 bins"),
        (np.full((20, 26), -1.0), "not a number >= 0"),
        (np.full((20, 26), np.nan), "not a number >= 0"),
        (np.full((20, 26), np.inf), "not a number >= 0"),
    ],
)
def test_a_history_that_carries_nothing_is_refused(days: np.ndarray, message: str):
    for function in (median_curve, base_log_volume, lambda h: feature_rows(h, weekday=0)):
        with pytest.raises(ValueError, match=message):
            function(days)


def test_no_curve_follows_from_days_without_trades():
    with pytest.raises(ValueError, match="0 in every bin"):
        median_curve(np.zeros((20, 26)))
    assert np.isfinite(feature_rows(np.zeros((20, 26)), weekday=0)).all()


def test_the_weekday_is_checked():
    with pytest.raises(ValueError, match="weekday 7 is not one of 0"):
        feature_rows(history(1), weekday=7)


def test_each_feature_is_what_its_name_says():
    """By hand: volumes e**r with r known, so logs are r up to the rounding to whole units."""
    logs = np.full((60, 5), 12.0)
    logs[:40] += 3.0  # the old level: in the long shape only, and as a level it is not shape
    logs[:40, 4] += 1.5
    logs[-1] += [0.2, 0.4, 0.6, 0.8, 1.0]
    logs[-2] += 0.5
    rows = feature_rows(np.exp(logs), weekday=3)
    column = {name: rows[:, number] for number, name in enumerate(FEATURE_NAMES)}
    base = logs[-20:].mean(axis=0)

    def close(name: str, expected: object) -> None:
        assert column[name] == pytest.approx(np.broadcast_to(np.asarray(expected, dtype=float), 5), abs=1e-4), name

    close("bin", np.arange(5))
    close("weekday", 3)
    close("day_1", (logs[-1] - base).mean())
    close("day_2", (logs[-2] - base).mean())
    close("day_3", (12.0 - base).mean())
    close("day_mean_3", (logs[-3:] - base).mean())
    close("day_mean_5", (logs[-5:] - base).mean())
    close("day_mean_10", (logs[-10:] - base).mean())
    close("bin_1", logs[-1] - base)
    close("bin_mean_5", logs[-5:].mean(axis=0) - base)
    close("closing_1", logs[-1, 4] - base[4])
    close("closing_2", logs[-1, 3] - base[3])
    close("closing_3", logs[-1, 2] - base[2])
    close("closing_4", logs[-1, 1] - base[1])
    close("closing_mean_4", (logs[-1] - base)[1:].mean())
    close("dispersion", logs[-20:].std(axis=0))
    close("shape", base - base.mean())
    close("median_less_base", 12.0 - base)
    close("long_shape_less_shape", (logs.mean(axis=0) - logs.mean()) - (base - base.mean()))


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32), n_days=st.integers(HISTORY_DAYS, 80))
def test_days_older_than_the_last_60_do_not_count(seed: int, n_days: int):
    days = history(seed, n_days)

    assert np.array_equal(feature_rows(days, 1), feature_rows(days[-HISTORY_DAYS:], 1))


def test_a_history_of_ints_gives_the_bits_of_the_recorded_one(recorded: list[Volumes]):
    """Serving reads whole units back from the journal; a recording may hold the fractions of a split adjustment."""
    for one in recorded:
        fractions = one.bins[:60] / 3
        journaled = [[round(volume) for volume in day] for day in fractions.tolist()]
        assert np.array_equal(feature_rows(journaled, 2), feature_rows(fractions, 2))
        assert np.array_equal(base_log_volume(journaled), base_log_volume(fractions))
        assert np.array_equal(median_curve(journaled), median_curve(fractions))


@pytest.mark.parametrize("day", [20, 61, 100, 123])
def test_no_row_uses_its_own_day_or_a_later_one(recorded: list[Volumes], day: int):
    """Other volumes from a day on: the rows up to that day keep every bit, its target and the next day's row change."""
    for one in recorded:
        future = one.bins.copy()
        future[day:] = np.random.default_rng(seed=day).integers(1, 10**7, size=future[day:].shape)
        other = Volumes(one.symbol, one.dates, one.bin_starts, future)
        before, after = rows_by_day([one]), rows_by_day([other])

        for number in range(BASE_DAYS, day + 1):
            key = (one.symbol, one.dates[number])
            assert np.array_equal(before[key][0], after[key][0])
            assert np.array_equal(before[key][1], after[key][1]) == (number < day)
        if day + 1 < len(one.dates):
            key = (one.symbol, one.dates[day + 1])
            assert not np.array_equal(before[key][0], after[key][0])


def test_the_target_is_log_volume_less_the_mean_of_the_20_logs_before(recorded: list[Volumes]):
    one = recorded[2]
    rows = rows_by_day([one])

    assert len(rows) == len(one.dates) - BASE_DAYS
    expected = log_volume(one.bins[70]) - np.log(np.rint(one.bins[50:70])).mean(axis=0)
    assert rows["GE", one.dates[70]][1] == pytest.approx(expected)
