"""FIX 4.4 Appendix D scenarios as text, and their parser. The same tables are played to orders.py, the core and sockets.

A line is one message, in order:
    who      client | venue: who acts. The client side of an order is the one who sent it, the venue side who works it.
    act      of the client: new, ioc, fok (a first D of X), again (D of X once more), resend and resendY (D of X and of Y with
             PossResend), cancel (F of Y for X), status and statusY (H of X and of Y);
             of the venue: accept (where it did not at once), trade, done (for the day), canceled, refuse (the cancel)
    n        quantity of the act, 0 where it has none
    report   ExecType/OrdStatus that the client then hears; CxlRej/OrdStatus for a cancel reject; - where nothing is said
    cum leaves
    ids      (ClOrdID, OrigClOrdID) of that report
What follows is a note. Names of states are FIX's.
"""

from typing import Literal, NamedTuple

from algoserver.domain.types import ExecType, OrdStatus

FULL = {
    "New": "NEW", "Partial": "PARTIALLY_FILLED", "Filled": "FILLED", "DoneForDay": "DONE_FOR_DAY", "Canceled": "CANCELED",
    "PendCxl": "PENDING_CANCEL", "PendNew": "PENDING_NEW", "Rejected": "REJECTED", "Trade": "TRADE", "Status": "ORDER_STATUS",
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

    @property
    def is_cancel_reject(self) -> bool:
        return self.ord_status is not None and self.exec_type is None


class Scenario(NamedTuple):
    """A published scenario: its id, its title, the quantity of X, its steps."""

    id: str
    title: str
    order_qty: int
    time_in_force: str
    steps: tuple[Step, ...]


def parse(text: str) -> Scenario:
    """A table to a Scenario. The first line is `# id title`, quantity 10000 and TimeInForce Day unless `new` says else."""
    lines = [line.rstrip() for line in text.strip().splitlines()]
    scenario_id, _, title = lines[0].removeprefix("#").strip().partition(" ")
    steps = tuple(_step(line) for line in lines[1:] if line and not line.startswith("#"))
    new = next((s for s in steps if s.act in ("new", "ioc", "fok")), None)
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
    return Step(who, act, int(number), exec_type, OrdStatus[FULL[status]], int(cum), int(leaves), cl_ord_id, orig, line)


A_1_A = """
# A.1.a Filled order
# who  act      n      report             cum    leaves  ids
client new      10000  New/New            0      10000   (X)
venue  trade    2000   Trade/Partial      2000   8000    (X)
venue  trade    1000   Trade/Partial      3000   7000    (X)
venue  trade    7000   Trade/Filled       10000  0       (X)
"""
A_1_B = """
# A.1.b Part-filled day order, done for day
client new      10000  New/New            0      10000   (X)
venue  trade    2000   Trade/Partial      2000   8000    (X)
venue  trade    1000   Trade/Partial      3000   7000    (X)
venue  done     0      DoneForDay/DoneForDay 3000 0      (X)
"""
B_1_A = """
# B.1.a Cancel request issued for a zero-filled order
client new      10000  New/New            0      10000   (X)
client cancel   0      PendCxl/PendCxl    0      10000   (Y,X)
venue  canceled 0      Canceled/Canceled  0      0       (Y,X)
"""
B_1_A_REFUSED = """
# B.1.a-refused Cancel request issued for a zero-filled order, refused
client new      10000  New/New            0      10000   (X)
client cancel   0      PendCxl/PendCxl    0      10000   (Y,X)
venue  refuse   0      CxlRej/New         0      10000   (Y,X)
"""
B_1_B = """
# B.1.b Cancel request issued for a part-filled order, executions occur whilst cancel request is active
client new      10000  New/New            0      10000   (X)
venue  trade    2000   Trade/Partial      2000   8000    (X)
venue  trade    3000   Trade/Partial      5000   5000    (X)      F(Y,X) is on its way
client cancel   0      PendCxl/PendCxl    5000   5000    (Y,X)
venue  trade    1000   Trade/PendCxl      6000   4000    (X)
venue  canceled 0      Canceled/Canceled  6000   0       (Y,X)
"""
B_1_B_REFUSED = """
# B.1.b-refused Cancel request issued for a part-filled order, refused
client new      10000  New/New            0      10000   (X)
venue  trade    2000   Trade/Partial      2000   8000    (X)
venue  trade    3000   Trade/Partial      5000   5000    (X)
client cancel   0      PendCxl/PendCxl    5000   5000    (Y,X)
venue  trade    1000   Trade/PendCxl      6000   4000    (X)
venue  refuse   0      CxlRej/Partial     6000   4000    (Y,X)
"""
B_1_C = """
# B.1.c Cancel request issued for an order that becomes filled before cancel request can be accepted
client new      10000  New/New            0      10000   (X)
venue  trade    2000   Trade/Partial      2000   8000    (X)
venue  trade    3000   Trade/Partial      5000   5000    (X)
client cancel   0      PendCxl/PendCxl    5000   5000    (Y,X)
venue  trade    5000   Trade/PendCxl      10000  0       (X)
venue  refuse   0      CxlRej/Filled      10000  0       (Y,X)    102=0 too late
"""
# The copy prints New/New at the acknowledgement; the precedence of the same standard says Pending Cancel (12 over 2).
B_1_D = """
# B.1.d Cancel request issued for an order that has not yet been acknowledged
client new      10000  -
client cancel   0      PendCxl/PendCxl    0      10000   (Y,X)
venue  accept   0      New/PendCxl        0      10000   (X)
venue  canceled 0      Canceled/Canceled  0      0       (Y,X)
"""
B_1_D_NO_NEW = """
# B.1.d-no-new Cancel request issued for an order that is never acknowledged
client new      10000  -
client cancel   0      PendCxl/PendCxl    0      10000   (Y,X)
venue  canceled 0      Canceled/Canceled  0      0       (Y,X)
"""
B_1_E = """
# B.1.e Cancel request issued for an order that has not yet been acknowledged, the acknowledgement and the cancel request cross
client new      10000  New/New            0      10000   (X)      crosses F(Y,X)
client cancel   0      PendCxl/PendCxl    0      10000   (Y,X)
venue  canceled 0      Canceled/Canceled  0      0       (Y,X)
"""
B_1_F = """
# B.1.f Cancel request issued for an unknown order
client cancel   0      CxlRej/Rejected    0      0       (Y,X)    102=1, OrderID NONE
"""
F_1_A = """
# F.1.a Duplicate ClOrdID
client new      10000  New/New            0      10000   (X)
venue  trade    1000   Trade/Partial      1000   9000    (X)
client again    15000  Rejected/Partial   1000   9000    (X)      103=6
"""
F_1_B = """
# F.1.b PossResend and duplicate ClOrdID
client new      10000  New/New            0      10000   (X)
client resend   10000  Status/New         0      10000   (X)      PossResend=Y, seen before
client again    20000  Rejected/New       0      10000   (X)      103=6
client resendY  10000  New/New            0      10000   (Y)      PossResend=Y, not seen before
"""
F_1_C = """
# F.1.c Order already submitted by voice: refused by the venue
client new      10000  Rejected/Rejected  0      0       (X)
"""
G_1_A = """
# G.1.a Status request rejected for unknown order
client new      10000  New/New            0      10000   (X)
client statusY  0      Status/Rejected    0      0       (Y)      103=5
"""
G_1_B = """
# G.1.b Transmitting a CMS-style "Nothing Done" in response to a status request
client new      10000  New/New            0      10000   (X)
client status   0      Status/New         0      10000   (X)      58=Nothing done
"""
G_1_C = """
# G.1.c Order sent, immediately followed by a status request; subsequent status requests sent during life of order
client new      10000  -
client status   0      Status/PendNew     0      10000   (X)
venue  accept   0      New/New            0      10000   (X)
client status   0      Status/New         0      10000   (X)
venue  trade    2000   Trade/Partial      2000   8000    (X)
client status   0      Status/Partial     2000   8000    (X)
venue  trade    3000   Trade/Partial      5000   5000    (X)
client status   0      Status/Partial     5000   5000    (X)
venue  trade    5000   Trade/Filled       10000  0       (X)
client status   0      Status/Filled      10000  0       (X)
"""
I_1_A = """
# I.1.a Fill or Kill order cannot be filled
client fok      10000  New/New            0      10000   (X)
venue  canceled 0      Canceled/Canceled  0      0       (X)
"""
I_1_B = """
# I.1.b Immediate or Cancel order that cannot be immediately hit
client ioc      10000  New/New            0      10000   (X)
venue  trade    1000   Trade/Partial      1000   9000    (X)
venue  canceled 0      Canceled/Canceled  1000   0       (X)
"""
D35 = """
# D35 FIX 4.2: a fill arrives after the order is canceled
client new      10000  New/New            0      10000   (X)
venue  trade    5000   Trade/Partial      5000   5000    (X)
client cancel   0      PendCxl/PendCxl    5000   5000    (Y,X)
venue  canceled 0      Canceled/Canceled  5000   0       (Y,X)
venue  trade    4000   Trade/Canceled     9000   0       (X)
"""
SCENARIOS = {
    s.id: s
    for s in map(
        parse,
        (A_1_A, A_1_B, B_1_A, B_1_A_REFUSED, B_1_B, B_1_B_REFUSED, B_1_C, B_1_D, B_1_D_NO_NEW, B_1_E, B_1_F, F_1_A, F_1_B, F_1_C,
         G_1_A, G_1_B, G_1_C, I_1_A, I_1_B, D35),
    )
}  # fmt: skip
