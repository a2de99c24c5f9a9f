"""A published scenario as text, and its parser: how the lines of `tables` are read.

A line is one message, in order:
    who      client | venue: who acts. The client side of an order is the one who sent it, the venue side who works it.
    act      of the client: new, newJ, newK (with ExecInst), ioc, fok (a first D of X), again (D of X once more), resend and
             resendY (D of X and of Y with PossResend), cancel (F of Y for X), status and statusY (H of X and of Y), replace (G
             to n, ids as in its report), misreplace (a G that can't be), phoned (an operator cancels);
             of the venue: accept (where it did not at once), trade, done (for the day), canceled, refuse (the cancel), replaced
             (to n), irreplaced (the replace refused), restated (to n of its own will), bust and correct (its first trade, to n),
             halted, resumed (all trading in it)
    n        quantity of the act, 0 where it has none
    report   ExecType/OrdStatus that the client then hears; CxlRej/OrdStatus for a cancel reject; - where nothing is said
    cum leaves
    ids      (ClOrdID, OrigClOrdID) of that report
What follows is a note, but for 378=, which is the report's ExecRestatementReason. Names of states are FIX's.
"""

import re
from typing import Literal, NamedTuple

from algoserver.domain.types import ExecType, OnHalt, OrdStatus, TimeInForce

NEW = {"new": TimeInForce.DAY, "newJ": TimeInForce.DAY, "newK": TimeInForce.DAY, "ioc": TimeInForce.IOC, "fok": TimeInForce.FOK}
ON_HALT = {"newJ": OnHalt.REINSTATE, "newK": OnHalt.CANCEL}

FULL = {
    "New": "NEW", "Partial": "PARTIALLY_FILLED", "Filled": "FILLED", "DoneForDay": "DONE_FOR_DAY", "Canceled": "CANCELED",
    "PendCxl": "PENDING_CANCEL", "PendRep": "PENDING_REPLACE", "Replaced": "REPLACED", "Restated": "RESTATED",
    "TradeCancel": "TRADE_CANCEL", "TradeCorrect": "TRADE_CORRECT", "PendNew": "PENDING_NEW",
    "Rejected": "REJECTED", "Trade": "TRADE", "Status": "ORDER_STATUS",
}  # fmt: skip


class Step(NamedTuple):
    """One message and what is heard of it. exec_type None with a status: a cancel reject. status None: nothing is heard."""

    who: Literal["client", "venue"]
    act: str
    number: int
    exec_type: ExecType | None
    ord_status: OrdStatus | None
    cum_qty: int
    leaves_qty: int
    cl_ord_id: str
    orig_cl_ord_id: str
    line: str
    exec_restatement_reason: int = -1

    @property
    def is_cancel_reject(self) -> bool:
        return self.ord_status is not None and self.exec_type is None


class Scenario(NamedTuple):
    """A published scenario: its id, its title, the quantity of X, the act that sends it, its steps."""

    id: str
    title: str
    order_qty: int
    act: str
    steps: tuple[Step, ...]


def parse(text: str) -> Scenario:
    """A table to a Scenario. The first line is `# id title`, quantity 10000 and TimeInForce Day unless `new` says else."""
    lines = [line.rstrip() for line in text.strip().splitlines()]
    scenario_id, _, title = lines[0].removeprefix("#").strip().partition(" ")
    steps = tuple(_step(line) for line in lines[1:] if line and not line.startswith("#"))
    new = next((s for s in steps if s.act in NEW), None)
    return Scenario(scenario_id, title, new.number if new else 10_000, new.act if new else "new", steps)


def _step(line: str) -> Step:
    who, act, number, report, *rest = line.split()
    assert who in ("client", "venue"), line
    if report == "-":
        return Step(who, act, int(number), None, None, 0, 0, "", "", line)
    kind, _, status = report.partition("/")
    cum, leaves, ids = rest[:3]
    cl_ord_id, _, orig = ids.strip("()").partition(",")
    exec_type = None if kind == "CxlRej" else ExecType[FULL[kind]]
    reason = re.search(r"\b378=(\d+)", line)
    return Step(
        who, act, int(number), exec_type, OrdStatus[FULL[status]], int(cum), int(leaves), cl_ord_id, orig, line, int(reason[1]) if reason else -1
    )
