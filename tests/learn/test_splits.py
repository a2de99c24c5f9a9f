"""A split is found in the volumes of the days that are over, and the level goes on."""

import numpy as np
import pytest

from algoserver.learn.kalman import log_bins
from algoserver.learn.splits import mended, splits
from algoserver.learn.volumes import Volumes


@pytest.mark.parametrize("ratio", [7.0, 20.0, 1 / 10])
@pytest.mark.parametrize("symbol", [0, 1, 2])
def test_a_split_is_found_on_its_day_and_its_ratio_is_near(recorded: list[Volumes], symbol: int, ratio: float):
    """Recorded volumes multiplied from day 50 on: found, and what is mended lies near the days as they were, times the ratio."""
    logs = log_bins(recorded[symbol].bins)
    split = logs.copy()
    split[50:] += np.log(ratio)
    ((first, jump),) = splits(split)

    assert first == 50
    assert jump == pytest.approx(np.log(ratio), abs=0.5)
    assert mended(split, len(split))[:50] == pytest.approx(logs[:50] + jump)
    assert np.array_equal(mended(split, len(split))[50:], split[50:])


def test_the_recorded_days_have_none(recorded: list[Volumes]):
    assert [splits(log_bins(one.bins)) for one in recorded] == [[], [], []]


def test_a_split_is_known_when_its_third_day_is_over_and_later_days_are_not_read(recorded: list[Volumes]):
    split = log_bins(recorded[0].bins)
    split[50:] += np.log(7)
    wild = split.copy()
    wild[53:] = 99.0

    assert np.array_equal(mended(split, 52), split)
    assert np.array_equal(mended(wild, 53)[:53], mended(split, 53)[:53])
    assert not np.array_equal(mended(split, 53)[:50], split[:50])


def test_a_loud_day_a_doubling_and_missing_days_are_no_split():
    quiet = np.full((30, 26), 10.0)
    loud, double, holes = quiet.copy(), quiet.copy(), quiet.copy()
    loud[15:17] += np.log(20)
    double[15:] += np.log(2)
    holes[10:20] = np.nan

    assert splits(loud) == splits(double) == splits(holes) == splits(np.full((30, 26), np.nan)) == splits(quiet[:3]) == []
