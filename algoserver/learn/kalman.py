"""The volume of a day as two levels and a season: the state-space model of Chen, Feng and Palomar (2016), "Forecasting Intraday Trading Volume".

    log volume = eta + mu + phi[bin] + noise
    eta: daily level, AR(1) from day to day, constant within one    mu: intraday level, AR(1) from bin to bin    phi: season, sum 0

Rule 1: NaN is a bin that nobody has seen (or in which nothing traded: its log has no value). The filter passes over it, it is never filled in.
Rule 2: the same days give the same bits: scalars in a fixed order, one thread, no random start.
Rule 3: `Filtered` holds what was known before each bin, `fit` is shown past days only; who asks for a day gives it nothing later.

Two states need no matrix library: a step is some forty products, so a fit of a hundred days takes under a second in plain scalars.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

# The first fit, which comes within 2 % of the published parameters, and one that goes on from the last one's.
ITERATIONS = 60
REFIT_ITERATIONS = 12
# A year of levels says nothing more of today's; the season drifts.
FIT_DAYS = 100
# An innovation counts up to so many of its standard deviations: what is beyond is the paper's sparse outlier (a soft threshold at lambda S / 2).
CLIP_SD = 3.0
# No variance becomes 0: constant data would make every later surprise infinite.
VARIANCE_MIN = 1e-6
# A few hours alone may look like a trend; levels of the model return or stay, they don't explode.
A_MU_MAX = 0.99
BEGUN_VARIANCE = 0.2
ROUGH = (1.0, 0.7, 0.04, 0.04, 0.08)  # a_eta, a_mu, var_eta, var_mu, r near what liquid shares have


@dataclass(frozen=True)
class LevelParams:
    """a_eta, a_mu: AR coefficients; var_eta, var_mu, r: variances of daily level, intraday level and noise; phi: season, shape (bins,).

    x0, v0: mean and covariance (11, 12, 22) of eta and mu at the first bin.
    """

    a_eta: float
    a_mu: float
    var_eta: float
    var_mu: float
    r: float
    phi: NDArray[np.float64]
    x0: tuple[float, float]
    v0: tuple[float, float, float]


@dataclass(frozen=True)
class Filtered:
    """What the filter knew before each bin, shapes (days, bins).

    eta, mu: expected levels in that bin; p11, p12, p22: their covariance. innovation: log volume less its forecast, clipped, NaN where nothing was
    seen; s: the variance that was expected of it.
    """

    params: LevelParams
    eta: NDArray[np.float64]
    mu: NDArray[np.float64]
    p11: NDArray[np.float64]
    p12: NDArray[np.float64]
    p22: NDArray[np.float64]
    innovation: NDArray[np.float64]
    s: NDArray[np.float64]

    def forecast(self, day: int) -> NDArray[np.float64]:
        """Expected log volume of every bin j of a day, as known before every bin i, shape (bins, bins); NaN for j < i."""
        params = self.params
        bins = params.phi.size
        ahead = np.arange(bins)[None, :] - np.arange(bins)[:, None]
        decay = params.a_mu ** np.maximum(ahead, 0)
        found = self.eta[day][:, None] + decay * self.mu[day][:, None] + params.phi
        return np.where(ahead >= 0, found, np.nan)

    def spread(self, day: int) -> NDArray[np.float64]:
        """Standard deviation of the log volume about `forecast`, same shape."""
        params = self.params
        bins = params.phi.size
        ahead = np.arange(bins)[None, :] - np.arange(bins)[:, None]
        squares = params.a_mu ** (2 * np.arange(bins))
        gathered = np.concatenate([[0.0], np.cumsum(squares)[:-1]])  # of the intraday level's own news on the way
        steps = np.maximum(ahead, 0)
        decay = params.a_mu**steps
        p11, p12, p22 = (p[day][:, None] for p in (self.p11, self.p12, self.p22))
        variance = p11 + 2 * decay * p12 + decay**2 * p22 + params.var_mu * gathered[steps] + params.r
        return np.where(ahead >= 0, np.sqrt(variance), np.nan)


def log_bins(volume: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logs of volumes; NaN where nothing traded or nobody knows."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(volume > 0, np.log(volume), np.nan)


def rough_start(logs: NDArray[np.float64], start: tuple[float, float, float, float, float] = ROUGH) -> LevelParams:
    """Where EM begins: the mean of each bin as the season. logs: shape (days, bins), NaN where unseen; at least one bin seen."""
    seen = ~np.isnan(logs)
    if not seen.any():
        raise ValueError("no bin with volume in these days: there is nothing to learn a level from")
    mean = float(logs[seen].mean())
    count = seen.sum(axis=0)
    phi = np.where(count > 0, np.where(seen, logs - mean, 0.0).sum(axis=0) / np.maximum(count, 1), 0.0)
    first = logs[seen.any(axis=1)][0]
    level = float(np.nanmean(first - phi))
    a_eta, a_mu, var_eta, var_mu, r = start
    return LevelParams(a_eta, a_mu, var_eta, var_mu, r, phi - phi.mean(), x0=(level, 0.0), v0=(1e-3, 1e-7, 1e-5))


def fit(
    logs: NDArray[np.float64], start: LevelParams | None = None, iterations: int = ITERATIONS, tolerance: float = 0.0, clip_sd: float = CLIP_SD
) -> LevelParams:
    """Parameters by EM from days of log volume, shape (days, bins). tolerance: stop where the parameters move less (2-norm)."""
    params = start or rough_start(logs)
    for _ in range(iterations):
        after = _improved(params, logs, clip_sd)
        moved = np.linalg.norm(_flat(after) - _flat(params))
        params = after
        if moved < tolerance:
            break
    return params


def begun(params: LevelParams, logs: NDArray[np.float64]) -> LevelParams:
    """The same parameters at the first of these days: its own mean as the level, and little trust in it. Forgotten after some days."""
    days_seen = (~np.isnan(logs)).any(axis=1)
    level = float(np.nanmean(logs[days_seen][0] - params.phi)) if days_seen.any() else params.x0[0]
    return replace(params, x0=(level, 0.0), v0=(BEGUN_VARIANCE, 0.0, BEGUN_VARIANCE))


def pooled(params: Sequence[LevelParams]) -> LevelParams:
    """The mean of several symbols' parameters, for a symbol that has none."""
    if not params:
        raise ValueError("no symbol to pool")
    scalars = np.mean([[p.a_eta, p.a_mu, p.var_eta, p.var_mu, p.r, *p.x0, *p.v0] for p in params], axis=0).tolist()
    phi = np.mean([p.phi for p in params], axis=0)
    a_eta, a_mu, var_eta, var_mu, r, eta, mu, v11, v12, v22 = scalars
    return LevelParams(a_eta, a_mu, var_eta, var_mu, r, phi, (eta, mu), (v11, v12, v22))


def filtered(params: LevelParams, logs: NDArray[np.float64], clip_sd: float = CLIP_SD) -> Filtered:
    """Run the filter over days of log volume, shape (days, bins)."""
    days, bins = logs.shape
    assert bins == params.phi.size, f"{bins} bins, the parameters have {params.phi.size}"
    eta, mu, p11, p12, p22, innovation, s = (column.reshape(days, bins) for column in _forward(params, logs, clip_sd))
    return Filtered(params, eta, mu, p11, p12, p22, innovation, s)


def _forward(params: LevelParams, logs: NDArray[np.float64], clip_sd: float) -> list[NDArray[np.float64]]:
    """eta, mu, p11, p12, p22 before each bin, innovation and its variance s."""
    a_eta, a_mu, var_eta, var_mu, r = params.a_eta, params.a_mu, params.var_eta, params.var_mu, params.r
    bins = params.phi.size
    observed = (logs - params.phi).ravel().tolist()
    (eta, mu), (p11, p12, p22) = params.x0, params.v0
    a_mu_2, a_eta_2, last = a_mu * a_mu, a_eta * a_eta, bins - 1
    out: list[tuple[float, ...]] = []
    number = 0
    for y in observed:
        s = p11 + p12 + p12 + p22 + r
        if y == y:  # not NaN
            v = y - eta - mu
            reach = clip_sd * s**0.5
            v = reach if v > reach else -reach if v < -reach else v
            out.append((eta, mu, p11, p12, p22, v, s))
            c1, c2 = p11 + p12, p12 + p22
            k1, k2 = c1 / s, c2 / s
            eta += k1 * v
            mu += k2 * v
            p11 -= k1 * c1
            p12 -= k1 * c2
            p22 -= k2 * c2
        else:
            out.append((eta, mu, p11, p12, p22, y, s))
        mu *= a_mu
        p22 = a_mu_2 * p22 + var_mu
        p12 *= a_mu
        if number == last:
            number = 0
            eta *= a_eta
            p11 = a_eta_2 * p11 + var_eta
            p12 *= a_eta
        else:
            number += 1
    return list(np.array(out).T)


def _improved(params: LevelParams, logs: NDArray[np.float64], clip_sd: float) -> LevelParams:
    """One step of EM: smooth, then the parameters that make the smoothed levels likeliest."""
    days, bins = logs.shape
    eta, mu, p11, p12, p22, v, s = _forward(params, logs, clip_sd)
    seen = ~np.isnan(v)
    r1, r2, n11, n12, n22 = _backward(params, v, s, p11, p12, p22, bins)

    # Smoothed means x + P r and covariances P - P N P (r and N before each bin): no covariance is inverted, so a tiny one does no harm.
    eta_s, mu_s = eta + p11 * r1 + p12 * r2, mu + p12 * r1 + p22 * r2
    a11, a12 = p11 * n11 + p12 * n12, p11 * n12 + p12 * n22  # P N
    a21, a22 = p12 * n11 + p22 * n12, p12 * n12 + p22 * n22
    v11, v12, v22 = p11 - a11 * p11 - a12 * p12, p12 - a11 * p12 - a12 * p22, p22 - a21 * p12 - a22 * p22

    # Covariance of neighbours: Cov(x[t+1], x[t]) = (I - P[t+1] N[t+1]) F (I - K Z) P[t], with r and N of the next bin.
    gain = np.where(seen, 1.0 / s, 0.0)
    k1, k2 = (p11 + p12) * gain, (p12 + p22) * gain
    f11, f12, f22 = p11 - k1 * (p11 + p12), p12 - k1 * (p12 + p22), p22 - k2 * (p12 + p22)  # filtered P
    step_eta = np.ones(logs.size - 1)
    step_eta[bins - 1 :: bins] = params.a_eta
    b11, b12, b21, b22 = step_eta * f11[:-1], step_eta * f12[:-1], params.a_mu * f12[:-1], params.a_mu * f22[:-1]
    lag_eta = (1 - a11[1:]) * b11 - a12[1:] * b21
    lag_mu = -a21[1:] * b12 + (1 - a22[1:]) * b22

    ends = np.arange(bins - 1, logs.size - 1, bins)  # last bins that have a day after them
    a_eta, var_eta = params.a_eta, params.var_eta
    if ends.size:
        was, now = eta_s[ends] ** 2 + v11[ends], eta_s[ends + 1] ** 2 + v11[ends + 1]
        both = eta_s[ends] * eta_s[ends + 1] + lag_eta[ends]
        a_eta = min(float(both.sum() / was.sum()), 1.0)
        var_eta = float((now + a_eta**2 * was - 2 * a_eta * both).mean())
    a_mu, var_mu = params.a_mu, params.var_mu
    if logs.size > 1:
        square, both = mu_s**2 + v22, mu_s[:-1] * mu_s[1:] + lag_mu
        a_mu = min(float(both.sum() / square[:-1].sum()), A_MU_MAX)
        var_mu = float((square[1:] + a_mu**2 * square[:-1] - 2 * a_mu * both).mean())

    # What the threshold left out is not noise: the season and r are of what the filter took.
    clipped = np.where(seen, eta + mu + v, 0.0).reshape(days, bins) + params.phi
    mask = seen.reshape(days, bins)
    rest = np.where(mask, clipped - (eta_s + mu_s).reshape(days, bins), 0.0)
    count = mask.sum(axis=0)
    phi = np.where(count > 0, rest.sum(axis=0) / np.maximum(count, 1), params.phi)
    phi = phi - phi.mean()
    spread = (v11 + 2 * v12 + v22).reshape(days, bins)
    r = float(np.where(mask, (rest - phi) ** 2 + spread, 0.0).sum() / mask.sum())
    return LevelParams(
        a_eta=a_eta,
        a_mu=a_mu,
        var_eta=max(var_eta, VARIANCE_MIN),
        var_mu=max(var_mu, VARIANCE_MIN),
        r=max(r, VARIANCE_MIN),
        phi=phi,
        x0=(float(eta_s[0]), float(mu_s[0])),
        v0=(float(v11[0]), float(v12[0]), float(v22[0])),
    )


def _backward(
    params: LevelParams,
    innovation: NDArray[np.float64],
    variance: NDArray[np.float64],
    p11s: NDArray[np.float64],
    p12s: NDArray[np.float64],
    p22s: NDArray[np.float64],
    bins: int,
) -> NDArray[np.float64]:
    """r (r1, r2) and N (n11, n12, n22) before each bin: what the bin and all after it say of its levels (Durbin and Koopman)."""
    a_mu = params.a_mu
    r1 = r2 = n11 = n12 = n22 = 0.0
    out: list[tuple[float, ...]] = []
    number = 0  # of bins after this one in its day
    steps = zip(innovation[::-1].tolist(), variance[::-1].tolist(), p11s[::-1].tolist(), p12s[::-1].tolist(), p22s[::-1].tolist(), strict=True)
    for v, s, p11, p12, p22 in steps:
        a_eta = params.a_eta if number == 0 else 1.0
        # Through F, from the next bin to this one after its update.
        r1 *= a_eta
        r2 *= a_mu
        n11 *= a_eta * a_eta
        n12 *= a_eta * a_mu
        n22 *= a_mu * a_mu
        if v == v:
            k1, k2 = (p11 + p12) / s, (p12 + p22) / s
            # L = I - K Z, Z = (1, 1): Z' v / s + L' r and Z' Z / s + L' N L.
            kr = k1 * r1 + k2 * r2
            e1, e2 = n11 * k1 + n12 * k2, n12 * k1 + n22 * k2  # N K
            knk = k1 * e1 + k2 * e2
            part, inverse = v / s - kr, 1.0 / s + knk
            r1 += part
            r2 += part
            n11, n12, n22 = n11 - 2 * e1 + inverse, n12 - e1 - e2 + inverse, n22 - 2 * e2 + inverse
        out.append((r1, r2, n11, n12, n22))
        number = 0 if number == bins - 1 else number + 1
    return np.array(out).T[:, ::-1]


def _flat(params: LevelParams) -> NDArray[np.float64]:
    scalars = [params.a_eta, params.a_mu, params.var_eta, params.var_mu, params.r, *params.x0, *params.v0]
    return np.concatenate([scalars, params.phi])
