"""A trading day turns at the venues, and they forget what is over; the server asks them on the next day."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from algoserver.domain.types import DAY, SECOND, utc, utc_text
from algoserver.door import call
from algoserver.sim.face import LEDGER_MIN
from algoserver.sim.ledger import Ledger, Line
from tests.e2e.street import Street, ask, replay

EVENING, NIGHT, END = "20190628-22:00:00", "20190628-23:59:20", "20190701-20:00:00"
PATIENCE_S = 200


class Days(Street):
    """Market time leaps over the hours between two starts of the simulator. told: what the venues reported on all days, by ExecID."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, speed=10, opens=EVENING, config="", shell={"model": '""'})  # no model has to be loaded
        self.ledger = folder / "sim" / "ledger.jsonl"
        self.told: dict[str, dict[str, Any]] = {}

    def until(self, holds: Callable[[], object], what: str) -> None:
        """Wait for that, reading what the client hears."""
        deadline = time.monotonic() + PATIENCE_S
        while not holds():
            assert time.monotonic() < deadline, what
            self.client.read(0.05)

    def order(self, name: str, symbol: str, px: str) -> None:
        """An iceberg with one child: it rests far below the market, or trades at once above it."""
        body = f"35=D|11={name}|21=1|55={symbol}|54=1|60={EVENING}|59=0|126={END}|38=100|40=2|44={px}|847=1004"
        self.client.send(f"{body}|957=2|958=MaxPctVol|960=1|958=DisplayQty|960=100")

    def trade(self, name: str) -> None:
        """One that is filled."""
        self.order(name, "GE", "10.70")
        self.until(lambda: self.heard(name) == "2", f"{name} was not filled")

    def heard(self, name: str) -> str:
        """OrdStatus by the client's last report of an order."""
        return next((r["39"] for r in reversed(self.client.reports.values()) if r["11"] == name), "")

    def ask(self, verb: str, process: str = "server", **more: Any) -> dict[str, Any]:
        """The answer at a door."""
        question = {"verb": verb, **more}
        answer = call(self.folder / process, question) if more else ask(self.folder / process, question)
        assert "error" not in answer, answer
        return answer

    def venue_reports(self) -> list[dict]:
        """Of all days."""
        self.told |= {r["exec_id"]: r for r in super().venue_reports() if "exec_id" in r and r["report"] != "status"}
        return list(self.told.values())

    def at_venues(self) -> dict[str, str]:
        """The venue's OrderID of each child that is open there, by OrderID of its order."""
        last = {r["order_id"]: r for r in self.venue_reports()}
        return {r["cl_ord_id"].rpartition(".")[0]: order_id for order_id, r in last.items() if r.get("leaves_qty", 0)}

    def await_resting(self, *names: str) -> dict[str, str]:
        """Until of these orders and no others a child is open; the venue's OrderID of each."""

        def found() -> dict[str, str]:
            ids = {o["order_id"]: o["cl_ord_id"] for o in self.ask("order.ls")["orders"]}
            return {ids[order_id]: child for order_id, child in self.at_venues().items()}

        self.until(lambda: set(found()) == set(names), f"not of {names} alone a child is open")
        return found()

    def leap(self, ts: int) -> None:
        """The simulator dies, and market time is this now, for whoever starts. Its ledger is made so large that it is written anew at the turn."""
        self.sim.kill()
        self.venue_reports()
        ledger = Ledger(self.ledger, "")
        ledger.write([Line(session="-" * 1_000)] * (LEDGER_MIN // 1_000))
        ledger.close()
        now = time.time_ns()
        for command in (self.sim.command, self.server.command):
            for name, moment in (("--market-epoch", ts), ("--wall-epoch", now)):
                command[command.index(name) + 1] = utc_text(moment)
        self.sim.start()

    def await_turn(self) -> None:
        """Until the venues have forgotten the day before."""
        self.until(lambda: self.ledger.stat().st_size < LEDGER_MIN, "the day did not turn")

    def assert_right(self) -> None:
        """Every child is known, no order is paused, nothing was missed or told twice, and the books of client, server and venues agree."""
        self.until(lambda: {c["check"]: c["state"] for c in self.ask("doctor")["checks"]}["open_orders_known"] == "ok", "children stay unknown")
        self.until(lambda: self.client.filled() == self.venue_filled(), "the client did not hear of every fill")
        orders = self.ask("order.ls")["orders"]
        assert {o["state"] for o in orders} <= {"working", "over"}, orders
        assert sum(int(o["cum_qty"]) for o in orders) == self.client.filled() == self.journal_filled()
        assert self.client.told_twice == []
        alerts = self.ask("alert.ls")["alerts"]
        assert not [a for a in alerts if "compare executions" in a["to_do"] or a["code"] in ("lost_child", "unknown_child")], alerts


def test_what_venues_forget_at_the_turn_of_a_day_is_in_the_books_all_the_same(tmp_path):
    """The server is dead while a child is filled and another canceled, and comes back on the next day, on which the venues know neither.

    Then a day turns before its eyes, and it dies again. Children for the day end with it, and their orders go on.
    """
    street = Days(tmp_path / "street")
    street.await_market()
    street.trade("K1")
    for name, symbol, px in (("FILLED", "AAPL", "195.00"), ("CANCELED", "GE", "10.30"), ("RESTING", "AAPL", "190.00")):
        street.order(name, symbol, px)
    first = street.await_resting("FILLED", "CANCELED", "RESTING")

    street.server.kill()
    street.ask("sim.inject", "sim", target="flash_crash", values={"symbol": "AAPL", "share": 0.03, "seconds": 600})
    street.ask("sim.inject", "sim", target="halt", values={"symbol": "GE", "seconds": 1, "resting": "cancel"})
    street.until(lambda: set(street.at_venues().values()) == {first["RESTING"]}, "children stay open")
    assert (street.journal_filled(), street.venue_filled()) == (100, 200)
    street.leap(utc(NIGHT) + 20 * SECOND)
    street.await_turn()
    assert {r["order_id"] for r in Street.venue_reports(street) if "exec_id" in r} == {first["RESTING"]}
    street.server.start()
    street.assert_right()
    assert street.heard("FILLED") == "2"
    street.await_resting("CANCELED", "RESTING")

    street.server.kill()
    street.leap(utc(NIGHT) + DAY)
    street.server.start()
    street.assert_right()
    street.await_turn()
    street.server.kill()
    street.server.start()
    street.assert_right()
    last = street.await_resting("CANCELED", "RESTING")
    assert not set(last.values()) & set(first.values())
    street.trade("K2")
    street.assert_right()
    street.ask("kill", target="firm", reason="the end")
    street.until(lambda: not street.at_venues(), "orders stay open")
    assert street.close() == [0, 0]
    assert "all equal" in replay(street.folder / "server", "0")
