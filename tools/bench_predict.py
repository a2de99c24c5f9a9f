"""One prediction of one row: LightGBM's C API for single rows (algoserver/learn/single.py) beside Booster.predict, in the same run.

Every row is asked both ways, in turns, and both answers must be equal to the bit; the exit status is 1 where they are not, or where the C API is
less than --least times as fast. The models are synthetic: --trees by --leaves on --features; and one of the size that the volume model has.
"""

import argparse
import json
import sys
import time

import numpy as np

from algoserver.learn.hybrid import PARAMS, TREES
from algoserver.learn.rows import ROW_NAMES
from algoserver.learn.single import RowPredictor


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trees", type=int, default=200)
    parser.add_argument("--leaves", type=int, default=31)
    parser.add_argument("--features", type=int, default=20)
    parser.add_argument("--rows", type=int, default=3_000, help="rows that are predicted (default 3000)")
    parser.add_argument("--least", type=float, default=2.5, help="ratio of the medians below which the exit status is 1 (default 2.5)")
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object, on the last line")
    args = parser.parse_args()
    leaves = PARAMS["num_leaves"]
    assert isinstance(leaves, int)
    sizes = {"asked": (args.trees, args.leaves, args.features), "volume": (TREES, leaves, len(ROW_NAMES))}
    found = {name: measure(*size, args.rows) for name, size in sizes.items()}
    print(f"{'trees x leaves, features':28}{'Booster.predict us':>28}{'C API us':>22}{'times':>8}")
    print(f"{'':28}{'p50':>18}{'p90':>10}{'p50':>12}{'p90':>10}{'p50':>8}")
    for name, f in found.items():
        trees, most, features = sizes[name]
        size = f"{trees} x {most}, {features}"
        print(
            f"{size:28}{f['booster_us_p50']:>18.1f}{f['booster_us_p90']:>10.1f}{f['fast_us_p50']:>12.1f}{f['fast_us_p90']:>10.1f}{f['times']:>8.1f}"
        )
    is_good = all(f["unequal"] == 0 and f["times"] >= args.least for f in found.values())
    if not is_good:
        print(f"bench_predict: unequal, not available or below {args.least} times", file=sys.stderr)
    if args.json:
        print(json.dumps({"rows": args.rows, "least": args.least, "is_good": is_good, **found}))
    return 0 if is_good else 1


def measure(trees: int, leaves: int, features: int, n_rows: int) -> dict[str, float]:
    """Microseconds of both ways and how many answers differ."""
    import lightgbm

    rng = np.random.default_rng(seed=3)
    x = rng.normal(size=(4_000, features))
    x[rng.random(x.shape) < 0.05] = np.nan
    y = np.nan_to_num(x).sum(axis=1) + np.nan_to_num(x[:, 0] * x[:, -1]) + rng.normal(size=len(x))
    params = {"num_leaves": leaves, "min_data_in_leaf": 5, "num_threads": 1, "deterministic": True, "force_row_wise": True, "verbosity": -1}
    text = lightgbm.train(params, lightgbm.Dataset(x, label=y), num_boost_round=trees).model_to_string()
    booster, fast = lightgbm.Booster(model_str=text), RowPredictor(text)
    if not fast.is_fast:
        print(f"bench_predict: the C API is not used: {fast.why}", file=sys.stderr)
    rows = rng.normal(size=(n_rows, features))
    rows[rng.random(rows.shape) < 0.05] = np.nan
    slow_ns, fast_ns, unequal = [], [], 0
    for row in rows:
        t0 = time.perf_counter_ns()
        one = booster.predict(row.reshape(1, -1), num_threads=1)[0]
        t1 = time.perf_counter_ns()
        other = fast.predict(row)
        t2 = time.perf_counter_ns()
        slow_ns.append(t1 - t0)
        fast_ns.append(t2 - t1)
        unequal += float(one).hex() != other.hex()
    slow, quick = np.array(slow_ns) / 1000, np.array(fast_ns) / 1000
    return {
        "booster_us_p50": float(np.median(slow)),
        "booster_us_p90": float(np.quantile(slow, 0.9)),
        "fast_us_p50": float(np.median(quick)),
        "fast_us_p90": float(np.quantile(quick, 0.9)),
        "times": float(np.median(slow) / np.median(quick)),
        "unequal": unequal,
    }


if __name__ == "__main__":
    raise SystemExit(main())
