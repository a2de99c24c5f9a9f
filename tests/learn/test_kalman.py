"""The filter is the paper's: the published package's parameters, the likelihood EM must raise, and plain conditioning of a normal vector."""

from itertools import pairwise

import numpy as np
import pytest

from algoserver.learn.kalman import LevelParams, begun, filtered, fit, log_bins, pooled, rough_start
from algoserver.learn.volumes import Volumes

NO_CLIP = float("inf")

# Parameters that the R package intradayModel (Xiu, Yu, Palomar; https://github.com/convexfi/intradayModel, Apache-2.0) has for ADBE, 15 minutes,
# days 1 to 104 of 2019: AR coefficients of daily and intraday level, their variances, variance of the noise, season.
PUBLISHED = {"a_eta": 0.99938778, "a_mu": 0.79737879, "var_eta": 0.04018646, "var_mu": 0.03710089, "r": 0.07015960}
PUBLISHED_PHI = [
    1.06002630, 0.52603877, 0.40051200, 0.29362103, 0.18623238, 0.10091250, 0.10349582, 0.06121990, -0.06041664,
    -0.08956764, -0.21408424, -0.35103114, -0.38494438, -0.46516156, -0.44394331, -0.38855681, -0.41632475, -0.44855535,
    -0.36032384, -0.29252897, -0.26147746, -0.22229648, -0.11360253, -0.03030893, 0.40770889, 1.40334146,
]  # fmt: skip


def levels_of(seed: int, days: int = 60, bins: int = 8) -> tuple[np.ndarray, LevelParams]:
    """Log volumes drawn from the model, and its parameters."""
    rng = np.random.default_rng(seed)
    phi = np.linspace(1, -1, bins) ** 2
    truth = LevelParams(0.98, 0.7, 0.05, 0.04, 0.03, phi - phi.mean(), (10.0, 0.0), (0.05, 0.0, 0.05))
    eta, mu, logs = 10.0, 0.0, np.empty((days, bins))
    for day in range(days):
        for bin_ in range(bins):
            logs[day, bin_] = eta + mu + truth.phi[bin_] + rng.normal(0, truth.r**0.5)
            mu = truth.a_mu * mu + rng.normal(0, truth.var_mu**0.5)
        eta = truth.a_eta * eta + rng.normal(0, truth.var_eta**0.5)
    return logs, truth


def likelihood(params: LevelParams, logs: np.ndarray) -> float:
    run = filtered(params, logs, NO_CLIP)
    seen = np.isfinite(run.innovation)
    return float(-0.5 * (np.log(2 * np.pi * run.s[seen]) + run.innovation[seen] ** 2 / run.s[seen]).sum())


@pytest.fixture(scope="module")
def adbe(recorded: list[Volumes]) -> np.ndarray:
    return log_bins(recorded[1].bins[:104])


def test_the_parameters_are_those_of_the_published_package_within_5_percent(adbe: np.ndarray):
    """Each of them: the greatest distance measured is 2 %, of a variance."""
    params = fit(adbe, clip_sd=NO_CLIP)

    for name, value in PUBLISHED.items():
        assert getattr(params, name) == pytest.approx(value, rel=0.05), name
    assert params.phi == pytest.approx(np.array(PUBLISHED_PHI), rel=0.05)


def test_the_threshold_moves_the_parameters_little_on_clean_data_and_saves_them_on_dirty(adbe: np.ndarray):
    """One bin in two hundred a hundred times too large: with the threshold the noise's variance stays near the clean one, without it is no use."""
    dirty = adbe.copy()
    dirty.ravel()[100::200] += np.log(100)

    clean, robust, plain = fit(adbe, iterations=25), fit(dirty, iterations=25), fit(dirty, iterations=25, clip_sd=NO_CLIP)

    assert abs(clean.r / fit(adbe, iterations=25, clip_sd=NO_CLIP).r - 1) < 0.15
    assert abs(robust.r / clean.r - 1) < 0.5
    assert plain.r / clean.r > 2


def test_every_step_raises_the_likelihood():
    """What EM guarantees, so a wrong smoother or a wrong neighbours' covariance shows; with missing bins, too."""
    logs, _ = levels_of(seed=3)
    logs[5, 2:6] = logs[20] = np.nan
    params, found = rough_start(logs), []
    for _ in range(30):
        found.append(likelihood(params, logs))
        params = fit(logs, params, 1, clip_sd=NO_CLIP)

    assert all(after > before - 1e-7 for before, after in pairwise(found))


def test_the_truth_is_found_again():
    """400 days drawn from known parameters."""
    logs, truth = levels_of(seed=1, days=400)
    params = fit(logs, iterations=60, clip_sd=NO_CLIP)

    assert params.a_mu == pytest.approx(truth.a_mu, abs=0.05)
    assert params.a_eta == pytest.approx(truth.a_eta, abs=0.03)
    assert (params.var_eta, params.var_mu, params.r) == pytest.approx((truth.var_eta, truth.var_mu, truth.r), rel=0.2)
    assert np.abs(params.phi - truth.phi).max() < 0.05


def test_forecast_and_spread_are_the_conditional_normal_s():
    """Three days of four bins by one covariance matrix, two bins unseen: the means and deviations that linear algebra gives."""
    logs, truth = levels_of(seed=7, days=3, bins=4)
    logs[0, 2] = logs[1, 0] = np.nan
    # Levels as linear functions of independent draws: the two at the start, then one of mu a bin, one of eta a day.
    count = 2 + 12 + 3
    eta, mu = np.zeros((12, count)), np.zeros((12, count))
    now_eta, now_mu = np.eye(count)[0], np.eye(count)[1]
    variances = np.array([truth.v0[0], truth.v0[2], *[truth.var_mu] * 12, *[truth.var_eta] * 3])
    for t in range(12):
        eta[t], mu[t] = now_eta, now_mu
        now_mu = truth.a_mu * now_mu + np.eye(count)[2 + t]
        if t % 4 == 3:
            now_eta = truth.a_eta * now_eta + np.eye(count)[14 + t // 4]
    of = eta + mu
    covariance = of @ np.diag(variances) @ of.T + truth.r * np.eye(12)
    mean = np.array([truth.a_eta ** (t // 4) * truth.x0[0] + truth.a_mu**t * truth.x0[1] + truth.phi[t % 4] for t in range(12)])
    run = filtered(truth, logs, NO_CLIP)

    for now in range(4):
        known = [t for t in range(8 + now) if np.isfinite(logs.ravel()[t])]
        for target in range(now, 4):
            gain = np.linalg.solve(covariance[np.ix_(known, known)], covariance[known, 8 + target])
            assert run.forecast(2)[now, target] == pytest.approx(mean[8 + target] + gain @ (logs.ravel()[known] - mean[known]))
            variance = covariance[8 + target, 8 + target] - gain @ covariance[known, 8 + target]
            assert run.spread(2)[now, target] == pytest.approx(variance**0.5)


@pytest.mark.parametrize("seen", [0, 5, 7])
def test_a_forecast_does_not_know_its_bin_or_later_ones(seen: int):
    logs, truth = levels_of(seed=4, days=5)
    other = logs.copy()
    other[4, seen:] = 99.0

    before, after = filtered(truth, logs).forecast(4), filtered(truth, other).forecast(4)
    assert np.array_equal(before[: seen + 1], after[: seen + 1], equal_nan=True)


def test_the_same_days_give_the_same_bits(adbe: np.ndarray):
    first, second = (fit(adbe[:40], iterations=5) for _ in range(2))

    assert first.phi.tobytes() == second.phi.tobytes()
    assert (first.a_eta, first.a_mu, first.var_eta, first.var_mu, first.r) == (second.a_eta, second.a_mu, second.var_eta, second.var_mu, second.r)


@pytest.mark.parametrize("days", [np.full((30, 26), 8.0), np.full((1, 26), 8.0), np.full((1, 1), 8.0)], ids=["constant", "one day", "one bin"])
def test_data_without_news_give_their_own_level(days: np.ndarray):
    """No variance becomes 0, nothing becomes NaN, and what was always traded is expected."""
    params = fit(days)
    run = filtered(begun(params, days), np.vstack([days, days[-1:]]))

    assert min(params.var_eta, params.var_mu, params.r) > 0
    assert run.forecast(len(days))[0, 0] == pytest.approx(8.0, abs=0.05)
    assert np.isfinite(run.spread(len(days))[0]).all()


def test_zero_and_unknown_bins_are_passed_over():
    volume = np.exp(levels_of(seed=2)[0])
    holes = volume.copy()
    holes[3, 1:4], holes[10] = 0, np.nan
    params = fit(log_bins(holes))

    assert np.isnan(log_bins(holes)[3, 1:4]).all()
    assert np.isfinite([params.a_eta, params.a_mu, params.var_eta, params.var_mu, params.r, *params.phi]).all()
    assert params.phi == pytest.approx(fit(log_bins(volume)).phi, abs=0.05)


def test_days_in_which_nothing_traded_are_refused():
    with pytest.raises(ValueError, match="no bin with volume"):
        fit(np.full((5, 26), np.nan))


def test_a_symbol_without_parameters_has_the_others_mean():
    first, second = (fit(levels_of(seed)[0], iterations=3) for seed in (1, 2))
    mean = pooled([first, second])

    assert mean.a_mu == pytest.approx((first.a_mu + second.a_mu) / 2)
    assert mean.phi == pytest.approx((first.phi + second.phi) / 2)
    with pytest.raises(ValueError, match="no symbol to pool"):
        pooled([])
