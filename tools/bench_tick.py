"""From a tick to an order: the CPU that the server's own code takes, of one thread, from a quote's text to a child's text.

A tick is decoded, journaled and stepped; a turn that sends children is journaled, stepped, its commands are journaled and its children encoded;
and three rows are predicted by a model of the volume model's size and kind. Quotes and turns come from the tape of tools/bench_core.py: many parents
at work, all answers of the venues in between. The engine's socket, fdatasync and the wire are not in it: those are shared by a batch.

The sum of the parts is printed at the median and at P99 of each; --most is the bar on the median, beyond which the exit status is 1.
"""

import argparse
import gc
import json
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import numpy as np

from algoserver.cli import settle_interpreter
from algoserver.core.engine import step
from algoserver.core.state import State
from algoserver.domain import commands as c
from algoserver.domain import events as e
from algoserver.domain.types import px_text
from algoserver.fix import venue_codec
from algoserver.journal import Journal
from algoserver.learn.hybrid import PARAMS, TREES
from algoserver.learn.rows import ROW_NAMES
from algoserver.learn.single import RowPredictor

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tools.bench_core import Tape

PREDICTIONS = 3  # of a decision, by MODELS.md's bar: where the price goes, how much will trade, whether a passive order is filled
TURNS_MIN = 50
PARTS = ("tick", "turn with an order", "three predictions")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parents", type=int, default=1_000)
    parser.add_argument("--instruments", type=int, default=100)
    parser.add_argument("--warm", type=int, default=30_000, help="events before the first that is measured (default 30000)")
    parser.add_argument("--events", type=int, default=30_000)
    parser.add_argument("--most", type=float, default=300.0, help="microseconds of CPU at the median beyond which the exit status is 1")
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object, on the last line")
    args = parser.parse_args()
    tape = Tape(args.parents, args.instruments, 4_000, 800, 1)
    tape.run(args.warm)
    warm = len(tape.events)
    tape.run(args.events)
    settle_interpreter()  # as the server has it
    ticks, turns = decisions(tape, warm)
    if len(turns) < TURNS_MIN:
        raise SystemExit(f"bench_tick: {len(turns)} turns with an order say nothing; give --events or --parents more")
    found = dict(zip(PARTS, (ticks, turns, predictions(len(ticks))), strict=True))
    result: dict[str, float] = {"parents": args.parents, "ticks": len(ticks), "orders": len(turns)}
    print(f"{'CPU us':22}{'p50':>8}{'p99':>8}   of {len(ticks)} ticks and {len(turns)} turns with an order, {args.parents} parents at work")
    sums = [0.0, 0.0]
    for name, us in found.items():
        at = [float(np.quantile(us, q)) for q in (0.5, 0.99)]
        sums = [known + more for known, more in zip(sums, at, strict=True)]
        print(f"{name:22}{at[0]:8.1f}{at[1]:8.1f}")
    print(f"{'tick to order':22}{sums[0]:8.1f}{sums[1]:8.1f}")
    result |= {"cpu_us_p50": round(sums[0], 1), "cpu_us_p99": round(sums[1], 1), "most": args.most}
    if args.json:
        print(json.dumps(result))
    return 0 if sums[0] <= args.most else 1


def decisions(tape: Tape, warm: int) -> tuple[list[float], list[float]]:
    """CPU us of each quote, and of each event whose turn sends children, after `warm` events."""
    state, ticks, turns = State(), [], []
    with tempfile.TemporaryDirectory(prefix="bench-tick-") as directory, Journal(Path(directory)) as journal:
        for event in tape.events[:warm]:
            journal.append_input(event)
            step(state, event)
        journal.commit()
        gc.collect()
        for event in tape.events[warm:]:
            text = _book(event) if isinstance(event, e.QuoteUpdated) else ""
            begin = time.thread_time_ns()
            if isinstance(event, e.QuoteUpdated):
                (quote,) = venue_codec.decode_feed(text, event.venue, state.instruments)
                event = msgspec.structs.replace(quote, seq=event.seq, ts=event.ts)
            journal.append_input(event)
            out = step(state, event)
            if out:
                journal.append_outputs(event.seq, out)
            sent = [venue_codec.encode_child(child, 0, event.ts) for child in out if isinstance(child, c.SendChild)]
            spent_us = (time.thread_time_ns() - begin) / 1_000
            if text:
                ticks.append(spent_us)
            elif sent:
                turns.append(spent_us)
            if event.seq % 64 == 0:
                journal.commit()
    return ticks, turns


def _book(quote: e.QuoteUpdated) -> str:
    sides = f"268=2\x01269=0\x01270={px_text(quote.bid_px)}\x01271={quote.bid_qty}\x01269=1\x01270={px_text(quote.ask_px)}\x01271={quote.ask_qty}\x01"
    header = f"8=FIX.4.4\x019=100\x0135=W\x0149={quote.venue}\x0156=ALGOMD\x0134=2\x0152=20260302-14:30:00.000\x01"
    return f"{header}55={quote.symbol}\x01{sides}10=000\x01"


def predictions(count: int) -> list[float]:
    """CPU us of three rows, `count` times."""
    import lightgbm

    rng = np.random.default_rng(seed=3)
    x = rng.normal(size=(4_000, len(ROW_NAMES)))
    y = x.sum(axis=1) + rng.normal(size=len(x))
    params = {**PARAMS, "num_threads": 1, "deterministic": True, "force_row_wise": True, "verbosity": -1}
    model = RowPredictor(lightgbm.train(params, lightgbm.Dataset(x, label=y), num_boost_round=TREES).model_to_string())
    rows, spent = rng.normal(size=(count, PREDICTIONS, len(ROW_NAMES))), []
    for three in rows:
        begin = time.thread_time_ns()
        for row in three:
            model.predict(row)
        spent.append((time.thread_time_ns() - begin) / 1_000)
    model.close()
    return spent


if __name__ == "__main__":
    sys.exit(main())
