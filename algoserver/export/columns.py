"""The tables of an export, declared once: every column with its unit and meaning. The writer refuses a row that is not so; docs/export.md is made
from here.

Rule 1: `id` is unique in its table and stable: the same journal gives the same id, whatever range is asked for, and no two journals share one.
Rule 2: prices and quantities are decimal text, exact; times are ns since 1970 UTC. FIX's fields have FIX's values.
"""

from typing import NamedTuple


class Column(NamedTuple):
    """One column. kind: text, int, flag, price, qty or ns."""

    name: str
    kind: str
    meaning: str


class Table(NamedTuple):
    """One table. of: what a row is."""

    name: str
    of: str
    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Of its columns, in their order."""
        return tuple(c.name for c in self.columns)


def _columns(declared: str) -> tuple[Column, ...]:
    rows = (line.split(None, 2) for line in declared.splitlines() if line)
    return tuple(Column(name, kind, meaning) for name, kind, meaning in rows)


WHEN = """
id          text  RUN.eSEQ of an event, RUN.eSEQ.N of what the server said or did in answer to it
seq         int   number of the event in the journal
ts_ns       ns    market time of the event; that is UTC where the clock is real
utc         text  the same, as text with nanoseconds
"""
WHOSE = """
client      text  whose order: CompID (49) of the session
desk        text  desk of the client by the policy in force, empty for none
algo        text  strategy (847), by name
model       text  model of the curve that the plan follows, empty where it needs none
policy      text  sha256 of the policy in force
"""
ORDER_ID = "order_id    text  OrderID (37) of the parent"
CHILD = f"""
child_id    text  ClOrdID (11) of the child at its venue
{ORDER_ID}
"""
WHAT = """
symbol      text  Symbol (55)
side        text  Side (54): 1 buy, 2 sell, 5 sell short
"""

TABLES = (
    Table("parents", "an order that a client has sent, refused ones too, with how it stood at the end of the range", _columns(f"""{WHEN}
{ORDER_ID}
{WHOSE}
account         text  Account (1)
cl_ord_id       text  ClOrdID (11) as it was sent
{WHAT}
order_qty       qty   OrderQty (38) as it was sent
ord_type        text  OrdType (40): 1 market, 2 limit
price           price Price (44), empty for a market order
time_in_force   text  TimeInForce (59)
params          text  algo parameters that are not at their default, a JSON object, in the journal's units
on_halt         text  ExecInst (18) J or K: what a halt does to it
is_located      flag  LocateReqd (114) N: the client has located the stock
poss_resend     flag  PossResend (97)
result          text  accepted, rejected, duplicate (its ClOrdID was used before) or repeated (answered before, nothing new)
reason          int   OrdRejReason (103), empty where it was not rejected
text            text  Text (58) of that answer
last_cl_ord_id  text  ClOrdID at the end of the range
last_order_qty  qty   OrderQty at the end of the range
ord_status      text  OrdStatus (39), as last reported
cum_qty         qty   CumQty (14), as last reported
leaves_qty      qty   LeavesQty (151), as last reported
avg_px          price AvgPx (6), as last reported
children        int   children sent, to the end of the range
sent_qty        qty   their quantity in sum
last_ts_ns      ns    time of the last report
""")),
    Table("requests", "any other message of a client: cancel, replace, mass cancel, status, dispute; and what could not be read", _columns(f"""{WHEN}
request         text  cancel, replace, mass_cancel, status, mass_status, dispute or unreadable
{ORDER_ID}
{WHOSE}
cl_ord_id       text  ClOrdID (11) of the request
orig_cl_ord_id  text  OrigClOrdID (41); of a status or dispute the order or execution that it names
{WHAT}
order_qty       qty   OrderQty (38) that a replace wants, empty where it says none
price           price Price (44) that a replace wants
params          text  algo parameters that a replace gives, a JSON object
answer          text  accepted, rejected or none
reason          int   CxlRejReason (102), MassCancelRejectReason (532), OrdRejReason (103) or BusinessRejectReason (380)
text            text  what the client was told
""")),
    Table("reports", "a message to a client: execution report, cancel reject, mass cancel report, business reject", _columns(f"""{WHEN}
msg_type        text  MsgType (35): 8, 9, r or j
{ORDER_ID}
{WHOSE}
cl_ord_id       text  ClOrdID (11)
orig_cl_ord_id  text  OrigClOrdID (41)
exec_id         text  ExecID (17)
exec_type       text  ExecType (150)
ord_status      text  OrdStatus (39)
{WHAT}
order_qty       qty   OrderQty (38)
cum_qty         qty   CumQty (14)
leaves_qty      qty   LeavesQty (151)
avg_px          price AvgPx (6)
last_px         price LastPx (31) of a trade
last_qty        qty   LastQty (32) of a trade
last_mkt        text  LastMkt (30)
liquidity       int   LastLiquidityInd (851): 1 added, 2 removed, 3 routed out
capacity        text  LastCapacity (29)
exec_ref_id     text  ExecRefID (19) of a bust or correction
reason          int   as in requests
restatement     int   ExecRestatementReason (378)
text            text  Text (58)
""")),
    Table("children", "an order that was sent to a venue, with how it stood at the end of the range", _columns(f"""{WHEN}
{CHILD}
{WHOSE}
venue           text  CompID of the venue
{WHAT}
order_qty       qty   OrderQty (38)
ord_type        text  OrdType (40): 1 market, 2 limit, P pegged to the mid
price           price Price (44)
time_in_force   text  TimeInForce (59)
exec_inst       text  ExecInst (18)
min_qty         qty   MinQty (110)
venue_order_id  text  OrderID (37) of the venue
status          text  sent, accepted, filled, canceled, rejected or unsent: the last word on it
cum_qty         qty   traded, busts and corrections counted
last_ts_ns      ns    time of the last word
""")),
    Table("child_events", "what else was said between us and a venue about a child, or an order that is not ours", _columns(f"""{WHEN}
event           text  the venue: accepted, canceled, restated, rejected, cancel_rejected, status, foreign; we: cancel_sent, status_asked, unsent
{CHILD}
{WHOSE}
venue           text  CompID of the venue
{WHAT}
ord_status      text  OrdStatus (39), where it is said
order_qty       qty   OrderQty (38), where it is said
cum_qty         qty   CumQty (14), where it is said
leaves_qty      qty   LeavesQty (151), where it is said
reason          int   OrdRejReason (103), CxlRejReason (102) or ExecRestatementReason (378), where it is said
text            text  ClOrdID of a cancel, OrderID of an acceptance, else what the venue says
""")),
    Table("executions", "a venue's trade, its bust or its correction", _columns(f"""{WHEN}
kind            text  trade, bust or correction
source          text  order_session, which is booked, or drop_copy, which is compared only
is_repeat       flag  this child had this ExecID before: it is not booked again
exec_id         text  ExecID (17) of the venue
exec_ref_id     text  ExecRefID (19): the trade that is busted or corrected
{CHILD}
{WHOSE}
venue           text  CompID of the venue
{WHAT}
last_px         price LastPx (31)
last_qty        qty   LastQty (32)
last_mkt        text  LastMkt (30)
liquidity       int   LastLiquidityInd (851)
capacity        text  LastCapacity (29)
""")),
    Table("alerts", "an alert that was told, and its end", _columns(f"""{WHEN}
alert_id        text  of the alert: the same until it is over
state           text  open or over
code            text  what it is (docs/alerts.md)
severity        text  critical, warning or info
owner           text  trader, risk, operator or fix_desk
subject         text  what it is about: an order, a venue, a symbol, a scope
{ORDER_ID}
times           int   how often it had happened
text            text  what happened
""")),
    Table("commands", "what a person asked of the server, done or not, and what the server did by itself", _columns(f"""{WHEN}
source          text  audit; or journal where the audit has no line: what the server did by itself, or what was done a moment ago
audit_line      int   number of the line in the audit, empty without one
audit_sha256    text  hash of that line, which the next one repeats
asked_utc       text  wall time at which it was written
person          text  who; server for the server itself
how             text  how he was known: user, token; journal where only the journal knew
role            text  role that let him do it
verb            text  what he asked for
target          text  of what
reason          text  why, in his words
result          text  done, past_core, unknown, or why it was not done; server for the server itself
text            text  the refusal in words
before          text  sha256 of what operators change, before
after           text  and after
policy          text  sha256 of the policy in force after it
""")),
    Table("policies", "a policy that was in force in the range", _columns(f"""{WHEN}
policy          text  sha256 of its file; the state directory keeps it as policies/SHA256.toml
name            text  its name
by              text  who proposed it; start: the first policy of the journal
checked_by      text  who approved it, empty where one person was enough
reason          text  why
""")),
)  # fmt: skip
BY_NAME = {table.name: table for table in TABLES}
