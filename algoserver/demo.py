"""`algoserver demo`: simulator, server and a sample OMS as processes over sockets, one parent order, and what came of it.

The demo decides nothing: it starts the three, follows the server's journal as any report would, and stops what it started.
"""

import contextlib
import json
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from algoserver.core.algos.schedule import planned
from algoserver.core.orders import ParentOrder, avg_px
from algoserver.core.state import State
from algoserver.domain import events
from algoserver.domain.commands import Command, SendChild
from algoserver.domain.types import PX_ONE, SECOND, Strategy, clock_text, utc, utc_text
from algoserver.learn.train import train_volume
from algoserver.processes import ROOT, Failed, Program, free_port, wait_for
from algoserver.recorded import VOLUME_DIR
from algoserver.recovery import follow

SPEED = 30.0  # half an hour of market in a minute
START, END, DAY_BEFORE = "20190628-14:30:00", "20190628-15:00:00", "2019-06-27"
SYMBOL, QTY, MAX_PCT_VOL = "AAPL", 200_000, "0.2"
LEAD_S = 8  # wall seconds from here to the market's 14:30, at least: time for two processes to start and for quotes to flow
LEAD_LEARNED = 2  # times what the learning took: a slow machine has just shown how slow it is
PATIENCE_S = 120
PROGRESS_S = 2


class Tape(msgspec.Struct):
    """What the journal has told so far, beside the state that it makes."""

    state: State = msgspec.field(default_factory=State)
    prints: list[tuple[int, int, int]] = []  # ts, px, qty of every market trade in the symbol
    fills: dict[str, list[int]] = {}  # venue -> fills, quantity
    child_orders: int = 0

    def seen(self, event: events.Event, commands: list[Command]) -> None:
        """Note one event and what it caused."""
        self.child_orders += sum(isinstance(c, SendChild) for c in commands)
        if isinstance(event, events.TradePrinted) and event.symbol == SYMBOL:
            self.prints.append((event.ts, event.last_px, event.last_qty))
        elif isinstance(event, events.ChildFilled):
            count = self.fills.setdefault(event.session, [0, 0])
            count[0] += 1
            count[1] += event.last_qty

    def parent(self) -> ParentOrder | None:
        """The order, once the server has it."""
        return next(iter(self.state.parents.values()), None)


def run(state_dir: Path | None, is_json: bool) -> int:
    """Run the demo; returns the exit status."""
    progress = Console(stderr=True, soft_wrap=True)
    with contextlib.ExitStack() as stack:
        folder = state_dir or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="algoserver-demo-")))
        try:
            result = _trade(folder, stack, progress)
        except Failed as error:
            progress.print(f"algoserver demo: {error}", style="red", markup=False)
            return 1
    if is_json:
        print(json.dumps(result))
    else:
        Console().print(_table(result))
    return 0 if result["cum_qty"] == result["order_qty"] else 1


def _trade(folder: Path, stack: contextlib.ExitStack, progress: Console) -> dict[str, Any]:
    began = time.monotonic()
    if (folder / "server").exists():
        raise Failed(f"{folder} holds an earlier run; give an empty directory")
    progress.print(f"Learning AAPL's volume curve from the recorded days to {DAY_BEFORE} ...", highlight=False)
    model = train_volume(VOLUME_DIR, folder / "models", DAY_BEFORE, scored_days=0)
    lead_s = max(LEAD_S, LEAD_LEARNED * (time.monotonic() - began))
    wall_epoch = utc_text(time.time_ns() + int(lead_s * SECOND))
    clock = ["--speed", str(SPEED), "--market-epoch", START, "--wall-epoch", wall_epoch]
    venue_port, client_port = free_port(), free_port()
    progress.print(f"Starting simulator and server: {START[9:]} to {END[9:]} UTC of 2019-06-28, {SPEED:g} times as fast.", highlight=False)
    sim = ["sim", "--config", str(ROOT / "cfg" / "demo-sim.toml"), "--state", str(folder / "sim"), "--port", str(venue_port), *clock]
    serve = ["serve", "--config", str(ROOT / "cfg" / "demo-server.toml"), "--state", str(folder / "server"), "--port", str(client_port)]
    serve += ["--venue-port", str(venue_port), "--model", str(folder / "models" / model.name), *clock]
    started = [_start(Program(name, ["algoserver", *arguments]), stack) for name, arguments in (("simulator", sim), ("server", serve))]
    for program in started:
        program.await_ready()
    tape, journal = Tape(), folder / "server" / "journal"
    wait_for(lambda: _has_market(tape, journal), "no market data or no forecast came", PATIENCE_S, 0.1)
    order = ["--port", str(client_port), "--cl-ord-id", "DEMO-1", "--symbol", SYMBOL, "--qty", str(QTY), "--strategy", str(int(Strategy.VWAP))]
    order += ["--start", START, "--end", END, "--param", f"MaxPctVol={MAX_PCT_VOL}"]
    oms = _start(Program("client", ["algoserver.oms", *order]), stack)
    reports = _follow(tape, journal, oms.process, progress)
    return _result(tape, reports, round(time.monotonic() - began, 1))


def _start(program: Program, stack: contextlib.ExitStack) -> Program:
    stack.callback(program.start().stop)
    return program


def _follow(tape: Tape, journal: Path, oms: "subprocess.Popen[str]", progress: Console) -> list[dict[str, str]]:
    """Show the order's way until the client has its last report; returns the client's reports."""
    assert oms.stdout is not None
    reports: list[dict[str, str]] = []
    shown = 0.0
    for line in oms.stdout:
        reports.append(json.loads(line))
        if len(reports) == 1:
            progress.print(reports[0].get("text", ""), highlight=False, markup=False)
        if time.monotonic() - shown >= PROGRESS_S:
            shown = time.monotonic()
            follow(journal, tape.state, tape.seen)
            _show(tape, progress)
    oms.wait(PATIENCE_S)
    follow(journal, tape.state, tape.seen)
    if not reports or reports[-1].get("exec_type") == "8" or "cum_qty" not in reports[-1]:
        raise Failed(f"the order was refused: {reports[-1] if reports else 'no report came'}")
    return reports


def _show(tape: Tape, progress: Console) -> None:
    parent = tape.parent()
    work = tape.state.works.get(parent.parent_id) if parent else None
    if parent is None or work is None:
        return
    volume = sum(q for ts, _, q in tape.prints if ts >= parent.start_ts)
    venues = ", ".join(f"{v} {q:,}" for v, (_, q) in sorted(tape.fills.items()))
    done, plan = parent.order.cum_qty, planned(work.schedule, tape.state.ts)
    bar = "#" * (30 * done // QTY)
    progress.print(
        f"{clock_text(tape.state.ts)} [{bar:<30}] done {done:>7,} planned {plan:>7,}  market {volume:>9,}  {venues}", highlight=False, markup=False
    )


def _result(tape: Tape, reports: list[dict[str, str]], wall_s: float) -> dict[str, Any]:
    parent = tape.parent()
    assert parent is not None
    last = reports[-1]
    cum_qty = int(last["cum_qty"])
    end_ts = min(parent.end_ts, utc(last["transact_time"]) + 1_000_000)
    prints = [(p, q) for ts, p, q in tape.prints if parent.start_ts <= ts <= end_ts]
    volume = sum(q for _, q in prints)
    vwap = sum(p * q for p, q in prints) / volume / PX_ONE if volume else 0.0
    mine, arrival = avg_px(parent.order) / PX_ONE, parent.arrival_px / PX_ONE
    return {
        "cl_ord_id": parent.cl_ord_id,
        "algo": Strategy(parent.strategy).name,
        "symbol": parent.symbol,
        "side": parent.side.name,
        "order_qty": parent.order.order_qty,
        "cum_qty": cum_qty,
        "avg_px": round(mine, 6),
        "arrival_px": arrival,
        "vwap": round(vwap, 6),
        "slippage_arrival_bp": round(parent.side.sign * (mine - arrival) / arrival * 1e4, 2) if arrival and cum_qty else None,
        "slippage_vwap_bp": round(parent.side.sign * (mine - vwap) / vwap * 1e4, 2) if vwap and cum_qty else None,
        "participation": round(cum_qty / volume, 4) if volume else None,
        "child_orders": tape.child_orders,
        "fills": sum(n for n, _ in tape.fills.values()),
        "venues": {v: {"fills": n, "qty": q} for v, (n, q) in sorted(tape.fills.items())},
        "wall_s": wall_s,
    }


def _table(r: dict[str, Any]) -> Table:
    title = f"{r['algo']} {r['side']} {r['order_qty']:,} {r['symbol']}, {START[9:14]} to {END[9:14]} UTC of 2019-06-28"
    table = Table(title=title, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    rows = [
        ("filled", f"{r['cum_qty']:,} of {r['order_qty']:,}"),
        ("average price", f"{r['avg_px']:.4f}"),
        ("arrival price (mid)", f"{r['arrival_px']:.4f}"),
        ("slippage to arrival, cost +", f"{r['slippage_arrival_bp']:+.2f} bp"),
        ("interval VWAP, ours included", f"{r['vwap']:.4f}"),
        ("slippage to interval VWAP, cost +", f"{r['slippage_vwap_bp']:+.2f} bp"),
        ("participation", f"{100 * r['participation']:.1f} %"),
        ("child orders", f"{r['child_orders']:,}"),
        ("fills", f"{r['fills']:,}"),
        *((f"  at {venue}", f"{v['qty']:,} in {v['fills']:,}") for venue, v in r["venues"].items()),
        ("wall time", f"{r['wall_s']:.1f} s"),
    ]
    for row in rows:
        table.add_row(*row)
    return table


def _has_market(tape: Tape, journal: Path) -> bool:
    follow(journal, tape.state, tape.seen)
    market = tape.state.markets.get(SYMBOL)
    has_curve = SYMBOL in tape.state.forecasts  # without it the plan is by the static curve
    return has_curve and market is not None and len(market.quotes) == len(tape.state.venues_up)
