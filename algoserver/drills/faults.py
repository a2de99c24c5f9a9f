"""The five drills. Each trades, makes one thing break for real, and looks at what must hold by the books of all three sides."""

import signal
import time
from bisect import bisect_left
from pathlib import Path
from typing import Any

from algoserver.core.bounds import FIRM
from algoserver.domain.events import OperatorCommanded, QuoteUpdated, SessionUp, TradePrinted
from algoserver.domain.types import SECOND, Strategy
from algoserver.drills.report import Report
from algoserver.drills.street import PATIENCE_S, VENUES, Street
from algoserver.processes import wait_for
from algoserver.recovery import replay
from algoserver.sim.reports import Canceled, New, Trade

ALERT_S_MAX = 5.0  # wall seconds from the event to its alert
RESTING = 4  # children that rest at each venue, beside those that trade
# Lower than the shipped one, so that a drill ends in seconds; the mechanism is the same.
REPEATS_MAX = 400
REPEATS_WINDOW_S = 600  # longer than the shipped one: half a minute of wall time, in which a slow machine too sends so many


def kill(folder: Path) -> Report:
    """The firm is killed through the door, with orders working at three venues."""
    report = Report("kill", "Orders rest at three venues and two trade; the firm is killed through the operator's door.")
    with Street(folder) as street:
        _trade(street)
        report.measured["children_open_before"] = street.open_at_venues()
        begun = time.time()
        street.ask("kill", target=FIRM, reason="drill")
        report.measured["answer_ms"] = _ms(time.time() - begun)
        _verify_killed(street, report, begun)
        _await_market(street, 20)
        seq = next(e.seq for e in street.tape.events if isinstance(e, OperatorCommanded) and e.verb == "kill")
        told = street.tape.alert("killed")
        late_s = street.wall_s(street.tape.ts[told[0]]) - begun if told else None
        report.check("the kill is alerted within 5 s", late_s is not None and late_s <= ALERT_S_MAX, f"{_ms(late_s or 0)} ms")
        late = [c.child_id for s, c in street.tape.follow().sent if s > seq]
        report.check("no new child after the gate is shut, 20 market seconds on", not late, f"{len(late)} new")
        report.books(*street.await_agreement())
    return report


def venue_down(folder: Path) -> Report:
    """The venues' process is killed -9 with orders there, and started again."""
    report = Report("venue-down", "The venues' process is killed -9 with our orders in its books, and started again.")
    with Street(folder) as street:
        clients = _trade(street)
        begun = time.time()
        street.sim.kill()
        told = wait_for(lambda: street.tape.alert("venue_down"), "no alert venue_down came", PATIENCE_S)
        wait_for(lambda: len(_doctor(street)["venues"]["value"].split(",")) == len(VENUES), "the server did not miss every venue", PATIENCE_S)
        late_s = street.wall_s(street.tape.ts[told[0]]) - begun
        report.check("the loss is alerted within 5 s", late_s <= ALERT_S_MAX, f"{_ms(late_s)} ms")
        down = _doctor(street)
        report.check("the doctor fails: venues down, orders there unknown", down["venues"]["state"] == down["open_orders_known"]["state"] == "fail",
                     down["open_orders_known"]["value"])  # fmt: skip
        report.measured["children_unknown"] = down["open_orders_known"]["value"]
        last_seq = max(street.tape.follow().ts)
        street.sim.start().await_ready()
        ready = time.time()
        wait_for(lambda: _doctor(street)["open_orders_known"]["state"] == "ok", "the venues did not say how our orders stand", PATIENCE_S)
        report.measured["all_known_again_s"] = round(time.time() - ready, 2)
        ups = {e.session: e.seq for e in street.tape.follow().events if isinstance(e, SessionUp) and e.seq > last_seq}
        report.check("every venue is up again", set(VENUES) <= set(ups), ", ".join(v for v in VENUES if v in ups))
        blind = [c.child_id for s, c in street.tape.sent if told[0] < s < ups.get(c.venue, 0)]
        report.check("no child was sent to a venue while it was down", not blind, f"{len(blind)} sent")
        done = street.clients.filled()
        wait_for(lambda: street.clients.filled() > done, "nothing trades after the venues are back", PATIENCE_S)
        report.check("trading goes on by itself", True, f"{street.clients.filled() - done:,} shares more")
        report.check("no client's order is over", not any(r["39"] in "48C" for c in clients for r in street.clients.of(c)), "all work")
        _end(street, report)
    return report


def stale_data(folder: Path) -> Report:
    """The venues' process stands still (SIGSTOP): sessions stay up, prices grow old."""
    report = Report("stale-data", "The venues' process stands still (SIGSTOP): every session stays up, and prices grow old.")
    with Street(folder) as street:
        _trade(street)
        street.sim.process.send_signal(signal.SIGSTOP)
        try:
            told = wait_for(lambda: street.tape.alert("market_in_doubt"), "no alert market_in_doubt came", PATIENCE_S)
            quoted_ts = max(e.ts for e in street.tape.events if isinstance(e, QuoteUpdated) and e.symbol == told[1].subject and e.seq < told[0])
            age_s = (street.tape.ts[told[0]] - quoted_ts) / SECOND
            report.measured["age_at_alert_market_s"] = round(age_s, 1)
            late_s = (age_s - 60) / street.speed
            report.check("doubt is alerted within 5 s of its bound, reference_age_s_max", 0 <= late_s <= ALERT_S_MAX, f"{_ms(late_s)} ms after 60 s")
            until = street.tape.ts[told[0]] + 20 * SECOND
            wait_for(lambda: street.market_ts() > until, "market time stands still", PATIENCE_S)
            row = _doctor(street)["market_data"]
            report.check("the doctor warns", row["state"] == "warn" and "AAPL in doubt" in row["value"], row["value"])
        finally:
            street.sim.process.send_signal(signal.SIGCONT)
        # A trade is news of the price as a quote is, and may come first.
        fresh = wait_for(
            lambda: next((e.seq for e in street.tape.follow().events if isinstance(e, QuoteUpdated | TradePrinted) and e.seq > told[0]), 0),
            "no price came after the stop", PATIENCE_S,
        )  # fmt: skip
        blind = [c.child_id for s, c in street.tape.sent if told[0] <= s < fresh]
        report.check("nothing is sent on old prices", not blind, f"{len(blind)} sent in 20 market seconds of doubt or more")
        done = street.clients.filled()
        wait_for(lambda: street.clients.filled() > done, "nothing trades after prices are back", PATIENCE_S)
        report.check("trading goes on by itself", True, f"{street.clients.filled() - done:,} shares more")
        _end(street, report)
    return report


def runaway(folder: Path) -> Report:
    """Two strategies go mad in the server's own process: one forgets its fills, one sends and takes back without end."""
    story = "Two strategies go mad: TWAP forgets what it has filled and sends it again, POV sends and takes back as fast as it is answered."
    report = Report("runaway", f"{story} The policy is the shipped one with repeats_max {REPEATS_MAX} in {REPEATS_WINDOW_S} s.")
    qty = 2_900  # not a multiple of what the mad TWAP sends again
    with Street(folder, is_rogue=True, limits={"repeats_max": str(REPEATS_MAX), "repeats_window_s": str(REPEATS_WINDOW_S)}) as street:
        honest = street.order("CLIENT1", "ADBE", 60_000, Strategy.VWAP, minutes=240, MaxPctVol="0.4", Urgency="5")
        street.order("CLIENT1", "AAPL", qty, Strategy.TWAP)
        street.order("CLIENT2", "AAPL", 50_000, Strategy.POV, TargetPctVol="0.2")
        wait_for(lambda: "algo:POV@AAPL" in _stops(street), "the flood was not stopped", PATIENCE_S)
        stopped = wait_for(lambda: street.tape.alert("stopped_by_limit"), "no alert of the stop came", PATIENCE_S)
        paused = wait_for(lambda: street.tape.alert("refusals"), "the order that forgot its fills was not paused", PATIENCE_S)
        _await_market(street, 20)
        orders = {o["cl_ord_id"]: o["order_id"] for o in street.ask("order.ls")["orders"]}
        flood = [(s, c) for s, c in street.tape.follow().sent if c.child_id.startswith(orders["D3"] + ".")]
        first_ts, stop_ts = street.tape.ts[flood[0][0]], street.tape.ts[stopped[0]]
        report.measured["flood_children"] = len(flood)
        report.measured["flood_first_child_to_stop_s"] = round((stop_ts - first_ts) / SECOND / street.speed, 2)
        times = [street.tape.ts[s] for s, _ in flood]
        most = max(bisect_left(times, ts + REPEATS_WINDOW_S * SECOND) - n for n, ts in enumerate(times))
        bound = f"no {REPEATS_WINDOW_S} market seconds have more than repeats_max {REPEATS_MAX} of it"
        report.check(f"the flood is stopped by itself: {bound}", most <= REPEATS_MAX, most)
        report.check("no child of it leaves after the stop", all(s < stopped[0] for s, _ in flood), stopped[1].text)
        exposed = _exposure_max(street, orders["D2"])
        report.measured["resent_children"] = sum(c.child_id.startswith(orders["D2"] + ".") for _, c in street.tape.sent)
        report.check("what forgets its fills never has more filled and open than its order", 0 < exposed <= qty, f"{exposed:,} of {qty:,} shares")
        report.check("it is refused by the gate and paused", "exceeds order_qty" in paused[1].text, paused[1].text)
        done = sum(int(r["32"]) for r in street.clients.of(honest) if r["150"] == "F")
        wait_for(lambda: sum(int(r["32"]) for r in street.clients.of(honest) if r["150"] == "F") > done, "the sound order stands still", PATIENCE_S)
        report.check("a sound strategy trades on", True, "VWAP in ADBE fills after the stop")
        _end(street, report)
    return report


def restart(folder: Path) -> Report:
    """The server is killed -9 in the middle of fills, and started again on its state."""
    report = Report("restart", "The server is killed -9 in the middle of fills, and started again on its state.")
    with Street(folder) as street:
        _trade(street)
        done = street.venue_filled()
        wait_for(lambda: street.venue_filled() > done, "nothing trades", PATIENCE_S, 0.002)
        street.server.kill()
        killed = time.time()
        behind = street.venue_filled() - street.tape.follow().filled()
        report.measured["shares_filled_that_its_journal_had_not"] = behind
        street.server.start().await_ready()
        report.measured["ready_s"] = round(time.time() - killed, 2)
        wait_for(lambda: _doctor(street)["open_orders_known"]["state"] == "ok", "orders stayed unknown", PATIENCE_S)
        report.measured["all_known_s"] = round(time.time() - killed, 2)
        wait_for(street.clients.are_up, "the clients did not come back", PATIENCE_S)
        filled = street.clients.filled()
        wait_for(lambda: street.clients.filled() > filled, "nothing trades after the restart", PATIENCE_S)
        report.check("trading goes on by itself", True, f"{street.clients.filled() - filled:,} shares more")
        _end(street, report)
        sent = [c.child_id for _, c in street.tape.follow().sent]
        report.check("no child was sent twice", len(set(sent)) == len(sent), f"{len(sent)} children")
        report.check("no trade was told twice", not street.clients.told_twice, f"{len(street.clients.reports)} reports")
        street.server.kill()
        proven = replay(street.state_dir / "journal")
        report.check("every decision replays from the journal", proven.outputs > 0, f"{proven.events} events, {proven.outputs} outputs compared")
    return report


DRILLS = {"kill": kill, "venue-down": venue_down, "runaway": runaway, "stale-data": stale_data, "restart": restart}


def _trade(street: Street) -> list[str]:
    """Orders rest at every venue and two trade; ClOrdIDs of these."""
    street.rest(RESTING)
    trading = street.work()
    street.await_open(RESTING)
    wait_for(lambda: all(any(r["150"] == "F" for r in street.clients.of(c)) for c in trading), "nothing was filled", PATIENCE_S)
    return trading


def _end(street: Street, report: Report) -> None:
    """Kill, zero open, equal books."""
    begun = time.time()
    street.ask("kill", target=FIRM, reason="end of the drill")
    _verify_killed(street, report, begun)
    report.books(*street.await_agreement())


def _verify_killed(street: Street, report: Report, begun: float) -> None:
    wait_for(lambda: street.ask("status")["kill_verified"], "the kill was not verified", PATIENCE_S, 0.01)
    report.measured["verified_ms"] = _ms(time.time() - begun)
    rests = street.open_at_venues()
    last = max((r.ts for r in street.venue_reports() if isinstance(r, Canceled | Trade)), default=0)
    report.measured["zero_open_at_venues_ms"] = max(0, _ms(street.wall_s(last) - begun))
    report.check("zero open orders, by the venues' own ledger", not rests, rests or "none")


def _await_market(street: Street, market_s: int) -> None:
    """Until the server's journal has seen so much more market."""
    until = max(street.tape.follow().ts.values()) + market_s * SECOND
    wait_for(lambda: max(street.tape.follow().ts.values()) > until, "no market data comes", PATIENCE_S)


def _doctor(street: Street) -> dict[str, dict[str, Any]]:
    return {row["check"]: row for row in street.ask("doctor")["checks"]}


def _stops(street: Street) -> list[str]:
    return [stop["scope"] for stop in street.ask("status")["stops"]]


def _exposure_max(street: Street, parent_id: str) -> int:
    """Most of a parent that was filled and open at the venues at any moment, by their ledger."""
    leaves: dict[str, int] = {}
    filled = most = 0
    for r in street.venue_reports():
        child_id = getattr(r, "orig_cl_ord_id", "") or r.cl_ord_id
        if not child_id.startswith(parent_id + "."):
            continue
        filled += r.last_qty if isinstance(r, Trade) else 0
        leaves[r.order_id] = r.leaves_qty if isinstance(r, New | Trade) else 0
        most = max(most, filled + sum(leaves.values()))
    return most


def _ms(seconds: float) -> int:
    return round(1000 * seconds)
