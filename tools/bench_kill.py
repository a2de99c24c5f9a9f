"""A kill at the door to zero open orders at all venues, by the venues' own ledger: again and again, with children resting at three venues.

Simulator and server are real processes on loopback, as in `algoctl drill kill`. Between two runs the firm is released, and the next kill waits
until every child rests again. Two times are taken: until the door answers (the gate is shut and that is durable), and until the ledger,
looked at every two milliseconds, has no open order.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from algoserver.drills.street import VENUES, Street
from algoserver.processes import wait_for

# More than a day's children rest, and nothing trades: the breakers that would stop that are not what is measured.
LIMITS = {"order_to_trade_min": "100000000", "repeats_max": "10000000", "parents_per_second_max": "10000", "price_move_max": '"1"', "collar": '"0.5"'}
PATIENCE_S = 120.0


class Ledger:
    """The venues' ledger as it grows: which orders are open. Only what is new is read."""

    def __init__(self, street: Street) -> None:
        self._street = street
        self._done = 0
        self._open: dict[tuple[str, str], bool] = {}

    def open(self) -> dict[str, int]:
        """Open orders by venue."""
        reports, self._done = self._street.venue_reports_from(self._done)
        for r in reports:
            key = r.venue, r.order_id
            if r.leaves_qty > 0:
                self._open[key] = True
            else:
                self._open.pop(key, None)
        counts: dict[str, int] = {}
        for venue, _ in self._open:
            counts[venue] = counts.get(venue, 0) + 1
        return counts


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100, help="kills (default 100)")
    parser.add_argument("--children", type=int, default=300, help="that rest when the firm is killed, at three venues together (default 300)")
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object, on the last line")
    args = parser.parse_args()
    each = max(1, args.children // len(VENUES))
    answers, zeros = [], []
    with tempfile.TemporaryDirectory(prefix="algoserver-kill-") as folder, Street(Path(folder) / "street", limits=LIMITS) as street:
        street.rest(each)
        ledger = Ledger(street)
        for run in range(args.runs):
            wait_for(lambda: all(ledger.open().get(v, 0) == each for v in VENUES), f"not {each} children rest at each venue", PATIENCE_S, 0.02)
            begun = time.time()
            street.ask("kill", target="firm", reason="bench")
            answers.append(1000 * (time.time() - begun))
            wait_for(lambda: not ledger.open(), "orders stay open", PATIENCE_S, 0.002)
            zeros.append(1000 * (time.time() - begun))
            wait_for(lambda: street.ask("status")["kill_verified"], "the kill was not verified", PATIENCE_S, 0.01)
            if run % 10 == 9:
                print(f"{run + 1} kills, the last {zeros[-1]:.0f} ms", file=sys.stderr, flush=True)
            street.ask("release", target="firm", reason="bench")
    result = {"runs": args.runs, "children": each * len(VENUES), "answer_ms": spread(answers), "zero_open_ms": spread(zeros)}
    print(f"{args.runs} kills of {result['children']} children at {len(VENUES)} venues, ms: p50, p99, max")
    for name, values in (("answer_ms", answers), ("zero_open_ms", zeros)):
        print(f"{name:14}" + "".join(f" {figure:8.1f}" for figure in spread(values).values()))
    if args.json:
        print(json.dumps(result))
    return 0


def spread(values: list[float]) -> dict[str, float]:
    """p50, p99 and max: of 100 the 50th, the 99th and the last."""
    ordered = sorted(values)
    return {name: round(ordered[-(-len(ordered) * share // 100) - 1], 1) for name, share in (("p50", 50), ("p99", 99), ("max", 100))}


if __name__ == "__main__":
    raise SystemExit(main())
