"""Volume forecasts of five models against what was traded, on any folder of recorded volumes (SYMBOL_*.csv: 26 bins of 15 minutes, a column a day).

Walk forward: the last --days days are forecast by models that saw only what was before them, day ahead and again before every bin. The models, the
errors and their names are those of algoserver/learn/scores.py; the bands of the days that count are calibrated on up to 32 days before them.
Where the folder has prices (SYMBOL_*price*.csv, the same form), VWAP tracking is measured in basis points; else that of the volume curve.
"""

import argparse
import json
import math
import sys
import time
from pathlib import Path
from typing import Any

from algoserver.learn import bands
from algoserver.learn.scores import HORIZONS, MODELS, Tally, metrics, paired, tally
from algoserver.learn.splits import splits
from algoserver.learn.volumes import Volumes, read_prices, read_volumes
from algoserver.learn.walk import SCORED_DAYS, Walk, known_logs

COLUMNS = (
    ("mape_day_ahead", "MAPE day"), ("mape_one_bin", "MAPE bin"), ("mape_p50_day_ahead", "P50 day"), ("mape_p50_one_bin", "P50 bin"),
    ("mape_lowered_day_ahead", "low day"), ("mape_lowered_one_bin", "low bin"),
    ("mae_day_ahead", "MAE day"), ("mae_one_bin", "MAE bin"), ("coverage_day_ahead", "cover day"), ("coverage_one_bin", "cover bin"),
    ("curve_error", "curve"), ("curve_error_dynamic", "dynamic"), ("vwap_bp", "VWAP bp"), ("vwap_bp_dynamic", "dyn. bp"),
)  # fmt: skip
UNITS = """percent; MAE in units, VWAP in bp. P50: MAPE of the median, low: of the median less its variance
curve: error of the planned shares, before the day and bin after bin"""


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of recorded volumes")
    parser.add_argument("--days", type=int, default=SCORED_DAYS, help=f"last days that are scored (default {SCORED_DAYS})")
    parser.add_argument("--leave-one-out", action="store_true", help="forecast each symbol by what was learnt of the others")
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object, on the last line; it ends with one object a model")
    args = parser.parse_args()
    began = time.monotonic()

    def told(text: str) -> None:
        print(f"{time.monotonic() - began:6.1f} s  {text}", file=sys.stderr, flush=True)

    try:
        if args.days < 1:
            raise ValueError(f"--days {args.days}: at least 1 day must be scored")
        volumes = read_volumes(args.data)
        prices = {(one.symbol, day): row for one in read_prices(args.data) for day, row in zip(one.dates, one.bins, strict=True)}
        walk = Walk(volumes, args.days, leave_out=args.leave_one_out, warm_days_max=bands.DAYS, told=told)
    except (ValueError, OSError) as error:
        print(f"bench_volume: {error}", file=sys.stderr)
        return 2
    for warning in warnings(volumes, walk):
        told(f"careful: {warning}")
    try:
        tallies = tally(walk.run(), prices)
        found = metrics(tallies)
    except ValueError as error:
        print(f"bench_volume: {error}", file=sys.stderr)
        return 2
    told("done")
    differences = {h: {f"hybrid-{other}": difference(tallies, h, other) for other in MODELS[:-1]} for h in HORIZONS}
    show(volumes, walk, found, differences)
    if args.json:
        print(json.dumps(summary(volumes, walk, args, bool(prices), differences) | found))
    return 0


def difference(tallies: dict[str, Tally], horizon: str, other: str) -> dict[str, float | None]:
    """The hybrid's MAPE less another's; one day has no standard error."""
    points, error = paired(tallies, horizon, "hybrid", other)
    return {"points": points, "standard_error": error if math.isfinite(error) else None}


def warnings(volumes: list[Volumes], walk: Walk) -> list[str]:
    """What makes the result worth less."""
    found = []
    if walk.warm_days < bands.DAYS:
        found.append(f"{len(walk.dates)} days: only {walk.warm_days} of {bands.DAYS} calibrate the bands; give more days, or score fewer (--days)")
    if len(volumes) == 1 and walk.leave_out:
        found.append("one symbol: there is no other to learn from, it learns from its own days")
    for one in volumes:
        if len(one.dates) < len(walk.dates):
            found.append(f"{one.symbol} has {len(one.dates)} of {len(walk.dates)} days")
        for first, jump in splits(known_logs(one)):
            found.append(
                f"{one.symbol}: from {one.dates[first]} on volume is {2.718281828**jump:.2f} times what it was: a split? Earlier days are rescaled"
            )
    return found


def show(volumes: list[Volumes], walk: Walk, found: dict[str, dict[str, float]], differences: dict[str, dict[str, dict[str, float | None]]]) -> None:
    """The table and the differences."""
    symbols = ", ".join(one.symbol for one in volumes)
    out = " (each by the others' model)" if walk.leave_out else ""
    print(f"{symbols}{out}: {walk.scored_days} days scored, {walk.dates[-walk.scored_days]} to {walk.dates[-1]}")
    columns = [(key, title) for key, title in COLUMNS if key in found["hybrid"]]
    print(f"{'model':10}" + "".join(f"{title:>10}" for _, title in columns))
    for name, figures in found.items():
        print(f"{name:10}" + "".join(f"{figures[key]:>10,.0f}" if "mae" in key else f"{figures[key]:>10.2f}" for key, _ in columns))
    print(f"({UNITS})")
    if "vwap_bp" not in found["hybrid"]:
        print("(the folder has no prices: tracking is that of the volume curve)")
    print("MAPE of the hybrid less another's, points, and its standard error over the days:")
    for h in HORIZONS:
        told = ", ".join(f"{name[7:]} {d['points']:+.2f} ± {d['standard_error'] or math.nan:.2f}" for name, d in differences[h].items())
        print(f"  {h:10} {told}")


def summary(volumes: list[Volumes], walk: Walk, args: argparse.Namespace, has_prices: bool, differences: dict[str, Any]) -> dict[str, Any]:
    """What the figures are of."""
    return {
        "data": str(args.data),
        "symbols": [one.symbol for one in volumes],
        "days": len(walk.dates),
        "scored_days": walk.scored_days,
        "scored_from": walk.dates[-walk.scored_days].isoformat(),
        "scored_to": walk.dates[-1].isoformat(),
        "calibration_days": walk.warm_days,
        "leave_one_out": walk.leave_out,
        "tracking": "vwap_bp" if has_prices else "volume curve",
        "hybrid_less_other_mape": differences,
    }


if __name__ == "__main__":
    raise SystemExit(main())
