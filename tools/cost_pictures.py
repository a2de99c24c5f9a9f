"""What a model of costs says, as pictures: cost by participation, optimal schedules with their frontier, and, with executions, its calibration."""

import argparse
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from algoserver.learn.cost import PUBLISHED_MODEL, CostModel, Terms, risk
from algoserver.learn.cost_fit import deciles, folds, load_impact, ready, walk
from algoserver.learn.executions import read_executions
from algoserver.learn.optimise import frontier

mpl.use("svg")
mpl.rcParams.update({"svg.hashsalt": "algoserver", "svg.fonttype": "none", "font.size": 9})
from matplotlib import pyplot  # noqa: E402 the backend comes first

ROOT = Path(__file__).resolve().parents[1]
STEPS = 40
EVEN = np.full(STEPS, 1 / STEPS)
AVERSIONS = np.array([0.0, 1.0, 10.0, 100.0, 1_000.0])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="", help="directory written by `algoserver train impact` (default: the published one)")
    parser.add_argument("--data", type=Path, help="journals below it: their orders are what the calibration is drawn of, by fits of other days")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "costs", help="folder for the pictures")
    args = parser.parse_args()
    model = load_impact(Path(args.model)) if args.model else PUBLISHED_MODEL
    args.out.mkdir(parents=True, exist_ok=True)
    curves(model, args.out / "curve.svg")
    schedules(model, args.out / "frontier.svg")
    if args.data:
        calibrated(model, args.data, args.out / "calibration.svg")
    print(f"pictures of model {model.version} in {args.out}", file=sys.stderr)
    return 0


def curves(model: CostModel, path: Path) -> None:
    """Mean cost and the interval of the mean by participation, for three windows."""
    figure, axes = pyplot.subplots(figsize=(6.5, 3.8), layout="constrained")
    shares = np.linspace(0.005, 0.35, 60)
    for span, name in ((0.03, "3 % of the day's volume"), (0.15, "15 %"), (0.6, "60 %")):
        costs = model.curve(Terms(0.1 * span, span, EVEN, 0.02, 0.5e-4, 0.2), list(shares))
        (line,) = axes.plot(100 * shares, [1e4 * c.expected for c in costs], label=name)
        axes.fill_between(100 * shares, [1e4 * c.low for c in costs], [1e4 * c.high for c in costs], color=line.get_color(), alpha=0.2, lw=0)
    axes.set(xlabel="participation, % of the volume", ylabel="expected cost, bp", title=f"model {model.version}: volatility 2 %, half-spread 0.5 bp")
    axes.legend(title="window")
    _save(figure, path)


def schedules(model: CostModel, path: Path) -> None:
    """Left what is left of an order of 5 % of a day by risk aversion, right what each plan costs and risks."""
    terms = Terms(0.05, 0.3, EVEN, 0.02, 0.5e-4, 0.2)
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
    found = frontier(model, terms, AVERSIONS, 0.5)
    at = np.linspace(0, 100, STEPS + 1)
    for aversion, profile, _ in found:
        left.plot(at, 100 * np.concatenate([[1.0], 1 - np.cumsum(profile)]), label=f"{aversion:g}")
    left.set(xlabel="volume of the window that is over, %", ylabel="still to do, %")
    left.legend(title="risk aversion")
    fine = frontier(model, terms, np.concatenate([[0.0], np.geomspace(0.1, 5_000, 30)]), 0.5)

    def risk_bp(profile: np.ndarray) -> float:
        return 1e4 * risk(Terms(terms.size, terms.span, profile, terms.sigma, terms.half_spread, terms.day_at))

    right.plot([risk_bp(p) for _, p, _ in fine], [1e4 * c.expected for _, _, c in fine], color="grey", zorder=1)
    for _, profile, cost in found:
        right.scatter(risk_bp(profile), 1e4 * cost.expected, zorder=2)
    right.scatter(risk_bp(EVEN), 1e4 * model.expected(terms), marker="x", color="black", label="even (VWAP)", zorder=3)
    right.set(xlabel="risk (deviation of the cost), bp", ylabel="expected cost, bp", title="efficient frontier")
    right.legend()
    _save(figure, path)


def calibrated(model: CostModel, data: Path, path: Path) -> None:
    """Realised on expected cost by decile, each order costed by a fit of other days than its own."""
    read = read_executions(data).found
    known = [ready(one) for one in read]
    expected = walk(known, folds(read), model.correction is not None)
    told = np.array([one.told for one in known])
    found = 1e4 * np.array(deciles(told, expected))
    figure, axes = pyplot.subplots(figsize=(5, 4.2), layout="constrained")
    axes.errorbar(found[:, 0], found[:, 1], yerr=1.96 * found[:, 2], fmt="o", capsize=2, label="a tenth of the orders, 95 %")
    top = float(found[:, :2].max()) * 1.1
    axes.plot([0, top], [0, top], color="grey", lw=0.8, label="as expected")
    axes.set(xlabel="expected cost, bp", ylabel="realised cost, bp", title=f"{len(read)} orders, each by other days' fit")
    axes.legend()
    _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


if __name__ == "__main__":
    sys.exit(main())
