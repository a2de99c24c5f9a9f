"""What schedules cost in the market that reacts, paired: the same seed, order and day for each arm, in the same process.

Orders of 1 to 20 % of an average day's volume in AAPL (evenly in logs), buys and sales, at 15 to 30 % of the volume that the average day has in
their window. Arms: the optimised schedule of the model of costs without risk aversion and with some (IS, Urgency 1 and 2 of this bench), VWAP on
the hybrid's curve, the same with its bands, VWAP on the static curve, TWAP. Cost is against arrival; `adjusted` is less what the market's own
reference did between arrival and each fill, which the simulator knows and no real desk does: drawn before anybody trades, it takes no impact
away, and most of the noise.

Cases: usual, days of the recorded days' mean shape; recorded, each seed one of the recording's last 24 days, bin by bin, of which the desk knows
those before alone (take a --hybrid that has learnt no later ones: `algoctl model train --through 2019-05-24`); trend (the reference goes two
sigmas of the window against the order); shock (half of the volume that is expected); half (the market closes at 17:00 UTC). A study that was
stopped goes on where it was, and one that gets another arm runs that alone: --out keeps what was run.
"""

import argparse
import json
import math
import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple, cast

import msgspec
import numpy as np

from algoserver.backtest import Backtest
from algoserver.config import load
from algoserver.domain.events import PolicyLoaded
from algoserver.domain.policy import SessionHours
from algoserver.domain.types import DAY, MINUTE, SECOND, Side, Strategy, utc
from algoserver.learn.cost import PUBLISHED_MODEL, CostModel
from algoserver.learn.cost_fit import load_impact
from algoserver.learn.predict import Asked, CurveModel, Forecast, HybridModel, MedianModel
from algoserver.learn.terms import Scene, Wanted, terms_of, window_volume
from algoserver.learn.volumes import read_volumes
from algoserver.policies import load_policy
from algoserver.recorded import VOLUME_DIR
from algoserver.settings import time_of_day
from algoserver.sim.config import ReactingConfig, Scenario
from algoserver.sim.config import load as load_scenario
from algoserver.sim.flow_kernel import GRID_NS, STEPS

ROOT = Path(__file__).resolve().parents[1]
SYMBOL, DATE = "AAPL", "2019-06-28"
RECORDED_DAYS = 24  # the last of the recording, which the volume model's figures are of; all are of New York's summer
CAP = 350_000  # MaxPctVol, ppm: wide enough that the plan decides and not the cap
AVERSIONS = (0, 100, 100, 100, 100)  # of Urgency 1 and 2; 1e-9 per unit of money
ARMS = ("optimal", "averse", "vwap", "banded", "static", "twap")
SIZES, SIZES_QUICK = (0.01, 0.2), (0.0005, 0.001)
CASES = ("usual", "recorded", "trend", "shock", "half")
TREND_SIGMAS = 2.0


class Order(NamedTuple):
    """What a seed trades."""

    side: Side
    qty: int
    start_ts: int
    end_ts: int


class Static:
    """A model that has nothing to say: the core takes its static curve."""

    version = "static"
    trained_through = ""

    def forecast(self, asked: Asked) -> Forecast:
        raise ValueError("the static curve is wanted")


class Setting(NamedTuple):
    """What a process needs. model, hybrid: directories, "" for the published one and the median. sizes: of orders, in days' volume."""

    model: str
    hybrid: str
    case: str
    sizes: tuple[float, float] = SIZES


def day_of(case: str, seed: int) -> str:
    """The market's day, YYYY-MM-DD."""
    if case != "recorded":
        return DATE
    return read_volumes(VOLUME_DIR)[0].dates[-RECORDED_DAYS:][seed % RECORDED_DAYS].isoformat()


def scene(case: str, day: str = DATE) -> tuple[PolicyLoaded, Scenario]:
    """The shipped configuration, limits of a study, and what the case changes."""
    scenario = load_scenario(ROOT / "cfg" / "sim-reacting.toml")
    session = msgspec.structs.replace(scenario.session, close="17:00") if case == "half" else scenario.session
    scenario = msgspec.structs.replace(
        scenario, instruments=[i for i in scenario.instruments if i.symbol == SYMBOL], session=session, book_interval_ms=10_000
    )
    setup = load(ROOT / "cfg" / "server.toml").setup
    hours = SessionHours(time_of_day(session.open), time_of_day(session.close))
    algo = msgspec.structs.replace(setup.algo, is_optimised=True, risk_aversion_e9=AVERSIONS, refresh_ns=5 * SECOND)
    one = next(i for i in setup.instruments if i.instrument.symbol == SYMBOL)
    if case == "shock":  # half of what is expected: the desk believes in days of twice the volume
        twice = tuple(tuple(2 * units for units in day) for day in one.history)
        one = msgspec.structs.replace(one, history=twice, instrument=msgspec.structs.replace(one.instrument, adv=2 * one.instrument.adv))
    if case == "recorded":
        crowd = cast(ReactingConfig, scenario.instruments[0].reacting)
        shown = msgspec.structs.replace(scenario.instruments[0], reacting=msgspec.structs.replace(crowd, day=day))
        scenario = msgspec.structs.replace(scenario, instruments=[shown])
        known = sum(date < day for date in one.history_dates)
        one = msgspec.structs.replace(one, history_dates=one.history_dates[:known], history=one.history[:known])
        algo = msgspec.structs.replace(algo, forecast_age_ns_max=RECORDED_DAYS * 2 * DAY)  # one model for all of them
    policy = load_policy(ROOT / "cfg" / "policy-study.toml")[0]
    return msgspec.structs.replace(setup, hours=hours, algo=algo, instruments=(one,), policy=policy), scenario


def order_of(setup: PolicyLoaded, day: str, seed: int, sizes: tuple[float, float] = SIZES) -> Order:
    """A seed's order: its size, the share of the volume, then the window that this takes, somewhere in the day."""
    chance = random.Random(f"{seed}/bench_cost")
    size, share = (math.exp(chance.uniform(math.log(a), math.log(b))) for a, b in (sizes, (0.15, 0.3)))
    at, side = chance.random(), chance.choice((Side.BUY, Side.SELL))
    known = next(i.instrument for i in setup.instruments)
    curve = Scene(known, setup.algo, setup.hours, setup.algo.static_curve, 1, 0)
    first, last = open_of(day) + 5 * MINUTE, open_of(day) + (setup.hours.close_ns - setup.hours.open_ns) - 10 * MINUTE
    expected = window_volume(curve, first, last) * 0.95
    qty = min(size * known.adv, share * expected)
    need = qty / share
    starts = range(first, last, 5 * MINUTE)
    fitting = [ts for ts in starts if window_volume(curve, ts, last) >= need] or [first]
    start_ts = fitting[int(at * len(fitting))]
    ends = range(start_ts + 10 * MINUTE, last + 1, MINUTE)
    end_ts = next((ts for ts in ends if window_volume(curve, start_ts, ts) >= need), last)
    return Order(side, max(100, round(qty / 100) * 100), start_ts, end_ts)


def run_arm(arm: str, order: Order, seed: int, setting: Setting, costs: CostModel, hybrid: CurveModel) -> dict[str, float]:
    """One order, one day. Costs in bp against arrival, of what was filled; tracking: distance to the market's VWAP of the window."""
    day = day_of(setting.case, seed)
    setup, scenario = scene(setting.case, day)
    setup = msgspec.structs.replace(setup, algo=msgspec.structs.replace(setup.algo, is_banded=arm == "banded"))
    model: CurveModel = Static() if arm in ("static", "twap") else hybrid
    bt = Backtest(setup, scenario, open_of(day) - MINUTE, seed, model=model, sums_trades=True, costs=costs)
    bt.run(order.start_ts - 1)
    mid, spread = _touch(bt)
    strategy = {"vwap": Strategy.VWAP, "banded": Strategy.VWAP, "static": Strategy.VWAP, "twap": Strategy.TWAP}.get(arm, Strategy.IS)
    urgency = {"optimal": 1, "averse": 2}.get(arm, 3)
    bt.parent("P1", SYMBOL, order.qty, strategy, order.side, ts=order.start_ts, end_ts=order.end_ts, max_pct_vol=CAP, urgency=urgency)
    if setting.case == "trend":
        for ts, factor in _against(order, setup):
            bt.run(ts)
            cast(Any, bt.exchange.source(SYMBOL)).shift(factor)
    bt.run(order.end_ts + MINUTE)
    return _figures(bt, order, open_of(day), mid, spread, setup, costs, strategy, urgency)


def open_of(day: str) -> int:
    """When the market opens on a day of summer."""
    return utc(f"{day.replace('-', '')}-13:30:00")


def _against(order: Order, setup: PolicyLoaded) -> Iterator[tuple[int, float]]:
    """The trend, minute by minute: in all TREND_SIGMAS of the window's own deviation."""
    minutes = (order.end_ts - order.start_ts) // MINUTE
    whole = (setup.hours.close_ns - setup.hours.open_ns) / MINUTE
    each = TREND_SIGMAS * 0.015 * math.sqrt(minutes / whole) / minutes
    for minute in range(1, minutes):
        yield order.start_ts + minute * MINUTE, 1 + order.side.sign * each


def _touch(bt: Backtest) -> tuple[int, int]:
    books = [bt.exchange.book(v, SYMBOL) for v in bt.exchange.venues]
    bid, ask = max(b[0][0] for b, _ in books if b), min(a[0][0] for _, a in books if a)
    return (bid + ask) // 2, ask - bid


def _figures(
    bt: Backtest, order: Order, open_ts: int, mid: int, spread: int, setup: PolicyLoaded, costs: CostModel, strategy: Strategy, urgency: int
) -> dict[str, float]:
    fills = [f for f in bt.fills if f.ts <= order.end_ts]
    qty = sum(f.last_qty for f in fills)
    if not qty:
        return {"filled": 0.0}
    sign = order.side.sign
    paid = sum(f.last_px * f.last_qty for f in fills) / qty
    source: Any = bt.exchange.source(SYMBOL)
    steps, tick = int(source.k[STEPS]), bt.exchange.instruments[SYMBOL].tick

    def own(ts: int) -> float:
        return float(source.weather[steps + min(steps - 1, max(0, (ts - open_ts) // GRID_NS))]) * tick

    drift = sum((own(f.ts) - own(order.start_ts)) * f.last_qty for f in fills) / qty
    market = bt.prints[SYMBOL].at(order.end_ts) - bt.prints[SYMBOL].at(order.start_ts)
    vwap = (bt.values[SYMBOL].at(order.end_ts) - bt.values[SYMBOL].at(order.start_ts)) / market
    one = setup.instruments[0].instrument
    known = Scene(one, setup.algo, setup.hours, setup.algo.static_curve, mid, spread // 2)
    planned = Strategy.VWAP if strategy is Strategy.IS else strategy  # a plan of the optimiser is nearer to it than to the closed form
    wanted = Wanted(SYMBOL, order.side, order.qty, planned, order.start_ts, order.end_ts, urgency)
    return {
        "filled": qty / order.qty, "cost": 1e4 * sign * (paid / mid - 1), "adjusted": 1e4 * sign * (paid - mid - drift) / mid,
        "tracking": 1e4 * sign * (paid / vwap - 1), "share": qty / market, "expected": 1e4 * costs.expected(terms_of(wanted, known)),
        "passive": sum(f.last_qty for f in fills if f.is_passive) / qty,
    }  # fmt: skip


def run_seed(seed: int, setting: Setting, arms: tuple[str, ...]) -> dict[str, Any]:
    """All arms of a seed."""
    costs = load_impact(Path(setting.model)) if setting.model else PUBLISHED_MODEL
    hybrid = HybridModel.load(Path(setting.hybrid)) if setting.hybrid else MedianModel()
    day = day_of(setting.case, seed)
    order = order_of(scene(setting.case, day)[0], day, seed, setting.sizes)
    found: dict[str, Any] = {"seed": seed, "case": setting.case, "size": order.qty, "minutes": (order.end_ts - order.start_ts) // MINUTE}
    found["arms"] = {arm: run_arm(arm, order, seed, setting, costs, hybrid) for arm in arms}
    return found


def main() -> int:
    """Run what --out does not have yet, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="1001:1201", help="A:B, from A up to B - 1, each an order (default %(default)s, none of which taught)")
    parser.add_argument("--case", action="append", choices=CASES, help="may be repeated (default: usual)")
    parser.add_argument("--arm", action="append", choices=ARMS, help="may be repeated (default: all)")
    parser.add_argument("--model", default="", help="directory written by `algoserver train impact` (default: the published one)")
    parser.add_argument("--hybrid", default="", help="directory written by `algoctl model train` (default: the median)")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--out", type=Path, default=Path("state/bench-cost.jsonl"), help="a line a seed; arms that are there are not run again")
    parser.add_argument("--quick", action="store_true", help="three small orders: whether it runs")
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON object, on the last line")
    args = parser.parse_args()
    first, last = (1001, 1004) if args.quick else map(int, args.seeds.split(":"))
    cases, arms = tuple(args.case or ("usual",)), tuple(args.arm or ARMS)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    rows: dict[tuple[str, int], dict[str, Any]] = {}
    for line in args.out.read_text().splitlines() if args.out.exists() else ():
        _add(rows, json.loads(line))
    missing = []
    for case, seed in ((case, seed) for case in cases for seed in range(first, last)):
        known = rows.get((case, seed), {"arms": {}})["arms"]
        if left := tuple(arm for arm in arms if arm not in known):
            missing.append((seed, Setting(args.model, args.hybrid, case, SIZES_QUICK if args.quick else SIZES), left))
    began = time.monotonic()
    with args.out.open("a") as file:
        for row in _each(missing, args.jobs):
            _add(rows, row)
            file.write(json.dumps(row) + "\n")
            file.flush()
            told = f"{row['case']} {row['seed']}: {row['size']} in {row['minutes']} min"
            print(f"{time.monotonic() - began:6.0f} s  {told}", file=sys.stderr, flush=True)
    figures = {case: summary([r for (of, seed), r in rows.items() if of == case and first <= seed < last], arms) for case in cases}
    for case, of in figures.items():
        print(f"\n{case}: {of['orders']} orders\n{table(of)}")
    if args.json:
        print(json.dumps(figures))
    return 0


def _add(rows: dict[tuple[str, int], dict[str, Any]], row: dict[str, Any]) -> None:
    """A seed's arms join those that it has: an arm is a day of its own."""
    known = rows.setdefault((row["case"], row["seed"]), row)
    known["arms"] = known["arms"] | row["arms"]


def _each(missing: list[tuple[int, Setting, tuple[str, ...]]], jobs: int) -> Iterator[dict[str, Any]]:
    if jobs == 1:
        yield from (run_seed(*one) for one in missing)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        for future in as_completed([pool.submit(run_seed, *one) for one in missing]):
            yield future.result()


def summary(rows: list[dict[str, Any]], arms: tuple[str, ...]) -> dict[str, Any]:
    """Means with 95 % intervals over resampled seeds, paired differences to VWAP and TWAP, and predicted against realised cost by decile."""
    whole = [r for r in rows if all(r["arms"].get(arm, {}).get("filled", 0) > 0 for arm in arms)]
    found: dict[str, Any] = {"orders": len(whole), "arms": {}, "differences": {}}
    if len(whole) < 2:
        return found

    def of(arm: str, key: str) -> np.ndarray:
        return np.array([r["arms"][arm][key] for r in whole])

    for arm in arms:
        track = np.abs(of(arm, "tracking"))
        found["arms"][arm] = {
            "filled": 100 * float(of(arm, "filled").mean()), "cost": _interval(of(arm, "cost")), "adjusted": _interval(of(arm, "adjusted")),
            "deviation": float(of(arm, "cost").std(ddof=1)), "p90": float(np.quantile(of(arm, "cost"), 0.9)), "tracking": _interval(track),
            "share": 100 * float(of(arm, "share").mean()), "passive": 100 * float(of(arm, "passive").mean()),
        }  # fmt: skip
    for mine, other, key in (
        ("optimal", "vwap", "adjusted"), ("optimal", "twap", "adjusted"), ("averse", "vwap", "adjusted"), ("optimal", "vwap", "cost"),
        ("optimal", "twap", "cost"), ("averse", "vwap", "cost"), ("banded", "vwap", "adjusted"), ("banded", "vwap", "tracking"),
        ("banded", "static", "tracking"), ("banded", "twap", "tracking"), ("vwap", "static", "tracking"), ("vwap", "twap", "tracking"),
        ("static", "twap", "tracking"),
    ):  # fmt: skip
        if mine in arms and other in arms:
            a, b = of(mine, key), of(other, key)
            found["differences"][f"{key}: {mine} - {other}"] = _interval(np.abs(a) - np.abs(b) if key == "tracking" else a - b)
    arm = "vwap" if "vwap" in arms else arms[0]
    expected, realised = of(arm, "expected"), of(arm, "adjusted")
    order = np.argsort(expected, kind="stable")
    found["deciles"] = [[float(expected[part].mean()), *_interval(realised[part])] for part in np.array_split(order, min(10, len(order)))]
    found["slope"] = _resampled(len(order), lambda i: float(expected[i] @ realised[i] / (expected[i] @ expected[i])))
    found["slope_raw"] = _resampled(len(order), lambda i: float(expected[i] @ of(arm, "cost")[i] / (expected[i] @ expected[i])))
    return found


def _interval(values: np.ndarray) -> tuple[float, float, float]:
    """Mean and 95 %."""
    return _resampled(len(values), lambda i: float(values[i].mean()))


def _resampled(count: int, figure: Callable[[np.ndarray], float]) -> tuple[float, float, float]:
    chance = np.random.default_rng(1)
    drawn = [figure(chance.integers(0, count, count)) for _ in range(2_000)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return figure(np.arange(count)), float(low), float(high)


def table(of: dict[str, Any]) -> str:
    """Markdown."""
    if not of["arms"]:
        return "too few orders"
    lines = ["| arm | filled % | cost bp | adjusted bp | sd of cost | P90 | off VWAP bp | share % | passive % |", f"|{'---|' * 9}"]
    for arm, f in of["arms"].items():
        lines.append(
            f"| {arm} | {f['filled']:.1f} | {_text(f['cost'])} | {_text(f['adjusted'])} | {f['deviation']:.1f} | {f['p90']:.1f} "
            f"| {_text(f['tracking'])} | {f['share']:.1f} | {f['passive']:.0f} |"
        )
    lines += ["", "| paired difference, bp | mean, 95 % |", "|---|---|"]
    lines += [f"| {name} | {_text(value)} |" for name, value in of["differences"].items()]
    lines += ["", "| expected bp | realised (adjusted) bp, 95 % |", "|---|---|"]
    lines += [f"| {d[0]:.1f} | {_text(d[1:])} |" for d in of["deciles"]]
    lines += ["", f"slope of realised on expected: {_text(of['slope'])} adjusted, {_text(of['slope_raw'])} as it was"]
    return "\n".join(lines)


def _text(value: Any) -> str:
    return f"{value[0]:.2f} ({value[1]:.2f} to {value[2]:.2f})"


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
