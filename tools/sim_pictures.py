"""The pictures of docs/simulator.md: a book, the volume of a day, the impact of buying and its decay, the signature plot."""

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator, ScalarFormatter

from algoserver.domain.types import MINUTE, SECOND
from algoserver.sim.config import load
from algoserver.sim.volume import recorded_bins

sys.path.insert(0, str(Path(__file__).parent))
import realism  # type: ignore[import-not-found]  # it stands beside this file

mpl.use("svg")
mpl.rcParams.update({"svg.hashsalt": "algoserver", "svg.fonttype": "none", "font.size": 9})
from matplotlib import pyplot  # noqa: E402 the backend comes first

HORIZONS = (1, 2, 5, 10, 30, 60, 300)


def book(market: realism.Market, ax: Axes) -> None:
    """Both venues' queues a quarter of an hour after the open."""
    begin = market.open_ts()
    world = market.start(1, begin)
    realism.until(world, begin + 15 * MINUTE)
    below: dict[int, int] = {}
    for (name, shown), colour in zip(world.books.items(), ("tab:blue", "tab:orange"), strict=False):
        for side, edge in zip(shown.top(10), ("black", "none"), strict=True):
            ticks = [px // world.shelf.tick for px, _ in side]
            ax.bar(ticks, [q for _, q in side], bottom=[below.get(t, 0) for t in ticks], color=colour, label=name if edge == "black" else None)
            below.update({t: below.get(t, 0) + q for t, (_, q) in zip(ticks, side, strict=True)})
    ax.axvline(realism.mid(world), color="black", linewidth=0.8, linestyle=":")
    ax.set(title="The book, 15 minutes after the open (dotted: mid)", xlabel="price, cents", ylabel="shares")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend()


def volume(market: realism.Market, seeds: range, ax: Axes) -> None:
    """Quarters of an hour: recorded mean, and some simulated days."""
    crowd = market.instrument.reacting
    assert crowd is not None
    bins = np.asarray(recorded_bins(crowd.recorded, crowd.day)) / 1e6
    hours = 9.5 + np.arange(27) / 4
    for seed in seeds:
        drawn = realism.days(market, seed, 1)[0]
        ax.step(hours, np.asarray([*drawn, drawn[-1]]) / 1e6, where="post", color="tab:blue", alpha=0.35, linewidth=0.8)
    ax.step(hours, [*bins, bins[-1]], where="post", color="black", label="recorded, mean of 124 days")
    ax.plot([], [], color="tab:blue", label=f"simulated days, {len(seeds)} seeds")
    ax.set(title="Volume of a quarter of an hour", xlabel="hour in New York", ylabel="million shares", ylim=(0, None))
    ax.legend()


def main() -> None:
    """Measure and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, default=realism.ROOT / "cfg" / "sim-reacting.toml", help="a scenario")
    parser.add_argument("--symbol", default="AAPL")
    parser.add_argument("--seeds", default="1:25", help="A:B, the last is not taken")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=realism.ROOT / "docs" / "simulator")
    args = parser.parse_args()
    first, last = (int(x) for x in args.seeds.split(":"))
    seeds = range(first, last)
    scenario = load(args.config)
    [instrument] = [i for i in scenario.instruments if i.symbol == args.symbol]
    market = realism.Market(scenario, instrument)
    args.out.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(args.jobs) as pool:
        impacts = list(pool.map(partial(realism.impact, market, shares=realism.QUICK_SHARES), seeds))
        walks = list(pool.map(partial(path, market), seeds))
        signatures = list(pool.map(partial(signature, market), list(seeds)[:12]))
    figure, ax = pyplot.subplots(figsize=(7, 3.2), layout="constrained")
    book(market, ax)
    save(args.out / "book.svg", figure)
    figure, ax = pyplot.subplots(figsize=(7, 3.2), layout="constrained")
    volume(market, range(first, first + 12), ax)
    save(args.out / "volume.svg", figure)

    figure, (size, time) = pyplot.subplots(1, 2, figsize=(10, 3.4), layout="constrained")
    ends = np.asarray([row["end"] for row in impacts])
    shares = np.asarray(realism.QUICK_SHARES)
    error = 1.96 * ends.std(axis=0) / np.sqrt(len(ends))
    power = realism.exponent(ends)
    size.errorbar(100 * shares, ends.mean(axis=0), error, marker="o", linestyle="none", capsize=3, color="tab:blue")
    scale = np.exp(np.mean(np.log(ends.mean(axis=0)) - power * np.log(shares)))
    size.plot(100 * shares, scale * shares**power, color="black", linewidth=0.8, label=f"power {power:.2f}")
    size.set(xscale="log", yscale="log", title="20 minutes of buying", xlabel="% of background volume", ylabel="ticks above the day without us")
    for axis, ticks in ((size.xaxis, (1, 2, 4, 8, 16, 32)), (size.yaxis, (5, 10, 20, 40, 80))):
        axis.set_major_locator(FixedLocator(ticks))
        axis.set_major_formatter(ScalarFormatter())
        axis.set_minor_locator(NullLocator())
    size.legend()
    moved = np.asarray(walks)
    minutes = np.arange(moved.shape[1]) / 2
    half = 1.96 * moved.std(axis=0) / np.sqrt(len(moved))
    time.fill_between(minutes, moved.mean(axis=0) - half, moved.mean(axis=0) + half, color="tab:blue", alpha=0.25)
    time.plot(minutes, moved.mean(axis=0), color="tab:blue")
    time.axvline(realism.BUYING, color="black", linewidth=0.8, linestyle=":")
    time.set(title="Buying 16 % of the volume until the dotted line", xlabel="minutes", ylabel="ticks above the day without us", ylim=(0, None))
    save(args.out / "impact.svg", figure)

    figure, ax = pyplot.subplots(figsize=(7, 3.2), layout="constrained")
    rows = np.sqrt(np.asarray(signatures))
    ax.errorbar(HORIZONS, rows.mean(axis=0), 1.96 * rows.std(axis=0) / np.sqrt(len(rows)), marker="o", capsize=3)
    ax.set(xscale="log", ylim=(0, None), title="Signature plot", xlabel="seconds of a return", ylabel="volatility, ticks per root of a second")
    save(args.out / "signature.svg", figure)


def path(market: realism.Market, seed: int, share: float = 0.16) -> list[float]:
    """Mid with a client less mid without him, every half minute, for eighty minutes."""
    begin = market.open_ts() + 150 * MINUTE
    mids = []
    for wanted in (share, 0.0):
        world = market.start(seed, begin)
        realism.until(world, begin + MINUTE)
        walk = []
        for second in range(0, (realism.BUYING + realism.AFTER) * 60, 5):
            if wanted and second < realism.BUYING * 60:
                for book in world.books.values():
                    book.take(1, int(wanted * world.rate * 5 / len(world.books)))
            realism.until(world, begin + MINUTE + (second + 5) * SECOND)
            if (second + 5) % 30 == 0:
                walk.append(realism.mid(world))
        mids.append(np.asarray(walk))
    return [float(x) for x in mids[0] - mids[1]]


def signature(market: realism.Market, seed: int) -> list[float]:
    """Variance per second by horizon."""
    found: list[float] = realism.day(market, seed, 120)["signature"]
    return found


def save(path: Path, figure: Figure) -> None:
    """As SVG without a date, so that the same picture is the same file."""
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
    print(path)


if __name__ == "__main__":
    main()
