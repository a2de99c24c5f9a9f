"""No forecast knows its bin or what comes after, the same data give the same bits, and bands hold on what they were not made of."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from algoserver.learn.bands import Calibration, Stretch, stretch_heads
from algoserver.learn.hybrid import HORIZONS, fit_hybrid, forecast_rows, horizon
from algoserver.learn.kalman import filtered, fit
from algoserver.learn.rows import ROW_NAMES
from algoserver.learn.scores import dynamic_shares, metrics, paired, shares, tally, volume_matrix
from algoserver.learn.volumes import Volumes
from algoserver.learn.walk import Scored, Walk, known_days, known_logs

DAYS = 45
SCORED = 4


def cut(recorded: list[Volumes], days: int = DAYS) -> list[Volumes]:
    return [Volumes(one.symbol, one.dates[:days], one.bin_starts, one.bins[:days].copy()) for one in recorded]


@pytest.fixture(scope="module")
def walked(recorded: list[Volumes]) -> list[Scored]:
    return list(Walk(cut(recorded), SCORED).run())


def test_another_future_changes_no_earlier_forecast(recorded: list[Volumes], walked: list[Scored]):
    """From bin 7 of the last day but two on, other volumes: all that any model had said of an earlier moment keeps every bit, what it says later
    does not."""
    other = cut(recorded)
    for one in other:
        one.bins[DAYS - 3, 7:] = np.random.default_rng(seed=5).integers(1, 10**7, size=19)
        one.bins[DAYS - 2 :] = np.random.default_rng(seed=6).integers(1, 10**7, size=(2, 26))
    moment = recorded[0].dates[DAYS - 3]
    later_changed = 0
    for before, after in zip(walked, Walk(other, SCORED).run(), strict=True):
        assert (before.symbol, before.day) == (after.symbol, after.day)
        known = (before.now <= 7) if before.day == moment else np.full(before.now.size, before.day < moment)
        for name, heads in before.forecasts.items():
            for head, logs in heads.items():
                assert logs[known].tobytes() == after.forecasts[name][head][known].tobytes(), (name, head, before.day)
                later_changed += int((logs[~known] != after.forecasts[name][head][~known]).sum())
    assert later_changed > 5_000


def test_the_same_days_give_the_same_bits(recorded: list[Volumes], walked: list[Scored]):
    again = Walk(cut(recorded), SCORED, has_trees=False).run()

    for one, other in zip(walked, again, strict=True):
        for head in ("point", "p10", "p50", "p90"):
            assert one.forecasts["hybrid"][head].tobytes() == other.forecasts["hybrid"][head].tobytes()


def test_every_model_is_scored_and_bands_are_in_order(walked: list[Scored]):
    tallies = tally(walked)
    found = metrics(tallies)

    assert list(found) == ["mean", "median", "kalman", "lightgbm", "hybrid"]
    assert len(walked) == 3 * SCORED
    for one in walked:
        for heads in one.forecasts.values():
            assert (heads["p10"] < heads["p50"]).all()
            assert (heads["p50"] < heads["p90"]).all()
    for figures in found.values():
        assert all(np.isfinite(value) for value in figures.values())
    for h in ("mape_day_ahead", "mape_one_bin"):
        assert found["hybrid"][h] < found["kalman"][h] + 0.5
    points, error = paired(tallies, "day_ahead", "hybrid", "mean")
    assert points == pytest.approx(found["hybrid"]["mape_day_ahead"] - found["mean"]["mape_day_ahead"])
    assert error > 0


def test_half_of_what_is_learnt_from_lies_above_p50_a_tenth_outside_each_band_and_most_above_the_point(recorded: list[Volumes]):
    """On the rows that were learnt from, where quantiles must be what their names say; the point is where relative errors are least."""
    one = recorded[1]
    logs = known_logs(one)
    run = filtered(fit(logs, iterations=10), logs)
    days = [(known.rows, known.logs) for known in known_days(run, logs, one.dates)]
    model = fit_hybrid(days)
    made = [(forecast_rows(model, rows), of_day[rows.target]) for rows, of_day in days]
    goal = np.concatenate([goal for _, goal in made])
    above = {head: np.concatenate([heads[head] for heads, _ in made]) for head in ("point", "p10", "p50", "p90")}

    assert {head: round(float((goal > of).mean()), 1) for head, of in above.items() if head != "point"} == {"p10": 0.9, "p50": 0.5, "p90": 0.1}
    assert 0.55 < (goal > above["point"]).mean() < 0.75
    errors = {head: np.abs(np.exp(of - goal) - 1).mean() for head, of in above.items()}
    assert errors["point"] < 0.98 * errors["p50"]


def test_a_symbol_left_out_is_forecast_by_what_was_learnt_of_the_others(recorded: list[Volumes], walked: list[Scored]):
    """Its own past changes its forecast by its filter and its rows alone: without the others there is no such model to learn."""
    two = cut(recorded)[:2]
    out = list(Walk(two, 3, leave_out=True, has_trees=False).run())

    assert [one.symbol for one in out] == ["AAPL", "ADBE"] * 3
    pooled = {(one.symbol, one.day): one for one in Walk(two, 3, has_trees=False).run()}
    assert all(not np.array_equal(one.forecasts["hybrid"]["p50"], pooled[one.symbol, one.day].forecasts["hybrid"]["p50"]) for one in out)
    assert all(np.array_equal(one.forecasts["kalman"]["p50"], pooled[one.symbol, one.day].forecasts["kalman"]["p50"]) for one in out)


def test_missing_and_empty_bins_a_symbol_that_never_trades_and_one_that_is_new(recorded: list[Volumes]):
    """They are passed over; the others are forecast and scored, and nothing becomes NaN."""
    days = cut(recorded, 46)
    days[0].bins[20:24, 3] = np.nan
    days[0].bins[30] = 0
    days[0].bins[-1, 5] = 0
    never = replace(days[1], symbol="NEVER", bins=np.zeros_like(days[1].bins))
    new = Volumes("NEW", days[1].dates[-9:], days[1].bin_starts, days[1].bins[-9:])
    scored = list(Walk([*days, never, new], 4, has_trees=False).run())

    assert {one.symbol for one in scored} == {"AAPL", "ADBE", "GE"}
    for one in scored:
        for heads in one.forecasts.values():
            assert all(np.isfinite(logs).all() for logs in heads.values())
    found = metrics(tally(scored))
    assert all(np.isfinite(value) for figures in found.values() for value in figures.values())


def test_constant_volumes_are_forecast_as_they_are(recorded: list[Volumes]):
    one = replace(cut(recorded, 46)[0], bins=np.full((46, 26), 5_000.0))
    found = metrics(tally(Walk([one], 2, has_trees=False).run()))

    assert found["hybrid"]["mape_day_ahead"] < 1
    assert found["hybrid"]["coverage_day_ahead"] == 100


def test_too_few_days_are_refused_with_the_number_needed(recorded: list[Volumes]):
    with pytest.raises(ValueError, match="63 days; 64 are needed: 20 of history, 20 to learn from, 24 to score"):
        Walk(cut(recorded, 63))


def test_nothing_traded_is_nothing_to_score(recorded: list[Volumes]):
    with pytest.raises(ValueError, match="no volume in the scored days"):
        metrics(tally([]))


def test_the_bin_that_closes_a_half_day_is_forecast_as_a_close_and_learnt_from_as_nothing():
    """Its auction is in no such bin of other days; the bins after it do not exist."""
    now, target = np.triu_indices(26)
    matrix = volume_matrix(np.log(1.0 + target), now, target, 26, date(2019, 7, 3))

    assert matrix[0, :14] == pytest.approx([*range(1, 14), 26])
    assert np.isnan(matrix[:, 14:]).all()
    whole = volume_matrix(np.log(1.0 + target), now, target, 26, date(2019, 7, 5))
    assert whole[0] == pytest.approx(np.arange(1, 27))
    bins = np.full((2, 26), 100.0)
    bins[0, 14:] = 0
    logs = known_logs(Volumes("X", (date(2019, 7, 3), date(2019, 7, 5)), (), bins))
    assert np.isnan(logs[0, 13:]).all()
    assert np.isfinite(logs[1]).all()


def test_shares_planned_bin_after_bin_are_whole_and_equal_the_curve_where_nothing_is_learnt():
    volume = np.array([5.0, 1.0, 1.0, 3.0])

    assert dynamic_shares(np.triu(np.tile(volume, (4, 1)))) == pytest.approx(shares(volume))
    assert dynamic_shares(np.triu(np.random.default_rng(seed=1).random((4, 4)))).sum() == pytest.approx(1)
    assert shares(np.zeros(4)).tolist() == [0.25] * 4


def test_each_horizon_is_its_own():
    now, target = np.array([0, 0, 3, 3, 3, 3]), np.array([0, 25, 3, 4, 6, 7])

    assert [HORIZONS[n] for n in horizon(now, target)] == ["day_ahead", "day_ahead", "next_bin", "near", "near", "far"]


@pytest.mark.parametrize("width", [0.3, 1.0, 2.0])
def test_bands_of_any_width_are_stretched_to_hold_four_fifths(width: float):
    """Errors of deviation 1 with a level per day of deviation 0.7; bands too narrow, right, too wide. Scored on days after those they learn from."""
    rng = np.random.default_rng(seed=8)
    calibration, inside = Calibration(), []
    which, zero = np.zeros(26, dtype=np.int64), np.zeros(26)
    heads = {"point": zero, "p10": zero - width, "p50": zero, "p90": zero + width}
    for number in range(150):
        logs = 0.7 * rng.normal() + 0.7 * rng.normal(size=26)
        made = stretch_heads(heads, which, calibration.stretch("A"))
        if number >= 32:
            inside.append(((made["p10"] <= logs) & (logs <= made["p90"])).mean())
        calibration.add("A", number, which, logs, heads)

    assert np.mean(inside) == pytest.approx(0.8, abs=0.03)
    assert calibration.stretch("A").low[1:] == (1.0,) * (len(HORIZONS) - 1)


def test_a_symbol_without_days_has_everybody_s_bands():
    rng = np.random.default_rng(seed=9)
    calibration = Calibration()
    assert calibration.stretch("NEW") == Stretch()
    which, zero = np.zeros(26, dtype=np.int64), np.zeros(26)
    for number in range(40):
        calibration.add("A", number, which, rng.normal(size=26), {"point": zero, "p10": zero - 0.5, "p50": zero, "p90": zero + 0.5})

    assert calibration.stretch("NEW").low[0] == pytest.approx(calibration.stretch("A").low[0])
    assert 2 < calibration.stretch("NEW").low[0] < 3.5


def test_no_name_of_a_row_is_there_twice():
    assert len(set(ROW_NAMES)) == len(ROW_NAMES)
