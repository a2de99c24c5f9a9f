"""Fit a cost model to executions, and say what it is worth on days that it has not seen.

An order's cost and where the price stands afterwards share one path of the price: their errors are Brownian and correlated, so they are whitened by
that path's own covariance (generalised least squares) before coefficients that are not negative are fitted. What the papers published is the prior,
weighed as PRIOR_SD says: a desk with few orders keeps it, one with many forgets it.

Rule 1: every figure of `metrics` is of days that the fit which made it has not seen.
Rule 2: the correction stays only where it lowers the error of those days; else the backbone is the model, and the manifest says so.
Rule 3: same executions, same model: the version is the sha256 of its files.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from algoserver import __version__
from algoserver.learn.cost import (
    FEATURES,
    MONOTONE,
    PARTS,
    PUBLISHED,
    CostModel,
    factors,
    features,
    loads,
    loads_after,
    risk,
    spread_of,
)
from algoserver.learn.executions import Execution, read_executions
from algoserver.learn.store import IMPACT_KIND, Manifest, load_model, model_version, save_model
from algoserver.learn.terms import STEPS

PRIOR_SD = np.array([1.0, 0.6, 0.1, 0.5])
FLOOR = 0.02  # sigmas of a day: what is not the price's own move; of a 1.5 % share 3 bp, about what placement adds to an order
# Where a simulated market tells what its price would have done without us: shares of the risk, and sigmas of a day, that are left.
KNOWN, KNOWN_AFTER = 0.1, 0.05
FOLDS, DRAWS = 5, 200
ORDERS_MIN, DAYS_MIN = 100, 10
TREES = {
    "objective": "regression", "num_leaves": 4, "learning_rate": 0.05, "min_data_in_leaf": 40, "lambda_l2": 10.0, "verbosity": -1, "seed": 1,
    "deterministic": True, "force_row_wise": True, "num_threads": 1, "monotone_constraints": list(MONOTONE),
}  # fmt: skip
ROUNDS = 40
RATIO_MAX = 20.0
MODEL_FILE, CORRECTION_FILE = "impact.json", "correction.txt"


class StoredCost(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """CostModel as text: JSON's floats are read back to the bit."""

    coefficients: tuple[float, ...]
    draws: tuple[tuple[float, ...], ...]
    z10: float
    z90: float
    floor: float
    orders: int


class Known(NamedTuple):
    """An order made ready: what it weighs in the normal equations (whitened), and its row for the correction."""

    gram: NDArray[np.float64]
    moment: NDArray[np.float64]
    loads: NDArray[np.float64]
    features: NDArray[np.float64]
    cost: float
    spread: float
    told: float  # the cost less what is known not to be ours, and its deviation
    told_spread: float


def ready(one: Execution) -> Known:
    """An order's part in every fit."""
    a, b = _whitened(one)
    spread = spread_of(one.terms, FLOOR)
    told = (one.cost, spread) if one.drift is None else (one.cost - one.drift, _known_spread(one))
    return Known(a.T @ a, a.T @ b, loads(one.terms), features(one.terms), one.cost, spread, *told)


def fit(found: Sequence[Known], has_correction: bool = True) -> CostModel:
    """A model of all these orders, without its interval."""
    model = CostModel(_solve(found), floor=FLOOR, version="", orders=len(found))
    return replace(model, correction=_correction(model, found)) if has_correction else model


def walk(found: Sequence[Known], fold: NDArray[np.int64], has_correction: bool) -> NDArray[np.float64]:
    """What each order was expected to cost by a fit of the other folds' days; shape (orders,)."""
    own, rows = np.array([one.loads for one in found]), np.array([one.features for one in found])
    expected = np.zeros(len(found))
    for number in range(FOLDS):
        model = fit([one for one, at in zip(found, fold, strict=True) if at != number], has_correction)
        mine = fold == number
        expected[mine] = own[mine] @ model.coefficients
        if model.correction is not None:
            expected[mine] *= factors(model.correction, rows[mine])
    return expected


def train(found: Sequence[Execution]) -> tuple[CostModel, dict[str, float]]:
    """The model of these orders, with its interval, and what it is worth. ValueError: too few orders or days."""
    days = sorted({one.day for one in found})
    if len(found) < ORDERS_MIN or len(days) < DAYS_MIN:
        raise ValueError(
            f"{len(found)} orders of {len(days)} days; {ORDERS_MIN} of {DAYS_MIN} are needed; no model was written, what is configured stays in force"
        )
    known = [ready(one) for one in found]
    fold = folds(found)
    cost, spread = np.array([one.cost for one in known]), np.array([one.spread for one in known])
    told, told_spread = np.array([one.told for one in known]), np.array([one.told_spread for one in known])
    plain, corrected = (walk(known, fold, has_correction) for has_correction in (False, True))
    published = np.array([one.loads @ PUBLISHED for one in known])
    helps = _error(told, corrected, told_spread) < _error(told, plain, told_spread)
    expected = corrected if helps else plain
    scores = (cost - expected) / spread
    z10, z90 = (float(z) for z in np.quantile(scores, [0.1, 0.9]))
    resampled = list(_resampled(found))
    draws = np.array([_solve([known[i] for i in of]) for of in resampled])
    model = replace(fit(known, helps), z10=z10, z90=z90, draws=draws)
    low, high = np.quantile([calibration(told[of], expected[of], told_spread[of]) for of in resampled], [0.025, 0.975])
    metrics = {
        "orders": float(len(found)), "days": float(len(days)), "has_correction": float(helps),
        "error_nothing": _error(told, np.zeros_like(told), told_spread), "error_published": _error(told, published, told_spread),
        "error_backbone": _error(told, plain, told_spread), "error_corrected": _error(told, corrected, told_spread),
        "slope": calibration(told, expected, told_spread), "drift_known": float(np.mean([one.drift is not None for one in found])),
        "slope_low": float(low), "slope_high": float(high), "coverage": _coverage(fold, scores),
        "mean_bp": 1e4 * float(cost.mean()), "expected_mean_bp": 1e4 * float(expected.mean()),
    }  # fmt: skip
    return model, metrics


def calibration(cost: NDArray[np.float64], expected: NDArray[np.float64], spread: NDArray[np.float64]) -> float:
    """Slope through the origin of realised on expected cost, orders weighed by how exactly they say it: 1 is right."""
    weights = 1 / spread**2
    return float((weights * expected * cost).sum() / (weights * expected**2).sum())


def deciles(cost: NDArray[np.float64], expected: NDArray[np.float64], count: int = 10) -> list[tuple[float, float, float]]:
    """Mean expected and realised cost and its standard error, by rising expected cost."""
    order = np.argsort(expected, kind="stable")
    found = []
    for part in np.array_split(order, count):
        error = float(cost[part].std(ddof=1) / np.sqrt(part.size)) if part.size > 1 else float("nan")
        found.append((float(expected[part].mean()), float(cost[part].mean()), error))
    return found


def train_impact(data_dir: Path, out_dir: Path, created_at: str = "") -> tuple[Manifest, dict[str, int]]:
    """Fit the orders of every journal below `data_dir`, save to `out_dir / manifest.name`. Return the manifest, and how many orders were left out
    for which reason."""
    read = read_executions(data_dir)
    try:
        model, metrics = train(read.found)
    except ValueError as few:
        left = "; ".join(f"{count} {why}" for why, count in read.left_out.items())
        raise ValueError(f"{few}{f' (left out: {left})' if left else ''}") from None
    manifest, files = packed(model, metrics, read.found, created_at)
    return save_model(out_dir, manifest, files), read.left_out


def packed(model: CostModel, metrics: dict[str, float], found: Sequence[Execution], created_at: str = "") -> tuple[Manifest, dict[str, str]]:
    """A model as the files of the store."""
    stored = StoredCost(
        tuple(model.coefficients.tolist()), tuple(tuple(row) for row in model.draws.tolist()), model.z10, model.z90, model.floor, len(found)
    )
    files = {MODEL_FILE: msgspec.json.format(msgspec.json.encode(stored), indent=1).decode() + "\n"}
    if model.correction is not None:
        files[CORRECTION_FILE] = model.correction.model_to_string()
    version, sha256 = model_version(files)
    text = json.dumps([[one.day, one.symbol, one.strategy, one.terms.size, one.terms.span, one.cost] for one in found])
    params: dict[str, str | int | float | bool] = {"rounds": ROUNDS, "floor": FLOOR}
    params |= {name: value for name, value in TREES.items() if isinstance(value, str | int | float)}
    manifest = Manifest(
        kind=IMPACT_KIND, version=version, model_sha256=sha256, data_sha256=hashlib.sha256(text.encode()).hexdigest(), code_version=__version__,
        params=params, feature_names=(*PARTS, *FEATURES), n_bins=STEPS, symbols=tuple(sorted({one.symbol for one in found})),
        trained_through=max(one.day for one in found), metrics=metrics, errors_by_date={}, created_at=created_at,
    )  # fmt: skip
    return manifest, files


def load_impact(model_dir: Path) -> CostModel:
    """Load a stored model. ValueError (ModelDamaged where its bytes changed) names what is wrong."""
    manifest, files = load_model(model_dir)
    if manifest.kind != IMPACT_KIND:
        raise ValueError(f"{model_dir}: model of kind {manifest.kind!r}; {IMPACT_KIND!r} is needed")
    if manifest.feature_names != (*PARTS, *FEATURES) or MODEL_FILE not in files:
        raise ValueError(f"{model_dir}: trained by {manifest.code_version} on terms that this version does not have; train again")
    stored = msgspec.json.decode(files[MODEL_FILE], type=StoredCost)
    correction = None
    if CORRECTION_FILE in files:
        import lightgbm

        correction = lightgbm.Booster(model_str=files[CORRECTION_FILE])
    return CostModel(
        np.array(stored.coefficients), np.array(stored.draws).reshape(-1, len(PARTS)), stored.z10, stored.z90, stored.floor, correction,
        manifest.version, manifest.trained_through, stored.orders,
    )  # fmt: skip


def _whitened(one: Execution) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rows of loads and what they are to explain, in units of their own deviation."""
    terms, sigma = one.terms, one.terms.sigma
    rows, targets = [loads(terms)], [one.cost]
    for volume, moved in one.after:
        rows.append(loads_after(terms, volume))
        targets.append(moved)
    if one.drift is not None:
        known = np.array(targets) - np.array([one.drift, *one.drifts])
        deviations = np.array([_known_spread(one), *([KNOWN_AFTER * sigma] * len(one.after))])
        return np.array(rows) / deviations[:, None], known / deviations
    done = np.concatenate([[0.0], np.cumsum(terms.profile)])
    left = 1 - (done[:-1] + done[1:]) / 2
    shared = sigma**2 * terms.span / STEPS * left.sum()  # covariance of the cost with the price at any later moment
    count = len(targets)
    covariance = np.zeros((count, count))
    covariance[0, 0] = spread_of(terms, FLOOR) ** 2
    for i, (before, _) in enumerate(one.after, 1):
        covariance[0, i] = covariance[i, 0] = shared
        for j, (later, _) in enumerate(one.after, 1):
            covariance[i, j] = sigma**2 * (terms.span + min(before, later)) + (FLOOR * sigma) ** 2 * (i == j)
    root = np.linalg.cholesky(covariance)
    return np.linalg.solve(root, np.array(rows)), np.linalg.solve(root, np.array(targets))


def _known_spread(one: Execution) -> float:
    """Deviation of a cost whose drift is known: placement, and what the crowd does beside its reference."""
    return KNOWN * risk(one.terms) + FLOOR * one.terms.sigma


def _solve(found: Sequence[Known]) -> NDArray[np.float64]:
    """The coefficients, none negative: normal equations, of which a root is what nnls wants."""
    gram = np.sum([one.gram for one in found], axis=0) + np.diag(PRIOR_SD**-2)
    moment = np.sum([one.moment for one in found], axis=0) + PUBLISHED / PRIOR_SD**2
    root = np.linalg.cholesky(gram)
    solved: NDArray[np.float64] = nnls(root.T, np.linalg.solve(root, moment))[0]
    return solved


def _correction(model: CostModel, found: Sequence[Known]) -> Any:
    """Trees on cost over backbone less one, weighed by how exactly an order says it."""
    import lightgbm

    expected = np.maximum([one.loads @ model.coefficients for one in found], 1e-9)
    cost, spread = np.array([one.told for one in found]), np.array([one.told_spread for one in found])
    # One order's ratio may be thirty either way by the price alone: what can't be a correction is cut, the same above and below 1.
    ratio = np.clip(cost / expected - 1, -RATIO_MAX, RATIO_MAX)
    weights = (expected / spread) ** 2
    data = lightgbm.Dataset(np.array([one.features for one in found]), ratio, weight=weights / weights.mean(), feature_name=list(FEATURES))
    return lightgbm.train({**TREES, "boost_from_average": False}, data, ROUNDS)


def _resampled(found: Sequence[Execution]) -> Iterator[NDArray[np.int64]]:
    """Numbers of the orders of as many days, drawn again and again: a day's orders share its market."""
    chance = np.random.default_rng(1)
    by_day: dict[str, list[int]] = {}
    for i, one in enumerate(found):
        by_day.setdefault(one.day, []).append(i)
    names = sorted(by_day)
    for _ in range(DRAWS):
        yield np.array([n for i in chance.integers(0, len(names), len(names)) for n in by_day[names[i]]])


def folds(found: Sequence[Execution]) -> NDArray[np.int64]:
    """A day is in one fold as a whole."""
    days = {day: i % FOLDS for i, day in enumerate(sorted({one.day for one in found}))}
    return np.array([days[one.day] for one in found])


def _error(cost: NDArray[np.float64], expected: NDArray[np.float64], spread: NDArray[np.float64]) -> float:
    """Mean square of what is not explained, in the deviations that it should have: 1 is as well as can be."""
    return float(np.mean(((cost - expected) / spread) ** 2))


def _coverage(fold: NDArray[np.int64], scores: NDArray[np.float64]) -> float:
    """Share of orders, percent, between the P10 and P90 that the other folds' orders give."""
    inside = 0
    for number in range(FOLDS):
        low, high = np.quantile(scores[fold != number], [0.1, 0.9])
        mine = scores[fold == number]
        inside += int(((low <= mine) & (mine <= high)).sum())
    return 100 * inside / len(scores)
