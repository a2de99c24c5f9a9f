"""How each algo works: a picture of one run, and a table over many seeds, into docs/.

Every run is a backtest: the same step() that trades, against the simulator's crowd on a recorded day. The reference price
does not react to us, so nothing here says what an algo costs; what is shown is how closely it keeps its plan and its cap.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import msgspec

from algoserver.backtest import Backtest, Curve
from algoserver.config import load
from algoserver.core.algos.schedule import Schedule, band, planned
from algoserver.domain.types import MINUTE, PPM_ONE, PX_ONE, SECOND, Strategy, clock_text, utc
from algoserver.sim.config import load as load_scenario

mpl.use("svg")
mpl.rcParams.update({"svg.hashsalt": "algoserver", "svg.fonttype": "none", "font.size": 9})
from matplotlib import pyplot  # noqa: E402 the backend comes first

ROOT = Path(__file__).resolve().parents[1]
DAY = "20190614"
OPEN_TS = utc(f"{DAY}-13:30:00")
SYMBOL = "AAPL"
CAP = 150_000  # MaxPctVol, ppm


class Case(msgspec.Struct, frozen=True):
    """An order: minutes after the open, quantity, parameters. limit_pct: of the price when it comes; 0 is a market order."""

    strategy: Strategy
    at: int
    minutes: int
    qty: int
    params: dict[str, Any] = {}
    limit_pct: int = 0
    to_close: bool = False


CASES = (
    Case(Strategy.VWAP, 120, 60, 400_000),
    Case(Strategy.TWAP, 120, 60, 400_000),
    Case(Strategy.POV, 120, 60, 400_000, {"target_pct_vol": 100_000}),
    Case(Strategy.IS, 120, 60, 200_000, {"urgency": 4}),
    Case(Strategy.ICEBERG, 120, 60, 100_000, {"display_qty": 2_000}, limit_pct=1),
    Case(Strategy.LIQUIDITY, 120, 60, 200_000, {"urgency": 3, "min_exec_qty": 1_000}),
    Case(Strategy.CLOSE, 330, 60, 1_000_000, {"urgency": 2}, to_close=True),
)


HOW = {
    Strategy.VWAP: "follows the volume that is expected over the day: more where more should trade, within a band of one slice.",
    Strategy.TWAP: "does equal quantity in equal time.",
    Strategy.POV: "does TargetPctVol (here 10 %) of what the market trades, and is done when it is done: the market's pace is its pace.",
    Strategy.IS: "does much early and little late, to be near the price at its arrival: the more urgent (here 4 of 5), the earlier.",
    Strategy.ICEBERG: "shows at most DisplayQty (here 2,000) at the best price of its own side, again and again, and never crosses the spread.",
    Strategy.LIQUIDITY: "rests all of it in dark venues. At Urgency 3 lit ones join at half of the window, along a line from nothing to all at its "
    "end; here the dark was ahead of that line until minute 42.",
    Strategy.CLOSE: "leaves to the closing auction as much as its cap of the auction's expected volume allows, and does the rest as late "
    "as Urgency (here 2) lets it.",
}


class Run:
    """A case on one seed. plan: what was planned at the start; kept: of it, for the closing auction."""

    def __init__(self, case: Case, seed: int) -> None:
        self.case = case
        self.start_ts, self.end_ts = OPEN_TS + case.at * MINUTE, OPEN_TS + (case.at + case.minutes) * MINUTE
        setup = load(ROOT / "cfg" / "demo-server.toml").setup
        scenario = load_scenario(ROOT / "cfg" / "demo-sim.toml")
        (one,) = (i for i in scenario.instruments if i.symbol == SYMBOL)
        assert one.flow is not None
        flow = msgspec.structs.replace(one.flow, day=f"{DAY[:4]}-{DAY[4:6]}-{DAY[6:]}")
        scenario = msgspec.structs.replace(scenario, instruments=[msgspec.structs.replace(one, flow=flow)])
        bt = self.bt = Backtest(setup, scenario, self.start_ts - MINUTE, seed)
        bt.run(self.start_ts - 10 * SECOND)
        _, asks = bt.exchange.book("XLIT1", SYMBOL)
        limit = asks[0][0] * (100 + case.limit_pct) // 100 // (PX_ONE // 100) * (PX_ONE // 100) if case.limit_pct else 0
        window: dict[str, Any] = {"start_ts": self.start_ts} | ({} if case.to_close else {"end_ts": self.end_ts})
        bt.parent("P1", SYMBOL, case.qty, case.strategy, price=limit, max_pct_vol=CAP, **window, **case.params)
        bt.run(self.start_ts - SECOND)
        work = bt.state.works[bt.order("P1").parent_id]
        self.plan: Schedule = work.schedule
        self.kept, self.slice_ns = work.auction_qty, work.slice_ns
        bt.run(self.end_ts + 2 * MINUTE)
        self.done, self.market = bt.done("P1"), bt.prints[SYMBOL]

    def planned(self, ts: int) -> int | None:
        """What the plan wanted done at `ts`; None where there is no plan but to be there."""
        target: int = self.case.params.get("target_pct_vol", 0)
        if target:
            return min(self.case.qty, target * (self.market.at(ts) - self.market.at(self.start_ts)) // PPM_ONE)
        if self.case.strategy in (Strategy.ICEBERG, Strategy.LIQUIDITY):
            return None
        return planned(self.plan, ts) + (self.kept if ts >= self.end_ts else 0)

    def minutes(self) -> list[int]:
        return list(range(self.start_ts, self.end_ts + 1, MINUTE))

    def tracking(self) -> list[float]:
        """Distance from the plan every ten seconds, as a share of the order: minutes alone would meet the slices at their ends."""
        moments = range(self.start_ts, self.end_ts + 1, 10 * SECOND)
        return [abs(self.done.at(ts) - plan) / self.case.qty for ts in moments if (plan := self.planned(ts)) is not None]

    def figures(self) -> dict[str, float]:
        """Completion, distance from the plan (mean, largest), share of the volume (whole, largest over five minutes), children."""
        tracking = self.tracking()
        shares = [s.ours / s.market for s in self.bt.participation("P1") if s.market and s.ts < self.end_ts]
        ours, market = self.done.at(self.end_ts), self.market.at(self.end_ts) - self.market.at(self.start_ts)
        over = [s for s in self.bt.participation("P1") if s.ts < self.end_ts and s.is_above(CAP)]
        return {
            "completion": ours / self.case.qty,
            "tracking": statistics.mean(tracking or [0.0]), "tracking_max": max(tracking, default=0.0),
            "participation": ours / market, "participation_max": max(shares), "above_cap": float(len(over)), "children": float(self.bt.children_sent),
        }  # fmt: skip

    def draw(self, path: Path) -> None:
        """Plan and fills above, the market's volume and ours below."""
        fine = range(self.start_ts, self.end_ts + 1, SECOND)
        x = [(ts - self.start_ts) / MINUTE for ts in fine]
        figure, (above, below) = pyplot.subplots(2, 1, figsize=(8, 5), sharex=True, height_ratios=(2, 1), layout="constrained")
        plan = [target for ts in fine if (target := self.planned(ts)) is not None]
        if plan:
            if self.plan.moments:
                edges = [band(self.plan, self.slice_ns, ts) for ts in fine]
                above.fill_between(x, [e[0] for e in edges], [e[1] for e in edges], color="tab:blue", alpha=0.15, lw=0, label="band of one slice")
            above.plot(x, plan, "--", color="tab:blue", label="planned")
        above.plot(x, [self.done.at(ts) for ts in fine], color="tab:orange", label="filled")
        above.axhline(self.case.qty, color="grey", lw=0.6)
        above.set_ylabel("shares")
        above.yaxis.set_major_formatter("{x:,.0f}")
        above.legend(loc="upper left", framealpha=1, edgecolor="none")  # else the line of the order's quantity strikes it out
        above.set_title(f"{self.case.strategy.name}: buy {self.case.qty:,} {SYMBOL}, {clock_text(self.start_ts)} to {clock_text(self.end_ts)} UTC")
        volume = _per_minute(self.market, self.minutes())
        below.bar(range(len(volume)), volume, color="lightgrey", width=0.9, align="edge", label="market")
        below.bar(range(len(volume)), _per_minute(self.done, self.minutes()), color="tab:orange", width=0.9, align="edge", label="ours")
        below.set(xlabel="minutes since the start", ylabel="shares a minute")
        below.yaxis.set_major_formatter("{x:,.0f}")
        if self.kept:  # the auction would leave nothing to be seen of the minutes before it
            below.set_ylim(0, 1.9 * max(volume[:-1]))
            auction = f"with the closing auction:\n{volume[-1]:,} shares,\nours {self.done.at(self.end_ts) - self.done.at(self.end_ts - 1):,}"
            below.annotate(auction, (len(volume) - 1, 1.8 * max(volume[:-1])), ha="right", va="top")
        below.legend(loc="upper left", frameon=False, ncols=2)
        below.margins(y=0.35)
        figure.savefig(path, metadata={"Date": None})
        pyplot.close(figure)


def _per_minute(curve: Curve, minutes: list[int]) -> list[int]:
    return [curve.at(ts) - curve.at(ts - MINUTE) for ts in minutes[1:]]


def table(rows: dict[str, list[dict[str, float]]]) -> str:
    """Markdown: a row an algo, over its seeds."""
    lines = [
        "| algo | filled, mean (least) | off plan, mean (largest) | share of volume | largest over 5 min "
        f"| windows above {CAP / 1e4:.0f} % | children |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, runs in rows.items():

        def of(key: str, runs: list[dict[str, float]] = runs) -> list[float]:
            return [r[key] for r in runs]

        plan = f"{statistics.mean(of('tracking')):.2%} ({max(of('tracking_max')):.2%})" if max(of("tracking_max")) else "no plan"
        lines.append(
            f"| {name} | {statistics.mean(of('completion')):.2%} ({min(of('completion')):.2%}) | {plan} | {statistics.mean(of('participation')):.2%} "
            f"| {max(of('participation_max')):.2%} | {sum(of('above_cap')):.0f} | {statistics.mean(of('children')):.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20, help="runs of each algo")
    parser.add_argument("--only", action="append", help="an algo's name; may be repeated")
    parser.add_argument("--out", type=Path, default=ROOT / "docs", help="folder for algos.md and algos/*.svg")
    parser.add_argument("--json", action="store_true", help="the figures as the last line")
    args = parser.parse_args()
    (args.out / "algos").mkdir(parents=True, exist_ok=True)
    rows: dict[str, list[dict[str, float]]] = {}
    for case in CASES:
        name = case.strategy.name
        if args.only and name not in args.only:
            continue
        runs = []
        for seed in range(1, args.seeds + 1):
            run = Run(case, seed)
            runs.append(run.figures())
            if seed == 1:
                run.draw(args.out / "algos" / f"{name.lower()}.svg")
        rows[name] = runs
        print(name, {k: round(v, 4) for k, v in runs[0].items()}, file=sys.stderr, flush=True)
    page = PAGE.format(seeds=args.seeds, table=table(rows), day=DAY, symbol=SYMBOL, cap=f"{CAP / 1e4:.0f}")
    pictures = "".join(f"\n## {name}\n\n{name} {HOW[Strategy[name]]}\n\n![{name}](algos/{name.lower()}.svg)\n" for name in rows)
    (args.out / "algos.md").write_text(page + pictures)
    print(table(rows))
    if args.json:
        print(json.dumps(rows))


PAGE = """# How the algos work

Written by `.venv/bin/python tools/algo_runs.py`: backtests of the code that trades, against the simulator's crowd in {symbol} on the recorded
volume of {day}, {seeds} seeds each, MaxPctVol {cap} %. The pictures are of the first seed. Off plan is the distance between what is filled and
what the plan wants, every ten seconds, as a share of the order; the share of the volume is over the order's window, the closing auction included;
the largest share over five minutes is of all windows of trailing five minutes before the close, and windows above {cap} % are how many of them, over
all seeds, went beyond the cap. Children are orders at venues, mean over the seeds. In the pictures a band of one slice is where the plan was
or will be within a slice: a slice may be done at any time of its own. ICEBERG and LIQUIDITY have no plan for what rests. The recorded
volume is in bins of 15 minutes, so the market's steps.

The simulator's price does not react to us: nothing here says what an algo costs.

{table}
"""

if __name__ == "__main__":
    main()
